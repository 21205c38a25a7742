"""Each step, on values at the edges of what it does."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.translate_width import half_to_full
from tests.translate.translate_cases import apply, values


@pytest.mark.parametrize(
    ("step", "given", "expected"),
    [
        ({"trim": {}}, ["  a b　", "", "　"], ["a b", "", ""]),
        ({"trim": {"side": "left", "characters": "0"}}, ["00120", "000"], ["120", ""]),
        ({"trim": {"side": "right"}}, [" a "], [" a"]),
        ({"pad": {"to": 5}}, ["12", "123456", ""], ["00012", "123456", ""]),
        ({"pad": {"to": 4, "side": "right", "with": "*"}}, ["12"], ["12**"]),
        ({"split": {"by": "-", "part": 2}}, ["a-b-c", "a", ""], ["b", "", ""]),
        ({"split": {"by": "-", "part": -1}}, ["a-b-c"], ["c"]),
        ({"split": {"by": "-", "part": 2, "rest": True}}, ["a-b-c", "a"], ["b-c", ""]),
        ({"cut": {"start": 2, "length": 2}}, ["abcd", "a", ""], ["bc", "", ""]),
        ({"replace_prefix": {"AB": "X", "A": "Y"}}, ["ABC", "AC", "BA", "AB"], ["XC", "YC", "BA", "X"]),
        ({"map": {"codes": {"1": "M", "2": "F"}, "default": "X"}}, ["1", "2", "9", ""], ["M", "F", "X", ""]),
        ({"map": {"codes": {"1": "M", "": "none"}, "keep": True}}, ["1", "7", ""], ["M", "7", "none"]),
        ({"width": {"to": "half"}}, ["ＡＢ１２　ガパー－"], ["AB12 ｶﾞﾊﾟｰ-"]),
        ({"to_era": "letter"}, ["2026-11-20", ""], ["R08.11.20", ""]),
        ({"to_era": "digits"}, ["1989-01-07"], ["3640107"]),
    ],
)
def test_step(step: dict[str, Any], given: list[str], expected: list[str]) -> None:
    assert values("text", {"from": "era", "steps": [step]}, "era", given) == expected


@pytest.mark.parametrize(
    ("step", "given", "expected"),
    [
        ({"width": {"to": "full"}}, "ｶﾞｯﾊﾟ AB-12", "ガッパ　ＡＢ－１２"),
        ({"width": {"to": "full", "kinds": ["kana"]}}, "ｳﾞｧ", "ヴァ"),
        ({"to_era": "kanji"}, "2019-05-01", "令和元年５月１日"),
    ],
)
def test_step_to_full_width(step: dict[str, Any], given: str, expected: str) -> None:
    steps = [step, {"width": {"to": "full", "kinds": ["digits"]}}]
    assert values("wide", {"from": "era", "steps": steps}, "era", [given]) == [expected]


@pytest.mark.parametrize("kind", ["digits", "latin", "kana", "symbols", "space"])
def test_width_there_and_back(kind: Any) -> None:
    full = "".join(dict.fromkeys(half_to_full(kind).values()))
    halves = values("text", {"from": "name", "steps": [{"width": {"to": "half", "kinds": [kind]}}]}, "name", [*full])
    assert not set(halves) & set(full)
    again = values("wide", {"from": "era", "steps": [{"width": {"to": "full", "kinds": [kind]}}]}, "era", halves)
    assert "".join(again) == full


def test_written_form_is_kept_beside_the_iso_date() -> None:
    made = apply({"day": {"from": "era", "steps": [{"from_era": {}}]}, "text": "era"}, {"era": "M45.07.30"}, {"era": "T01.07.30"})
    assert made.frame["day"].to_list() == ["1912-07-30", "1912-07-30"]
    assert made.frame["text"].to_list() == ["M45.07.30", "T01.07.30"]


def test_join_leaves_no_separator_for_what_is_absent() -> None:
    rule = {"join": {"parts": ["id", {"constant": "k"}, "kana"], "separator": "-"}}
    made = apply({"text": rule}, {"id": "7", "kana": "ｱ"}, {"id": "8"})
    assert made.frame["text"].to_list() == ["7-k-ｱ", "8-k"]
    assert apply({"text": {"join": {"parts": ["kana", "era"]}}}, {}).frame["text"].to_list() == [""]


def test_first_of_takes_the_first_that_is_there() -> None:
    rule = {"first_of": ["kana", "era", {"constant": "?"}]}
    made = apply({"text": rule}, {"kana": "a", "era": "b"}, {"era": "b"}, {})
    assert made.frame["text"].to_list() == ["a", "b", "?"]


def test_conditional_with_and_without_else() -> None:
    when = {"fields": {"sex": {"eq": "1"}}}
    both = {"when": when, "then": {"constant": "M"}, "else": {"constant": "X"}}
    made = apply({"kind": both, "text": {"when": when, "then": "kana"}}, {"sex": "1", "kana": "a"}, {"sex": "2", "kana": "b"})
    assert made.frame["kind"].to_list() == ["M", "X"]
    assert made.frame["text"].to_list() == ["a", ""]


@pytest.mark.parametrize(
    ("step", "rule"),
    [({"map": {"codes": {"1": "M"}}}, "unmapped"), ({"from_era": {}}, "era_date"), ({"to_era": "kanji"}, "era_date")],
)
@pytest.mark.parametrize(
    "nest",
    [
        lambda inner: inner,
        lambda inner: {"join": {"parts": [inner, {"constant": "z"}]}},
        lambda inner: {"first_of": ["kana", inner, {"constant": "z"}]},
        lambda inner: {"when": {"fields": {"id": {"present": True}}}, "then": inner},
        lambda inner: inner | {"steps": [*inner["steps"], {"map": {"codes": {"q": "q"}, "default": "d"}}, {"pad": {"to": 30}}]},
    ],
)
def test_what_a_step_refuses_is_refused_wherever_it_stands(step: dict[str, Any], rule: str, nest: Any) -> None:
    made = apply({"text": nest({"from": "era", "steps": [step]})}, {"era": "nonsense"})
    assert made.frame.height == 0
    assert made.refused.select("ordinal", "line", "byte", "field", "rule", "severity", "value").rows() == [
        (1, 2, 100, "text", rule, "reject", "nonsense")
    ]


def test_a_choice_not_taken_refuses_nothing() -> None:
    mapped = {"from": "era", "steps": [{"map": {"codes": {"1": "M"}}}]}
    when = {"fields": {"sex": {"eq": "1"}}}
    made = apply(
        {"text": {"first_of": ["kana", mapped]}, "kind": {"when": when, "then": mapped, "else": {"constant": "X"}}},
        {"era": "nonsense", "kana": "a", "sex": "2"},
    )
    assert made.refused.height == 0
    assert made.frame.select("text", "kind").rows() == [("a", "X")]
