"""One event's data: read strictly from its JSON text, checked against its contract, and told apart from other contents.

Owns: what the data of an event may look like (one flat JSON object of texts) and the quick way of checking it on the publish path.
Which values are good is in `contracts.field_rules` and `contracts.rules`, as for `contracts.record_validator`; both report alike.

The data is JSON as RFC 8259 has it, in UTF-8 without a byte order mark, with the interoperable limits of RFC 7493 (I-JSON): no name
twice, no lone surrogate. Every value is a text; `null` is the same as an absent value. Numbers are refused, not converted: `0012` and
`1e3` would not come back as they were sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any, Final, TypedDict

from contracts.errors import EventUnreadable
from contracts.explain import advice, reason
from contracts.field_rules import FieldRule, ValueCheck, field_rules, severity_of
from contracts.masking import HIDDEN, mask_for
from contracts.messages import LANGUAGES, Language
from contracts.model import Contract, ContractField, CrossRule, Severity, fields_in
from contracts.record_validator import UNKNOWN_FIELD
from contracts.rules import Predicate, predicate
from contracts.strict_json import NameTwice, NoNumber, strict_decoder
from contracts.violations import Violation

MOST_NAMED: Final = 20
"""So many fields are named in one refusal."""
MOST_LEVELS: Final = 16
"""Data nested deeper than this is refused as such; anything nested is refused in the end."""
SEPARATOR: Final = "\x1f"
"""Stands between values in `canonical` and `key_text`; a control character, so no valid value has it."""

Record = dict[str, str]
"""Every field of the contract in its order, `""` where absent, then the fields it does not know."""

_BOM: Final = b"\xef\xbb\xbf"
_JSON_SPACE: Final = " \t\n\r"
_NAMEABLE: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")


class Told(TypedDict):
    """One broken rule for the publisher: `value` is masked, `words` say what is wrong and `action` what to do, by language."""

    field: str
    rule: str
    severity: str
    value: str
    words: dict[Language, str]
    action: dict[Language, str]


class _NotText:
    """Stands for a JSON number while reading, so that no number is ever converted."""


_NUMBER: Final = _NotText()


def _number(_text: str) -> _NotText:
    return _NUMBER


_DECODER: Final[Any] = strict_decoder(integer=_number, fraction=_number)
_SCAN: Final[Callable[[str, int], tuple[Any, int]]] = _DECODER.scan_once
"""One value from a place on, and where it ends: `JSONDecoder.decode` without looking for white space twice."""


def shown_name(name: str) -> str:
    """A name of the data as it may be shown: hidden unless it looks like a field name, since a name can be anything a sender wrote."""
    return name if _NAMEABLE.fullmatch(name) else HIDDEN


@dataclass(frozen=True, slots=True)
class _Field:
    """A field ready to be checked. A value of `good` breaks no rule; `broken` are the rules for any other."""

    name: str
    required: Severity | None
    good: frozenset[str]
    rules: tuple[FieldRule, ...]
    broken: tuple[ValueCheck, ...]


@dataclass(frozen=True, slots=True)
class _Cross:
    rule: CrossRule
    fields: frozenset[str]
    when: Predicate | None
    then: Predicate


class EventReader:
    """Reads and checks events of one contract. Made once, used from any number of threads; keeps nothing between events."""

    def __init__(self, contract: Contract) -> None:
        """Compile the contract.

        Raises:
            ValueError: a pattern, limit or condition of the contract cannot be used (`contracts.contract_check` finds these earlier).
        """
        self.contract = contract
        self._absent = dict.fromkeys(contract.names, "")
        self._key = tuple(contract.ordering_key or contract.key)
        self._fields = tuple(_field(field, contract) for field in contract.fields)
        self._quick = tuple((field.name, field.required, field.good, field.broken) for field in self._fields)
        self._crosses = tuple(_cross(rule, contract) for rule in contract.rules)

    def read(self, data: bytes) -> Record:
        """The record that `data` holds; about 5 us for 1 KB.

        Raises:
            EventUnreadable: `data` is not one flat JSON object of texts (RNK1500E to RNK1508E).
        """
        found = _parsed(data)
        for value in found.values():
            if type(value) is not str:
                found = _texts(found)
                break
        if b"\\u" in data:
            _refuse_surrogates(found)
        return {**self._absent, **found}

    def check(self, record: Record) -> list[Violation]:
        """All broken rules, as `RecordValidator.check` reports them: fields in contract order, unknown fields, then cross rules.

        The record is good when no violation has severity reject. About 10 us for 1 KB in 12 fields.

        Args:
            record: as `read` makes it.
        """
        found: list[Violation] = []
        for position, (name, required, good, rules) in enumerate(self._quick):
            value = record[name]
            if value in good:
                continue
            if value == "":
                if required is not None:
                    found.append(Violation(name, "required", required))
                continue
            for broken in rules:
                if broken(value):
                    found.extend(_broken(self._fields[position], value))
                    break
        if len(record) != len(self._absent):
            found.extend(Violation(name, UNKNOWN_FIELD, "reject") for name in record if name not in self._absent)
        bad = {violation.field for violation in found if violation.severity == "reject"}
        found.extend(self._crossed(record, bad))
        return found

    def _crossed(self, record: Record, bad: set[str]) -> Iterable[Violation]:
        """The cross rules that are broken, of those that mention no bad field."""
        for cross in self._crosses:
            if (cross.when is None or cross.when(record)) and not cross.then(record) and cross.fields.isdisjoint(bad):
                yield Violation(cross.rule.field, cross.rule.id, cross.rule.severity)

    def canonical(self, record: Record) -> bytes:
        """The record's content: equal for two records of the contract exactly when every field is equal.

        It does not depend on the order, spacing or escapes of the JSON text, nor on whether an absent field was left out.
        """
        text = _joined([record[name] for name in self._absent])
        if len(record) != len(self._absent):
            text += SEPARATOR + json.dumps(sorted(record.items()))
        return text.encode()

    def key_text(self, record: Record) -> str:
        """The values of the contract's ordering key, or of its key when it has none: equal for what must stay in order.

        Personal data: for the keyed hash only, never for a log or a message.
        """
        return _joined([record[name] for name in self._key])


def masked(contract: Contract, violations: Iterable[Violation], record: Mapping[str, str]) -> list[Told]:
    """The broken rules as the publisher is told them: each value masked, in the words of both languages."""
    return [_told(contract, violation, record) for violation in violations]


def _told(contract: Contract, violation: Violation, record: Mapping[str, str]) -> Told:
    field = shown_name(violation.field)
    return {
        "field": field,
        "rule": violation.rule,
        "severity": violation.severity,
        "value": mask_for(contract, violation.field, record.get(violation.field, "")),
        "words": {language: reason(contract, field, violation.rule, language) for language in LANGUAGES},
        "action": {language: advice(violation.rule, language) for language in LANGUAGES},
    }


def _field(field: ContractField, contract: Contract) -> _Field:
    rules = tuple(field_rules(field, contract))
    broken = tuple(rule.broken for rule in rules)
    codes = contract.code_tables[field.codes].values if field.codes else ()
    good = frozenset(code for code in codes if code and not any(check(code) for check in broken))
    return _Field(field.name, severity_of(field, "required") if field.required else None, good, rules, broken)


def _broken(field: _Field, value: str) -> Iterable[Violation]:
    """The broken rules of a value in their order, up to the first that rejects it."""
    for rule in field.rules:
        if rule.broken(value):
            yield Violation(field.name, rule.rule, rule.severity)
            if rule.severity == "reject":
                return


def _cross(rule: CrossRule, contract: Contract) -> _Cross:
    mentioned = {rule.field} | fields_in(rule.then) | (fields_in(rule.when) if rule.when else set())
    when = predicate(rule.when, contract) if rule.when else None
    return _Cross(rule, frozenset(mentioned), when, predicate(rule.then, contract))


def _joined(values: list[str]) -> str:
    """Different for different lists of one length, whatever they hold."""
    text = SEPARATOR.join(values)
    if text.count(SEPARATOR) == len(values) - 1:
        return text
    # one more separator than values that hold none can make: never equal to such a text
    return SEPARATOR * len(values) + json.dumps(values)


def _parsed(data: bytes) -> dict[str, Any]:
    """The object that `data` is; its values may still be anything."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EventUnreadable("RNK1500E", byte=error.start + 1) from None
    if data.startswith(_BOM):
        raise EventUnreadable("RNK1501E")
    start = 0 if text.startswith("{") else len(text) - len(text.lstrip(_JSON_SPACE))
    try:
        found, end = _SCAN(text, start)
    except StopIteration as stop:  # nothing that begins a value
        raise _no_json(text, stop.value) from None
    except JSONDecodeError as error:  # it holds the whole text, which must not travel on
        raise _no_json(text, error.pos) from None
    except NameTwice as twice:
        raise EventUnreadable("RNK1504E", field=shown_name(twice.name)) from None
    except NoNumber as other:
        raise EventUnreadable("RNK1505E", constant=other.constant) from None
    except RecursionError:
        raise EventUnreadable("RNK1503E", limit=MOST_LEVELS) from None
    if end != len(text) and text[end:].strip(_JSON_SPACE):
        raise _no_json(text, end)
    if type(found) is not dict:
        raise EventUnreadable("RNK1508E")
    return found


def _no_json(text: str, position: int) -> EventUnreadable:
    line_start = text.rfind("\n", 0, position) + 1
    return EventUnreadable("RNK1502E", line=text.count("\n", 0, position) + 1, column=position - line_start + 1)


def _texts(found: dict[str, Any]) -> Record:
    """The object with `null` as an absent value; refuses what is neither text nor null."""
    other = [name for name, value in found.items() if type(value) is not str and value is not None]
    if other:
        if _levels(found) > MOST_LEVELS:
            raise EventUnreadable("RNK1503E", limit=MOST_LEVELS)
        raise EventUnreadable("RNK1506E", fields=", ".join(map(shown_name, other[:MOST_NAMED])))
    return {name: "" if value is None else value for name, value in found.items()}


def _levels(found: object) -> int:
    """How deep objects and arrays stand in one another, counted no further than is refused."""
    levels, layer = 0, [found]
    while layer and levels <= MOST_LEVELS:
        containers = [value for value in layer if type(value) in (dict, list)]
        levels += bool(containers)
        layer = [inner for value in containers for inner in (value.values() if isinstance(value, dict) else value)]  # type: ignore[attr-defined]
    return levels


def _refuse_surrogates(found: Record) -> None:
    for name, value in found.items():
        try:
            (name + value).encode()
        except UnicodeEncodeError:
            raise EventUnreadable("RNK1507E", field=shown_name(name)) from None
