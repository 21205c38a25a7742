"""Between a column's written text and the canonical text of its field, both ways, over whole columns.

Owns: padding, line breaks, absent forms, narrow, zero fill and date forms. Reading: line breaks, padding off, narrow, absent forms,
zero fill, date form.
Writing: date form only; padding is the fixed-length writer's. A date that does not have its written form is kept as it is, for the
validator to refuse; one that would pass for canonical without being in its form breaks the rule `date_form`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.dates import EraForm, era_to_iso, iso_to_era
from contracts.layouts.columns import BoundColumn

Bytes = npt.NDArray[np.uint8]

_WIDE: Final = "０１２３４５６７８９－‐−"
_NARROW: Final = "0123456789---"
_TYPED: Final = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})", re.ASCII)
"""A day of the western calendar as people type it."""
_ISO: Final = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"


def canonical(column: BoundColumn, written: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """The canonical text of a column that was read, and which rows break `date_form` (None: none do)."""
    rules = column.column
    if rules.line_breaks is not None:
        written = written.str.replace_all(r"\r\n|\r|\n", rules.line_breaks.replace("$", "$$"))
    text = _unpadded(column, written)
    if rules.narrow:
        text = text.str.replace_many(list(_WIDE), list(_NARROW))
    if rules.absent:
        hits = text.is_in(rules.absent)
        if hits.any():
            text = text.to_frame().select(pl.when(hits).then(pl.lit("")).otherwise(pl.first())).to_series().alias(text.name)
    if rules.zero_fill:
        text = _zero_filled(text, rules.zero_fill)
    if rules.date == "iso" or column.field is None or column.field.type != "DATE":
        return text, None
    if rules.date == "any":
        return _mapped(text, _any_form), None
    if rules.date == "yyyymmdd":
        digits = digits_of(text)
        if digits is not None and bool(((digits >= 48) & (digits <= 57)).all()):
            return _with_hyphens(digits, text.name), None
    passing = (text.str.len_bytes() == 10) & text.str.contains(_ISO) if _some_ten_long(text) else None
    if rules.date in ("yyyymmdd", "slash"):
        return _from_digits(text, rules.date), passing
    return _mapped(text, era_to_iso), passing


def written_dates(column: BoundColumn, text: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """The written form of a canonical date column, and which rows have no such form (None: all have)."""
    form = column.column.date
    if form in ("iso", "any") or column.field is None or column.field.type != "DATE":
        return text, None
    if form in ("yyyymmdd", "slash"):
        return _from_iso(text, "" if form == "yyyymmdd" else "/")
    era_form: EraForm = form  # type: ignore[assignment]  # the other three forms are those of an era
    written = _mapped(text, lambda value: iso_to_era(value, era_form), unknown=None)
    missing = written.is_null()
    return (written.fill_null(text), missing) if missing.any() else (written, None)


def _unpadded(column: BoundColumn, text: pl.Series) -> pl.Series:
    """Without padding on the free side. A blank fills what is absent whatever the padding is, so it goes too."""
    pad = column.pad
    if not pad:
        return text
    right = column.column.justify == "right"
    pads = [pad] if pad == " " or not column.width else [" ", pad]
    # one character at a time, again while any is left: stripping a set of characters takes four times as long
    while found := [each for each in pads if (text.str.starts_with(each) if right else text.str.ends_with(each)).any()]:
        for each in found:
            text = text.str.strip_chars_start(each) if right else text.str.strip_chars_end(each)
    return text


def _zero_filled(text: pl.Series, width: int) -> pl.Series:
    short = (text.str.len_bytes() < width) & text.str.contains(r"\A[0-9]+\z")
    if not short.any():
        return text
    return text.to_frame().select(pl.when(short).then(pl.first().str.pad_start(width, "0")).otherwise(pl.first())).to_series()


def _some_ten_long(text: pl.Series) -> bool:
    return bool((text.str.len_bytes() == 10).any())


def digits_of(text: pl.Series, width: int = 8) -> Bytes | None:
    """The bytes of a column as rows of `width` (8 only) when every value has just that many bytes, else None."""
    numbers = text.cast(pl.Binary).bin.reinterpret(dtype=pl.UInt64, endianness="little")
    if numbers.null_count():
        return None
    return numbers.to_numpy().view(np.uint8).reshape(len(text), width)


def _from_digits(text: pl.Series, form: str) -> pl.Series:
    """`20261120` or `2026/11/20` to `2026-11-20`; anything else stays as it is."""
    shape, cuts = (r"\A[0-9]{8}\z", (0, 4, 6)) if form == "yyyymmdd" else (r"\A[0-9]{4}/[0-9]{2}/[0-9]{2}\z", (0, 5, 8))
    value = pl.first()
    parts = [value.str.slice(cut, length) for cut, length in zip(cuts, (4, 2, 2), strict=True)]
    dashed = pl.concat_str(parts, separator="-")
    return text.to_frame().select(pl.when(value.str.contains(shape)).then(dashed).otherwise(value)).to_series()


def _with_hyphens(digits: Bytes, name: str) -> pl.Series:
    rows = np.empty((len(digits), 10), np.uint8)
    rows[:, 0:4], rows[:, 5:7], rows[:, 8:10] = digits[:, 0:4], digits[:, 4:6], digits[:, 6:8]
    rows[:, 4] = rows[:, 7] = 0x2D
    return ascii_series(rows, name)


def ascii_series(rows: Bytes, name: str) -> pl.Series:
    """Each row of bytes, all of them ASCII, as one text."""
    if not len(rows):
        return pl.Series(name, [], pl.String)
    return pl.Series(name, rows).cast(pl.List(pl.UInt8)).cast(pl.Binary).cast(pl.String)


def _from_iso(text: pl.Series, between: str) -> tuple[pl.Series, pl.Series | None]:
    fits = text.str.len_bytes().is_in([0, 10])
    short = text.str.replace_all("-", between, literal=True)
    lost = ~(fits & ((short.str.len_bytes() == 8 + 2 * len(between)) | (text == "")))
    return short, lost if lost.any() else None


def _any_form(value: str) -> str | None:
    """The ISO day of a day in any form that is read."""
    if typed := _TYPED.fullmatch(value):
        year, _, month, day = typed.groups()
        return f"{year}-{int(month):02d}-{int(day):02d}"
    if re.fullmatch("[0-9]{8}", value):
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    return era_to_iso(value)


def _mapped(text: pl.Series, convert: Callable[[str], str | None], unknown: str | None = "keep") -> pl.Series:
    """Each distinct value converted once; unconvertible ones are kept, or null when `unknown` is None. `""` stays `""`."""
    values = text.unique().to_list()
    results = ["" if value == "" else convert(value) for value in values]
    if unknown is not None:
        results = [value if result is None else result for value, result in zip(values, results, strict=True)]
    return text.replace_strict(values, pl.Series(results, dtype=pl.String), return_dtype=pl.String)
