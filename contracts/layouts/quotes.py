"""Which physical lines of a CSV text make up each record, when there are quotes in it (RFC 4180).

Owns: the judgement whether quoting is right, vectorised where lines stand alone, line by line where a quoted field holds newlines.
A line whose quoting is wrong is a record of its own, so that it can be refused without touching its neighbours: a field that is opened
counts as continued on later lines only if it is closed within `CONTINUED_BYTES` and the whole then has the right number of columns.
The answer for a line depends on that line and what it spans alone, so that every cut of a file gives the same records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

CONTINUED_BYTES: Final = 65_536
"""The most bytes a record with newlines in it may have."""

Indices = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

_QUOTE, _CR, _LF = 0x22, 0x0D, 0x0A


@dataclass(frozen=True, slots=True)
class Records:
    """`first_lines`: index of each record's first physical line. `wrong`: records whose quoting is not RFC 4180."""

    first_lines: Indices
    wrong: Flags


def records_of(raw: bytes, starts: Indices, ends: Indices, separator: int, columns: int) -> Records:
    """Records of lines given by `starts` and `ends` (end: offset of the line feed, or of the end of the text)."""
    broken = np.flatnonzero(_not_alone(np.frombuffer(raw, np.uint8), starts, ends, separator))
    wrong_lines: list[int] = []
    continued: list[tuple[int, int]] = []
    beyond = -1
    for line in broken.tolist():
        if line <= beyond:
            continue
        last = _last_line(raw, starts, ends, line, separator, columns)
        if last is None:
            wrong_lines.append(line)
        else:
            continued.append((line, last))
            beyond = last
    first = np.ones(len(starts), np.bool_)
    for begin, last in continued:
        first[begin + 1 : last + 1] = False
    first_lines = np.flatnonzero(first)
    wrong = np.zeros(len(starts), np.bool_)
    wrong[wrong_lines] = True
    return Records(first_lines, wrong[first_lines])


def _not_alone(view: Bytes, starts: Indices, ends: Indices, separator: int) -> Flags:
    """Lines that have quotes and are not right by themselves.

    Within a line quotes open and close in turn. An opening one stands after a separator, at the beginning, or right after a closing one
    (a doubled quote); a closing one stands before a separator, at the end, or right before an opening one.
    """
    quotes = np.flatnonzero(view == _QUOTE)
    if not len(quotes):
        return np.zeros(len(starts), np.bool_)
    line = np.searchsorted(starts, quotes, side="right") - 1
    inside = quotes <= ends[line]
    quotes, line = quotes[inside], line[inside]
    counts = np.bincount(line, minlength=len(starts))
    begins = np.cumsum(counts) - counts
    opening = ((np.arange(len(quotes)) - begins[line]) & 1) == 0
    before = view[np.maximum(quotes - 1, 0)]
    after = view[np.minimum(quotes + 1, len(view) - 1)]
    last = quotes + 1 >= ends[line]
    last |= (after == _CR) & (quotes + 2 >= ends[line])
    good_opening = (quotes == starts[line]) | (before == separator) | (before == _QUOTE)
    good_closing = last | (after == separator) | (after == _QUOTE)
    bad = np.where(opening, ~good_opening, ~good_closing)
    result: Flags = (counts & 1) == 1
    result[line[bad]] = True
    return result


def _last_line(raw: bytes, starts: Indices, ends: Indices, line: int, separator: int, columns: int) -> int | None:
    """The line on which a record beginning on `line` ends, rightly quoted and with the right number of columns; else None."""
    begin = int(starts[line])
    scan = _Scan(separator)
    for last in range(line, len(starts)):
        end = int(ends[last])
        if end - begin > CONTINUED_BYTES:
            return None
        if not scan.line(raw[int(starts[last]) : end]):
            return None
        if not scan.open:
            return last if scan.columns == columns and last > line else None
    return None


class _Scan:
    """The state of reading one record over several lines: within an opened quote or not, and the columns so far."""

    def __init__(self, separator: int) -> None:
        self.open = False
        self.columns = 1
        self._separator = separator

    def line(self, text: bytes) -> bool:
        """Take one more line (without its line feed); False as soon as the quoting is wrong."""
        text = text.removesuffix(b"\r")
        at = 0
        if not self.open:
            self.columns = 1
        while True:
            if not self.open:
                if text[at : at + 1] != b'"':
                    end = text.find(self._separator, at)
                    if text.find(b'"', at, end if end >= 0 else len(text)) >= 0:
                        return False
                    if end < 0:
                        return True
                    self.columns += 1
                    at = end + 1
                    continue
                at += 1
            closing = _closing_quote(text, at)
            self.open = closing < 0
            if self.open or closing + 1 == len(text):
                return True
            if text[closing + 1] != self._separator:
                return False
            self.columns += 1
            at = closing + 2


def _closing_quote(text: bytes, at: int) -> int:
    """Offset of the quote that closes a field whose content begins at `at`; -1 when the line ends first."""
    while True:
        quote = text.find(b'"', at)
        if quote < 0 or text[quote + 1 : quote + 2] != b'"':
            return quote
        at = quote + 2


def split_fields(record: bytes, separator: int, *, quotes: bool = True) -> list[tuple[int, bytes]]:
    """The fields of one record as they stand, quotes and all, each with its offset; wrong quoting is read as plain text.

    Without `quotes`, a quote is a character like any other.
    """
    fields: list[tuple[int, bytes]] = []
    at = 0
    while True:
        end = _field_end(record, at, separator, quotes=quotes)
        fields.append((at, record[at:end]))
        if end >= len(record):
            return fields
        at = end + 1


def _field_end(record: bytes, at: int, separator: int, *, quotes: bool) -> int:
    if quotes and record[at : at + 1] == b'"':
        closing = _closing_quote(record, at + 1)
        if closing >= 0 and (closing + 1 == len(record) or record[closing + 1] == separator):
            return closing + 1
    end = record.find(separator, at)
    return len(record) if end < 0 else end


def unquoted(field: bytes) -> bytes:
    """A field's content."""
    if len(field) >= 2 and field[:1] == field[-1:] == b'"':
        return field[1:-1].replace(b'""', b'"')
    return field
