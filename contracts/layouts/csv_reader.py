"""Reads chunks of CSV text, strictly: whatever cannot be read of a record is a violation with its byte, and its neighbours are unharmed.

The way: find records (newlines, quotes) in the bytes; decode the chunk at once; examine only records that are suspected; leave the
refused ones out of the text; let polars split the rest; bring columns to canonical text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.byte_scan import count_byte, count_controls, offsets_of
from contracts.characters import Decoded, decode_record, faults, to_utf8
from contracts.layouts.canonical_frame import canonical_columns
from contracts.layouts.columns import bind
from contracts.layouts.model import CsvLayout
from contracts.layouts.ports import ChunkPlace, ReadChunk
from contracts.layouts.quotes import records_of, split_fields, unquoted
from contracts.layouts.refusals import Refusals
from contracts.model import Contract
from contracts.violations import BYTE, LINE, ORDINAL

Indices = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_CR: Final = 0x0D
_LF: Final = 0x0A


class CsvReader:
    """`Reader` for one CSV layout of one contract."""

    def __init__(self, layout: CsvLayout, contract: Contract) -> None:
        self._layout = layout
        self._contract = contract
        self._columns = bind(layout, contract)
        self._separator = ord(layout.separator)
        self._quotes = layout.quoting != "none"
        self._by_name = {column.name: column.index for column in self._columns if column.name}

    def read(self, raw: bytes, place: ChunkPlace) -> ReadChunk:
        """Records as a frame of canonical text; see `contracts.layouts.ports.Reader`."""
        chunk = self._chunk(raw)
        refusals = Refusals()
        decoded = to_utf8(raw, self._layout.encoding)
        self._refuse_lines(chunk, refusals)
        self._refuse_characters(chunk, decoded, refusals)
        kept, text = chunk.without(decoded.utf8, refusals.records)
        columns = self._split(text, len(kept), chunk.quoted)
        if columns is None:
            self._refuse_ragged(chunk, chunk.ragged(kept, text), refusals)
            kept, text = chunk.without(decoded.utf8, refusals.records)
            columns = self._split(text, len(kept), chunk.quoted) or []
        frame = canonical_columns(
            self._columns,
            self._contract,
            columns,
            kept,
            refusals,
            lambda record, column: self._fields(chunk.record(record))[column][0],
        )
        index = frame.get_column("_record").to_numpy()
        frame = frame.drop("_record").with_columns(
            pl.Series(ORDINAL, (index + place.first_ordinal).astype(np.uint64)),
            pl.Series(LINE, (chunk.lines[index] + place.first_line).astype(np.uint64)),
            pl.Series(BYTE, (chunk.starts[index] + place.first_byte).astype(np.uint64)),
        )
        return ReadChunk(frame, refusals.frame(place, chunk.lines, chunk.starts), len(chunk.starts))

    def raw_records(self, raw: bytes, place: ChunkPlace, ordinals: Sequence[int]) -> list[tuple[int, bytes]]:
        """For each ordinal of this chunk: the record's offset in the file and its bytes as they came, without its newline."""
        if not ordinals:
            return []
        chunk = self._chunk(raw)
        indices = [ordinal - place.first_ordinal for ordinal in ordinals]
        return [(place.first_byte + int(chunk.starts[index]), chunk.record(index)) for index in indices]

    def locate(self, raw_record: bytes, field: str) -> int:
        """Offset of the field's first byte in its record; 0 when the layout or the record does not have it."""
        fields = self._fields(raw_record.rstrip(b"\r\n"))
        index = self._by_name.get(field, 0)
        return fields[index][0] if index < len(fields) else 0

    def _chunk(self, raw: bytes) -> _Chunk:
        return _Chunk(raw, self._separator, len(self._columns), may_quote=self._quotes)

    def _fields(self, record: bytes) -> list[tuple[int, bytes]]:
        return split_fields(record, self._separator, quotes=self._quotes)

    def _refuse_lines(self, chunk: _Chunk, refusals: Refusals) -> None:
        """Empty lines, wrong newlines, wrong quotes."""
        empty = chunk.ends - chunk.starts - chunk.with_cr == 0
        for record in np.flatnonzero(empty).tolist():
            refusals.add(record, "empty_line")
        if self._layout.newline in ("crlf", "lf"):
            wrong = chunk.with_cr != (self._layout.newline == "crlf")
            if chunk.unfinished:
                wrong[-1] = False
            for record in np.flatnonzero(wrong & ~empty).tolist():
                refusals.add(record, "newline", offset=int(chunk.ends[record] - chunk.starts[record]))
        for record in np.flatnonzero(chunk.wrong_quotes).tolist():
            last = chunk.unfinished and record == len(chunk.starts) - 1
            refusals.add(record, "truncated" if last else "quote")

    def _refuse_characters(self, chunk: _Chunk, decoded: Decoded, refusals: Refusals) -> None:
        suspects = chunk.control_records()
        if decoded.suspects_raw:
            suspects.append(chunk.records_at(np.array(decoded.suspects_raw, np.int64)))
        if len(decoded.suspects):
            lines = np.searchsorted(offsets_of(decoded.utf8, _LF), decoded.suspects)
            suspects.append(np.searchsorted(chunk.lines, lines, side="right") - 1)
        for record in np.unique(np.concatenate(suspects)).tolist() if suspects else []:
            self._examine(record, chunk, refusals)

    def _examine(self, record: int, chunk: _Chunk, refusals: Refusals) -> None:
        """One suspected record by the table: at most one violation per field and rule, at its first place."""
        raw = chunk.record(record)
        fields = self._fields(raw)
        seen: set[tuple[int, str]] = set()
        for fault in faults(raw, self._layout.encoding):
            if fault.rule == "control_character" and raw[fault.offset] in (_CR, _LF, self._separator) and not chunk.lone(raw, fault.offset):
                continue
            index = max(at for at, (start, _) in enumerate(fields) if start <= fault.offset)
            if (index, fault.rule) in seen:
                continue
            seen.add((index, fault.rule))
            name = self._columns[index].name if index < len(self._columns) else ""
            value = decode_record(unquoted(fields[index][1]), self._layout.encoding)
            refusals.add(record, fault.rule, field_name=name, offset=fault.offset, value=value)

    def _refuse_ragged(self, chunk: _Chunk, ragged: Indices, refusals: Refusals) -> None:
        """Records with too few or too many columns."""
        for record in ragged.tolist():
            last = chunk.unfinished and record == len(chunk.starts) - 1
            found = len(self._fields(chunk.record(record)))
            refusals.add(record, "truncated" if last and found < len(self._columns) else "columns", value=str(found))

    def _split(self, text: bytes, records: int, quoted: bool) -> list[pl.Series] | None:
        """The columns' texts; None when some record does not have the layout's number of columns.

        Without quotes the number of separators tells: polars refuses a record with more columns than the schema, so when there are as
        many separators as there should be, no record can have fewer either.
        """
        schema = {f"c{column.index}": pl.String for column in self._columns}
        if not records:
            return [pl.Series(name, [], pl.String) for name in schema]
        expected = records * (len(self._columns) - 1)
        if (_separators_outside_quotes(text, self._separator) if quoted else count_byte(text, self._separator)) != expected:
            return None
        try:
            frame = pl.read_csv(
                text,
                has_header=False,
                schema=schema,
                separator=self._layout.separator,
                quote_char='"' if quoted else None,
                empty_string_is_null=False,
                missing_columns="insert",
            )
        except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
            return None
        if frame.height != records:
            raise AssertionError(f"{records} records went in, {frame.height} came out")
        return frame.get_columns()


def _separators_outside_quotes(text: bytes, separator: int) -> int:
    return int(np.count_nonzero(_outside_quotes(text, separator)))


def _outside_quotes(text: bytes, separator: int) -> npt.NDArray[np.bool_]:
    """Which bytes of rightly quoted text are separators."""
    view = np.frombuffer(text, np.uint8)
    within = np.bitwise_xor.accumulate((view == 0x22).view(np.uint8)).view(np.bool_)
    outside: npt.NDArray[np.bool_] = (view == separator) & ~within
    return outside


class _Chunk:
    """Where the records of a chunk stand. All arrays are per record; offsets are from the chunk's first byte.

    `starts`, `ends`: first byte and the line feed (or the end); `lines`: physical line of the start; `with_cr`: a CR before the end.
    """

    def __init__(self, raw: bytes, separator: int, columns: int, *, may_quote: bool) -> None:
        self._raw = raw
        self._view = np.frombuffer(raw, np.uint8)
        self._separator = separator
        self._columns = columns
        ends = offsets_of(raw, _LF)
        self._line_feeds = len(ends)
        self.unfinished = bool(raw) and raw[-1] != _LF
        if self.unfinished:
            ends = np.append(ends, len(raw))
        starts = np.concatenate((np.zeros(min(1, len(ends)), np.int64), ends[:-1] + 1))
        self._line_starts, self._line_ends = starts, ends
        self._cr_lines = self._view[np.maximum(ends - 1, 0)] == _CR
        self._cr_lines &= ends > starts
        self.quoted = may_quote and b'"' in raw
        if self.quoted:
            records = records_of(raw, starts, ends, separator, columns)
            self.lines, self.wrong_quotes = records.first_lines, records.wrong
            last_lines = np.append(self.lines[1:], len(starts)) - 1
            self.starts, self.ends, self.with_cr = starts[self.lines], ends[last_lines], self._cr_lines[last_lines]
        else:
            self.lines, self.wrong_quotes = np.arange(len(starts)), np.zeros(len(starts), np.bool_)
            self.starts, self.ends, self.with_cr = starts, ends, self._cr_lines

    def record(self, index: int) -> bytes:
        """The bytes of one record without its newline."""
        return self._raw[int(self.starts[index]) : int(self.ends[index]) - int(self.with_cr[index])]

    def lone(self, raw: bytes, offset: int) -> bool:
        """Whether the CR at `offset` of a record stands without a line feed after it (a line feed never stands alone)."""
        return raw[offset] == _CR and raw[offset + 1 : offset + 2] != b"\n"

    def records_at(self, offsets: Indices) -> Indices:
        """The record each byte offset falls in."""
        return np.searchsorted(self.starts, offsets, side="right") - 1

    def control_records(self) -> list[Indices]:
        """Records holding control characters other than separators and the newlines of lines."""
        allowed = self._line_feeds + int(np.count_nonzero(self._cr_lines))
        tab = self._separator < 0x20
        if tab:
            allowed += count_byte(self._raw, self._separator)
        found: list[Indices] = []
        if count_controls(self._raw) != allowed:
            at = np.flatnonzero(self._view < 0x20)
            structure = np.concatenate((self._line_ends, self._line_ends[self._cr_lines] - 1))
            at = at[~np.isin(at, structure)]
            found.append(self.records_at(at[self._view[at] != self._separator] if tab else at))
        if b"\x7f" in self._raw:
            found.append(self.records_at(np.flatnonzero(self._view == 0x7F)))
        return found

    def without(self, utf8: bytes, refused: set[int]) -> tuple[Indices, bytes]:
        """Indices of the records not refused, and their text."""
        everything = np.arange(len(self.starts))
        if not refused:
            return everything, utf8
        after = self._text_ends(everything, utf8)
        gone = sorted(refused)
        pieces: list[bytes] = []
        start = 0
        for record in gone:
            pieces.append(utf8[start : int(after[record - 1]) if record else 0])
            start = int(after[record])
        pieces.append(utf8[start:])
        return np.delete(everything, gone), b"".join(pieces)

    def _text_ends(self, kept: Indices, text: bytes) -> Indices:
        """Offset after each kept record in `text` (which holds just those)."""
        after = offsets_of(text, _LF) + 1
        if self.unfinished and len(kept) and kept[-1] == len(self.starts) - 1:
            after = np.append(after, len(text))
        if not self.quoted:
            return after
        lines_after = np.append(self.lines[1:], len(self._line_starts))
        return after[np.cumsum((lines_after - self.lines)[kept]) - 1]

    def ragged(self, kept: Indices, text: bytes) -> Indices:
        """Those of the records `kept`, which `text` holds, that do not have the right number of columns."""
        at = np.flatnonzero(_outside_quotes(text, self._separator)) if self.quoted else offsets_of(text, self._separator)
        counts = np.bincount(np.searchsorted(self._text_ends(kept, text), at, side="right"), minlength=len(kept))
        wrong: Indices = kept[counts != self._columns - 1]
        return wrong
