"""The UTF-8 bytes of a column of texts, as numpy sees them.

Owns: getting at the bytes, and from bytes back to rows. Bytes of all rows stand one after the other, without anything between.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

Rows = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
_BLOCK_ROWS: Final = 8192
_BLOCK_BYTES: Final = 64 * 1024
"""Work is done in pieces that stay in the processor's cache and below the size at which the allocator asks the system for pages."""


class ColumnBytes:
    """One column's bytes. `lengths` in bytes per row; `longest` the greatest of them; `absent` whether any row is absent."""

    def __init__(self, column: pl.Series) -> None:
        self.column = column
        self.lengths: npt.NDArray[np.uint32] = column.str.len_bytes().to_numpy()
        self.longest = int(self.lengths.max(initial=0))
        self.absent = not len(self.lengths) or int(self.lengths.min()) == 0

    @cached_property
    def data(self) -> Bytes:
        """All bytes."""
        joined: Any = self.column.to_frame().select(pl.all().str.join("").cast(pl.Binary)).item()
        return np.frombuffer(joined, np.uint8)

    @cached_property
    def lowest_byte(self) -> int:
        """The lowest byte; 255 when all rows are absent."""
        return int(self.data.min(initial=255))

    @cached_property
    def highest_byte(self) -> int:
        """The highest byte; 0 when all rows are absent."""
        return int(self.data.max(initial=0))

    @cached_property
    def present(self) -> Rows:
        """Numbers of the rows that are not absent."""
        return np.flatnonzero(self.lengths) if self.absent else np.arange(len(self.lengths), dtype=np.int64)

    def within(self, lowest: int, highest: int) -> bool:
        """Whether every byte lies between the two, both included."""
        return self.lowest_byte >= lowest and self.highest_byte <= highest

    def uniform(self) -> bool:
        """Whether every row that is not absent has `longest` bytes."""
        return len(self.data) == self.longest * len(self.present)

    def matrix(self) -> Bytes:
        """One line per present row; only when `uniform`."""
        return self.data.reshape(len(self.present), self.longest)

    def row_blocks(self) -> Iterator[tuple[int, Bytes]]:
        """Runs of present rows as (first, one line per row); only when `uniform`."""
        matrix = self.matrix()
        for first in range(0, len(matrix), _BLOCK_ROWS):
            yield first, matrix[first : first + _BLOCK_ROWS]

    def byte_blocks(self) -> Iterator[tuple[int, Bytes]]:
        """Runs of bytes as (first, bytes); each run ends with the first byte of the next, so that neighbours can be compared."""
        for first in range(0, len(self.data), _BLOCK_BYTES):
            yield first, self.data[first : first + _BLOCK_BYTES + 1]

    def rows_at(self, positions: Rows) -> Rows:
        """The rows to which bytes at these ascending positions belong, each once."""
        ends = np.cumsum(self.lengths, dtype=np.int64)
        return unique_ascending(np.searchsorted(ends, positions, side="right"))


def unique_ascending(rows: npt.NDArray[Any]) -> Rows:
    """Each of the ascending rows once."""
    if len(rows) < 2:
        return rows.astype(np.int64)
    first = np.empty(len(rows), np.bool_)
    first[0] = True
    np.not_equal(rows[1:], rows[:-1], out=first[1:])
    return rows[first].astype(np.int64)
