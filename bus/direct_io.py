"""Writing and reading large ranges of local files past the page cache.

Owns: O_DIRECT and its alignment. A nightly file is written once and read once more to be counted; through the page cache that costs the
kernel a page of memory for each 4 KiB, which on a virtual machine that gives free memory back is the largest single cost of a batch, and
drives everything else out of the cache. Where the file system does not offer it, or the range is small, plain writes and reads do the same.

Durability comes from the caller's fsync, as ever. Several processes may write ranges of one file side by side as long as the ranges do not
overlap: whole pages inside a range go directly, the pages at its two ends, which a neighbour may share, through the cache.

No symlink is followed: targets are folders that their receivers may write into, too.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from pathlib import Path
from typing import Final

PAGE: Final = 4096
SMALLEST_BYTES: Final = 256 * 1024
"""Ranges below this are not worth two more system calls."""
_STEP_BYTES: Final = 4 * 1024 * 1024
_REFUSED: Final = (errno.EINVAL, errno.EOPNOTSUPP)
_ITSELF: Final = os.O_CLOEXEC | os.O_NOFOLLOW


class _Buffers(threading.local):
    """Page-aligned memory of this thread, kept for the next call."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, _STEP_BYTES)

    def of(self, size_bytes: int) -> mmap.mmap:
        if len(self.memory) < size_bytes:
            self.memory.close()
            self.memory = mmap.mmap(-1, _up(size_bytes))
        return self.memory


_buffers = _Buffers()


def write_at(path: Path, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset` of an existing file.

    Raises:
        OSError: it could not be written whole.
    """
    first, last = _up(offset), _down(offset + len(data))
    view = memoryview(data)
    plain = os.open(path, os.O_WRONLY | _ITSELF)
    try:
        if last - first >= SMALLEST_BYTES and _write_pages(path, view[first - offset : last - offset], first):
            _write_all(plain, view[: first - offset], offset)
            _write_all(plain, view[last - offset :], last)
        else:
            _write_all(plain, view, offset)
    finally:
        os.close(plain)


def read_at(path: Path, offset: int, length: int) -> bytes:
    """Up to `length` bytes from `offset`: what the file itself holds, not what the cache remembers; fewer at its end.

    Raises:
        OSError: it could not be read.
    """
    if length >= SMALLEST_BYTES:
        found = _read_pages(path, offset, length)
        if found is not None:
            return found
    plain = os.open(path, os.O_RDONLY | _ITSELF)
    try:
        parts = []
        while length and (part := os.pread(plain, length, offset)):
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
    finally:
        os.close(plain)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write_pages(path: Path, view: memoryview, offset: int) -> bool:
    """Write whole pages directly; False when the file system refuses, with nothing that matters written."""
    descriptor = _open_direct(path, os.O_WRONLY)
    if descriptor is None:
        return False
    memory = _buffers.of(_STEP_BYTES)
    try:
        for start in range(0, len(view), _STEP_BYTES):
            part = view[start : start + _STEP_BYTES]
            memory[: len(part)] = part
            with memoryview(memory) as whole:
                _write_all(descriptor, whole[: len(part)], offset + start)
    except OSError as error:
        if error.errno in _REFUSED:
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def _read_pages(path: Path, offset: int, length: int) -> bytes | None:
    descriptor = _open_direct(path, os.O_RDONLY)
    if descriptor is None:
        return None
    first = _down(offset)
    wanted = _up(offset + length) - first
    memory = _buffers.of(wanted)
    found = 0
    try:
        while found < wanted:
            with memoryview(memory) as whole:
                part = os.preadv(descriptor, [whole[found:wanted]], first + found)
            found += part
            if part == 0 or part % PAGE:
                break  # the end of the file
    except OSError as error:
        if error.errno in _REFUSED:
            return None
        raise
    finally:
        os.close(descriptor)
    with memoryview(memory) as whole:
        return bytes(whole[offset - first : max(offset - first, min(found, offset - first + length))])


def _open_direct(path: Path, mode: int) -> int | None:
    try:
        return os.open(path, mode | os.O_DIRECT | _ITSELF)
    except OSError as error:
        if error.errno in _REFUSED:
            return None
        raise


def _write_all(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


def _up(number: int) -> int:
    return -(-number // PAGE) * PAGE


def _down(number: int) -> int:
    return number // PAGE * PAGE
