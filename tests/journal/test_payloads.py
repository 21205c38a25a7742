"""Payload parts: immutable, durable, bound, and proven when they are read."""

from __future__ import annotations

import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_samples import identity, new_message

from bus.errors import JournalError, JournalUnavailable
from bus.message import Message, MessageState, Part
from bus.payloads import DirectoryPayloads
from bus.ports import Binding, PayloadStore
from bus.security.seal import IdentitySeal
from contracts.totals import Totals

BOUND = Binding("332020", "332020-m1", "original", 0, last=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "var" / "payloads"


@pytest.fixture
def payloads(folder: Path) -> DirectoryPayloads:
    return DirectoryPayloads(folder, IdentitySeal())


def message_of(plain: bytes) -> Message:
    new = new_message()
    nothing = Totals()
    return Message(
        id="332020-m1",
        identity=identity(),
        revision=1,
        state=MessageState.ACCEPTED,
        source_system=new.source_system,
        endpoint=new.endpoint,
        kind=new.kind,
        versions=new.versions,
        file_name=new.file_name,
        bytes=len(plain),
        sha256=hashlib.sha256(plain).hexdigest(),
        records=1,
        declared={},
        good=nothing,
        rejected=nothing,
        broken=(),
        corrects=None,
        reason="",
        received_at_us=0,
        accepted_at_us=None,
    )


@given(plain=st.binary(max_size=2000))
def test_what_is_put_is_got(tmp_path_factory: pytest.TempPathFactory, plain: bytes) -> None:
    store: PayloadStore = DirectoryPayloads(tmp_path_factory.getbasetemp() / "any", IdentitySeal())
    part = store.put(plain, BOUND)
    assert store.get(part, "332020", "332020-m1") == plain
    assert (part.bytes, part.sealed_bytes, part.seal) == (len(plain), len(plain), "identity")
    assert part.sha256 == hashlib.sha256(plain).hexdigest()


def test_the_stored_original_is_the_file_as_it_came(payloads: DirectoryPayloads, folder: Path) -> None:
    part = payloads.put(b"\x82\xa0\r\n", BOUND)
    assert (folder / part.path).read_bytes() == b"\x82\xa0\r\n"
    assert part.path == "332020/332020-m1/original-000000"


def test_only_the_bus_may_read(payloads: DirectoryPayloads, folder: Path) -> None:
    part = payloads.put(b"x", BOUND)
    assert (folder / part.path).stat().st_mode & 0o777 == 0o600
    for step in (folder, folder / "332020", folder / "332020" / "332020-m1"):
        assert step.stat().st_mode & 0o777 == 0o700


def test_put_again_replaces_and_leaves_nothing_behind(payloads: DirectoryPayloads, folder: Path) -> None:
    payloads.put(b"first", BOUND)
    part = payloads.put(b"second", BOUND)
    assert payloads.get(part, "332020", "332020-m1") == b"second"
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / part.path]


def test_a_damaged_part_is_never_used(payloads: DirectoryPayloads, folder: Path) -> None:
    part = payloads.put(b"0123456789", BOUND)
    for damaged in (b"0123456780", b"012345678", b"01234567899", b""):
        (folder / part.path).write_bytes(damaged)
        with pytest.raises(JournalError) as caught:
            payloads.get(part, "332020", "332020-m1")
        assert caught.value.message_id == "RNK3021E"


def test_a_missing_part_is_reported(payloads: DirectoryPayloads, folder: Path) -> None:
    part = payloads.put(b"x", BOUND)
    (folder / part.path).unlink()
    with pytest.raises(JournalError) as caught:
        payloads.get(part, "332020", "332020-m1")
    assert caught.value.message_id == "RNK3020E"


def test_a_link_in_the_place_of_a_part_is_not_followed(payloads: DirectoryPayloads, folder: Path, tmp_path: Path) -> None:
    part = payloads.put(b"x", BOUND)
    (tmp_path / "elsewhere").write_bytes(b"x")
    (folder / part.path).unlink()
    (folder / part.path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError):
        payloads.get(part, "332020", "332020-m1")


@pytest.mark.parametrize(
    "other",
    [
        ("372013", "332020-m1", {}),
        ("332020", "332020-m2", {}),
        ("332020", "332020-m1", {"index": 1}),
        ("332020", "332020-m1", {"kind": "rejects"}),
    ],
)
def test_a_part_opens_for_its_own_message_only(payloads: DirectoryPayloads, other: tuple[str, str, dict[str, object]]) -> None:
    part = payloads.put(b"x", BOUND)
    tenant, message, changed = other
    with pytest.raises(JournalError) as caught:
        payloads.get(replace(part, **changed), tenant, message)  # type: ignore[arg-type]
    assert caught.value.message_id == "RNK3022E"


def test_a_part_of_another_seal_does_not_open(payloads: DirectoryPayloads) -> None:
    part = payloads.put(b"x", BOUND)
    with pytest.raises(JournalError):
        payloads.get(replace(part, seal="aes"), "332020", "332020-m1")


@pytest.mark.parametrize("step", ["..", "a/b", "", ".", "a\0b", "/etc", "-x", "a" * 200, "名前"])
def test_no_part_leaves_its_folder(payloads: DirectoryPayloads, step: str) -> None:
    for binding in (replace(BOUND, tenant=step), replace(BOUND, message=step), replace(BOUND, kind=step)):
        with pytest.raises(ValueError, match="place"):
            payloads.put(b"x", binding)


def _parts(payloads: DirectoryPayloads, *plains: bytes) -> list[Part]:
    last = len(plains) - 1
    return [payloads.put(plain, replace(BOUND, index=i, last=i == last)) for i, plain in enumerate(plains)]


def test_the_original_is_whole_and_in_order(payloads: DirectoryPayloads) -> None:
    parts = _parts(payloads, b"one,", b"two,", b"three")
    parts.append(payloads.put(b"{}", replace(BOUND, kind="rejects")))
    assert b"".join(payloads.original(message_of(b"one,two,three"), parts[::-1])) == b"one,two,three"


def test_header_and_trailer_belong_to_the_original(payloads: DirectoryPayloads) -> None:
    parts = _parts(payloads, b"one,", b"two,")
    parts.insert(0, payloads.put(b"tail", replace(BOUND, kind="original_tail", index=1)))
    parts.append(payloads.put(b"head,", replace(BOUND, kind="original_head")))
    assert b"".join(payloads.original(message_of(b"head,one,two,tail"), parts)) == b"head,one,two,tail"
    with pytest.raises(JournalError):
        list(payloads.original(message_of(b"head,one,two,tail"), parts[1:]))


def test_a_file_without_records_is_its_header(payloads: DirectoryPayloads) -> None:
    head = payloads.put(b"titles", replace(BOUND, kind="original_head"))
    assert list(payloads.original(message_of(b"titles"), [head])) == [b"titles"]


@pytest.mark.parametrize("left", [slice(1, None), slice(None, 2), slice(0, 0)], ids=["first", "last", "all"])
def test_an_original_with_a_part_missing_is_none(payloads: DirectoryPayloads, left: slice) -> None:
    parts = _parts(payloads, b"one,", b"two,", b"three")
    with pytest.raises(JournalError) as caught:
        list(payloads.original(message_of(b"one,two,three"), parts[left]))
    assert caught.value.message_id == "RNK3023E"


def test_an_original_that_is_not_the_file_that_came_is_none(payloads: DirectoryPayloads) -> None:
    with pytest.raises(JournalError) as caught:
        list(payloads.original(message_of(b"other"), _parts(payloads, b"bytes")))
    assert caught.value.message_id == "RNK3023E"


def test_a_part_that_cannot_be_written_changes_nothing(
    payloads: DirectoryPayloads, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = payloads.put(b"before", BOUND)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalUnavailable) as caught:
        payloads.put(b"after", BOUND)
    assert caught.value.message_id == "RNK3024E"
    assert payloads.get(part, "332020", "332020-m1") == b"before"
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / part.path]


def test_a_part_is_synced_before_it_takes_its_name_and_its_folder_after(
    payloads: DirectoryPayloads, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads.put(b"x", replace(BOUND, index=1))
    target = folder / "332020/332020-m1/original-000000"
    seen: list[tuple[str, bool]] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append(("folder" if name.is_dir() else "file", target.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    payloads.put(b"x", BOUND)
    assert seen == [("file", False), ("folder", True)]


def test_what_killed_processes_left_is_swept(payloads: DirectoryPayloads, folder: Path) -> None:
    part = payloads.put(b"x", BOUND)
    (folder / ".writing" / "332020-m1.original-000001.1.ab.tmp").write_bytes(b"half")
    assert payloads.sweep() == 1
    assert payloads.sweep() == 0
    assert payloads.get(part, "332020", "332020-m1") == b"x"


def test_of_nodes_that_share_a_folder_each_sweeps_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (DirectoryPayloads(folder, IdentitySeal(), writer=name) for name in ("node1", "node2"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", killed)
        broken.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            first.put(b"x", BOUND)
    assert second.sweep() == 0
    assert first.sweep() == 1
    assert not list((folder / ".writing").iterdir())


def test_many_put_at_once(payloads: DirectoryPayloads) -> None:
    def put(index: int) -> Part:
        return payloads.put(bytes([index % 5]) * 1000, replace(BOUND, index=index % 5))

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(put, range(40)))
    assert all(payloads.get(part, "332020", "332020-m1") == bytes([part.index]) * 1000 for part in parts)
