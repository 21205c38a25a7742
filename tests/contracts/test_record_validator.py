from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.model import Contract
from contracts.record_validator import RecordValidator
from contracts.violations import Violation

WORDS = {"ja": "", "en": ""}


def contract(*fields: dict[str, Any], rules: list[dict[str, Any]] | None = None) -> Contract:
    listed = [{"label": field["name"], "type": "X", "length": 5, **field} for field in fields]
    return Contract.model_validate(
        {
            "contract": "sample@1.0",
            "title": WORDS,
            "follows": {"document": "", "version": "", "status": "provisional"},
            "key": [listed[0]["name"]],
            "fields": listed,
            "rules": rules or [],
        }
    )


def said(checked: Contract, record: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each.field, each.rule, each.severity) for each in RecordValidator(checked).check(record)]


def test_only_the_first_broken_rule_of_a_field_is_reported() -> None:
    one = contract({"name": "a", "length": 2, "pattern": "[0-9]+"})
    assert said(one, {"a": "山田太郎"}) == [("a", "length", "reject")]
    assert said(one, {"a": "山"}) == [("a", "type", "reject")]
    assert said(one, {"a": "x"}) == [("a", "pattern", "reject")]
    assert said(one, {"a": "12"}) == []


def test_a_warning_does_not_hide_what_comes_after_it() -> None:
    one = contract({"name": "a", "length": 2, "pattern": "[0-9]+", "severity": {"length": "warn", "pattern": "warn"}})
    assert said(one, {"a": "abc"}) == [("a", "length", "warn"), ("a", "pattern", "warn")]
    assert said(one, {"a": "山田太"}) == [("a", "length", "warn"), ("a", "type", "reject")]


def test_a_missing_field_is_absent_and_an_unknown_one_is_refused() -> None:
    one = contract({"name": "a", "required": True}, {"name": "b"})
    assert said(one, {"b": "1", "c": "2"}) == [("a", "required", "reject"), ("c", "unknown_field", "reject")]
    assert said(one, {"a": "1"}) == []


@pytest.mark.parametrize("value", [1, None, 1.5, True, ["1"], b"1", "\ud800"])
def test_what_is_no_text_is_not_of_its_type(value: object) -> None:
    assert said(contract({"name": "a"}), {"a": value}) == [("a", "type", "reject")]


def test_a_cross_rule_runs_where_its_own_fields_are_good() -> None:
    rules = [
        {
            "id": "needs_b",
            "field": "b",
            "words": WORDS,
            "when": {"fields": {"a": {"present": True}}},
            "then": {"fields": {"b": {"present": True}}},
        },
        {"id": "not_c", "field": "c", "severity": "warn", "words": WORDS, "then": {"fields": {"c": {"ne": "9"}}}},
    ]
    one = contract({"name": "a", "length": 1}, {"name": "b"}, {"name": "c"}, {"name": "d", "length": 1}, rules=rules)
    assert said(one, {"a": "1", "d": "22", "c": "9"}) == [("d", "length", "reject"), ("b", "needs_b", "reject"), ("c", "not_c", "warn")]
    assert said(one, {"a": "11"}) == [("a", "length", "reject")]


def test_fields_may_be_called_what_pydantic_uses() -> None:
    one = contract({"name": "copy", "required": True}, {"name": "model_fields"}, {"name": "schema", "length": 1})
    assert said(one, {"schema": "12"}) == [("copy", "required", "reject"), ("schema", "length", "reject")]
    assert said(one, {"copy": "1", "model_fields": "2"}) == []


def test_the_model_serves_on_its_own() -> None:
    """Without a context, as a web framework calls it: warnings pass, rejects are errors whose type is the rule."""
    one = contract({"name": "a", "severity": {"length": "warn"}}, {"name": "b", "required": True})
    model = RecordValidator(one).model
    assert model.model_validate({"a": "123456", "b": "1"}).model_dump() == {"a": "123456", "b": "1"}
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"a": "山"})
    assert [(error["loc"], error["type"]) for error in caught.value.errors()] == [(("a",), "type"), (("b",), "required")]
    assert set(model.model_json_schema()["properties"]) == {"a", "b"}


def test_violations_carry_field_rule_and_severity() -> None:
    assert RecordValidator(contract({"name": "a", "required": True})).check({}) == [Violation("a", "required", "reject")]
