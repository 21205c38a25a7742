"""Writes frames as fixed-length records by byte position.

Columns of ASCII are padded and laid side by side as they are. The others are encoded in one piece without their padding, and their
characters are then put into rows already filled with it: only real characters pass through the character table.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.byte_scan import Canvas, column_of
from contracts.characters import encode
from contracts.errors import FileUnreadable
from contracts.frame_totals import totals_of
from contracts.layouts.columns import BoundColumn, bind
from contracts.layouts.control import write_control
from contracts.layouts.fixed_columns import CannotWrite, Rows, ascii_rows, wide_rows
from contracts.layouts.model import FixedLayout
from contracts.layouts.ports import Facts, Rendered
from contracts.layouts.sums import sum_of
from contracts.layouts.text_forms import ascii_series
from contracts.layouts.written import Refused, as_one, examine, good_rows, written_columns
from contracts.model import Contract
from contracts.totals import Totals

Bytes = npt.NDArray[np.uint8]


class FixedWriter:
    """`Writer` for one fixed-length layout of one contract."""

    def __init__(self, layout: FixedLayout, contract: Contract) -> None:
        self._layout = layout
        self._contract = contract
        self._columns = bind(layout, contract)
        self._newline = {"crlf": b"\r\n", "lf": b"\n", "none": b""}[layout.newline]
        self._stride = layout.record_bytes + len(self._newline)

    def opening(self, facts: Facts, totals: Totals) -> bytes:
        """The header record; see `contracts.layouts.ports.Writer`."""
        if not self._layout.header_record:
            return b""
        return write_control(self._layout.header_record, self._layout, facts, totals, header=True) + self._newline

    def closing(self, facts: Facts, totals: Totals) -> bytes:
        """The trailer record."""
        if not self._layout.trailer_record:
            return b""
        return write_control(self._layout.trailer_record, self._layout, facts, totals, header=False) + self._newline

    def render(self, frame: pl.DataFrame) -> Rendered:
        """See `contracts.layouts.ports.Writer`."""
        columns, refused = written_columns(self._columns, frame)
        if not refused:
            try:
                return Rendered(self._bytes_of(columns, frame.height), totals_of(frame, self._contract), as_one([]))
            except CannotWrite:
                pass
        refused += examine(self._columns, columns, frame, self._layout.encoding, newlines=False)
        kept = good_rows(frame.height, refused)
        refused += self._too_wide(columns, frame, kept)
        kept = good_rows(frame.height, refused)
        data = self._bytes_of([column.filter(kept) for column in columns], int(kept.sum()))
        return Rendered(data, totals_of(frame.filter(kept), self._contract), as_one(refused))

    def _bytes_of(self, columns: Sequence[pl.Series], height: int) -> bytes:
        """The records.

        Raises:
            CannotWrite: some value cannot be represented, or is too wide.
        """
        if not height:
            return b""
        canvas = Canvas(height * self._stride)
        self._fill(canvas.array().reshape(height, self._stride), columns)
        return canvas.finish()

    def _fill(self, out: Bytes, columns: Sequence[pl.Series]) -> None:
        narrow: list[tuple[BoundColumn, pl.Series]] = []
        wide: list[tuple[BoundColumn, pl.Series]] = []
        for column, text in zip(self._columns, columns, strict=True):
            if column.field is None:
                out[:, column.start : column.start + column.width] = np.frombuffer(self._constant(column), np.uint8)
            else:
                (narrow if _all_ascii(column, text) else wide).append((column, text))
        for rows in ([ascii_rows(narrow)] if narrow else []) + (wide_rows(wide, self._layout.encoding) if wide else []):
            _put(out, rows)
        if self._newline:
            out[:, self._layout.record_bytes :] = np.frombuffer(self._newline, np.uint8)

    def _constant(self, column: BoundColumn) -> bytes:
        raw = encode(column.constant, self._layout.encoding)
        if len(raw) > column.width:
            raise FileUnreadable("RNK1209E", total=column.constant, value=column.constant, bytes=column.width)
        return raw.ljust(column.width) if column.column.justify == "left" else raw.rjust(column.width)

    def _too_wide(self, columns: Sequence[pl.Series], frame: pl.DataFrame, kept: pl.Series) -> list[Refused]:
        """Values with more bytes than their column; only rows in `kept` can be measured."""
        refused: list[Refused] = []
        for column, text in zip(self._columns, columns, strict=True):
            if column.field is None or not (text.str.len_bytes() > column.width).any():
                continue
            # half of a value's UTF-8 bytes is never more than its CP932 bytes, so only these rows need measuring
            suspects = np.flatnonzero(((text.str.len_bytes() > column.width) & kept).to_numpy())
            rows = np.zeros(len(text), np.bool_)
            rows[[row for row in suspects.tolist() if len(encode(text[row], self._layout.encoding)) > column.width]] = True
            if rows.any():
                refused.append(Refused.of(frame, rows, column.name, "too_wide", text))
        return refused

    def recount(self, data: bytes) -> Totals:
        """See `contracts.layouts.ports.Writer`. Sums are read again by byte position."""
        if len(data) % self._stride:
            raise FileUnreadable("RNK1207E", reason=f"{len(data)} bytes are not records of {self._stride}")
        rows = np.frombuffer(data, np.uint8).reshape(-1, self._stride)
        for offset, byte in enumerate(self._newline, start=self._layout.record_bytes):
            if not (rows[:, offset] == byte).all():
                raise FileUnreadable("RNK1207E", reason="a record does not end where it should")
        sums = {name: self._sum(rows, name) for name in self._contract.control_sums}
        return Totals(len(rows), sums)

    def _sum(self, rows: Bytes, name: str) -> Decimal:
        column = next((column for column in self._columns if column.name == name), None)
        if column is None or not len(rows):
            return Decimal(0)
        part = np.ascontiguousarray(rows[:, column.start : column.start + column.width])
        if (part >= 0x80).any():
            raise FileUnreadable("RNK1207E", reason=f"{name} is not digits")
        text = ascii_series(part, name).str.strip_chars(" ")
        return sum_of(text, self._contract.field(name))


def _all_ascii(column: BoundColumn, text: pl.Series) -> bool:
    """Whether the column can be padded by characters: its values and its padding are ASCII."""
    return column.pad.isascii() and bool((text.str.len_bytes() == text.str.len_chars()).all())


def _put(out: Bytes, rows: Rows) -> None:
    """Lay columns of bytes, standing side by side in `rows`, at their places in the records."""
    for column, offset in rows.places:
        column_of(out, column.start, column.width)[...] = column_of(rows.table, offset, column.width)
