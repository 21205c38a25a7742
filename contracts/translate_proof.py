"""What can be known of a translation from its two contracts alone, without looking at a record.

Owns: which target fields are valid because an equal field is copied, which sums come through unchanged, how long a value can become.
`contracts.translate` validates the rest; `contracts.translation_lint` warns of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from contracts.model import Contract, ContractField, CrossRule, Sensitivity, fields_in
from contracts.translation import CodeMap, Lookup, Rule, Step, Translation, sources_of

_NUMERIC: Final = ("9", "S9", "9V")
_TYPE_LENGTHS: Final = {"DATE": 10, "TIME": 8, "YEAR": 4}
_ERA_LENGTHS: Final = {"kanji": 11, "letter": 9, "digits": 7}
_SENSITIVITY: Final[dict[Sensitivity, int]] = {"none": 0, "personal": 1, "support_measure": 2, "individual_number": 2}


def carried_sums(translation: Translation, source: Contract, target: Contract) -> dict[str, str]:
    """The target's `control_sums` that are plain copies of a numeric source field: target field -> source field."""
    carried: dict[str, str] = {}
    rules = translation.rules_for(source.names, target.names)
    for name in target.control_sums:
        rule = rules.get(name)
        if rule is not None and rule.is_copy and rule.from_ and source.field(rule.from_).type in _NUMERIC:
            carried[name] = rule.from_
    return carried


def unproven(translation: Translation, source: Contract, target: Contract) -> Contract | None:
    """The part of the target contract that each translated record must still be validated against; None when all is proven."""
    rules = translation.rules_for(source.names, target.names)
    open_fields = {field.name for field in target.fields if not _is_proven(field, rules.get(field.name), source, target)}
    open_rules = [rule for rule in target.rules if rule.severity == "reject" and not _rule_is_proven(rule, rules, source)]
    for rule in open_rules:
        open_fields |= _mentioned(rule)
    fields = [field for field in target.fields if field.name in open_fields]
    if not fields:
        return None
    named = {"key": [fields[0].name], "ordering_key": [], "version_field": None, "control_sums": [], "rules": open_rules}
    return target.model_copy(update={**named, "fields": fields})


def _is_proven(field: ContractField, rule: Rule | None, source: Contract, target: Contract) -> bool:
    if rule is None:
        return not field.required
    if not rule.is_copy or rule.from_ is None or source.counting != target.counting:
        return False
    origin = source.field(rule.from_)
    same = ("type", "digits", "pattern", "check_digit", "minimum", "maximum", "dates", "severity", "exact")
    if any(getattr(field, what) != getattr(origin, what) for what in same):
        return False
    if field.required and not origin.required:
        return False
    return _fits(field, origin) and _codes_known(field, origin, source, target)


def _fits(field: ContractField, origin: ContractField) -> bool:
    if field.length is None:
        return True
    return origin.length is not None and (origin.length == field.length if field.exact else origin.length <= field.length)


def _codes_known(field: ContractField, origin: ContractField, source: Contract, target: Contract) -> bool:
    return field.codes is None or (
        origin.codes is not None and set(source.code_tables[origin.codes].values) <= set(target.code_tables[field.codes].values)
    )


def _rule_is_proven(rule: CrossRule, rules: dict[str, Rule], source: Contract) -> bool:
    """The source has the same rule over the same fields, and they are copied under their own names."""
    twin = next((other for other in source.rules if other.id == rule.id), None)
    if twin is None or (twin.when, twin.then, twin.severity) != (rule.when, rule.then, "reject"):
        return False
    return all(name in rules and rules[name].is_copy and rules[name].from_ == name for name in _mentioned(rule))


def _mentioned(rule: CrossRule) -> set[str]:
    return fields_in(rule.then) | {rule.field} | (fields_in(rule.when) if rule.when else set())


def less_sensitive(name: str, rule: Rule, source: Contract, target: Contract) -> bool:
    """Whether the target field is masked less than a source field whose value reaches it."""
    mine = _SENSITIVITY[target.field(name).sensitivity]
    return any(_SENSITIVITY[source.field(origin).sensitivity] > mine for origin in sources_of(rule) if origin in source.names)


def longest(rule: Rule, source: Contract) -> int | None:
    """The most characters a rule can give; None when nothing bounds it."""
    length = _origin_length(rule, source)
    for step in rule.steps:
        length = _step_length(step, length)
    return length


def field_length(field: ContractField) -> int | None:
    """The most characters a valid value of the field has."""
    if field.length is not None:
        return field.length
    if field.digits is not None:
        return sum(field.digits) + 2
    return _TYPE_LENGTHS.get(field.type)


def _certain_length(field: ContractField) -> int | None:
    """The length that the source's rules enforce; one they only warn of bounds nothing."""
    return field_length(field) if field.severity.get("length", "reject") == "reject" else None


def _origin_length(rule: Rule, source: Contract) -> int | None:
    if rule.from_ is not None:
        return _certain_length(source.field(rule.from_)) if rule.from_ in source.names else None
    if rule.constant is not None:
        return len(rule.constant)
    lengths = [longest(child, source) for child in rule.children]
    if any(length is None for length in lengths):
        return None
    known = [length for length in lengths if length is not None]
    if rule.join is not None:
        return sum(known) + len(rule.join.separator) * (len(known) - 1)
    return max(known)


def _step_length(step: Step, length: int | None) -> int | None:
    mapping = step.map or step.lookup
    if mapping is not None:
        return _mapped_length(mapping, length)
    if step.from_era is not None or step.to_era is not None:
        return _ERA_LENGTHS[step.to_era] if step.to_era else _TYPE_LENGTHS["DATE"]
    if step.cut is not None:
        return step.cut.length if length is None else min(step.cut.length, length)
    return None if length is None else _grown_length(step, length)


def _grown_length(step: Step, length: int) -> int:
    if step.width is not None and step.width.to == "half" and "kana" in step.width.kinds:
        return length * 2
    if step.pad is not None:
        return max(length, step.pad.to)
    if step.replace_prefix is not None:
        return length + max([0, *(len(new) - len(old) for old, new in step.replace_prefix.items())])
    return length


def _mapped_length(step: CodeMap | Lookup, length: int | None) -> int | None:
    values = mapped_values(step)
    if step.keep:
        return None if length is None else max([length, *map(len, values)])
    return max(map(len, values), default=0)


def mapped_values(step: CodeMap | Lookup) -> list[str]:
    """Every value that a code map or a lookup writes itself."""
    pairs = step.codes if isinstance(step, CodeMap) else step.entries
    values: Iterable[str] = pairs.values()
    return list(dict.fromkeys([*values, *([step.default] if step.default is not None else [])]))
