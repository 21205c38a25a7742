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
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


def not_of_type(field: ContractField) -> Callable[[ColumnBytes], Rows]:
    """Names every row whose value is not of the field's type, and perhaps some more."""
    if field.type == "X":
        return lambda seen: _outside(seen, 0x20, 0x7E)
    if field.type == "N":
        return _not_full_width
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
    data = seen.data
    if seen.lowest_byte < 0x80:
        wrong = data < 0x80
    elif seen.highest_byte < 0xEF and not (data == 0xC2).any():
        return _NONE
    else:
        wrong = np.zeros(len(data), np.bool_)
    wrong |= data == 0xC2
    if seen.highest_byte >= 0xF0:
        wrong |= data >= 0xF0
    if seen.highest_byte >= 0xEF:
        leads = np.flatnonzero(data == 0xEF)
        second, third = data[leads + 1], data[leads + 2]
        refused = ((second == 0xBD) & (third > 0xA0)) | (second >= 0xBE) | (second == 0xB7)
        wrong[leads[refused]] = True
    return seen.rows_at(np.flatnonzero(wrong)) if wrong.any() else _NONE


def _not_a_day(seen: ColumnBytes) -> Rows:
    """Rows that are not `YYYY-MM-DD` with a day every year has; Feb 29 and year 0000 are left to the exact rule."""
    if seen.longest != 10 or not seen.uniform():
        return seen.present
    matrix = seen.matrix()
    front = _words(matrix, 0)
    wrong = _beyond(front, b"0000-00-", b"\x09\x09\x09\x09\x00\x09\x09\x00")
    back = np.ascontiguousarray(matrix[:, 5:]) ^ np.frombuffer(b"00-00", np.uint8)
    month, day = back[:, 0] * np.uint8(10) + back[:, 1], back[:, 3] * np.uint8(10) + back[:, 4]
    wrong |= (back[:, 3] > 9) | (back[:, 4] > 9)
    wrong |= (month - np.uint8(1)) > 11
    longest = np.uint8(30) | (month ^ (month >> 3))
    wrong |= (day - np.uint8(1)) >= longest
    wrong |= (month == 2) & (day > 28)
    wrong |= (front & np.uint64(0xFFFFFFFF)) == int.from_bytes(b"0000", "little")
    return seen.present[wrong] if wrong.any() else _NONE


def _not_a_time(seen: ColumnBytes) -> Rows:
    """Rows that are not `HH:MM:SS`; the short form is left to the exact rule."""
    if seen.longest != 8 or not seen.uniform():
        return seen.present
    words = _words(seen.matrix(), 0)
    wrong = _beyond(words, b"00:00:00", b"\x02\x09\x00\x05\x09\x00\x05\x09")
    wrong |= ((words & 0xFF) == ord("2")) & (((words >> np.uint64(8)) & 0xFF) > ord("3"))
    return seen.present[wrong] if wrong.any() else _NONE


def _words(matrix: Bytes, start: int) -> Words:
    """Eight bytes of each line from `start`, the first one lowest."""
    return np.ascontiguousarray(matrix[:, start : start + 8]).view("<u8").reshape(-1)


def _beyond(words: Words, template: bytes, greatest: bytes) -> Any:
    """Where any byte, exclusive-or its place in the template, is greater than allowed."""
    distance = words ^ np.uint64(int.from_bytes(template, "little"))
    room = np.uint64(int.from_bytes(bytes(0x7F - most for most in greatest), "little"))
    return ((distance + room) | distance) & _TOP_BITS != 0
