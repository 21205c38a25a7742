"""Writes frames as CSV: quickly when no value needs quotes, exactly when some do.

The quick way writes without quotes and counts separators, line feeds and quotes in what came out: if there are more than the frame has
columns and rows, a value holds one of them, and the chunk is written again with care.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np
import polars as pl

from contracts.byte_scan import count_byte, count_controls
from contracts.characters import codes_of, encode, encode_codes, strange_in_utf8
from contracts.errors import FileUnreadable
from contracts.frame_totals import totals_of
from contracts.layouts.columns import bind
from contracts.layouts.control import write_control
from contracts.layouts.model import CsvLayout
from contracts.layouts.ports import Facts, Rendered
from contracts.layouts.sums import sum_of
from contracts.layouts.written import Refused, as_one, examine, good_rows, written_columns
from contracts.model import Contract
from contracts.totals import Totals

_BOM: Final = b"\xef\xbb\xbf"


class CsvWriter:
    """`Writer` for one CSV layout of one contract."""

    def __init__(self, layout: CsvLayout, contract: Contract) -> None:
        self._layout = layout
        self._contract = contract
        self._columns = bind(layout, contract)
        self._newline = "\n" if layout.newline == "lf" else "\r\n"

    def opening(self, facts: Facts, totals: Totals) -> bytes:
        """Byte order mark, titles, header record; see `contracts.layouts.ports.Writer`."""
        layout = self._layout
        parts = [_BOM if layout.bom == "required" else b""]
        if layout.titles != "none":
            titles = pl.DataFrame([pl.Series(f"c{column.index}", [column.title]) for column in self._columns])
            parts.append(encode(self._careful(titles).decode("utf-8"), layout.encoding))
        if layout.header_record:
            parts.append(write_control(layout.header_record, layout, facts, totals, header=True) + self._newline.encode())
        return b"".join(parts)

    def closing(self, facts: Facts, totals: Totals) -> bytes:
        """The trailer record."""
        if not self._layout.trailer_record:
            return b""
        return write_control(self._layout.trailer_record, self._layout, facts, totals, header=False) + self._newline.encode()

    def render(self, frame: pl.DataFrame) -> Rendered:
        """See `contracts.layouts.ports.Writer`."""
        columns, refused = written_columns(self._columns, frame)
        if not refused:
            data = self._bytes_of(_numbered(columns))
            if data is not None:
                return Rendered(data, totals_of(frame, self._contract), as_one([]))
        refused += examine(self._columns, columns, frame, self._layout.encoding, newlines=self._layout.quoting != "none")
        if self._layout.quoting == "none":
            refused += self._unquotable(columns, frame)
        kept = good_rows(frame.height, refused)
        data = self._bytes_of(_numbered(columns).filter(kept))
        if data is None:
            raise AssertionError("a character that may not be written was not found in any row")
        return Rendered(data, totals_of(frame.filter(kept), self._contract), as_one(refused))

    def _bytes_of(self, table: pl.DataFrame) -> bytes | None:
        """The table in the layout's encoding; None when a character in it may not be written."""
        if not table.height:
            return b""
        quoting = self._layout.quoting
        utf8 = self._plain(table) if quoting == "none" or (quoting == "minimal" and len(self._columns) > 1) else None
        if utf8 is None:
            if quoting == "none":
                return None
            utf8 = self._careful(table)
            if not self._only_newlines(utf8):
                return None
        if self._layout.encoding == "utf-8":
            return None if strange_in_utf8(utf8) else utf8
        codes = codes_of(utf8.decode("utf-8"))
        return encode_codes(codes) if codes.all() else None

    def _plain(self, table: pl.DataFrame) -> bytes | None:
        """Written without quotes; None when that is not the same as with them, or a control character is in it."""
        data = _write(table, self._layout.separator, self._newline, "never")
        rows, separators = table.height, table.height * (table.width - 1)
        controls = rows * len(self._newline) + (separators if self._layout.separator == "\t" else 0)
        simple = (
            (self._layout.quoting == "none" or b'"' not in data)
            and b"\x7f" not in data
            and count_controls(data) == controls
            and count_byte(data, ord(self._layout.separator)) == separators
        )
        return data if simple else None

    def _careful(self, table: pl.DataFrame) -> bytes:
        """Written with quotes where RFC 4180 needs them, or everywhere."""
        if self._layout.quoting == "none":
            return _write(table, self._layout.separator, self._newline, "never")
        if self._layout.quoting == "all":
            return _write(table, self._layout.separator, self._newline, "always")
        quoted: list[pl.Expr] = []
        for name in table.columns:
            value = pl.col(name)
            need = value.str.contains_any([self._layout.separator, '"', "\r", "\n"])
            if table.width == 1:
                need = need | (value == "")
            within = pl.concat_str(pl.lit('"'), value.str.replace_all('"', '""', literal=True), pl.lit('"'))
            quoted.append(pl.when(need).then(within).otherwise(value).alias(name))
        return _write(table.with_columns(quoted), self._layout.separator, self._newline, "never")

    def _only_newlines(self, data: bytes) -> bool:
        """Whether the only control characters are line feeds, carriage returns right before them, and the separator."""
        view = np.frombuffer(data, np.uint8)
        controls = view[view < 0x20]
        lone_cr = np.flatnonzero(view[:-1] == 0x0D)
        allowed = (controls == 0x0A) | (controls == 0x0D) | (controls == ord(self._layout.separator))
        return bool(allowed.all()) and b"\x7f" not in data and bool((view[lone_cr + 1] == 0x0A).all())

    def _unquotable(self, columns: Sequence[pl.Series], frame: pl.DataFrame) -> list[Refused]:
        """Values that would need quotes in a layout that has none (where a quote is a character like any other)."""
        refused: list[Refused] = []
        for column, text in zip(self._columns, columns, strict=True):
            hits = text.str.contains(self._layout.separator, literal=True).to_numpy()
            if hits.any():
                refused.append(Refused.of(frame, hits, column.name, "quote", text))
        return refused

    def recount(self, data: bytes) -> Totals:
        """See `contracts.layouts.ports.Writer`. Sums are read again by column position."""
        sums = self._contract.control_sums
        names = [column.name for column in self._columns]
        summed = [names.index(name) for name in sums if name in names]
        if data and not data.endswith(b"\n"):
            raise FileUnreadable("RNK1207E", reason=f"no newline at byte {len(data)}")
        quoted = self._layout.quoting != "none" and b'"' in data
        if not quoted:
            ends = count_byte(data, 0x0A)
        else:
            view = np.frombuffer(data, np.uint8)
            inside = np.bitwise_xor.accumulate((view == 0x22).view(np.uint8))
            if len(inside) and inside[-1]:
                raise FileUnreadable("RNK1207E", reason="a quote is not closed")
            ends = int(np.count_nonzero((view == 0x0A) & (inside == 0)))
        if not summed or not data:
            return Totals(ends, {name: Decimal(0) for name in sums})
        # only the summed columns are read, and they are digits: any byte that is not ASCII stands in a column that is skipped
        table = pl.read_csv(
            data,
            has_header=False,
            schema={f"c{index}": pl.String for index in range(len(names))},
            columns=sorted(summed),
            separator=self._layout.separator,
            quote_char='"' if quoted else None,
            empty_string_is_null=False,
            encoding="utf8-lossy",
        )
        if table.height != ends:
            raise FileUnreadable("RNK1207E", reason=f"{ends} lines, {table.height} records")
        return Totals(ends, {name: self._sum(table, name, names) for name in sums})

    def _sum(self, table: pl.DataFrame, name: str, names: list[str]) -> Decimal:
        return sum_of(table.get_column(f"c{names.index(name)}"), self._contract.field(name)) if name in names else Decimal(0)


def _numbered(columns: Sequence[pl.Series]) -> pl.DataFrame:
    return pl.DataFrame([column.alias(f"c{index}") for index, column in enumerate(columns)])


def _write(table: pl.DataFrame, separator: str, newline: str, quotes: str) -> bytes:
    target = io.BytesIO()
    table.write_csv(
        target,
        include_header=False,
        separator=separator,
        line_terminator=newline,
        batch_size=16_384,
        quote_style="always" if quotes == "always" else "never",
    )
    return target.getvalue()
