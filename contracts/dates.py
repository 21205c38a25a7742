"""Days as contracts hold them (`YYYY-MM-DD`), and days as Japanese systems write them (元号).

Owns: which texts are a day (`is_date`), open dates, unknown parts, and the era table. Each question is answered for one text and
as a polars expression; tests hold the two against each other.

Era facts: 明治 counts from the adoption of the solar calendar (明治6年1月1日 = 1873-01-01). The day on which an era begins and the
old one ends belongs to both where both were written: 明治45年7月30日 = 大正1年7月30日, 大正15年12月25日 = 昭和1年12月25日.
昭和 ends with 64年1月7日, 平成 with 31年4月30日. A new era is one more row of `ERAS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import polars as pl

from contracts.model import DateRules

NO_BEGINNING: Final = "0000-01-01"
NO_END: Final = "9999-12-31"
OPEN_DATES: Final = (NO_BEGINNING, NO_END)

EraForm = Literal["era_kanji", "era_letter", "era_digits"]


@dataclass(frozen=True, slots=True)
class Era:
    """One era: `first` and `last` are the ISO days it was written for, both included; year 1 is `offset + 1`."""

    kanji: str
    letter: str
    digit: str
    first: str
    last: str
    offset: int


ERAS: Final = (
    Era("明治", "M", "1", "1873-01-01", "1912-07-30", 1867),
    Era("大正", "T", "2", "1912-07-30", "1926-12-25", 1911),
    Era("昭和", "S", "3", "1926-12-25", "1989-01-07", 1925),
    Era("平成", "H", "4", "1989-01-08", "2019-04-30", 1988),
    Era("令和", "R", "5", "2019-05-01", "9999-12-30", 2018),
)

_SHAPE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WIDE: Final = str.maketrans("０１２３４５６７８９．／－元", "0123456789./-1")
_NAMES: Final = "|".join(era.kanji for era in ERAS) + "|[" + "".join(era.letter for era in ERAS) + "]"
_APART: Final = rf"({_NAMES})([0-9]{{1,2}})[年./-]([0-9]{{1,2}})[月./-]([0-9]{{1,2}})日?"
_TOGETHER: Final = rf"([{''.join(era.letter + era.digit for era in ERAS)}])([0-9]{{2}})([0-9]{{2}})([0-9]{{2}})"
_APART_RE: Final = re.compile(_APART)
_TOGETHER_RE: Final = re.compile(_TOGETHER)


def has_date_shape(text: str) -> bool:
    """Whether `text` is four digits, two digits, two digits with hyphens between."""
    return len(text) == 10 and _SHAPE.fullmatch(text) is not None


def is_date(text: str, rules: DateRules) -> bool:
    """Whether `text` is a day from 0001-01-01 on, or one of what `rules` lets through besides."""
    if _is_calendar_day(text):
        return True
    if not has_date_shape(text):
        return False
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:])
    if year == 0:
        return rules.open and text == NO_BEGINNING
    if month > 12 or (month == 0 and day > 0):
        return False
    if day == 0:
        return rules.unknown_parts
    return rules.feb_29 and month == 2 and day == 29


def _is_calendar_day(text: str) -> bool:
    """The quick way for nearly all days: the hyphens rule out the other forms that `fromisoformat` reads (20261120, 2026-W01-1)."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_date_expression(text: pl.Expr, rules: DateRules) -> pl.Expr:
    """`is_date` for a column; never null where the column is not."""
    by_days = {31: "01|03|05|07|08|10|12", 30: "04|06|09|11"}
    always = (
        rf"(?:{by_days[31]})-(?:0[1-9]|[12][0-9]|3[01])|(?:{by_days[30]})-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])"
    )
    if rules.feb_29:
        always += "|02-29"
    if rules.unknown_parts:
        always += "|00-00|(?:0[1-9]|1[0-2])-00"
    leap = r"[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00"
    shape = rf"\A(?:[0-9]{{4}}-(?:{always})|(?:{leap})-02-29)\z"
    day = text.str.contains(shape) & ~text.str.starts_with("0000")
    return day | (text == NO_BEGINNING) if rules.open else day


def era_to_iso(text: str, *, lenient: bool = False) -> str | None:
    """The ISO day of a day written with its era, or None.

    Reads `令和8年11月20日` (also 元年, full-width digits), `R08.11.20`, `昭和64.1.7`, `R081120` and `5081120`. Month or day `00` is
    kept (`1950-04-00`). Whether the day is one of the calendar is the validator's question, not asked here.

    Args:
        lenient: accept an era beyond its end (平成32.3.31 is 2020-03-31), as forms printed before the change have it.
    """
    plain = text.translate(_WIDE)
    match = _APART_RE.fullmatch(plain) or _TOGETHER_RE.fullmatch(plain)
    if match is None:
        return None
    written, year_text, month, day = match.groups()
    era = next(era for era in ERAS if written in (era.kanji, era.letter, era.digit))
    if int(year_text) == 0:
        return None
    iso = f"{era.offset + int(year_text):04d}-{int(month):02d}-{int(day):02d}"
    known = 4 if int(month) == 0 else 7 if int(day) == 0 else 10
    if iso[:known] < era.first[:known] or (not lenient and iso[:known] > era.last[:known]):
        return None
    return iso


def iso_to_era(iso: str, form: EraForm = "era_kanji") -> str | None:
    """`iso` written with its era: `令和8年11月20日` (1年 is 元年), `R08.11.20` or `5081120`. A day of two eras is written with the new one.

    None for open dates, days before 1873 and what does not have the shape of a day.
    """
    if not has_date_shape(iso) or iso in OPEN_DATES or iso[:4] < "1873":
        return None
    era = next((era for era in reversed(ERAS) if iso >= era.first), ERAS[0])
    year, month, day = int(iso[:4]) - era.offset, iso[5:7], iso[8:]
    if year > 99:
        return None
    if form == "era_kanji":
        return f"{era.kanji}{'元' if year == 1 else year}年{int(month)}月{int(day)}日"
    if form == "era_letter":
        return f"{era.letter}{year:02d}.{month}.{day}"
    return f"{era.digit}{year:02d}{month}{day}"


def era_to_iso_expression(text: pl.Expr, *, lenient: bool = False) -> pl.Expr:
    """`era_to_iso` for a column; null where it is None."""
    wide, narrow = [chr(code) for code in _WIDE], [chr(value) for value in _WIDE.values()]
    plain = text.str.replace_many(wide, narrow)
    apart, together = (plain.str.extract_groups(rf"\A{pattern}\z") for pattern in (_APART, _TOGETHER))

    def part(index: int) -> pl.Expr:
        return pl.coalesce(apart.struct.field(str(index)), together.struct.field(str(index)))

    keys = {written: era for era in ERAS for written in (era.kanji, era.letter, era.digit)}
    era_of = part(1)
    offset = era_of.replace_strict(list(keys), [era.offset for era in keys.values()], default=None, return_dtype=pl.Int32)
    year = part(2).cast(pl.Int32)
    iso = pl.concat_str(
        (offset + year).cast(pl.String).str.zfill(4), pl.lit("-"), part(3).str.zfill(2), pl.lit("-"), part(4).str.zfill(2)
    )
    known = pl.when(part(3).cast(pl.Int32) == 0).then(4).when(part(4).cast(pl.Int32) == 0).then(7).otherwise(10)
    first = era_of.replace_strict(list(keys), [era.first for era in keys.values()], default=None, return_dtype=pl.String)
    good = (year > 0) & (iso.str.slice(0, known) >= first.str.slice(0, known))
    if not lenient:
        last = era_of.replace_strict(list(keys), [era.last for era in keys.values()], default=None, return_dtype=pl.String)
        good &= iso.str.slice(0, known) <= last.str.slice(0, known)
    return pl.when(good).then(iso)


def iso_to_era_expression(iso: pl.Expr, form: EraForm = "era_kanji") -> pl.Expr:
    """`iso_to_era` for a column; null where it is None."""
    good = iso.str.contains(rf"\A{_SHAPE.pattern}\z") & ~iso.is_in(list(OPEN_DATES)) & (iso >= "1873")
    safe = pl.when(good).then(iso)
    offset = pl.lit(ERAS[0].offset)
    first = {"era_kanji": ERAS[0].kanji, "era_letter": ERAS[0].letter, "era_digits": ERAS[0].digit}[form]
    written = pl.lit(first)
    for era in ERAS[1:]:
        name = {"era_kanji": era.kanji, "era_letter": era.letter, "era_digits": era.digit}[form]
        written = pl.when(safe >= era.first).then(pl.lit(name)).otherwise(written)
        offset = pl.when(safe >= era.first).then(pl.lit(era.offset)).otherwise(offset)
    year = safe.str.slice(0, 4).cast(pl.Int32) - offset
    month, day = safe.str.slice(5, 2), safe.str.slice(8, 2)
    if form == "era_kanji":
        number = pl.when(year == 1).then(pl.lit("元")).otherwise(year.cast(pl.String))
        parts = [written, number, pl.lit("年"), _unpadded(month), pl.lit("月"), _unpadded(day), pl.lit("日")]
    else:
        between = [pl.lit(".")] if form == "era_letter" else []
        parts = [written, year.cast(pl.String).str.zfill(2), *between, month, *between, day]
    return pl.when(year <= 99).then(pl.concat_str(parts))


def _unpadded(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.Int32).cast(pl.String)
