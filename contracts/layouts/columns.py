"""A layout's columns bound to the contract's fields: what a reader or writer needs to know of each, worked out once.

Owns: defaults (all fields in order where a layout does not list its columns, titles, XML tags, padding) and byte positions.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.layouts.model import Column, CsvLayout, FixedLayout, XmlLayout
from contracts.model import Contract, ContractField


@dataclass(frozen=True, slots=True)
class BoundColumn:
    """One data column. `name` is the field's name; `""` for a constant. `start` and `width` are bytes (0 outside fixed length)."""

    index: int
    name: str
    column: Column
    field: ContractField | None
    title: str
    tag: str
    start: int
    width: int

    @property
    def constant(self) -> str:
        """The text every record has here; only for a column that is a constant."""
        return self.column.constant or ""

    @property
    def pad(self) -> str:
        """The padding character: as written in the layout, else a blank where a width must be filled, else nothing."""
        return self.column.pad or (" " if self.width else "")


def columns_of(layout: CsvLayout | FixedLayout | XmlLayout, contract: Contract) -> list[Column]:
    """The columns that records of the layout have, in order: those it lists, or all fields of the contract."""
    if layout.columns and not (isinstance(layout, CsvLayout) and layout.all_fields):
        return layout.columns
    listed = {column.field: column for column in layout.columns}
    return [listed.get(name) or Column(field=name) for name in contract.names]


def bind(layout: CsvLayout | FixedLayout | XmlLayout, contract: Contract) -> list[BoundColumn]:
    """The layout's columns in order, each with its field."""
    bound: list[BoundColumn] = []
    start = 0
    for index, column in enumerate(columns_of(layout, contract)):
        field = contract.field(column.field) if column.field else None
        width = (column.bytes or 0) if isinstance(layout, FixedLayout) else 0
        bound.append(
            BoundColumn(
                index=index,
                name=column.field or "",
                column=column,
                field=field,
                title=_title(layout, column, field),
                tag=column.tag or "".join(part.capitalize() for part in (column.field or f"column_{index + 1}").split("_")),
                start=start,
                width=width,
            )
        )
        start += width
    return bound


def _title(layout: CsvLayout | FixedLayout | XmlLayout, column: Column, field: ContractField | None) -> str:
    kind = layout.titles if isinstance(layout, CsvLayout) else "names"
    if field is None:
        return column.header or column.constant or ""
    if kind == "names":
        return field.name
    if kind == "headers" and column.header is not None:
        return column.header
    return field.label
