from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.model import Condition, Contract
from contracts.rules import expression, predicate
from tests.contracts.contract_samples import ODD, conditions, frame_of

KINDS = {
    "x": "X",
    "n": "N",
    "count": "9",
    "amount": "S9",
    "rate": "9V",
    "other_rate": "9V",
    "day": "DATE",
    "end": "DATE",
    "at": "TIME",
    "until": "TIME",
    "year": "YEAR",
}
WORDS = {"ja": "", "en": ""}
EXTRA: dict[str, dict[str, Any]] = {"rate": {"digits": [5, 2]}, "other_rate": {"digits": [3, 4]}}


def contract(counting: str = "code_points") -> Contract:
    sized = {"X", "N", "9", "S9"}
    fields = [
        {"name": name, "label": name, "type": kind, **({"length": 18} if kind in sized else {}), **EXTRA.get(name, {})}
        for name, kind in KINDS.items()
    ]
    head = {"contract": "sample@1.0", "title": WORDS, "follows": {"document": "", "version": "", "status": "provisional"}, "key": ["x"]}
    return Contract.model_validate({**head, "fields": fields, "counting": counting})


def holds(condition: dict[str, Any], record: dict[str, str], counting: str = "code_points") -> bool:
    """The answer of both compilers, which must be one."""
    sample, parsed = contract(counting), Condition.model_validate(condition)
    full = dict.fromkeys(KINDS, "") | record
    one = predicate(parsed, sample)(record)
    many = frame_of(sample, [full]).select(expression(parsed, sample)).item()
    assert one is many
    return one


@pytest.mark.parametrize(
    ("test", "value", "answer"),
    [
        ({"present": True}, "a", True),
        ({"present": True}, "", False),
        ({"present": False}, "", True),
        ({"eq": "a"}, "a", True),
        ({"eq": "a"}, "", False),
        ({"ne": "a"}, "", True),
        ({"in": ["a", "b"]}, "b", True),
        ({"in": ["a", "b"]}, "", False),
        ({"not_in": ["a", "b"]}, "", True),
        ({"not_in": ["a"]}, "a", False),
        ({"starts_with": "a"}, "ab", True),
        ({"starts_with": "a"}, "ba", False),
        ({"longer_than": 1}, "ab", True),
        ({"longer_than": 2}, "ab", False),
        ({"longer_than": -1}, "", False),
        ({"ge": "b"}, "c", True),
        ({"ge": "b"}, "a", False),
        ({"ge": "b", "le": "d"}, "e", False),
    ],
)
def test_operators_on_text(test: dict[str, Any], value: str, answer: bool) -> None:
    assert holds({"fields": {"x": test}}, {"x": value}) is answer


@pytest.mark.parametrize(
    ("field", "test", "value", "answer"),
    [
        ("count", {"lt": "10"}, "9", True),
        ("count", {"lt": "10"}, "0009", True),
        ("count", {"lt": "10"}, "", False),
        ("count", {"lt": "10"}, "x", False),
        ("count", {"ge": "0"}, "-1", False),
        ("amount", {"lt": "0"}, "-5", True),
        ("amount", {"ge": "5"}, "+5", True),
        ("amount", {"gt": "999999999999999998"}, "999999999999999999", True),
        ("rate", {"le": "1.50"}, "1.5", True),
        ("rate", {"lt": "1.5"}, "1.49", True),
        ("rate", {"lt": "1.5"}, "1.499", False),
        ("rate", {"lt": "1.5"}, "1e0", False),
        ("day", {"lt": "1950-05-01"}, "1950-04-00", True),
        ("day", {"lt": "1900-01-01"}, "0000-01-01", True),
        ("day", {"gt": "2100-01-01"}, "9999-12-31", True),
        ("day", {"lt": "2100-01-01"}, "20261120", False),
        ("at", {"le": "12:30"}, "12:30:00", True),
        ("at", {"ge": "12:30:00"}, "12:30", True),
        ("at", {"ge": "12:30:00"}, "25:00", False),
        ("year", {"lt": "2026"}, "1999", True),
        ("year", {"lt": "2026"}, "199", False),
    ],
)
def test_comparisons_by_type(field: str, test: dict[str, Any], value: str, answer: bool) -> None:
    assert holds({"fields": {field: test}}, {field: value}) is answer


@pytest.mark.parametrize(
    ("field", "test", "record", "answer"),
    [
        ("day", {"le_field": "end"}, {"day": "2026-01-01", "end": "2026-01-01"}, True),
        ("day", {"le_field": "end"}, {"day": "2026-01-02", "end": "2026-01-01"}, False),
        ("day", {"le_field": "end"}, {"day": "2026-01-02"}, False),
        ("amount", {"eq_field": "count"}, {"amount": "+07", "count": "7"}, True),
        ("amount", {"ne_field": "count"}, {"amount": "+07", "count": "7"}, False),
        ("amount", {"ne_field": "count"}, {"amount": "7"}, True),
        ("x", {"eq_field": "n"}, {}, False),
        ("x", {"ne_field": "n"}, {}, True),
        ("rate", {"gt_field": "other_rate"}, {"rate": "1.5", "other_rate": "1.4999"}, True),
        ("rate", {"eq_field": "other_rate"}, {"rate": "1.50", "other_rate": "1.5"}, True),
        ("at", {"eq_field": "until"}, {"at": "12:30", "until": "12:30:00"}, True),
        ("x", {"lt_field": "count"}, {"x": "10", "count": "9"}, True),
    ],
)
def test_comparisons_with_another_field(field: str, test: dict[str, Any], record: dict[str, str], answer: bool) -> None:
    assert holds({"fields": {field: test}}, record) is answer


def test_conditions_combine() -> None:
    a, b = {"fields": {"x": {"eq": "1"}}}, {"fields": {"n": {"present": True}}}
    assert holds({"all": [a, b]}, {"x": "1", "n": "山"})
    assert not holds({"all": [a, b]}, {"x": "1"})
    assert holds({"any": [a, b]}, {"n": "山"})
    assert holds({"not": {"any": [a, b]}}, {})
    assert holds({"all": []}, {})
    assert not holds({"any": []}, {})
    assert holds({"fields": {"x": {"eq": "1"}, "n": {"eq": "山"}}}, {"x": "1", "n": "山"})


def test_characters_are_counted_as_the_contract_says() -> None:
    assert not holds({"fields": {"n": {"longer_than": 1}}}, {"n": "𠮷"})
    assert holds({"fields": {"n": {"longer_than": 1}}}, {"n": "𠮷"}, "utf16_units")


def test_a_constant_condition_is_as_long_as_the_frame() -> None:
    sample = contract()
    frame = frame_of(sample, [dict.fromkeys(KINDS, "")] * 3)
    assert frame.select(expression(Condition(all=[]), sample).alias("a")).to_series().to_list() == [True] * 3
    assert frame.filter(expression(Condition(any=[]), sample)).height == 0


@pytest.mark.parametrize("test", [{"lt": "x"}, {"ge": "1.5"}, {"lt": ""}])
def test_a_limit_that_cannot_be_read_is_refused(test: dict[str, Any]) -> None:
    condition = Condition.model_validate({"fields": {"count": test}})
    for compiled in (predicate, expression):
        with pytest.raises(ValueError, match="no value of count"):
            compiled(condition, contract())


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions(KINDS), st.lists(st.fixed_dictionaries({name: st.sampled_from(ODD) for name in KINDS}), min_size=1, max_size=6))
def test_both_compilers_agree(condition: dict[str, Any], records: list[dict[str, str]]) -> None:
    sample, parsed = contract(), Condition.model_validate(condition)
    one = predicate(parsed, sample)
    many = frame_of(sample, records).select(expression(parsed, sample).alias("a")).to_series()
    assert many.null_count() == 0
    assert [one(record) for record in records] == many.to_list()
