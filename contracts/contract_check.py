"""What a contract and its layouts must satisfy beyond their shape: names that exist, limits that can be read, patterns both
validators understand alike.

Owns: these checks, each mistake as a `Problem` at its line. Called when a registry is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from contracts.check_digits import WIDTHS
from contracts.comparing import MOST_DIGITS, Comparer, kind_of, too_long_to_compare
from contracts.documents import Document, Path_
from contracts.errors import Problem
from contracts.layouts.model import Column, CsvLayout, Layout, XmlLayout
from contracts.messages import catalogue
from contracts.model import Condition, Contract, ContractField, Test
from contracts.patterns import PatternRefused, read_pattern

_ORDERED: Final = ("lt", "le", "gt", "ge")
_OF_FIELDS: Final = ("lt_field", "le_field", "gt_field", "ge_field", "eq_field", "ne_field")


def problems_in(document: Document, contract: Contract, layouts: Mapping[str, Layout]) -> Iterator[Problem]:
    """Everything wrong with a contract file that has the right shape. Ids ending in W do not stop the work."""
    for index, field in enumerate(contract.fields):
        yield from _field_problems(document, field, ("fields", index))
    for index, name in enumerate(contract.control_sums):
        if too_long_to_compare(contract.field(name)):
            yield document.problem("RNK1117E", ("control_sums", index), field=name, most=MOST_DIGITS)
    seen: set[str] = set()
    for index, rule in enumerate(contract.rules):
        at: Path_ = ("rules", index)
        if rule.id in seen or f"rule.{rule.id}" in catalogue():  # the words for broken rules go by id
            yield document.problem("RNK1118E", (*at, "id"), rule=rule.id)
        seen.add(rule.id)
        for part in ("when", "then"):
            condition = getattr(rule, part)
            if condition is not None:
                yield from _condition_problems(document, contract, condition, (*at, part))
    for name, layout in layouts.items():
        yield from _layout_problems(document, contract, name, layout)


def _field_problems(document: Document, field: ContractField, at: Path_) -> Iterator[Problem]:
    if field.pattern is not None:
        try:
            read_pattern(field.pattern)
        except PatternRefused as refused:
            yield document.problem("RNK1115E", (*at, "pattern"), field=field.name, reason=str(refused))
    if field.digits is not None and min(field.digits) < 0:
        yield document.problem("RNK1116E", (*at, "digits"), field=field.name, value=str(list(field.digits)), type=field.type)
    limits = {name: limit for name in ("minimum", "maximum") if (limit := getattr(field, name)) is not None}
    if limits and too_long_to_compare(field):
        yield document.problem("RNK1117E", at, field=field.name, most=MOST_DIGITS)
    for name, limit in limits.items():
        if Comparer(field).key(limit) is None:
            yield document.problem("RNK1116E", (*at, name), field=field.name, value=limit, type=field.type)
    if field.check_digit is not None:
        width = WIDTHS[field.check_digit]
        too_short = width is not None and field.length is not None and field.length < width
        if field.type not in ("X", "9") or too_short:
            facts = {"field": field.name, "type": field.type, "method": field.check_digit, "width": width or 2}
            yield document.problem("RNK1119E", (*at, "check_digit"), **facts)


def _condition_problems(document: Document, contract: Contract, condition: Condition, at: Path_) -> Iterator[Problem]:
    if (condition.all, condition.any, condition.not_, condition.fields) == (None, None, None, None):
        yield document.problem("RNK1003E", at, reason="a condition is exactly one of: all, any, not, fields", hint="null")
    for name in ("all", "any"):
        for index, part in enumerate(getattr(condition, name) or []):
            yield from _condition_problems(document, contract, part, (*at, name, index))
    if condition.not_ is not None:
        yield from _condition_problems(document, contract, condition.not_, (*at, "not"))
    for name, test in (condition.fields or {}).items():
        yield from _test_problems(document, contract, contract.field(name), test, (*at, "fields", name))


def _test_problems(document: Document, contract: Contract, field: ContractField, test: Test, at: Path_) -> Iterator[Problem]:
    limits = {name: limit for name in _ORDERED if (limit := getattr(test, name)) is not None}
    others = {name: contract.field(other) for name in _OF_FIELDS if (other := getattr(test, name)) is not None}
    compared = [field, *others.values()] if limits or others else []
    for each in compared:
        if too_long_to_compare(each):
            yield document.problem("RNK1117E", at, field=each.name, most=MOST_DIGITS)
    for name, limit in limits.items():
        if Comparer(field).key(limit) is None:
            yield document.problem("RNK1116E", (*at, name), field=field.name, value=limit, type=field.type)
    for name, other in others.items():
        if kind_of(other) != kind_of(field):
            facts = {"field": field.name, "type": field.type, "other": other.name, "other_type": other.type}
            yield document.problem("RNK1120W", (*at, name), **facts)
    if test.eq == "" or test.ne == "" or "" in (test.in_ or []) or "" in (test.not_in or []):
        yield document.problem("RNK1121E", at, field=field.name)


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
    if not layout.columns or isinstance(layout, XmlLayout) or (isinstance(layout, CsvLayout) and layout.all_fields):
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
    if column.bytes is not None and field.length is not None and not column.shorter:
        most = field.length * (2 if field.type in ("N", "M") else 1)
        if column.bytes < most:
            yield document.problem("RNK1114W", (*at, "bytes"), field=field.name, bytes=column.bytes, needed=most)
