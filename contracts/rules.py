"""Conditions of contracts (`model.Condition`, `model.Test`) compiled twice: for one record and for a frame.

Owns: the meaning of the operators. Both compilers are exact and agree on every text (a test says so); nothing is evaluated from text.

- A test holds only when each of its operators holds.
- `present`; `eq ne in not_in starts_with` look at the text as it stands; `lt le gt ge` and all `_field` forms compare by type
  (`contracts.comparing`; fields of different kinds compare as text).
- With an absent or unreadable value a comparison does not hold, and `ne`, `not_in`, `ne_field` do.
- `longer_than` counts characters as the contract counts them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import reduce
from typing import Any, Final

import polars as pl

from contracts.comparing import Comparable, Comparer, comparable, kind_of, literal
from contracts.counting import count, count_expression
from contracts.model import Condition, Contract, ContractField, Test

Record = Mapping[str, str]
Predicate = Callable[[Record], bool]
_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq,
}  # fmt: skip


def predicate(condition: Condition, contract: Contract) -> Predicate:
    """The condition as a function of one record. Fields the record lacks are absent.

    Raises:
        ValueError: a value in the condition cannot be read by its field's type, or a number is too long to compare.
    """
    expression(condition, contract)  # the same mistakes are refused in both
    return _predicate(condition, contract)


def expression(condition: Condition, contract: Contract, *, trusted: Collection[str] = ()) -> pl.Expr:
    """The condition as a boolean expression over a frame of the contract; never null.

    Args:
        trusted: fields whose values are known to be absent or valid; looking at their form is spared.

    Raises:
        ValueError: as `predicate`.
    """
    if condition.all is not None:
        return _every([expression(part, contract, trusted=trusted) for part in condition.all])
    if condition.any is not None:
        parts = [expression(part, contract, trusted=trusted) for part in condition.any]
        return reduce(operator.or_, parts) if parts else _constant(value=False)
    if condition.not_ is not None:
        return ~expression(condition.not_, contract, trusted=trusted)
    if condition.fields is None:
        raise ValueError("a condition is exactly one of: all, any, not, fields")
    tests = condition.fields.items()
    return _every([part for name, test in tests for part in _test_parts(contract.field(name), test, contract, trusted)])


def _constant(*, value: bool) -> pl.Expr:
    """As long as the frame, unlike a literal."""
    return pl.repeat(value, pl.len(), dtype=pl.Boolean)


def _every(parts: list[pl.Expr]) -> pl.Expr:
    return reduce(operator.and_, parts) if parts else _constant(value=True)


def _test_parts(field: ContractField, test: Test, contract: Contract, trusted: Collection[str]) -> Iterator[pl.Expr]:
    column = pl.col(field.name)
    if test.present is not None:
        yield column != "" if test.present else column == ""
    if test.eq is not None:
        yield (column == test.eq) if test.eq else _constant(value=False)
    if test.ne is not None:
        yield (column != test.ne) if test.ne else _constant(value=True)
    if test.in_ is not None:
        yield column.is_in([value for value in test.in_ if value])
    if test.not_in is not None:
        yield ~column.is_in([value for value in test.not_in if value])
    if test.starts_with is not None:
        yield column.str.starts_with(test.starts_with) if test.starts_with else column != ""
    if test.longer_than is not None:
        yield (column != "") & (count_expression(column, contract.counting) > test.longer_than)
    for name, compare in _COMPARE.items():
        limit = getattr(test, name) if name != "eq" else None
        if limit is not None:
            mine = comparable(field, trusted=field.name in trusted)
            yield _holds(compare, mine, mine, literal(field, limit))
        other = getattr(test, f"{name}_field")
        if other is not None:
            yield _between(compare, field, contract.field(other), trusted)
    if test.ne_field is not None:
        yield ~_between(operator.eq, field, contract.field(test.ne_field), trusted)


def _holds(compare: Callable[[Any, Any], Any], left: Comparable, right: Comparable, right_key: pl.Expr) -> pl.Expr:
    holds: pl.Expr = compare(left.key, right_key).fill_null(value=False) & left.readable
    return holds if right is left else holds & right.readable


def _between(compare: Callable[[Any, Any], Any], left: ContractField, right: ContractField, trusted: Collection[str]) -> pl.Expr:
    if kind_of(left) != kind_of(right):
        one, two = (pl.col(field.name) for field in (left, right))
        holds: pl.Expr = compare(one, two) & (one != "") & (two != "")
        return holds
    mine, other = (comparable(field, trusted=field.name in trusted) for field in (left, right))
    return _holds(compare, mine, other, other.key)


def _predicate(condition: Condition, contract: Contract) -> Predicate:
    if condition.all is not None:
        every = [_predicate(part, contract) for part in condition.all]
        return _all_of(every)
    if condition.any is not None:
        some = [_predicate(part, contract) for part in condition.any]
        return _any_of(some)
    if condition.not_ is not None:
        inner = _predicate(condition.not_, contract)
        return lambda record: not inner(record)
    tests = (condition.fields or {}).items()
    checks = [check for name, test in tests for check in _test_checks(contract.field(name), test, contract)]
    return _all_of(checks)


def _all_of(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]

    def holds(record: Record) -> bool:
        for part in parts:  # noqa: SIM110 - events are checked one by one: a generator takes twice as long
            if not part(record):
                return False
        return True

    return holds


def _any_of(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]

    def holds(record: Record) -> bool:
        for part in parts:  # noqa: SIM110 - as above
            if part(record):
                return True
        return False

    return holds


def _test_checks(field: ContractField, test: Test, contract: Contract) -> Iterator[Predicate]:
    of_value = list(_value_checks(test, contract))
    if of_value:
        yield _of_value(field.name, of_value)
    for name, compare in _COMPARE.items():
        limit = getattr(test, name) if name != "eq" else None
        if limit is not None:
            yield _against(field, compare, limit)
        other = getattr(test, f"{name}_field")
        if other is not None:
            yield _against_field(field, compare, contract.field(other))
    if test.ne_field is not None:
        same = _against_field(field, operator.eq, contract.field(test.ne_field))
        yield lambda record: not same(record)


def _of_value(name: str, checks: list[Callable[[str], bool]]) -> Predicate:
    if len(checks) == 1:
        check = checks[0]
        return lambda record: check(record.get(name, ""))

    def holds(record: Record) -> bool:
        value = record.get(name, "")
        return all(check(value) for check in checks)

    return holds


def _value_checks(test: Test, contract: Contract) -> Iterator[Callable[[str], bool]]:
    """The operators that look at nothing but the text."""
    if (present := test.present) is not None:
        yield lambda value: (value != "") == present
    if (eq := test.eq) is not None:
        yield lambda value: value != "" and value == eq
    if (ne := test.ne) is not None:
        yield lambda value: value == "" or value != ne
    if (allowed := test.in_) is not None:
        yield lambda value: value != "" and value in allowed
    if (refused := test.not_in) is not None:
        yield lambda value: value == "" or value not in refused
    if (start := test.starts_with) is not None:
        yield lambda value: value != "" and value.startswith(start)
    if (length := test.longer_than) is not None:
        yield lambda value: value != "" and count(value, contract.counting) > length


def _against(field: ContractField, compare: Callable[[Any, Any], Any], limit: str) -> Predicate:
    comparer = Comparer(field)
    bound = comparer.key(limit)

    def holds(record: Record) -> bool:
        key = comparer.key(record.get(field.name, ""))
        return key is not None and bool(compare(key, bound))

    return holds


def _against_field(field: ContractField, compare: Callable[[Any, Any], Any], other: ContractField) -> Predicate:
    by_type = kind_of(field) == kind_of(other)
    mine, theirs = Comparer(field), Comparer(other)

    def holds(record: Record) -> bool:
        one, two = record.get(field.name, ""), record.get(other.name, "")
        left, right = (mine.key(one), theirs.key(two)) if by_type else (one or None, two or None)
        return left is not None and right is not None and bool(compare(left, right))

    return holds
