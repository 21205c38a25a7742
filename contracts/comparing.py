"""Values compared by their field's type: numbers by size, days, times and years by the calendar, anything else by code point.

Owns: what `lt le gt ge`, their `_field` forms, `minimum` and `maximum` compare. A value that is absent or cannot be read by its
type compares with nothing. Open dates come first and last; a day with unknown parts comes before the days it could be.
Numbers compare exactly, up to 18 digits; a contract that compares longer ones is refused when it is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

import polars as pl

from contracts.model import ContractField

Kind = Literal["number", "date", "time", "year", "text"]
Key = Decimal | str
MOST_DIGITS: Final = 18
TIME_SHAPE: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?"
DATE_SHAPE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

_KINDS: Final[dict[str, Kind]] = {
    "9": "number", "S9": "number", "9V": "number", "DATE": "date", "TIME": "time", "YEAR": "year", "X": "text", "N": "text", "M": "text",
}  # fmt: skip


def kind_of(field: ContractField) -> Kind:
    """How values of the field compare."""
    return _KINDS[field.type]


def too_long_to_compare(field: ContractField) -> bool:
    """Whether the field is a number with more digits than can be compared and summed exactly."""
    if field.type == "9V":
        return sum(field.digits or (0, 0)) > MOST_DIGITS
    return field.type in ("9", "S9") and (field.length or 0) > MOST_DIGITS


def readable_shape(field: ContractField) -> str | None:
    """The form a value must have to be compared, as a pattern for the whole value; None when any text will do."""
    if field.type == "9V":
        whole, fraction = field.digits or (1, 0)
        return rf"-?[0-9]{{1,{max(whole, 1)}}}" + (rf"(?:\.[0-9]{{1,{fraction}}})?" if fraction else "")
    return {
        "9": rf"[0-9]{{1,{MOST_DIGITS}}}",
        "S9": rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}",
        "DATE": DATE_SHAPE,
        "TIME": TIME_SHAPE,
        "YEAR": "[0-9]{4}",
    }.get(field.type)


class Comparer:
    """Turns texts of one field into what Python compares."""

    def __init__(self, field: ContractField) -> None:
        shape = readable_shape(field)
        self._shape = re.compile(shape) if shape else None
        self._kind = kind_of(field)

    def key(self, text: str) -> Key | None:
        """What to compare; None when the text is absent or unreadable."""
        if not text or (self._shape is not None and self._shape.fullmatch(text) is None):
            return None
        if self._kind == "number":
            return Decimal(text)
        return f"{text}:00" if self._kind == "time" and len(text) == 5 else text


@dataclass(frozen=True, slots=True)
class Comparable:
    """What polars compares: `key`, and where it may be compared. A number's `key` is null where it may not."""

    key: pl.Expr
    readable: pl.Expr


def comparable(field: ContractField, *, trusted: bool = False) -> Comparable:
    """The field's column, ready to compare.

    Args:
        trusted: its values are known to be absent or valid, which spares looking at their form again.

    Raises:
        ValueError: the field is a number too long to compare.
    """
    if too_long_to_compare(field):
        raise ValueError(f"{field.name}: numbers of more than {MOST_DIGITS} digits cannot be compared")
    column = pl.col(field.name)
    shape = readable_shape(field)
    readable = column != "" if trusted or shape is None else column.str.contains(rf"\A(?:{shape})\z")
    kind = kind_of(field)
    if kind == "number":
        key = column if trusted else pl.when(readable).then(column)
        scale = field.digits[1] if field.digits else 0
        return Comparable(key.cast(pl.Decimal(38, scale) if scale else pl.Int64, strict=False), readable)
    if kind == "time":
        return Comparable(pl.when(column.str.len_bytes() == 5).then(column + ":00").otherwise(column), readable)
    return Comparable(column, readable)


def literal(field: ContractField, text: str) -> pl.Expr:
    """A value written in the contract, ready to compare with the field's column.

    Raises:
        ValueError: it cannot be read by the field's type.
    """
    key = Comparer(field).key(text)
    if key is None:
        raise ValueError(f"{text!r} is no value of {field.name} ({field.type})")
    if isinstance(key, str):
        return pl.lit(key)
    return pl.lit(int(key)) if key == key.to_integral_value() else pl.lit(key)
