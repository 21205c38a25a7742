"""Ranges past the page cache: every byte where it belongs, whatever the alignment and whoever writes beside."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus import direct_io
from bus.direct_io import PAGE, SMALLEST_BYTES, read_at, write_at


@pytest.fixture(scope="module")
def memory_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of another kind."""
    folder = tmp_path_factory.mktemp("memory")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def parts_of(data: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [(start, data[start:end]) for start, end in pairwise(edges)]


SIZES = st.integers(0, 3 * SMALLEST_BYTES) | st.sampled_from([0, 1, PAGE - 1, PAGE, SMALLEST_BYTES + 2 * PAGE, 9 * 1024 * 1024 + 17])


@settings(max_examples=40)
@given(size=SIZES, cuts=st.lists(st.integers(0, 10_000_000), max_size=6), seed=st.integers(0, 99))
def test_parts_written_in_any_order_make_the_file(tmp_path_factory: pytest.TempPathFactory, size: int, cuts: list[int], seed: int) -> None:
    chance = random.Random(seed)
    data = chance.randbytes(size)
    path = tmp_path_factory.mktemp("parts") / "file"
    path.touch()
    parts = parts_of(data, cuts)
    chance.shuffle(parts)
    for offset, part in parts:
        write_at(path, part, offset)
    assert path.read_bytes() == data
    for offset, part in parts:
        assert read_at(path, offset, len(part)) == part
    path.unlink()


def test_neighbours_written_at_the_same_time(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(24 * 1024 * 1024 + 1234)
    path = tmp_path / "file"
    path.touch()
    parts = parts_of(data, [3_000_001, 7_654_321, 11_111_111, 16_000_003, 20_202_020])
    writers = [Thread(target=write_at, args=(path, part, offset)) for offset, part in parts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_bytes() == data


def test_it_does_go_past_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the rest of this file would test plain writes."""
    opened: list[int] = []
    real = os.open
    monkeypatch.setattr(direct_io.os, "open", lambda path, flags, *mode: (opened.append(flags), real(path, flags, *mode))[1])
    path = tmp_path / "file"
    path.touch()
    opened.clear()
    write_at(path, bytes(2 * SMALLEST_BYTES), 0)
    read_at(path, 0, 2 * SMALLEST_BYTES)
    assert [bool(flags & os.O_DIRECT) for flags in opened] == [False, True, True]


def test_reading_beyond_the_end_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (SMALLEST_BYTES + 5))
    assert read_at(path, 3, 10 * SMALLEST_BYTES) == b"x" * (SMALLEST_BYTES + 2)
    assert read_at(path, SMALLEST_BYTES + 5, SMALLEST_BYTES) == b""
    assert read_at(path, 5 * SMALLEST_BYTES, SMALLEST_BYTES) == b""


def test_a_byte_changed_in_the_cache_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    write_at(path, b"a" * (2 * SMALLEST_BYTES), 0)
    with path.open("r+b") as file:
        file.seek(SMALLEST_BYTES)
        file.write(b"b")
    assert read_at(path, SMALLEST_BYTES - 1, SMALLEST_BYTES)[:3] == b"aba"


def test_where_the_file_system_refuses_plain_writes_do_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_io, "_open_direct", lambda *_: None)
    path = tmp_path / "file"
    path.touch()
    data = random.Random(2).randbytes(2 * SMALLEST_BYTES)
    write_at(path, data, 10)
    assert read_at(path, 10, len(data)) == data


def test_on_another_kind_of_file_system(memory_folder: Path) -> None:
    path = memory_folder / "file"
    path.touch()
    data = random.Random(3).randbytes(5 * 1024 * 1024 + 11)
    write_at(path, data, 7)
    assert read_at(path, 7, len(data)) == data


def test_a_full_disk_is_an_error(memory_folder: Path) -> None:
    path = memory_folder / "full"
    path.touch()
    with pytest.raises(OSError, match="No space"):
        write_at(path, bytes(80 * 1024 * 1024), 0)
    path.unlink()


@pytest.mark.parametrize("size", [10, 4 * SMALLEST_BYTES])
def test_a_link_that_somebody_put_in_the_place_of_a_file_is_not_followed(tmp_path: Path, size: int) -> None:
    """A receiver may write into its own folder: a link there must not lead the bus to write over a file of its own."""
    own = tmp_path / "journal.db"
    own.write_bytes(b"x" * size)
    link = tmp_path / "link"
    link.symlink_to(own)
    with pytest.raises(OSError, match="symbolic"):
        write_at(link, b"y" * size, 0)
    with pytest.raises(OSError, match="symbolic"):
        read_at(link, 0, size)
    assert own.read_bytes() == b"x" * size
