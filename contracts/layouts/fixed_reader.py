"""Reads chunks of fixed-length records by byte position.

The way: find whole records; take columns of ASCII as they are; put a separator between the bytes of the others, so that a character cut
in two at a column's edge cannot join with the next column; decode them at once; examine only suspected records; let polars split; bring
columns to canonical text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.byte_scan import Canvas, column_of
from contracts.characters import Decoded, Encoding, decode_record, faults, to_utf8
from contracts.layouts.canonical_frame import canonical_columns
from contracts.layouts.columns import BoundColumn, bind
from contracts.layouts.model import FixedLayout
from contracts.layouts.ports import ChunkPlace, ReadChunk
from contracts.layouts.refusals import Refusals
from contracts.layouts.text_forms import ascii_series
from contracts.model import Contract
from contracts.violations import BYTE, LINE, ORDINAL

Indices = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_BETWEEN: Final = 0x1F
_CR: Final = 0x0D
_LF: Final = 0x0A


class FixedReader:
    """`Reader` for one fixed-length layout of one contract."""

    def __init__(self, layout: FixedLayout, contract: Contract) -> None:
        self._layout = layout
        self._contract = contract
        self._columns = bind(layout, contract)
        self._newline = {"crlf": b"\r\n", "lf": b"\n", "none": b""}[layout.newline]
        self._stride = layout.record_bytes + len(self._newline)

    def read(self, raw: bytes, place: ChunkPlace) -> ReadChunk:
        """Records as a frame of canonical text; see `contracts.layouts.ports.Reader`."""
        refusals = Refusals()
        starts = self._even(raw)
        if starts is None:
            starts, kept, table = self._uneven(raw, refusals)
        else:
            kept, table = np.arange(len(starts)), np.frombuffer(raw, np.uint8).reshape(len(starts), self._stride)
        kept, table = self._without_controls(kept, table, refusals)
        kept, columns = self._decoded(kept, table, refusals)
        frame = canonical_columns(self._columns, self._contract, columns, kept, refusals, lambda _, column: self._columns[column].start)
        index = frame.get_column("_record").to_numpy()
        frame = frame.drop("_record").with_columns(
            pl.Series(ORDINAL, (index + place.first_ordinal).astype(np.uint64)),
            pl.Series(LINE, (index + place.first_line).astype(np.uint64)),
            pl.Series(BYTE, (starts[index] + place.first_byte).astype(np.uint64)),
        )
        return ReadChunk(frame, refusals.frame(place, np.arange(len(starts)), starts), len(starts))

    def raw_records(self, raw: bytes, place: ChunkPlace, ordinals: Sequence[int]) -> list[tuple[int, bytes]]:
        """For each ordinal of this chunk: the record's offset in the file and its bytes as they came, without its newline."""
        if not ordinals:
            return []
        starts = self._even(raw)
        if starts is None:
            starts, ends = _lines(raw)
        else:
            ends = starts + self._layout.record_bytes
        found: list[tuple[int, bytes]] = []
        for ordinal in ordinals:
            begin, end = (int(side[ordinal - place.first_ordinal]) for side in (starts, ends))
            found.append((place.first_byte + begin, raw[begin:end].removesuffix(b"\r")))
        return found

    def locate(self, raw_record: bytes, field: str) -> int:
        """Offset of the field's first byte in its record; 0 when the layout does not have it."""
        start = next((column.start for column in self._columns if column.name == field), 0)
        return start if start < len(raw_record) else 0

    def _even(self, raw: bytes) -> Indices | None:
        """Starts of the records when all of them have the right length and newline, else None."""
        if len(raw) % self._stride:
            return None
        table = np.frombuffer(raw, np.uint8).reshape(-1, self._stride)
        for offset, byte in enumerate(self._newline, start=self._layout.record_bytes):
            if not (table[:, offset] == byte).all():
                return None
        if self._newline and np.count_nonzero(table == _LF) != len(table):
            return None
        return np.arange(len(table)) * self._stride

    def _uneven(self, raw: bytes, refusals: Refusals) -> tuple[Indices, Indices, Bytes]:
        """Records between line feeds, some with a wrong length or newline; those are refused."""
        starts, ends = _lines(raw)
        unfinished = bool(raw) and raw[-1] != _LF
        view = np.frombuffer(raw, np.uint8)
        with_cr = (view[np.maximum(ends - 1, 0)] == _CR) & (ends > starts)
        lengths = ends - starts - with_cr
        whole = lengths == self._layout.record_bytes
        for record in np.flatnonzero(~whole).tolist():
            last = unfinished and record == len(starts) - 1
            rule = "empty_line" if not lengths[record] else "truncated" if last else "record_length"
            refusals.add(record, rule, value=str(int(lengths[record])))
        wrong = whole & (with_cr != (self._newline == b"\r\n"))
        if unfinished:
            wrong[-1] = False
        for record in np.flatnonzero(wrong).tolist():
            refusals.add(record, "newline", offset=self._layout.record_bytes)
        kept = np.flatnonzero(whole & ~wrong)
        pieces = [raw[start : start + self._layout.record_bytes] for start in starts[kept].tolist()]
        return starts, kept, np.frombuffer(b"".join(pieces), np.uint8).reshape(len(kept), self._layout.record_bytes)

    def _without_controls(self, kept: Indices, table: Bytes, refusals: Refusals) -> tuple[Indices, Bytes]:
        """Leave out records with control characters: the separators put in later are of that kind."""
        newlines = len(self._newline) * len(table) if table.shape[1] == self._stride else 0
        if np.count_nonzero(table < 0x20) == newlines and not (table == 0x7F).any():
            return kept, table
        data = table[:, : self._layout.record_bytes]
        rows = np.flatnonzero(((data < 0x20) | (data == 0x7F)).any(axis=1))
        for row in rows.tolist():
            self._examine(int(kept[row]), data[row].tobytes(), refusals)
        return np.delete(kept, rows), np.delete(table, rows, axis=0)

    def _examine(self, record: int, raw: bytes, refusals: Refusals) -> None:
        """One record by the character table, column by column."""
        for column in self._columns:
            part = raw[column.start : column.start + column.width]
            seen: set[str] = set()
            for fault in faults(part, self._layout.encoding):
                if fault.rule not in seen:
                    seen.add(fault.rule)
                    value = decode_record(part, self._layout.encoding)
                    refusals.add(record, fault.rule, field_name=column.name, offset=column.start + fault.offset, value=value)

    def _decoded(self, kept: Indices, table: Bytes, refusals: Refusals) -> tuple[Indices, list[pl.Series]]:
        """The text of each column, of the records that can be decoded."""
        if not len(kept):
            return kept, [pl.Series(f"c{column.index}", [], pl.String) for column in self._columns]
        highest = table.max(axis=0)
        texts: list[pl.Series | None] = []
        others: list[BoundColumn] = []
        for column in self._columns:
            here = slice(column.start, column.start + column.width)
            if highest[here].max() < 0x80:
                texts.append(ascii_series(np.ascontiguousarray(table[:, here]), f"c{column.index}"))
            else:
                texts.append(None)
                others.append(column)
        decoded, stride = _spaced(table, others, self._layout.encoding)
        suspects = np.array(decoded.suspects_raw, np.int64) // max(1, stride)
        if len(decoded.suspects):
            line_feeds = np.flatnonzero(np.frombuffer(decoded.utf8, np.uint8) == _LF)
            suspects = np.concatenate((suspects, np.searchsorted(line_feeds, decoded.suspects)))
        rows = np.unique(suspects)
        before = len(refusals.records)
        for row in rows.tolist():
            self._examine(int(kept[row]), table[row, : self._layout.record_bytes].tobytes(), refusals)
        split = iter(_split(decoded.utf8, others))
        columns = [next(split) if text is None else text for text in texts]
        if len(refusals.records) == before:
            return kept, columns
        good = np.ones(len(kept), np.bool_)
        good[rows] = ~np.isin(kept[rows], sorted(refusals.records))
        return kept[good], [column.filter(pl.Series(good)) for column in columns]


def _spaced(table: Bytes, columns: Sequence[BoundColumn], encoding: Encoding) -> tuple[Decoded, int]:
    """The columns decoded, a separator after each and a line feed after the last; and the bytes of a row before decoding."""
    stride = sum(column.width + 1 for column in columns)
    canvas = Canvas(len(table) * stride)
    spaced = canvas.array().reshape(len(table), stride)
    at = 0
    for column in columns:
        column_of(spaced, at, column.width)[...] = column_of(table, column.start, column.width)
        at += column.width + 1
        spaced[:, at - 1] = _BETWEEN if at < stride else _LF
    del spaced
    return to_utf8(canvas.finish(), encoding), stride


def _split(utf8: bytes, columns: Sequence[BoundColumn]) -> list[pl.Series]:
    if not columns:
        return []
    schema = {f"c{column.index}": pl.String for column in columns}
    return pl.read_csv(
        utf8, has_header=False, schema=schema, separator=chr(_BETWEEN), quote_char=None, empty_string_is_null=False
    ).get_columns()


def _lines(raw: bytes) -> tuple[Indices, Indices]:
    """First byte of each line, and its line feed or the end of the text."""
    ends = np.flatnonzero(np.frombuffer(raw, np.uint8) == _LF)
    if raw and raw[-1] != _LF:
        ends = np.append(ends, len(raw))
    return np.concatenate((np.zeros(min(1, len(ends)), np.int64), ends[:-1] + 1)), ends
