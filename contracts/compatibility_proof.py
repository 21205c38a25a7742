"""What two versions of a contract prove of their records without looking at one: which rules of `b` a record good in `a` may break.

Owns: the proofs. Asked in both directions: with the old contract as `a`, they tell what publishers meet; with the new one, what
subscribers meet. A record is good when it breaks no rule of severity reject, so warnings prove and refuse nothing. Where the two
contracts do not decide, the rule counts as one that may be broken (`unproven`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from contracts.comparing import Comparer, kind_of
from contracts.field_rules import field_rules, severity_of
from contracts.model import Condition, Contract, ContractField, Counting, CrossRule, Test, fields_in

Proof = Literal["shown", "unproven"]
"""Why a rule may be broken: there are values that break it, or nothing proves that there are none."""

_ENDLESS: Final = 1 << 62
_WIDER: Final[dict[str, tuple[str, ...]]] = {
    "9": ("S9", "X", "M"), "S9": ("X", "M"), "9V": ("X", "M"), "YEAR": ("9", "S9", "X", "M"), "DATE": ("X", "M"), "TIME": ("X", "M"),
    "X": ("M",), "N": ("M",),
}  # fmt: skip
"""The types that every value of a type also has, whatever their figures."""
_COMPARING: Final = ("lt", "le", "gt", "ge", "eq_field", "ne_field", "lt_field", "le_field", "gt_field", "ge_field")


def newly_refused(a: Contract, b: Contract, name: str) -> dict[str, Proof]:
    """The rules of field `name`, which both have, that a value good in `a` may break in `b`.

    Raises:
        KeyError: one of them has no such field.
        ValueError: a pattern or limit cannot be used (`contracts.contract_check` finds these when a contract is loaded).
    """
    one, two = a.field(name), b.field(name)
    refused: dict[str, Proof] = {}
    if _demands(two) and not _demands(one):
        refused["required"] = "shown"
    rules = [rule for rule in field_rules(two, b) if rule.severity == "reject"]
    listed = _listed(one, a)
    for rule in rules:
        if listed is not None:  # few enough to try every one
            if any(map(rule.broken, listed)):
                refused[rule.rule] = "shown"
        elif proof := _PROOFS[rule.rule](one, two, a, b):
            refused[rule.rule] = proof
    return refused


def crosses_refused(a: Contract, b: Contract) -> set[str]:
    """The ids of the cross rules of `b` that nothing in `a` proves to hold for its good records."""
    known = [rule for rule in a.rules if rule.severity == "reject"]
    return {
        rule.id
        for rule in b.rules
        if rule.severity == "reject" and not any(same_rule(rule, other, a, b) for other in known) and not _surely_holds(rule, a)
    }


def same_rule(one: CrossRule, two: CrossRule, a: Contract, b: Contract) -> bool:
    """Whether the rules of the two contracts hold for the same records; which field they name and their words do not matter."""
    if (one.when, one.then) != (two.when, two.then):
        return False
    conditions = [condition for condition in (one.when, one.then) if condition is not None]
    tests = [(name, test) for condition in conditions for name, test in _tests(condition)]
    if a.counting != b.counting and any(test.longer_than is not None for _, test in tests):
        return False
    compared = {read for name, test in tests for read in _compared(name, test)}
    names = {name for condition in conditions for name in fields_in(condition)}
    if not names <= set(a.names) or not names <= set(b.names):
        return False
    return all((a.field(name).type, a.field(name).digits) == (b.field(name).type, b.field(name).digits) for name in compared)


def _demands(field: ContractField) -> bool:
    return field.required and severity_of(field, "required") == "reject"


def _keeps(field: ContractField, rule: str) -> bool:
    """Whether the values of the field are known to keep a rule that it has."""
    return severity_of(field, rule) == "reject"


def _listed(field: ContractField, contract: Contract) -> list[str] | None:
    """Every value the field can have, where its codes list them."""
    if field.codes is None or not _keeps(field, "codes"):
        return None
    rules = [rule.broken for rule in field_rules(field, contract) if rule.severity == "reject"]
    return [code for code in contract.code_tables[field.codes].values if code and not any(broken(code) for broken in rules)]


def _shown(one: ContractField) -> Proof:
    """A pattern may narrow the values more than the other rules tell."""
    return "unproven" if one.pattern is not None and _keeps(one, "pattern") else "shown"


def _length(one: ContractField, two: ContractField, a: Contract, b: Contract) -> Proof | None:
    least, most = _reach(one, a.counting, b.counting)
    wanted = two.length or 0
    fits = least == most == wanted if two.exact else most <= wanted
    return None if fits else _shown(one)


def _reach(field: ContractField, counted: Counting, counting: Counting) -> tuple[int, int]:
    """The fewest and most characters of a present value, counted as `counting` says; the field's own length counts as `counted`."""
    least, most = 1, _ENDLESS
    if _keeps(field, "type"):
        whole, fraction = field.digits or (0, 0)
        decimal = (1, 1 + max(whole, 1) + (fraction and 1 + fraction))
        least, most = {"YEAR": (4, 4), "DATE": (10, 10), "TIME": (5, 8), "9V": decimal}.get(field.type, (least, most))
    if field.length is None or not _keeps(field, "length"):
        return least, most
    low, high = (field.length if field.exact else 1), field.length
    if counted != counting and (field.type in ("N", "M") or not _keeps(field, "type")):
        # a character past the basic plane is one code point and two UTF-16 units
        low, high = (low, high * 2) if counting == "utf16_units" else ((low + 1) // 2, high)
    return max(least, low), min(most, high)


def _type(one: ContractField, two: ContractField, _a: Contract, _b: Contract) -> Proof | None:
    return None if _keeps(one, "type") and _within(one, two) else _shown(one)


def _within(one: ContractField, two: ContractField) -> bool:
    """Whether every value of the type of `one` has the type of `two`."""
    if one.type == two.type == "DATE":
        flags = one.dates.model_dump()
        return all(two.dates.model_dump()[name] for name, allowed in flags.items() if allowed)
    if two.type == "9V":
        return _whole_and_fraction_fit(one, two)
    if one.type == "9V" and two.type == "S9":
        return not (one.digits or (0, 0))[1]
    return one.type == two.type or two.type in _WIDER.get(one.type, ())


def _whole_and_fraction_fit(one: ContractField, two: ContractField) -> bool:
    whole, fraction = two.digits or (0, 0)
    if one.type == "9V":
        mine = one.digits or (0, 0)
        return max(mine[0], 1) <= max(whole, 1) and mine[1] <= fraction
    digits = {"YEAR": 4, "9": one.length if _keeps(one, "length") else None}.get(one.type)
    return digits is not None and digits <= max(whole, 1)


def _codes(one: ContractField, _two: ContractField, _a: Contract, _b: Contract) -> Proof | None:
    return _shown(one)  # `one` lists no values


def _pattern(one: ContractField, two: ContractField, _a: Contract, _b: Contract) -> Proof | None:
    return None if one.pattern == two.pattern and _keeps(one, "pattern") else "unproven"


def _range(one: ContractField, two: ContractField, _a: Contract, _b: Contract) -> Proof | None:
    limited = one.minimum is not None or one.maximum is not None
    if not limited or not _keeps(one, "range"):
        return _shown(one)
    if not _read_alike(one, two):
        return "unproven"
    if one.dates.open and not two.dates.open and kind_of(one) in ("date", "year"):
        return "shown"
    mine, theirs = Comparer(one), Comparer(two)
    for limit, other, sign in ((one.minimum, two.minimum, 1), (one.maximum, two.maximum, -1)):
        if other is None:
            continue
        if limit is None:
            return _shown(one)
        inner, outer = mine.key(limit), theirs.key(other)
        if inner is None or outer is None or (inner < outer if sign == 1 else inner > outer):  # type: ignore[operator]
            return _shown(one)
    return None


def _read_alike(one: ContractField, two: ContractField) -> bool:
    """Whether every good value of `one` is read as the same number, day, time or text in both, or unreadable in both."""
    if kind_of(one) != kind_of(two):
        return False
    if (one.type, one.digits) == (two.type, two.digits):
        return True
    whole_numbers = one.type in ("9", "S9")
    return _keeps(one, "type") and _within(one, two) and (not whole_numbers or _keeps(one, "length"))


def _check_digit(one: ContractField, two: ContractField, _a: Contract, _b: Contract) -> Proof | None:
    return None if one.check_digit == two.check_digit and _keeps(one, "check_digit") else _shown(one)


_PROOFS: Final[dict[str, Callable[[ContractField, ContractField, Contract, Contract], Proof | None]]] = {
    "length": _length,
    "type": _type,
    "codes": _codes,
    "pattern": _pattern,
    "range": _range,
    "check_digit": _check_digit,
}


def _tests(condition: Condition) -> Iterator[tuple[str, Test]]:
    for part in [*(condition.all or []), *(condition.any or []), *([condition.not_] if condition.not_ else [])]:
        yield from _tests(part)
    yield from (condition.fields or {}).items()


def _compared(name: str, test: Test) -> Iterator[str]:
    """The fields whose values are read by their type."""
    said = {operator: getattr(test, operator) for operator in _COMPARING if getattr(test, operator) is not None}
    if said:
        yield name
    yield from (other for operator, other in said.items() if operator.endswith("_field"))


def _surely_holds(rule: CrossRule, a: Contract) -> bool:
    """Whether the rule holds for every record of `a`, whose fields it may not know: these are absent in all of them."""
    known = set(a.names)
    return (rule.when is not None and _certain(rule.when, known) is False) or _certain(rule.then, known) is True


def _certain(condition: Condition, known: set[str]) -> bool | None:
    """What the condition is for every record without other than `known` fields; None when it depends on the record."""
    if condition.not_ is not None:
        inner = _certain(condition.not_, known)
        return None if inner is None else not inner
    if condition.any is not None:
        some = [_certain(part, known) for part in condition.any]
        return True if True in some else None if None in some else False
    if condition.all is not None:
        parts = [_certain(part, known) for part in condition.all]
    else:
        parts = [_certain_test(name, test, known) for name, test in (condition.fields or {}).items()]
    return False if False in parts else None if None in parts else True


def _certain_test(name: str, test: Test, known: set[str]) -> bool | None:
    found: list[bool | None] = []
    for operator in test.model_fields_set:
        said = getattr(test, operator)
        if said is None:
            continue
        if name not in known:  # absent: no comparison holds, and what says "not so" does
            found.append(not said if operator == "present" else operator in ("ne", "not_in", "ne_field"))
        elif operator.endswith("_field") and said not in known:
            found.append(operator == "ne_field")
        else:
            found.append(None)
    return False if False in found else None if None in found else True
