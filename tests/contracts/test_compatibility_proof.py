"""The verdicts are proven on records: what is called compatible refuses no record that was good before, nor lets a new one through."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.compatibility import Side, compare
from contracts.compatibility_proof import newly_refused
from contracts.event_record import EventReader
from contracts.model import Contract, ContractField
from contracts.record_validator import RecordValidator
from contracts.registry import Registry
from tests.contracts.contract_samples import ODD, PATTERNS, contracts, numbered
from tests.contracts.test_validators_agree import column

QUIET = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
LIBRARY = Registry.load()
SEVERE = ["required", "length", "type", "codes", "pattern", "range", "check_digit"]
WORDS = {"ja": "", "en": ""}


def edited(contract: Contract, chance: random.Random) -> Contract:
    """The contract with one or a few changes, as a next version has them; the same one when they do not go together."""
    said = contract.model_dump(by_alias=True, exclude_unset=True)
    for _ in range(chance.choice([1, 1, 2, 3])):
        chance.choice([_edit_field] * 6 + [_edit_whole])(said, chance)
    try:
        made = Contract.model_validate(said)
        EventReader(made)
    except ValueError:
        return contract
    return made


def _edit_field(said: dict[str, Any], chance: random.Random) -> None:
    field = chance.choice(said["fields"])
    what = chance.choice(["required", "length", "exact", "type", "codes", "pattern", "minimum", "maximum", "severity", "dates", "digits"])
    number = ["0", "1", "5", "7", "123"]
    choices: dict[str, list[Any]] = {
        "required": [True, False], "length": [*range(1, 13), 18], "exact": [True, False], "type": ["X", "N", "M", "9", "S9", "YEAR"],
        "codes": [None, *said["code_tables"]], "pattern": [None, *PATTERNS], "minimum": [None, *number], "maximum": [None, *number],
    }  # fmt: skip
    if what == "severity":
        field[what] = {**field.get(what, {}), chance.choice(SEVERE): chance.choice(["warn", "reject"])}
    elif what == "dates":
        field[what] = {**field.get(what, {}), chance.choice(["open", "unknown_parts", "feb_29"]): chance.random() < 0.5}
    elif what == "digits":
        if field["type"] == "9V":
            field[what] = (chance.randint(0, 5), chance.randint(0, 4))
    else:
        field[what] = chance.choice(choices[what])


def _edit_whole(said: dict[str, Any], chance: random.Random) -> None:
    what = chance.choice(["counting", "add", "drop", "rules", "codes", "rule"])
    names = [field["name"] for field in said["fields"]]
    if what == "counting":
        said[what] = chance.choice(["code_points", "utf16_units"])
    elif what == "add" and "more" not in names:
        said["fields"].append({"name": "more", "label": "", "type": "X", "length": 3, "required": chance.random() < 0.2})
    elif what == "drop" and len(names) > 1:
        said["fields"].pop()
    elif what == "codes":
        values = said["code_tables"][chance.choice(list(said["code_tables"]))]["values"]
        if values and chance.random() < 0.5:
            values.pop(chance.choice(list(values)))
        else:
            values[chance.choice(ODD[1:])] = WORDS
    elif what == "rules" and said.get("rules"):
        rule = chance.choice(said["rules"])
        chance.choice([lambda: rule.update(severity=chance.choice(["warn", "reject"])), lambda: said["rules"].remove(rule)])()
    elif what == "rule":
        when = {"fields": {names[-1]: {"present": True}}}
        said.setdefault("rules", []).append(
            {"id": "more_rule", "field": names[-1], "when": when, "then": {"fields": {names[0]: {"ne": "5"}}}, "words": WORDS}
        )


def good_values(field: ContractField, contract: Contract, chance: random.Random) -> list[str]:
    """Values good for the field, absent among them where that is good; some at the border of what is."""
    alone = contract.model_copy(update={"fields": [field], "rules": [], "key": [field.name]})
    reader = EventReader(alone)
    width = field.length or 4
    borders = [*(letter * width for letter in "9𠮷山a"), "𠮷" * (width // 2), "+" + "9" * (width - 1), "0000", "99999", "-99999.9999"]
    whole, fraction = field.digits or (0, 0)
    borders.append(f"-{'9' * max(whole, 1)}{'.' if fraction else ''}{'9' * fraction}")
    listed = list(contract.code_tables[field.codes].values) if field.codes else []
    if field.check_digit:
        borders += numbered(field.check_digit, width)[:4]
    tried = {"", *ODD, *borders, *listed, *column(alone, field.name, chance, 10)}
    return sorted(value for value in tried if all(each.severity == "warn" for each in reader.check({field.name: value})))


def good_records(contract: Contract, seed: int, count: int) -> list[dict[str, str]]:
    chance = random.Random(seed)
    values = {field.name: good_values(field, contract, chance) for field in contract.fields}
    if not all(values.values()):
        return []
    reader = EventReader(contract)
    made = [{name: chance.choice(values[name]) for name in contract.names} for _ in range(count)]
    return [record for record in made if all(each.severity == "warn" for each in reader.check(record))]


def counterexample(old: Contract, new: Contract, seed: int) -> str:
    """A good record that the verdict of the two contracts denies; empty when there is none."""
    found = compare(old, new)
    for side, one, two in (("publisher", old, new), ("subscriber", new, old)):
        if found.breaks(_side(side)):
            continue
        validator = RecordValidator(two)
        for record in good_records(one, seed, 60):
            seen = record if side == "publisher" else {name: value for name, value in record.items() if name in two.names}
            broken = [each for each in validator.check(seen) if each.severity == "reject"]
            if broken:
                return f"{side}: {record!r} breaks {broken}"
    return ""


def _side(side: str) -> Side:
    return "publisher" if side == "publisher" else "subscriber"


@QUIET
@given(contract=contracts(), seed=st.integers(0, 1_000_000))
def test_between_versions_of_contracts_of_every_kind(contract: Contract, seed: int) -> None:
    assert counterexample(contract, edited(contract, random.Random(seed)), seed) == ""


@QUIET
@given(old=contracts(), new=contracts(), seed=st.integers(0, 1000))
def test_between_any_two_contracts(old: Contract, new: Contract, seed: int) -> None:
    assert counterexample(old, new, seed) == ""


@pytest.mark.parametrize("name", LIBRARY.names())
@pytest.mark.parametrize("seed", range(8))
def test_between_versions_of_the_library(name: str, seed: int) -> None:
    contract = LIBRARY.contract(name)
    assert counterexample(contract, edited(contract, random.Random(seed)), seed) == ""


FIELDS: list[dict[str, Any]] = [
    *({"type": kind, "length": length} for kind in ("X", "N", "M") for length in (2, 5)),
    *({"type": kind, "length": length} for kind in ("9", "S9") for length in (2, 4)),
    {"type": "X", "length": 4, "exact": True},
    {"type": "9", "length": 4, "exact": True},
    {"type": "N", "length": 5, "severity": {"type": "warn"}},
    {"type": "9", "length": 5, "severity": {"type": "warn"}},
    {"type": "9", "length": 4, "severity": {"length": "warn"}},
    *({"type": "9V", "digits": digits} for digits in ((3, 0), (4, 2), (5, 2), (4, 3), (0, 2))),
    {"type": "YEAR"},
    {"type": "YEAR", "dates": {"open": False}, "minimum": "1900"},
    {"type": "YEAR", "minimum": "1900", "maximum": "2100"},
    *({"type": "DATE", "dates": {name: allowed}} for name in ("open", "unknown_parts", "feb_29") for allowed in (False, True)),
    {"type": "DATE", "maximum": "2026-11-20"},
    {"type": "DATE", "dates": {"open": False}, "maximum": "2026-11-20"},
    {"type": "DATE", "severity": {"type": "warn"}, "maximum": "2026-11-20"},
    {"type": "TIME"},
    {"type": "TIME", "minimum": "12:30"},
    {"type": "9", "length": 5, "minimum": "5", "maximum": "123"},
    {"type": "9", "length": 5, "minimum": "5", "maximum": "123", "severity": {"type": "warn"}},
    {"type": "S9", "length": 5, "minimum": "5", "maximum": "123"},
    {"type": "9V", "digits": (5, 2), "minimum": "5", "maximum": "123"},
    {"type": "9V", "digits": (2, 1), "minimum": "5", "maximum": "12", "severity": {"type": "warn"}},
    {"type": "X", "length": 5, "minimum": "5"},
    {"type": "M", "length": 10, "minimum": "5"},
    {"type": "X", "length": 10, "minimum": "2026-11-20", "maximum": "5"},
]


def test_between_fields_of_every_two_types() -> None:
    """Every pair of these: what is proven to refuse nothing refuses no value of the other that is good."""
    chance = random.Random(0)
    made = [one_field(said) for said in FIELDS]
    good = [good_values(contract.fields[0], contract, chance) for contract in made]
    readers = [EventReader(contract) for contract in made]
    proven = 0
    for one, values in zip(made, good, strict=True):
        for two, reader in zip(made, readers, strict=True):
            if newly_refused(one, two, "a"):
                continue
            proven += one is not two
            refused = [value for value in values if any(each.severity == "reject" for each in reader.check({"a": value}))]
            assert refused == [], f"{one.fields[0]} to {two.fields[0]}"
    assert proven > 100


def one_field(said: dict[str, Any]) -> Contract:
    follows = {"document": "", "version": "", "status": "provisional"}
    field = {"name": "a", "label": "", **said}
    return Contract.model_validate({"contract": "one@1.0", "title": WORDS, "follows": follows, "key": ["a"], "fields": [field]})


def test_the_edits_and_records_that_prove_it_are_of_every_kind() -> None:
    """Else the properties above would prove little: verdicts of all four kinds, with good records to try them on."""
    verdicts: dict[tuple[bool, bool], int] = {}
    records = 0
    contract = LIBRARY.contract("resident-number@1.0")
    for seed in range(60):
        new = edited(contract, random.Random(seed))
        found = compare(contract, new)
        sides = (found.breaks("publisher"), found.breaks("subscriber"))
        verdicts[sides] = verdicts.get(sides, 0) + bool(found.changes)
        records += len(good_records(contract, seed, 5))
    assert min(verdicts.get(sides, 0) for sides in ((True, True), (True, False), (False, True), (False, False))) >= 1
    assert records > 20
