"""The rules of one field in their order, for one value: what the record validator checks.

Owns: the order of the rules and the meaning of the types. `contracts.field_expressions` says the same for columns.

A required value that is absent breaks `required`; an absent value breaks nothing else. Then come, in this order, `length`, `type`,
`codes`, `pattern`, `range`, `check_digit`. The first broken rule of severity reject ends the field; one of severity warn does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from contracts import check_digits
from contracts.comparing import Comparer, readable_shape, too_long_to_compare
from contracts.counting import count
from contracts.dates import OPEN_DATES, is_date
from contracts.model import Contract, ContractField, Counting, Severity
from contracts.patterns import read_pattern

CONTROL: Final = ((0x00, 0x1F), (0x7F, 0x9F))
HALF_KATAKANA: Final = (0xFF61, 0xFF9F)
NEVER_FULL_WIDTH: Final = (
    (0x00, 0x9F),
    (0xD800, 0xDFFF),
    (0xFDD0, 0xFDEF),
    HALF_KATAKANA,
    (0xFFFD, 0xFFFF),
    *((plane * 0x10000 + 0xFFFE, plane * 0x10000 + 0xFFFF) for plane in range(1, 17)),
)
"""Code points that type N refuses: ASCII and control characters, half-width katakana, U+FFFD, surrogates and noncharacters."""
NEVER_PRINTED: Final = ((0x00, 0x1F), (0x7F, 0x9F), *(reach for reach in NEVER_FULL_WIDTH[1:] if reach != HALF_KATAKANA))
"""Code points that type M refuses: control characters, U+FFFD, surrogates and noncharacters."""
BEYOND: Final = (0x10000, 0x10FFFF)
"""Every code point past the basic plane."""
REFUSED: Final = {"N": NEVER_FULL_WIDTH, "M": NEVER_PRINTED}

ValueCheck = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One rule of one field: its id, what breaking it means, and whether a value (never absent) breaks it."""

    rule: str
    severity: Severity
    broken: ValueCheck


def field_rules(field: ContractField, contract: Contract) -> list[FieldRule]:
    """The rules an existing value of the field must keep, in order; `required` is not among them.

    Raises:
        PatternRefused: the field's pattern is not understood alike by both validators.
        ValueError: a limit of the field cannot be read by its type.
    """
    return [FieldRule(rule, severity_of(field, rule), broken) for rule, broken in _checks(field, contract)]


def severity_of(field: ContractField, rule: str) -> Severity:
    """What breaking `rule` of this field means; reject unless the contract says otherwise."""
    named: dict[str, Severity] = {str(name): severity for name, severity in field.severity.items()}
    return named.get(rule, "reject")


def _checks(field: ContractField, contract: Contract) -> Iterator[tuple[str, ValueCheck]]:
    if field.length is not None:
        yield "length", _length_check(field.length, field.exact, contract.counting)
    yield "type", _type_check(field)
    if field.codes is not None:
        values = frozenset(contract.code_tables[field.codes].values)
        yield "codes", lambda value: value not in values
    if field.pattern is not None:
        match = read_pattern(field.pattern).python().fullmatch
        yield "pattern", lambda value: match(value) is None
    if field.minimum is not None or field.maximum is not None:
        yield "range", _range_check(field)
    if (method := field.check_digit) is not None:
        yield "check_digit", lambda value: not check_digits.valid(method, value)


def _length_check(length: int, exact: bool, counting: Counting) -> ValueCheck:
    if counting == "code_points":  # the usual case, without a call for each value
        return (lambda value: len(value) != length) if exact else (lambda value: len(value) > length)
    return (lambda value: count(value, counting) != length) if exact else (lambda value: count(value, counting) > length)


def type_shape(field: ContractField) -> str:
    """The form of a value of the field's type, as a pattern both engines read alike; a DATE has more to it (`contracts.dates`)."""
    unlimited = {"X": "[ -~｡-ﾟ]+", "9": "[0-9]+", "S9": "[+-]?[0-9]+"}
    return unlimited.get(field.type) or readable_shape(field) or ".*"


def _type_check(field: ContractField) -> ValueCheck:
    if field.type == "DATE":
        return lambda value: not is_date(value, field.dates)
    if field.type in REFUSED:
        refused = REFUSED[field.type]
        search = re.compile(f"[{_ranges(refused)}]").search
        # a class that reaches past the basic plane is matched slowly, so it only sees values with something beyond or something refused
        plain = re.compile(f"[^{_ranges((*(reach for reach in refused if reach[1] <= 0xFFFF), BEYOND))}]*").fullmatch
        return lambda value: plain(value) is None and search(value) is not None
    match = re.compile(type_shape(field)).fullmatch
    return lambda value: match(value) is None


def _ranges(code_points: Iterable[tuple[int, int]]) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in code_points)


def open_values(field: ContractField) -> tuple[str, ...]:
    """Values that mean no beginning or no end, which no range applies to."""
    if not field.dates.open:
        return ()
    return {"DATE": OPEN_DATES, "YEAR": ("0000", "9999")}.get(field.type, ())


def limits(field: ContractField) -> tuple[str | None, str | None]:
    """Minimum and maximum.

    Raises:
        ValueError: one cannot be read by the field's type, or the numbers are too long to compare.
    """
    if too_long_to_compare(field):
        raise ValueError(f"{field.name}: numbers this long cannot be compared")
    for limit in (field.minimum, field.maximum):
        if limit is not None and Comparer(field).key(limit) is None:
            raise ValueError(f"{field.name}: {limit!r} cannot be read as {field.type}")
    return field.minimum, field.maximum


def _range_check(field: ContractField) -> ValueCheck:
    comparer = Comparer(field)
    minimum, maximum = (None if limit is None else comparer.key(limit) for limit in limits(field))
    exempt = open_values(field)

    def outside(value: str) -> bool:
        key = comparer.key(value)
        if key is None or value in exempt:
            return False
        return (minimum is not None and key < minimum) or (maximum is not None and key > maximum)  # type: ignore[operator]

    return outside
