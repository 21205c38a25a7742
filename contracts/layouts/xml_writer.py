"""Writes frames as XML: one line of the file per record, so that records can be counted again from the bytes.

One document, or with `records_per_document` documents whose bounds the engine sets: `opening` and `closing` stand around each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.byte_scan import count_angles, count_controls, offsets_of
from contracts.characters import strange_in_utf8
from contracts.errors import FileUnreadable
from contracts.frame_totals import totals_of
from contracts.layouts.columns import BoundColumn, bind
from contracts.layouts.model import XmlLayout
from contracts.layouts.ports import Facts, Rendered
from contracts.layouts.sums import sum_of
from contracts.layouts.written import as_one, examine, good_rows, written_columns
from contracts.model import Contract
from contracts.totals import Totals

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class XmlWriter:
    """`Writer` for one XML layout of one contract."""

    def __init__(self, layout: XmlLayout, contract: Contract) -> None:
        self._layout = layout
        self._contract = contract
        self._columns = bind(layout, contract)
        self._record_end = f"</{layout.record}>\n".encode()

    def opening(self, facts: Facts, totals: Totals) -> bytes:  # noqa: ARG002 - the port's signature; XML has no control records
        """Declaration and root element; see `contracts.layouts.ports.Writer`."""
        space = self._layout.namespace
        attribute = ' xmlns="' + "".join(_ESCAPES.get(c, c) for c in space).replace('"', "&quot;") + '"' if space else ""
        return f"{_DECLARATION}<{self._layout.root}{attribute}>\n".encode()

    def closing(self, facts: Facts, totals: Totals) -> bytes:  # noqa: ARG002 - the port's signature
        """The end of the root element."""
        return f"</{self._layout.root}>\n".encode()

    def render(self, frame: pl.DataFrame) -> Rendered:
        """See `contracts.layouts.ports.Writer`."""
        columns, refused = written_columns(self._columns, frame)
        if not refused:
            data = self._bytes_of(columns)
            if data is not None:
                return Rendered(data, totals_of(frame, self._contract), as_one([]))
        refused += examine(self._columns, columns, frame, "utf-8", newlines=False)
        kept = good_rows(frame.height, refused)
        data = self._bytes_of([column.filter(kept) for column in columns])
        if data is None:
            raise AssertionError("a character that XML does not allow was not found in any row")
        return Rendered(data, totals_of(frame.filter(kept), self._contract), as_one(refused))

    def _bytes_of(self, columns: Sequence[pl.Series]) -> bytes | None:
        """The records' elements; None when a character in them may not stand in XML."""
        height = len(columns[0])
        if not height:
            return b""
        data = _joined(self._elements(columns)) if not self._layout.omit_absent else b"&"
        if b"&" in data or count_angles(data) != height * 4 * (len(columns) + 1):
            data = _joined(self._elements([_escaped(column) for column in columns]))
        if count_controls(data) != height or b"\x7f" in data or strange_in_utf8(data):
            return None
        return data

    def _elements(self, texts: Sequence[pl.Series]) -> pl.Series:
        """Each record as `<Record>...</Record>` and a line feed."""
        layout = self._layout
        table = pl.DataFrame([text.alias(f"c{index}") for index, text in enumerate(texts)])
        parts: list[pl.Expr] = []
        between = f"<{layout.record}>"
        for column in self._columns:
            value = pl.col(f"c{column.index}")
            if layout.omit_absent:
                element = pl.concat_str(pl.lit(f"<{column.tag}>"), value, pl.lit(f"</{column.tag}>"))
                parts += [pl.lit(between)] if between else []
                parts.append(pl.when(value == "").then(pl.lit("")).otherwise(element))
                between = ""
            else:
                parts += [pl.lit(f"{between}<{column.tag}>"), value]
                between = f"</{column.tag}>"
        parts.append(pl.lit(f"{between}</{layout.record}>\n"))
        return table.select(pl.concat_str(parts).alias("record")).to_series()

    def recount(self, data: bytes) -> Totals:
        """See `contracts.layouts.ports.Writer`. Records are lines that end in the record's element, sums are read again by tag."""
        view = np.frombuffer(data, np.uint8)
        ends = offsets_of(data, 0x0A) + 1
        starts = np.concatenate((np.zeros(min(1, len(ends)), np.int64), ends[:-1]))
        begin = f"<{self._layout.record}>".encode()
        whole = (not len(data) and not len(ends)) or (len(ends) > 0 and int(ends[-1]) == len(data))
        if not whole or not _all_stand(view, starts, begin) or not _all_stand(view, ends - len(self._record_end), self._record_end):
            raise FileUnreadable("RNK1207E", reason=f"a line is not one <{self._layout.record}>")
        return Totals(len(ends), {name: self._sum(data, name) for name in self._contract.control_sums})

    def _sum(self, data: bytes, name: str) -> Decimal:
        column: BoundColumn | None = next((column for column in self._columns if column.name == name), None)
        if column is None:
            return Decimal(0)
        tag = re.escape(column.tag.encode())
        found = re.findall(rb"<" + tag + rb">([^<]*)</" + tag + rb">", data)
        return sum_of(pl.Series(name, [text.decode("ascii", "replace") for text in found], pl.String), self._contract.field(name))


def _all_stand(view: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], text: bytes) -> bool:
    """Whether `text` stands at every offset."""
    if not len(at):
        return True
    if int(at[0]) < 0 or int(at[-1]) + len(text) > len(view):
        return False
    return all(bool((view[at + distance] == byte).all()) for distance, byte in enumerate(text))


def _joined(records: pl.Series) -> bytes:
    """All values one after another."""
    joined: bytes = records.str.join("").cast(pl.Binary).item()
    return joined


def _escaped(text: pl.Series) -> pl.Series:
    """The text with the three characters XML reserves in content written as references."""
    if not text.str.contains_any(list(_ESCAPES)).any():
        return text
    return text.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))
