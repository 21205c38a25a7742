from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import DocumentInvalid
from contracts.registry import Registry

CONTRACT = """\
contract: sample@1.0
title: {{ja: 見本, en: Sample}}
follows: {{document: none, version: "0", status: provisional}}
key: [id]
control_sums: [{summed}]
fields:
  - {{name: id, label: 番号, type: X, length: 15}}
  - {{name: amount, label: 金額, type: S9, length: 12}}
  - {{name: long, label: 長い番号, type: "9", length: 30}}
  - {{name: day, label: 日, type: DATE}}
  - {{name: other, label: 他, type: X, length: 5{field}}}
rules:
  - {{id: {rule_id}, field: day, words: {{ja: 日, en: day}}, then: {then}}}
"""


def problems(folder: Path, **parts: str) -> list[tuple[str, int]]:
    path = folder / "sample@1.0.yaml"
    said = {"summed": "amount", "field": "", "rule_id": "mine", "then": "{fields: {day: {present: true}}}"} | parts
    path.write_text(CONTRACT.format(**said), "utf-8")
    try:
        return [(problem.message_id, problem.line) for problem in Registry.of_files([path]).warnings]
    except DocumentInvalid as invalid:
        found = invalid.problems
    unfilled = [problem for problem in found for text in (problem.text("ja"), problem.text("en")) if "?" in text.split("pattern")[0]]
    return [(problem.message_id, problem.line) for problem in found if problem not in unfilled]


def test_a_good_contract_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("parts", "message_id", "line"),
    [
        ({"field": ", pattern: '^a$'"}, "RNK1115E", 11),
        ({"field": ", check_digit: corporate_number"}, "RNK1119E", 11),
        ({"summed": "amount, long"}, "RNK1117E", 5),
        ({"rule_id": "length"}, "RNK1118E", 13),
        ({"rule_id": "undecodable"}, "RNK1118E", 13),
        ({"then": "{fields: {day: {ge: today}}}"}, "RNK1116E", 13),
        ({"then": "{not: {any: [{fields: {amount: {lt: '1.5'}}}]}}"}, "RNK1116E", 13),
        ({"then": "{fields: {long: {lt: '1'}}}"}, "RNK1117E", 13),
        ({"then": "{fields: {day: {eq: ''}}}"}, "RNK1121E", 13),
        ({"then": "{fields: {day: {in: ['', '1']}}}"}, "RNK1121E", 13),
        ({"then": "{fields: {day: {le_field: amount}}}"}, "RNK1120W", 13),
        ({"then": "{all: null}"}, "RNK1003E", 13),
    ],
)
def test_each_mistake_is_found_at_its_line(tmp_path: Path, parts: dict[str, str], message_id: str, line: int) -> None:
    assert problems(tmp_path, **parts) == [(message_id, line)]


def test_limits_are_read_by_the_type_of_their_field(tmp_path: Path) -> None:
    field = ", minimum: '1'}\n  - {name: n, label: n, type: '9', length: 3, minimum: x, maximum: '-1'"
    assert problems(tmp_path, field=field) == [("RNK1116E", 12), ("RNK1116E", 12)]
