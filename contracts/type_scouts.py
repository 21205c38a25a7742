"""Which rows of a column might not be of their field's type: the part of `contracts.scouts` that knows the types.

Owns: byte arithmetic. Dates and times of one width are checked eight bytes at a time: exclusive-or with the template leaves each
digit as its number and each separator as zero, and adding (127 - the greatest allowed) carries into a byte's top bit exactly when
the byte is greater than allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.column_bytes import Bytes, ColumnBytes, Rows
from contracts.model import ContractField

_NONE: Final[Rows] = np.empty(0, np.int64)
_TOP_BITS: Final = np.uint64(0x8080808080808080)
_LAST_DAY: Final = np.zeros(0x13, np.uint64)
_LAST_DAY[[1, 3, 5, 7, 8, 0x10, 0x12]] = 0x31
_LAST_DAY[[4, 6, 9, 0x11]] = 0x30
_LAST_DAY[2] = 0x28
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


def not_of_type(field: ContractField) -> Callable[[ColumnBytes], Rows]:
    """Names every row whose value is not of the field's type, and perhaps some more."""
    if field.type == "X":
        return lambda seen: _outside(seen, 0x20, 0x7E)
    if field.type == "N":
        return _not_full_width
    if field.type == "M":
        return _not_printed
    if field.type == "DATE":
        return _not_a_day
    if field.type == "TIME":
        return _not_a_time
    most = {"YEAR": 4, "9V": max((field.digits or (1, 0))[0], 1)}.get(field.type, 0)

    def not_digits(seen: ColumnBytes) -> Rows:
        if field.type == "YEAR" and not (seen.longest == 4 and seen.uniform()):
            return seen.present
        if most and seen.longest > most:
            return seen.present
        return _outside(seen, 0x30, 0x39)

    return not_digits


def _outside(seen: ColumnBytes, lowest: int, highest: int) -> Rows:
    if seen.within(lowest, highest):
        return _NONE
    return seen.rows_at(np.flatnonzero((seen.data < lowest) | (seen.data > highest)))


def _not_full_width(seen: ColumnBytes) -> Rows:
    """ASCII, control characters (C2 80-9F), half-width katakana, U+FFFD and noncharacters (all begin with EF or F0-F4)."""
    if seen.lowest_byte < 0x80 or seen.highest_byte >= 0xF0:
        return seen.rows_at(np.flatnonzero((seen.data < 0x80) | (seen.data == 0xC2) | (seen.data >= 0xEF)))
    return _strange(seen)


def _not_printed(seen: ColumnBytes) -> Rows:
    """Control characters, U+FFFD and noncharacters."""
    if seen.lowest_byte < 0x20 or seen.highest_byte >= 0xF0:
        return seen.rows_at(np.flatnonzero((seen.data < 0x20) | (seen.data == 0x7F) | (seen.data == 0xC2) | (seen.data >= 0xEF)))
    return _strange(seen, also=0x7F)


def _strange(seen: ColumnBytes, also: int = 0xC2) -> Rows:
    """Rows with a byte C2 (before control characters, and some others), a byte `also`, or half-width katakana, U+FFFD and beyond."""
    full_forms = seen.highest_byte == 0xEF
    found: list[Rows] = []
    for first, data in seen.byte_blocks():
        wrong = (data == 0xC2) | (data == also) if also != 0xC2 else data == 0xC2
        if full_forms:
            second = data[1:]
            wrong[:-1] |= (data[:-1] == 0xEF) & ((second >= 0xBD) | (second == 0xB7))
        if wrong.any():
            found.append(np.flatnonzero(wrong) + first)
    return seen.rows_at(np.concatenate(found)) if found else _NONE


def _in_blocks(seen: ColumnBytes, wrong: Callable[[Bytes], Mask]) -> Rows:
    found = [at + first for first, lines in seen.row_blocks() if len(at := np.flatnonzero(wrong(lines)))]
    return seen.present[np.concatenate(found)] if found else _NONE


def _not_a_day(seen: ColumnBytes) -> Rows:
    """Rows that are not `YYYY-MM-DD` with a day every year has; Feb 29 and years before 0100 are left to the exact rule."""
    if seen.longest != 10 or not seen.uniform():
        return seen.present
    return _in_blocks(seen, _wrong_days)


def _wrong_days(lines: Bytes) -> Mask:
    century = _numbers(lines, 0, "<u2") ^ np.uint16(0x3030)
    digits = _numbers(lines, 2, "<u8") ^ np.uint64(int.from_bytes(b"00-00-00", "little"))
    wrong = _beyond(digits, b"\x09\x09\x00\x09\x09\x00\x09\x09")
    wrong |= (((century + np.uint16(0x7676)) | century) & np.uint16(0x8080) != 0) | (century == 0)
    # month and day with one digit per four bits, so that 0x12 is December
    month = ((digits >> np.uint64(20)) & np.uint64(0xF0)) | ((digits >> np.uint64(32)) & np.uint64(0xF))
    day = ((digits >> np.uint64(44)) & np.uint64(0xF0)) | (digits >> np.uint64(56))
    wrong |= (month - np.uint64(1)) > np.uint64(0x11)
    late = (day - np.uint64(1)) > np.uint64(0x27)
    late &= ~wrong
    at = np.flatnonzero(late)
    if len(at):
        wrong[at] = (day[at] > _LAST_DAY[month[at]]) | (day[at] == 0)
    return wrong


def _not_a_time(seen: ColumnBytes) -> Rows:
    """Rows that are not `HH:MM:SS`; the short form is left to the exact rule."""
    if seen.longest != 8 or not seen.uniform():
        return seen.present
    return _in_blocks(seen, _wrong_times)


def _wrong_times(lines: Bytes) -> Mask:
    digits = _numbers(lines, 0, "<u8") ^ np.uint64(int.from_bytes(b"00:00:00", "little"))
    wrong = _beyond(digits, b"\x02\x09\x00\x05\x09\x00\x05\x09")
    wrong |= ((digits & np.uint64(0xFF)) == 2) & (((digits >> np.uint64(8)) & np.uint64(0xFF)) > 3)
    return wrong


def _numbers(lines: Bytes, start: int, kind: str) -> Any:
    """A number of each line's bytes from `start`, the first one lowest."""
    rows, width = lines.shape
    return np.ndarray((rows,), kind, lines, start, (width,)).copy()


def _beyond(distances: Words, greatest: bytes) -> Mask:
    """Where any byte of a distance from the template is greater than allowed."""
    room = np.uint64(int.from_bytes(bytes(0x7F - most for most in greatest), "little"))
    return np.asarray(((distances + room) | distances) & _TOP_BITS != 0)
