"""The rules of one field in their order, as polars expressions: what the frame validator evaluates.

Owns: nothing new. Every expression means what `contracts.field_rules` says, for a column of texts that may be absent (`""`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from contracts import check_digits
from contracts.comparing import comparable, literal
from contracts.counting import count_expression
from contracts.dates import is_date_expression
from contracts.field_rules import REFUSED, limits, open_values, severity_of, type_shape
from contracts.model import Contract, ContractField, Severity
from contracts.patterns import read_pattern

_SURROGATES: Final = (0xD800, 0xDFFF)


@dataclass(frozen=True, slots=True)
class FieldExpression:
    """One rule of one field. `broken` is boolean and never null; it may hold for an absent value only when the rule is `required`."""

    rule: str
    severity: Severity
    broken: pl.Expr


def field_expressions(field: ContractField, contract: Contract) -> list[FieldExpression]:
    """All rules of the field in order, `required` first.

    Raises:
        PatternRefused: the field's pattern is not understood alike by both validators.
        ValueError: a limit of the field cannot be read by its type.
    """
    column = pl.col(field.name)
    present = column != ""
    rules = [(rule, present & broken) for rule, broken in _checks(field, contract, column)]
    if field.required:
        rules.insert(0, ("required", ~present))
    return [FieldExpression(rule, severity_of(field, rule), broken) for rule, broken in rules]


def _checks(field: ContractField, contract: Contract, column: pl.Expr) -> Iterator[tuple[str, pl.Expr]]:
    if field.length is not None:
        length = count_expression(column, contract.counting)
        yield "length", length != field.length if field.exact else length > field.length
    yield "type", _not_of_type(field, column)
    if field.codes is not None:
        yield "codes", ~column.is_in(list(contract.code_tables[field.codes].values))
    if field.pattern is not None:
        yield "pattern", ~column.str.contains(read_pattern(field.pattern).polars())
    if field.minimum is not None or field.maximum is not None:
        yield "range", _outside(field, column)
    if field.check_digit is not None:
        yield "check_digit", ~check_digits.expression(field.check_digit, column)


def _not_of_type(field: ContractField, column: pl.Expr) -> pl.Expr:
    if field.type == "DATE":
        return ~is_date_expression(column, field.dates)
    if field.type in REFUSED:
        ranges = (f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in REFUSED[field.type] if (first, last) != _SURROGATES)
        return column.str.contains(f"[{''.join(ranges)}]")
    return ~column.str.contains(rf"\A(?:{type_shape(field)})\z")


def _outside(field: ContractField, column: pl.Expr) -> pl.Expr:
    minimum, maximum = limits(field)
    mine = comparable(field)
    below = mine.key < literal(field, minimum) if minimum is not None else pl.lit(value=False)
    above = mine.key > literal(field, maximum) if maximum is not None else pl.lit(value=False)
    outside = (below | above).fill_null(value=False) & mine.readable
    exempt = open_values(field)
    return outside & ~column.is_in(list(exempt)) if exempt else outside
