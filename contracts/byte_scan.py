"""Looking through large byte strings with numpy, a cache-sized block at a time.

Owns: counting and finding bytes without arrays as large as the data; on a big chunk those cost more in fresh memory than the search.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

_BLOCK_BYTES: Final = 1 << 18


def _blocks(view: Bytes) -> Iterator[tuple[int, Bytes]]:
    for start in range(0, len(view), _BLOCK_BYTES):
        yield start, view[start : start + _BLOCK_BYTES]


def count_byte(data: bytes, byte: int) -> int:
    """How often `byte` occurs."""
    return sum(int(np.count_nonzero(block == byte)) for _, block in _blocks(np.frombuffer(data, np.uint8)))


def count_controls(data: bytes) -> int:
    """How many bytes are below 0x20."""
    return sum(int(np.count_nonzero(block < 0x20)) for _, block in _blocks(np.frombuffer(data, np.uint8)))


def count_angles(data: bytes) -> int:
    """How many bytes are `<` or `>` (they differ in one bit)."""
    return sum(int(np.count_nonzero((block & 0xFD) == 0x3C)) for _, block in _blocks(np.frombuffer(data, np.uint8)))


def highest(data: bytes) -> int:
    """The greatest byte; 0 for no data."""
    return max((int(block.max()) for _, block in _blocks(np.frombuffer(data, np.uint8))), default=0)


def offsets_of(data: bytes, byte: int) -> Offsets:
    """Every offset of `byte`, ascending."""
    found = [np.flatnonzero(block == byte) + start for start, block in _blocks(np.frombuffer(data, np.uint8))]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def offsets_after(data: bytes, lead: int, first: int, last: int) -> Offsets:
    """Offsets of `lead` whose next byte is not `first` to `last`. The data may not end with `lead`."""
    view = np.frombuffer(data, np.uint8)
    found: list[Offsets] = []
    for start, block in _blocks(view):
        following = view[start + 1 : start + 1 + len(block)]
        chosen = following - np.uint8(first) > last - first  # wraps below `first`
        chosen &= block[: len(following)] == lead
        if chosen.any():
            found.append(np.flatnonzero(chosen) + start)
    return np.concatenate(found) if found else np.empty(0, np.int64)


def pattern_offsets(data: bytes, pattern: bytes) -> Offsets:
    """Every offset of a short pattern, ascending."""
    view = np.frombuffer(data, np.uint8)
    hits = offsets_of(data, pattern[0])
    hits = hits[hits <= len(view) - len(pattern)]
    for distance in range(1, len(pattern)):
        hits = hits[view[hits + distance] == pattern[distance]]
    return hits


def column_of(table: Bytes, start: int, width: int) -> npt.NDArray[np.void]:
    """Bytes `start` to `start + width` of each row of a contiguous table, one item per row: copying items beats copying slices."""
    return np.ndarray((len(table),), f"V{width}", table, start, (table.strides[0],))


class Canvas:
    """Writable memory of a known size that becomes `bytes` without being copied."""

    def __init__(self, size_bytes: int) -> None:
        self._file = io.BytesIO()
        self._file.seek(max(0, size_bytes - 1))
        self._file.write(b"\0"[: min(1, size_bytes)])
        self._view = self._file.getbuffer()

    def array(self) -> Bytes:
        """The memory; every reference to it must be gone before `finish`."""
        return np.frombuffer(self._view, np.uint8)

    def finish(self) -> bytes:
        """What was written.

        Raises:
            BufferError: some array of this memory is still in use.
        """
        self._view.release()
        return self._file.getvalue()
