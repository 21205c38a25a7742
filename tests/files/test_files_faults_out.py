"""Faults on the way out: a full disk, a share that is gone, a target nobody may write, and kill -9 between any two steps of publishing."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from adapters.files import folder as folder_calls
from adapters.files import sink as sink_module
from adapters.files.errors import telling, transport_error
from adapters.files.sink import FilesSink
from bus.adapter_ports import Publication
from bus.errors import Permanent, Transient, TransportError
from contracts.messages import catalogue
from tests.files.doubles import as_nobody

DELIVERY = "332020-d7"
T = TypeVar("T")


def written(
    folder: Path, names: list[str], marker: str | None = "all.end", data: bytes | None = None, delivery: str = DELIVERY
) -> Publication:
    opened = FilesSink(folder).open(delivery, 1, names, marker)
    for index, name in enumerate(names):
        opened.write_chunk(index, b"data" + name.encode() if data is None else data)
    return opened.seal(b"done")


# --- errors


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_errno_has_its_type_and_words(number: int) -> None:
    error = transport_error(OSError(number, os.strerror(number)), Path("/out/x.csv"))
    assert isinstance(error, Transient | Permanent)
    assert error.message_id in catalogue()
    assert errno.errorcode[number] in error.text("ja") or number == errno.EEXIST
    assert "/out/x.csv" in error.text("en")


def test_no_oserror_gets_out() -> None:
    with pytest.raises(TransportError) as raised, telling(Path("x")):
        raise OSError("without a number")
    assert raised.value.message_id == "RNK5019E"


@pytest.mark.slow
def test_a_full_disk_is_transient_and_the_retry_succeeds(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 700_000)
    opened = FilesSink(small_disk).open(DELIVERY, 1, ["out.csv"], "out.csv.end")
    opened.write_chunk(0, b"x" * 100_000)
    with pytest.raises(Transient) as raised:
        opened.write_chunk(1, b"y" * 900_000)
    assert raised.value.message_id == "RNK5010E"
    ballast.unlink()
    opened.write_chunk(1, b"y" * 900_000)  # half of it was written before: no byte may be there twice
    FilesSink(small_disk).publish(opened.seal(None))
    assert (small_disk / "out.csv").read_bytes() == b"x" * 100_000 + b"y" * 900_000


@pytest.mark.slow
def test_after_a_full_disk_met_by_a_worker_abort_gives_the_room_back(small_disk: Path) -> None:
    opened = FilesSink(small_disk).open(DELIVERY, 1, ["out.csv"], None)
    with opened.local_path().open("r+b", buffering=0) as file:
        file.write(b"x" * (2 << 20))  # as much as there is room for
        with pytest.raises(OSError, match="space"):
            file.write(b"x")
    opened.abort()
    assert list(small_disk.iterdir()) == []
    assert os.statvfs(small_disk).f_bavail > 200


@pytest.mark.slow
def test_a_full_disk_at_the_marker_publishes_nothing(small_disk: Path) -> None:
    opened = FilesSink(small_disk).open(DELIVERY, 1, ["out.csv"], "m")
    opened.write_chunk(0, b"x" * (1 << 20))
    with pytest.raises(Transient):
        opened.seal(b"y" * 9000)
    opened.abort()
    assert list(small_disk.iterdir()) == []


@pytest.mark.slow
def test_a_read_only_target_is_transient(small_disk: Path) -> None:
    publication = written(small_disk, ["out.csv"])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for work in (lambda: written(small_disk, ["other.csv"]), lambda: FilesSink(small_disk).publish(publication)):
        with pytest.raises(Transient) as raised:
            work()
        assert raised.value.message_id == "RNK5012E"
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    FilesSink(small_disk).publish(publication)
    assert (small_disk / "out.csv").exists()


@pytest.mark.slow
def test_a_share_that_is_gone_is_not_taken_for_a_published_file(small_disk: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    subprocess.run(["mount", "--bind", str(small_disk), str(share)], check=True)
    try:
        publication = written(share, ["out.csv"])
    finally:
        subprocess.run(["umount", str(share)], check=True)
    with pytest.raises(Transient) as raised:
        FilesSink(share).publish(publication)
    assert raised.value.message_id == "RNK5021E"
    FilesSink(small_disk).publish(publication)
    assert (small_disk / "out.csv").read_bytes() == b"dataout.csv"


def test_a_missing_target_is_transient(tmp_path: Path) -> None:
    publication = written(tmp_path, ["out.csv"])
    missing = tmp_path / "missing"
    for work in (lambda: FilesSink(missing).publish(publication), lambda: written(missing, ["x"])):
        with pytest.raises(Transient) as raised:
            work()
        assert raised.value.message_id == "RNK5011E"


def test_a_target_without_rights_is_for_a_person(open_place: Path) -> None:
    publication = written(open_place, ["out.csv"])
    open_place.chmod(0o755)
    with as_nobody(), pytest.raises(Permanent) as raised:
        written(open_place, ["x"])
    assert raised.value.message_id == "RNK5015E"
    with as_nobody(), pytest.raises(Permanent) as raised:
        FilesSink(open_place).publish(publication)
    assert raised.value.message_id == "RNK5015E"


def test_a_temporary_that_somebody_swapped_is_not_published(tmp_path: Path) -> None:
    publication = written(tmp_path, ["out.csv"])
    temporary = tmp_path / publication.renames[0][0]
    temporary.unlink()
    temporary.symlink_to("/etc/passwd")
    with pytest.raises(Permanent) as raised:
        FilesSink(tmp_path).publish(publication)
    assert raised.value.message_id == "RNK5022E"
    assert not (tmp_path / "out.csv").exists()


def test_links_in_the_place_of_temporaries_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write into the folder swaps what the bus writes for links to a private file: its bytes and rights stay as they are."""
    private = tmp_path / "private"
    private.write_bytes(b"secret")
    private.chmod(0o600)
    folder = tmp_path / "out"
    folder.mkdir()

    def swap(path: Path) -> None:
        path.unlink()
        path.symlink_to(private)

    real = folder_calls.write_durably

    def writing(path: Path, data: bytes, *more: int) -> None:
        real(path, data, *more)
        swap(path)

    opened = FilesSink(folder).open(DELIVERY, 1, ["1.xml", "2.xml"], "m")
    opened.local_path(0)
    swap(opened.local_path(1))
    with pytest.raises(TransportError):
        opened.seal(None)
    opened.abort()
    monkeypatch.setattr(sink_module, "write_durably", writing)
    opened = FilesSink(folder).open(DELIVERY, 2, ["1.csv"], "m")
    opened.seal(b"1")
    assert (private.read_bytes(), private.stat().st_mode & 0o777) == (b"secret", 0o600)


def test_nobody_else_reads_a_file_before_it_is_whole(tmp_path: Path) -> None:
    opened = FilesSink(tmp_path, file_mode=0o644).open(DELIVERY, 1, ["out.csv"], "m")
    assert opened.local_path().stat().st_mode & 0o777 == 0o600
    FilesSink(tmp_path).publish(opened.seal(None))
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("out.csv", "m")] == [0o644, 0o644]


def test_thousands_of_documents_do_not_use_up_descriptors(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number
    opened = FilesSink(tmp_path).open(DELIVERY, 1, [f"{number}.xml" for number in range(300)], None)
    for number in range(150):
        opened.write_chunk(number, b"x")
    for number in range(150, 300):
        opened.local_path(number).write_bytes(b"x")
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # noqa: PTH208
    assert opened.seal(None).bytes == 300
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


# --- without renameat2


def test_without_a_refusing_rename_nothing_is_overwritten_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_calls, "_renameat2", lambda source, target: errno.EINVAL)
    publication = written(tmp_path, ["out.csv"])
    (tmp_path / "out.csv").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        folder_calls.rename_noreplace(tmp_path / publication.renames[0][0], tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == b"old"
    (tmp_path / "out.csv").unlink()
    FilesSink(tmp_path).publish(publication)
    assert (tmp_path / "out.csv").read_bytes() == b"dataout.csv"


# --- kill -9 while publishing, with a receiver that takes files the instant they appear


class GreedyReceiver:
    """Moves every published file away as fast as it can, in a thread of its own. `taken` holds the names in order."""

    def __init__(self, folder: Path, away: Path) -> None:
        self.taken: list[str] = []
        self._folder, self._away = folder, away
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop)

    def take_all(self) -> None:
        for path in sorted(self._folder.iterdir()):
            if not path.name.startswith("."):
                path.rename(self._away / f"{len(self.taken)}-{path.name}")
                self.taken.append(path.name)

    def _loop(self) -> None:
        while not self._stop.is_set():
            self.take_all()
        self.take_all()

    def __enter__(self) -> GreedyReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def killed_while(work: Callable[[], object], call: str, times: int, *, before: bool) -> bool:
    """Do `work` in a process that is killed (really, with SIGKILL) before or after its n-th `call` of the sink's; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            seen, real = [0], getattr(sink_module, call)

            def killing(*args: object) -> None:
                seen[0] += 1
                if before and seen[0] == times:
                    os.kill(os.getpid(), signal.SIGKILL)
                real(*args)
                if seen[0] == times:
                    os.kill(os.getpid(), signal.SIGKILL)

            setattr(sink_module, call, killing)
            work()
        finally:
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("call", "times"),
    [("rename_noreplace", 1), ("rename_noreplace", 2), ("rename_noreplace", 3), ("sync_folder", 1), ("sync_folder", 2)],
)
def test_a_kill_anywhere_in_publishing_loses_and_doubles_nothing(tmp_path: Path, call: str, times: int, before: bool) -> None:
    folder, away = tmp_path / "out", tmp_path / "away"
    folder.mkdir()
    away.mkdir()
    publication = written(folder, ["1.xml", "2.xml"])
    assert killed_while(lambda: FilesSink(folder).publish(publication), call, times, before=before)
    receiver = GreedyReceiver(folder, away)
    receiver.take_all()  # what was published before the kill is gone at once
    with receiver:
        FilesSink(folder).publish(publication)
        FilesSink(folder).publish(publication)
    assert sorted(receiver.taken) == ["1.xml", "2.xml", "all.end"]
    assert receiver.taken[-1] == "all.end"
    assert sorted(path.read_bytes() for path in away.iterdir()) == [b"data1.xml", b"data2.xml", b"done"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_kill_while_writing_leaves_nothing_a_receiver_sees(tmp_path: Path, times: int) -> None:
    assert killed_while(lambda: written(tmp_path, ["1.xml", "2.xml"]), "write_all", times, before=False)
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
    opened = FilesSink(tmp_path).open(DELIVERY, 2, ["1.xml"], None)
    opened.write_chunk(0, b"again")
    FilesSink(tmp_path).publish(opened.seal(None))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"1.xml": b"again"}


def test_a_receiver_takes_files_while_many_are_published(tmp_path: Path) -> None:
    folder, away = tmp_path / "out", tmp_path / "away"
    folder.mkdir()
    away.mkdir()
    with GreedyReceiver(folder, away) as receiver:
        for number in range(30):
            data = str(number).encode()
            publication = until_taken(partial(written, folder, ["daily.csv"], None, data, f"332020-d{number}"))
            until_taken(partial(FilesSink(folder).publish, publication))
    assert receiver.taken == ["daily.csv"] * 30
    assert sorted(int(path.read_bytes()) for path in away.iterdir()) == list(range(30))


def until_taken(work: Callable[[], T]) -> T:
    """Do `work` again as long as the receiver has not taken the file before."""
    while True:
        try:
            return work()
        except Transient as error:
            if error.message_id != "RNK5020E":
                raise


# --- the order of system calls


@pytest.mark.slow
def test_bytes_are_durable_before_names_and_names_before_the_marker(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\nfrom adapters.files.sink import FilesSink\n"
        f"sink = FilesSink(Path({str(tmp_path)!r}))\nopened = sink.open('332020-d1', 1, ['out.csv'], 'out.end')\n"
        "opened.write_chunk(0, b'data')\nsink.publish(opened.seal(b''))\n"
    )
    trace = tmp_path.parent / f"{tmp_path.name}.trace"
    calls = "trace=pwrite64,fsync,fdatasync,renameat2,rename,renameat"
    subprocess.run(["strace", "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, "-c", program], check=True, timeout=60)
    lines = [line for line in trace.read_text().splitlines() if str(tmp_path) in line]
    assert [step_of(line) for line in lines] == [
        "pwrite64 data",
        "fsync data",
        "fsync marker",
        "fsync folder",
        "renameat2 data",
        "fsync folder",
        "renameat2 marker",
        "fsync folder",
    ]


def step_of(line: str) -> str:
    found = re.search(r"(\w+)\((.*)", line)
    assert found is not None
    what = "marker" if "-end-" in found[2] else "data" if ".renkei-" in found[2] else "folder"
    return f"{found[1]} {what}"
