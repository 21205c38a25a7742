"""What is proven and what must be checked: a copy is trusted only when the source's rules are at least as strict."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.model import Contract
from contracts.translate_proof import unproven
from contracts.translation import Translation

FIELD = {"name": "a", "label": "甲", "type": "X", "length": 5, "codes": "c"}
COPY = Translation.model_validate({"translation": "t@1.0", "from": "s@1.0", "to": "s@1.0", "same_names": True})


def contract(*, values: str = "12", counting: str = "code_points", rules: list[dict[str, Any]] | None = None, **changes: Any) -> Contract:
    field = {key: value for key, value in (FIELD | changes).items() if value is not None}
    return Contract.model_validate(
        {
            "contract": "s@1.0",
            "title": {"ja": "契約", "en": "contract"},
            "follows": {"document": "test", "version": "1", "status": "provisional"},
            "counting": counting,
            "key": ["k"],
            "code_tables": {"c": {"version": "1", "values": {value: {"ja": value, "en": value} for value in values}}},
            "fields": [{"name": "k", "label": "鍵", "type": "X", "length": 9, "required": True}, field],
            "rules": rules or [],
        }
    )


def rule(**changes: Any) -> dict[str, Any]:
    fields = {"fields": {"a": {"present": True}}}
    return {"id": "r", "field": "k", "then": fields, "words": {"ja": "規則", "en": "rule"}} | changes


@pytest.mark.parametrize("target", [{}, {"length": 6}, {"values": "123"}, {"codes": None}, {"label": "乙"}, {"sensitivity": "personal"}])
def test_a_copy_into_an_equal_or_wider_field_is_proven(target: dict[str, Any]) -> None:
    assert unproven(COPY, contract(), contract(**target)) is None


@pytest.mark.parametrize(
    "target",
    [
        {"length": 4},
        {"exact": True},
        {"required": True},
        {"type": "N"},
        {"values": "1"},
        {"pattern": "[12]"},
        {"check_digit": "modulus11_w2_7"},
        {"minimum": "1"},
        {"severity": {"length": "warn"}},
        {"counting": "utf16_units"},
    ],
)
def test_a_copy_into_a_stricter_field_is_checked(target: dict[str, Any]) -> None:
    guard = unproven(COPY, contract(), contract(**target))
    assert guard is not None
    assert "a" in guard.names


def test_codes_are_checked_when_the_source_has_none() -> None:
    guard = unproven(COPY, contract(codes=None), contract())
    assert guard is not None
    assert guard.names == ["a"]


def test_a_rule_is_proven_only_if_the_source_has_it_and_its_fields_are_copied() -> None:
    both = unproven(COPY, contract(rules=[rule()]), contract(rules=[rule()]))
    assert both is None
    assert unproven(COPY, contract(), contract(rules=[rule(severity="warn")])) is None, "a warning refuses nothing"
    for source in ([], [rule(severity="warn")], [rule(then={"fields": {"a": {"present": False}}})]):
        guard = unproven(COPY, contract(rules=source), contract(rules=[rule()]))
        assert guard is not None
        assert guard.names == ["k", "a"]
        assert [left.id for left in guard.rules] == ["r"]
    dropped = COPY.model_copy(update={"drop": ["a"]})
    guard = unproven(dropped, contract(rules=[rule()]), contract(rules=[rule()]))
    assert guard is not None
    assert guard.names == ["k", "a"]
