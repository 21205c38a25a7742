"""What a text layout says: how the records of a contract stand in a file. Written in the contract's YAML under `layouts:`.

Owns: the words of CSV, fixed-length and XML layouts. Reading is in `csv_reader`/`fixed_reader`, writing in `csv_writer`,
`fixed_writer`, `xml_writer` beside this file.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from contracts.model import FieldName, Strict

Encoding = Literal["utf-8", "cp932"]
Newline = Literal["crlf", "lf", "any", "none"]
DateForm = Literal["iso", "yyyymmdd", "slash", "era_kanji", "era_letter", "era_digits"]
"""How a date is written: `2026-11-20`, `20261120`, `2026/11/20`, `令和8年11月20日`, `R08.11.20`, `5081120` (era code + yymmdd)."""
TotalName = Annotated[str, StringConstraints(pattern=r"^(count|business_date|sequence|tenant|sum\.[a-z][a-z0-9_]*)$")]


class Column(Strict):
    """One data column. Exactly one of `field` and `constant`; a fixed-length column also has `bytes`.

    Reading removes `pad` from the side that `justify` leaves free, then turns the date form into the canonical one; a constant must
    match. Writing does the opposite. `zero_fill` restores lost leading zeros up to that many characters (reading). `date: any` reads a
    day in every form at once, also `2026/1/2`, for columns that people typed; it writes the ISO form.
    """

    field: FieldName | None = None
    constant: str | None = None
    header: str | None = None
    bytes: int | None = Field(default=None, ge=1, le=100_000)
    justify: Literal["left", "right"] = "left"
    pad: str | None = Field(default=None, min_length=1, max_length=1)
    date: DateForm | Literal["any"] = "iso"
    zero_fill: int | None = Field(default=None, ge=1, le=100)
    absent: list[str] = Field(default_factory=list)
    """Written forms that mean absent, besides empty and all padding (e.g. `00000000`)."""
    narrow: bool = False
    """Reading: full-width digits and hyphens become half-width (e.g. full-width postal codes)."""
    line_breaks: str | None = Field(default=None, max_length=1)
    """Reading CSV: what becomes of a line break within a quoted value (`""`: it goes). Unset, such a value breaks its type."""
    tag: str | None = None
    """XML element name."""
    shorter: bool = False
    """The column is agreed to hold fewer bytes than the field may need: no warning, and what does not fit is refused when written."""

    @model_validator(mode="after")
    def _one_source(self) -> Column:
        if (self.field is None) == (self.constant is None):
            raise ValueError("a column is exactly one of: field, constant")
        return self


class ControlColumn(Strict):
    """One column of a header or trailer record: exactly one of `total` and `constant`."""

    total: TotalName | None = None
    constant: str | None = None
    bytes: int | None = Field(default=None, ge=1, le=100_000)
    justify: Literal["left", "right"] = "left"
    pad: str = Field(default=" ", min_length=1, max_length=1)
    date: DateForm = "yyyymmdd"

    @model_validator(mode="after")
    def _one_source(self) -> ControlColumn:
        if (self.total is None) == (self.constant is None):
            raise ValueError("a control column is exactly one of: total, constant")
        return self


class CsvLayout(Strict):
    """Comma-separated values (RFC 4180). Without `columns`, all fields of the contract in order; with `all_fields`, too, and `columns`
    says only how some of them differ.

    `titles`: what the first line holds: the columns' `header` (or the field's label, or its name), or nothing.
    `header_record`/`trailer_record` are control records before and after the data, told apart by their first constant.
    """

    format: Literal["csv"]
    encoding: Encoding = "utf-8"
    bom: Literal["none", "required", "allowed"] = "none"
    newline: Newline = "crlf"
    separator: Literal[",", "\t"] = ","
    titles: Literal["none", "names", "labels", "headers"] = "names"
    quoting: Literal["minimal", "all", "none"] = "minimal"
    all_fields: bool = False
    columns: list[Column] = Field(default_factory=list)
    header_record: list[ControlColumn] = Field(default_factory=list)
    trailer_record: list[ControlColumn] = Field(default_factory=list)

    @model_validator(mode="after")
    def _constants_have_a_place(self) -> CsvLayout:
        if self.all_fields and any(column.field is None for column in self.columns):
            raise ValueError("all_fields: a constant has no place among the fields; list every column instead")
        return self


class FixedLayout(Strict):
    """Fixed-length records by byte position. `record_bytes` includes no newline and must equal the sum of the columns."""

    format: Literal["fixed"]
    encoding: Encoding = "cp932"
    newline: Literal["crlf", "lf", "none"] = "crlf"
    record_bytes: int = Field(ge=1, le=1_000_000)
    columns: list[Column] = Field(min_length=1)
    header_record: list[ControlColumn] = Field(default_factory=list)
    trailer_record: list[ControlColumn] = Field(default_factory=list)

    @model_validator(mode="after")
    def _bytes_add_up(self) -> FixedLayout:
        records: dict[str, list[int | None]] = {
            "columns": [column.bytes for column in self.columns],
            "header_record": [column.bytes for column in self.header_record],
            "trailer_record": [column.bytes for column in self.trailer_record],
        }
        for where, widths in records.items():
            if not widths:
                continue
            if None in widths:
                raise ValueError(f"{where}: every column of a fixed-length record needs bytes")
            total = sum(width or 0 for width in widths)
            if total != self.record_bytes:
                raise ValueError(f"{where}: the columns add up to {total} bytes, record_bytes says {self.record_bytes}")
        return self


class XmlLayout(Strict):
    """XML, UTF-8. One document, or documents of `records_per_document` records each (0 = one document). Output only.

    Element names default to the field's name in PascalCase; an absent value is an empty element, or left out with `omit_absent`.
    """

    format: Literal["xml"]
    root: str = "Records"
    record: str = "Record"
    namespace: str | None = None
    records_per_document: int = Field(default=0, ge=0, le=1_000_000)
    omit_absent: bool = False
    columns: list[Column] = Field(default_factory=list)


Layout = Annotated[CsvLayout | FixedLayout | XmlLayout, Field(discriminator="format")]
