"""Columns of text made from whole arrays of numbers: numbers with check digits, days, times of day, full-width digits.

Owns: the arithmetic shared by every kind of synthetic record. Everything is vectorised and depends on its arguments only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.dates import iso_to_era

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

EPOCH: Final = date(1900, 1, 1)
LAST_DAY: Final = date(2060, 12, 31)
_ODD_DAYS: Final = (
    ("1912-07-30", "M45.07.30"),
    ("1912-07-30", "T01.07.30"),
    ("1926-12-25", "T15.12.25"),
    ("1926-12-25", "S01.12.25"),
    ("1931-02-29", "S06.02.29"),
    ("1942-02-29", "S17.02.29"),
    ("1955-02-29", "S30.02.29"),
)
"""Days that registers really hold and calendars do not, or hold twice: see `contracts.dates`."""
_WIDE_DIGITS: Final = str.maketrans("0123456789", "０１２３４５６７８９")


def pick(words: Sequence[str] | pl.Series, indexes: Ints) -> pl.Series:
    """The word at each index."""
    return (words if isinstance(words, pl.Series) else pl.Series(words, dtype=pl.String)).gather(indexes)


def only(flags: Flags, words: pl.Series) -> pl.Series:
    """The words where the flag stands, absent elsewhere."""
    return pl.select(pl.when(pl.Series(flags)).then(words).otherwise(pl.lit(""))).to_series()


def flags_text(flags: Flags) -> pl.Series:
    """`1` and `0`."""
    return pick(["0", "1"], flags.astype(np.int64))


def day_number(day: date) -> int:
    """Days since `EPOCH`, the number `iso_days` and `era_days` take."""
    return (day - EPOCH).days


@cache
def _days() -> tuple[pl.Series, pl.Series]:
    isos = [(EPOCH + timedelta(days=number)).isoformat() for number in range(day_number(LAST_DAY) + 1)]
    eras = [iso_to_era(iso, "era_letter") or "" for iso in isos]
    return (
        pl.Series([*isos, *(iso for iso, _ in _ODD_DAYS)]),
        pl.Series([*eras, *(era for _, era in _ODD_DAYS)]),
    )


ODD_DAYS: Final = len(_ODD_DAYS)
FIRST_ODD_DAY: Final = day_number(LAST_DAY) + 1
"""Day numbers from here on, `ODD_DAYS` of them, stand for odd days."""


def odd_day_numbers() -> Ints:
    """For each odd day, the number of a real day that is not before it (to keep later dates later)."""
    return np.array([day_number(date(int(iso[:4]), 12, 31)) for iso, _ in _ODD_DAYS], dtype=np.int64)


def iso_days(numbers: Ints) -> pl.Series:
    """Days as `YYYY-MM-DD`."""
    return pick(_days()[0], numbers)


def era_days(numbers: Ints) -> pl.Series:
    """Days as `S30.04.01`."""
    return pick(_days()[1], numbers)


@cache
def _times() -> pl.Series:
    return pl.Series([f"{hour:02d}:{minute:02d}:{second:02d}" for hour in range(24) for minute in range(60) for second in range(60)])


def times(seconds: Ints) -> pl.Series:
    """Seconds since midnight as `HH:MM:SS`."""
    return pick(_times(), seconds)


def wide(number: int) -> str:
    """A number in full-width digits."""
    return str(number).translate(_WIDE_DIGITS)


def text(numbers: Ints, digits: int = 0) -> pl.Series:
    """Numbers as text, with leading zeros up to `digits`."""
    plain = pl.Series(numbers).cast(pl.String)
    return plain.str.zfill(digits) if digits else plain


def numbered(indexes: Ints, offset: int) -> Ints:
    """Ten-digit numbers whose last digit is a modulus 11 (weights 2 to 7) check digit, a different one for each index.

    Bodies go in steps of two, so that one that would need the check digit "10" can give way to its neighbour.
    """
    bodies = offset + indexes * 2
    rests = _weighted(bodies) % 11
    bodies = np.where(rests == 1, bodies + 1, bodies)
    rests = _weighted(bodies) % 11
    return bodies * 10 + np.where(rests == 0, 0, 11 - rests)


def _weighted(bodies: Ints) -> Ints:
    total = np.zeros_like(bodies)
    for place in range(9):
        total += bodies // 10**place % 10 * (2 + place % 6)
    return total


def corporate_numbers(bodies: Ints) -> pl.Series:
    """13-digit corporate numbers with their leading check digit, for 12-digit bodies."""
    total = np.zeros_like(bodies)
    for place in range(12):
        total += bodies // 10**place % 10 * (1 + place % 2)
    return text((9 - total % 9) * 10**12 + bodies)


def damaged_check_digit(numbers: Ints) -> Ints:
    """The same numbers with a wrong last digit."""
    return numbers // 10 * 10 + (numbers % 10 + 1) % 10
