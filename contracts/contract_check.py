"""What a contract and its layouts must satisfy beyond their shape: names that exist, limits that can be read, patterns both
validators understand alike.

Owns: these checks, each mistake as a `Problem` at its line. Called when a registry is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from contracts.documents import Document
from contracts.errors import Problem
from contracts.layouts.model import Column, Layout, XmlLayout
from contracts.model import Contract


def problems_in(document: Document, contract: Contract, layouts: Mapping[str, Layout]) -> Iterator[Problem]:
    """Everything wrong with a contract file that has the right shape. Ids ending in W do not stop the work."""
    for name, layout in layouts.items():
        yield from _layout_problems(document, contract, name, layout)


def _layout_problems(document: Document, contract: Contract, name: str, layout: Layout) -> Iterator[Problem]:
    known = set(contract.names)
    seen: set[str] = set()
    for index, column in enumerate(layout.columns):
        at = ("layouts", name, "columns", index)
        if column.field is None:
            continue
        if column.field not in known:
            yield document.problem("RNK1110E", (*at, "field"), field=column.field)
            continue
        if column.field in seen:
            yield document.problem("RNK1111E", (*at, "field"), field=column.field)
        seen.add(column.field)
        yield from _column_problems(document, contract, column, at)
    if not layout.columns or isinstance(layout, XmlLayout):
        return
    needed = [field.name for field in contract.fields if field.name in contract.key or field.required]
    missing = [field for field in needed if field not in seen]
    if missing:
        yield document.problem("RNK1112W", ("layouts", name), layout=name, fields=", ".join(missing))


def _column_problems(document: Document, contract: Contract, column: Column, at: tuple[str | int, ...]) -> Iterable[Problem]:
    assert column.field is not None  # noqa: S101 - the caller looked
    field = contract.field(column.field)
    if column.date != "iso" and field.type != "DATE":
        yield document.problem("RNK1113E", (*at, "date"), field=field.name, type=field.type, form=column.date)
    if column.bytes is not None and field.length is not None:
        most = field.length * (2 if field.type == "N" else 1)
        if column.bytes < most:
            yield document.problem("RNK1114W", (*at, "bytes"), field=field.name, bytes=column.bytes, needed=most)
