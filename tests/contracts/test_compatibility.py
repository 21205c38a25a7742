"""Every kind of change, whom it breaks, and its words."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.compatibility import Change, compare
from contracts.messages import LANGUAGES
from contracts.model import Contract
from contracts.registry import Registry
from contracts.translation import Translation

WORDS = {"ja": "言葉", "en": "words"}
LIBRARY = Registry.load()
PRESENT = {"present": True}
A_RULE = {"id": "b_needs_a", "field": "a", "when": {"fields": {"b": PRESENT}}, "then": {"fields": {"a": PRESENT}}, "words": WORDS}


def contract(*fields: dict[str, Any], **whole: Any) -> Contract:
    listed = [{"label": "欄", "type": "X", "length": 5, **field} for field in fields]
    return Contract.model_validate(
        {
            "contract": "sample@1.0",
            "title": WORDS,
            "follows": {"document": "", "version": "", "status": "provisional"},
            "key": [listed[0]["name"]],
            "fields": listed,
            "code_tables": {
                "two": {"version": "1", "values": {"1": WORDS, "2": WORDS}},
                "three": {"version": "1", "values": {"1": WORDS, "2": WORDS, "3": WORDS}},
                "other": {"version": "1", "values": {"1": WORDS, "2": {"ja": "別", "en": "else"}}},
                "long": {"version": "1", "values": {"1": WORDS, "2": WORDS, "123456": WORDS}},
            },
            **whole,
        }
    )


def changes(old: Contract, new: Contract) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(change.field, change.kind, change.breaking_for) for change in compare(old, new).changes]


PUBLISHER, SUBSCRIBER, BOTH, NOBODY = ("publisher",), ("subscriber",), ("publisher", "subscriber"), ()
OF_A_FIELD: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, tuple[str, ...]]]]] = [
    ({}, {}, []),
    ({}, {"required": True}, [("required", PUBLISHER)]),
    ({"required": True}, {}, [("required", SUBSCRIBER)]),
    ({}, {"required": True, "severity": {"required": "warn"}}, [("required", NOBODY)]),
    ({"length": 5}, {"length": 6}, [("length", SUBSCRIBER)]),
    ({"length": 6}, {"length": 5}, [("length", PUBLISHER)]),
    ({"length": 5}, {"length": 5, "exact": True}, [("length", PUBLISHER)]),
    ({"length": 5, "exact": True}, {"length": 6}, [("length", SUBSCRIBER)]),
    ({"length": 5}, {"length": 5, "severity": {"length": "warn"}}, [("length", SUBSCRIBER)]),
    ({"type": "9"}, {"type": "X"}, [("type", SUBSCRIBER)]),
    ({"type": "X"}, {"type": "N"}, [("type", BOTH)]),
    ({"type": "N"}, {"type": "M"}, [("type", SUBSCRIBER)]),
    ({"type": "9"}, {"type": "S9"}, [("type", SUBSCRIBER)]),
    ({"type": "YEAR", "length": None}, {"type": "9", "length": 4}, [("length", NOBODY), ("type", SUBSCRIBER)]),
    ({"type": "9V", "length": None, "digits": (5, 2)}, {"type": "9V", "length": None, "digits": (6, 2)}, [("type", SUBSCRIBER)]),
    ({"type": "9", "length": 5}, {"type": "9V", "length": None, "digits": (5, 2)}, [("length", SUBSCRIBER), ("type", SUBSCRIBER)]),
    ({"type": "DATE", "length": None}, {"type": "DATE", "length": None, "dates": {"open": False}}, [("type", PUBLISHER)]),
    ({"type": "DATE", "length": None}, {"type": "DATE", "length": None, "dates": {"unknown_parts": True}}, [("type", SUBSCRIBER)]),
    ({"codes": "two"}, {"codes": "three"}, [("codes_added", SUBSCRIBER)]),
    ({"codes": "three"}, {"codes": "two"}, [("codes_removed", PUBLISHER)]),
    ({"codes": "two"}, {"codes": "other"}, [("code_words", NOBODY)]),
    ({"codes": "two"}, {}, [("codes", SUBSCRIBER)]),
    ({}, {"codes": "two"}, [("codes", PUBLISHER)]),
    ({"codes": "two"}, {"codes": "two", "severity": {"codes": "warn"}}, [("codes", SUBSCRIBER)]),
    ({"codes": "two", "severity": {"codes": "warn"}}, {"codes": "three", "severity": {"codes": "warn"}}, [("codes_added", NOBODY)]),
    ({"codes": "two"}, {"codes": "two", "length": 1}, [("length", NOBODY)]),  # no code is longer
    ({"codes": "two"}, {"codes": "long"}, [("codes_added", NOBODY)]),  # the code more does not fit into the field
    ({"codes": "two"}, {"pattern": "[12]"}, [("codes", SUBSCRIBER), ("pattern", NOBODY)]),
    ({}, {"pattern": "[0-9]+"}, [("pattern", PUBLISHER)]),
    ({"pattern": "[0-9]+"}, {}, [("pattern", SUBSCRIBER)]),
    ({"pattern": "[0-9]+"}, {"pattern": "[0-9]*"}, [("pattern", BOTH)]),
    ({"pattern": "[0-9]+"}, {"pattern": "[0-9]+", "severity": {"pattern": "warn"}}, [("pattern", SUBSCRIBER)]),
    ({"type": "9", "minimum": "1"}, {"type": "9", "minimum": "2"}, [("range", PUBLISHER)]),
    ({"type": "9", "maximum": "8"}, {"type": "9", "maximum": "9"}, [("range", SUBSCRIBER)]),
    ({"type": "9", "minimum": "1"}, {"type": "9", "minimum": "01"}, [("range", NOBODY)]),
    ({"type": "9"}, {"type": "9", "minimum": "0"}, [("range", PUBLISHER)]),
    ({"type": "9", "minimum": "1"}, {"type": "X", "minimum": "1"}, [("type", SUBSCRIBER), ("range", BOTH)]),
    ({"length": 12}, {"length": 12, "check_digit": "individual_number"}, [("check_digit", PUBLISHER)]),
    ({}, {"sensitivity": "personal"}, [("sensitivity", NOBODY)]),
    ({}, {"label": "新しい欄"}, [("label", NOBODY)]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), OF_A_FIELD)
def test_a_change_of_a_field(before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, tuple[str, ...]]]) -> None:
    found = changes(contract({"name": "a", **before}), contract({"name": "a", **after}))
    assert found == [("a", kind, sides) for kind, sides in expected]


def test_fields_come_and_go_and_none_is_taken_for_another() -> None:
    old = contract({"name": "a"}, {"name": "b"}, {"name": "c", "required": True})
    warned = {"name": "e", "required": True, "severity": {"required": "warn"}}
    new = contract({"name": "a"}, {"name": "bb"}, {"name": "d", "required": True}, warned)
    assert changes(old, new) == [
        ("b", "field_removed", BOTH),
        ("c", "field_removed", BOTH),
        ("bb", "field_added", NOBODY),
        ("d", "required_field_added", PUBLISHER),
        ("e", "field_added", NOBODY),
    ]


WHOLE: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, tuple[str, ...]]]]] = [
    ({"key": ["a"]}, {"key": ["a", "b"]}, [("key", SUBSCRIBER), ("ordering_key", SUBSCRIBER)]),
    ({"key": ["a", "b"]}, {"key": ["b"]}, [("key", PUBLISHER), ("ordering_key", NOBODY)]),
    ({"key": ["a", "b"]}, {"key": ["b", "a"]}, []),
    ({"key": ["a", "b"], "ordering_key": ["a"]}, {"key": ["a", "b"], "ordering_key": ["b"]}, [("ordering_key", SUBSCRIBER)]),
    ({}, {"version_field": "b"}, [("version_field", NOBODY)]),
    ({"version_field": "b"}, {"version_field": "a"}, [("version_field", SUBSCRIBER)]),
    ({}, {"control_sums": ["n"]}, [("control_sums", NOBODY)]),
    ({"control_sums": ["n"]}, {}, [("control_sums", SUBSCRIBER)]),
    ({}, {"counting": "utf16_units"}, [("counting", NOBODY)]),
    ({}, {"rules": [A_RULE]}, [("rule_added", PUBLISHER)]),
    ({"rules": [A_RULE]}, {}, [("rule_removed", SUBSCRIBER)]),
    ({"rules": [A_RULE]}, {"rules": [{**A_RULE, "severity": "warn"}]}, [("rule_changed", SUBSCRIBER)]),
    ({"rules": [A_RULE]}, {"rules": [{**A_RULE, "when": None}]}, [("rule_changed", BOTH)]),
    ({"rules": [A_RULE]}, {"rules": [{**A_RULE, "id": "other"}]}, [("rule_removed", NOBODY), ("rule_added", NOBODY)]),
    ({"rules": [A_RULE]}, {"rules": [{**A_RULE, "words": {"ja": "", "en": ""}}]}, []),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), WHOLE)
def test_a_change_of_the_whole_contract(before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, tuple[str, ...]]]) -> None:
    fields = [{"name": "a"}, {"name": "b"}, {"name": "n", "type": "9"}]
    found = [(kind, sides) for _, kind, sides in changes(contract(*fields, **before), contract(*fields, **after))]
    assert found == expected


def test_lengths_counted_otherwise_are_told_with_their_fields() -> None:
    fields = [{"name": "a"}, {"name": "b", "type": "N"}]
    found = changes(contract(*fields), contract(*fields, counting="utf16_units"))
    assert found == [("b", "length", PUBLISHER), ("", "counting", NOBODY)]


def test_a_rule_over_a_new_field_refuses_nothing_that_was_sent_before() -> None:
    old = contract({"name": "a"})
    fields = [{"name": "a"}, {"name": "b"}]
    harmless = {**A_RULE, "id": "harmless", "field": "b", "when": {"fields": {"b": {"eq": "1"}}}}
    demanding = {**A_RULE, "id": "demanding", "field": "b", "when": {"fields": {"a": {"eq": "1"}}}, "then": {"fields": {"b": PRESENT}}}
    found = changes(old, contract(*fields, rules=[harmless, demanding]))
    assert found == [("b", "field_added", NOBODY), ("b", "rule_added", NOBODY), ("b", "rule_added", PUBLISHER)]


def test_the_same_contract_is_compatible_with_itself() -> None:
    for name in LIBRARY.names():
        one = LIBRARY.contract(name)
        layouts = LIBRARY.layouts(name)
        found = compare(one, one, layouts=(layouts, layouts))
        assert (found.changes, found.verdict) == ((), "compatible")


def test_the_declared_translations_are_named_for_the_side_they_serve() -> None:
    old, new = contract({"name": "a"}, contract="sample@1.0"), contract({"name": "a", "length": 6}, contract="sample@1.1")
    said = [("up@1.0", "sample@1.0", "sample@1.1"), ("down@1.0", "sample@1.1", "sample@1.0"), ("else@1.0", "sample@1.0", "other@1.0")]
    known = [Translation.model_validate({"translation": name, "from": first, "to": last, "same_names": True}) for name, first, last in said]
    found = compare(old, new, known)
    assert found.translations == {"publisher": ("up@1.0",), "subscriber": ("down@1.0",)}
    assert (found.verdict, found.breaks("publisher"), found.breaks("subscriber")) == ("breaking", False, True)


def test_every_change_has_its_words_in_both_languages() -> None:
    pairs = [(contract({"name": "a", **before}), contract({"name": "a", **after})) for before, after, _ in OF_A_FIELD]
    fields = [{"name": "a"}, {"name": "b"}, {"name": "n", "type": "9"}]
    pairs += [(contract(*fields, **before), contract(*fields, **after)) for before, after, _ in WHOLE]
    found: list[Change] = [change for old, new in pairs for change in compare(old, new).changes]
    for language in LANGUAGES:
        for change in found:
            assert "?" not in change.text(language)
            assert not change.text(language).startswith("RNK")
            assert bool(change.consequences(language)) == bool(change.breaking_for)
    by_kind = {change.kind: change for change in found}
    assert by_kind["length"].text("en") == "a: the length changed (≤ 5 → ≤ 1)"
    assert by_kind["codes_removed"].text("ja") == "a: コードが減りました(3)"
    assert by_kind["pattern"].consequences("en")[-1].startswith("nothing in the two contracts proves")
    assert len(by_kind["range"].consequences("ja")) == 3


@pytest.mark.parametrize("name", ["mainframe_csv", "mainframe_fixed", "csv_utf8", "xml"])
def test_a_layout_that_looks_different_in_the_file_breaks_both_sides(name: str) -> None:
    resident = LIBRARY.contract("resident@1.0")
    layout = LIBRARY.layout("resident@1.0", name)
    found = compare(resident, resident, layouts=({name: layout}, {})).changes
    sides = SUBSCRIBER if name == "xml" else BOTH
    assert [(change.kind, change.breaking_for) for change in found] == [("layout_removed", sides)]
    assert [change.kind for change in compare(resident, resident, layouts=({}, {name: layout})).changes] == ["layout_added"]
    grown = resident.model_copy(update={"fields": [*resident.fields, resident.fields[-1].model_copy(update={"name": "more"})]})
    told = compare(resident, grown, layouts=({name: layout}, {name: layout})).changes
    listed = bool(layout.columns) and not getattr(layout, "all_fields", False)
    assert [change.kind for change in told] == ["field_added", *([] if listed else ["layout_changed"])]
    if not listed:
        assert told[1].facts["differences"] == "+more"


def test_what_stands_otherwise_in_a_file_is_named() -> None:
    resident = LIBRARY.contract("resident@1.0")
    layout = LIBRARY.layout("resident@1.0", "mainframe_fixed")
    columns = list(layout.columns)
    columns[2], columns[3] = columns[3], columns[2]
    columns[4] = columns[4].model_copy(update={"justify": "left", "pad": "_"})
    turned = layout.model_copy(update={"columns": columns, "newline": "lf"})
    (found,) = compare(resident, resident, layouts=({"fixed": layout}, {"fixed": turned})).changes
    changed = columns[4].field
    assert found.facts == {"layout": "fixed", "differences": f"~{changed}, <>, newline"}
