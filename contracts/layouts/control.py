"""Header and trailer records: what they say of a file, read and written.

Owns: the texts of totals in control records. A control record is told from data by its constants, which must all match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from contracts.characters import encode, faults
from contracts.dates import EraForm, era_to_iso, iso_to_era
from contracts.errors import RenkeiError
from contracts.layouts.model import ControlColumn, CsvLayout, FixedLayout
from contracts.layouts.ports import Facts
from contracts.layouts.quotes import split_fields, unquoted
from contracts.totals import Totals

_NUMBER_WIDTH: Final = {"count": 10, "sum": 24}
"""Digits of a number in a CSV header, which must not grow with the number: it is written after the records."""


@dataclass(frozen=True, slots=True)
class NotControl(Exception):
    """The bytes are not this control record; `reason` says where they differ."""

    reason: str


def read_control(raw: bytes, columns: Sequence[ControlColumn], layout: CsvLayout | FixedLayout) -> dict[str, str]:
    """The totals a control record says (see `FilePlan.declared`); `raw` is without its newline.

    Raises:
        NotControl: wrong length, wrong number of columns, a constant that differs, undecodable, a total that cannot be read.
    """
    if faults(raw, layout.encoding):
        raise NotControl("undecodable")
    texts = _fields_of(raw, columns, layout)
    declared: dict[str, str] = {}
    for number, (column, text) in enumerate(zip(columns, texts, strict=True), start=1):
        if column.total is None:
            if text.strip(" ") != (column.constant or "").strip(" "):
                raise NotControl(f"column {number}: not {column.constant!r}")
            continue
        value = _declared(column, text)
        if value is None:
            raise NotControl(f"column {number}: {column.total}")
        declared[column.total] = value
    return declared


def _fields_of(raw: bytes, columns: Sequence[ControlColumn], layout: CsvLayout | FixedLayout) -> list[str]:
    if isinstance(layout, CsvLayout):
        parts = [unquoted(field) for _, field in split_fields(raw, ord(layout.separator))]
        if len(parts) != len(columns):
            raise NotControl(f"{len(parts)} columns, not {len(columns)}")
    else:
        if len(raw) != layout.record_bytes:
            raise NotControl(f"{len(raw)} bytes, not {layout.record_bytes}")
        parts, at = [], 0
        for column in columns:
            parts.append(raw[at : at + (column.bytes or 0)])
            at += column.bytes or 0
    return [part.decode(layout.encoding, "replace") for part in parts]


def _declared(column: ControlColumn, text: str) -> str | None:
    text = text.lstrip(column.pad + " ") if column.justify == "right" else text.rstrip(column.pad + " ")
    total = column.total or ""
    if total == "business_date":
        return iso_of(text, column)
    if total == "tenant":
        return text
    try:
        number = Decimal(text or "0")
    except InvalidOperation:
        return None
    if not number.is_finite() or (total in ("count", "sequence") and not (text or "0").isdigit()):
        return None
    return f"{number:f}"


def iso_of(text: str, column: ControlColumn) -> str | None:
    """The ISO date written in a control column, or None."""
    if column.date == "iso":
        return text if len(text) == 10 else None
    if column.date == "yyyymmdd":
        return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isascii() and text.isdigit() else None
    if column.date == "slash":
        return text.replace("/", "-") if len(text) == 10 and text.count("/") == 2 else None
    return era_to_iso(text)


def control_text(column: ControlColumn, facts: Facts, totals: Totals) -> str:
    """The text of one control column, without padding."""
    if column.total is None:
        return column.constant or ""
    if column.total == "count":
        return str(totals.records)
    if column.total == "business_date":
        return _date_text(facts.business_date, column)
    if column.total == "sequence":
        return str(facts.sequence)
    if column.total == "tenant":
        return facts.tenant
    return f"{totals.sums.get(column.total.removeprefix('sum.'), Decimal(0)):f}"


def _date_text(iso: str, column: ControlColumn) -> str:
    if column.date in ("iso", "yyyymmdd", "slash"):
        return iso.replace("-", {"iso": "-", "yyyymmdd": "", "slash": "/"}[column.date])
    form: EraForm = column.date  # type: ignore[assignment]  # the other three forms are those of an era
    return iso_to_era(iso, form) or iso


def write_control(
    columns: Sequence[ControlColumn], layout: CsvLayout | FixedLayout, facts: Facts, totals: Totals, *, header: bool
) -> bytes:
    """One control record without its newline. The length of a header depends on the layout and `facts` only.

    Raises:
        RenkeiError: a total does not fit its column (RNK1209E).
    """
    texts = [control_text(column, facts, totals) for column in columns]
    if isinstance(layout, FixedLayout):
        return b"".join(_in_bytes(column, text, layout) for column, text in zip(columns, texts, strict=True))
    if header:
        texts = [_steady(column, text) for column, text in zip(columns, texts, strict=True)]
    quote = layout.quoting == "all"
    return encode(layout.separator.join(f'"{text}"' if quote else text for text in texts), layout.encoding)


def _steady(column: ControlColumn, text: str) -> str:
    """A number with leading zeros, always as long."""
    kind = (column.total or "").partition(".")[0]
    return text.zfill(_NUMBER_WIDTH[kind]) if kind in _NUMBER_WIDTH else text


def _in_bytes(column: ControlColumn, text: str, layout: FixedLayout) -> bytes:
    width = column.bytes or 0
    if column.pad == "0" and column.justify == "right" and text.startswith("-"):
        text = text.zfill(width)
    raw = encode(text, layout.encoding)
    free = width - len(raw)
    if free < 0:
        raise RenkeiError("RNK1209E", total=column.total or "", value=text, bytes=width)
    pad = encode(column.pad, layout.encoding)
    filling = pad * (free // len(pad)) + b" " * (free % len(pad))
    return filling + raw if column.justify == "right" else raw + filling
