"""Every case of every contract in the library, on both validators."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.cases import Case, CaseFile, cases_file_of, load_cases, run_cases
from contracts.errors import DocumentInvalid
from contracts.model import Contract
from contracts.registry import Registry
from contracts.violations import Violation

NAMES = Registry.load().names()


def cases_of(library: Registry, name: str) -> tuple[CaseFile, Contract]:
    contract = library.contract(name)
    return load_cases(cases_file_of(library.file(name)), contract), contract


@pytest.mark.parametrize("name", NAMES)
def test_every_case_comes_out_as_written(library: Registry, name: str) -> None:
    failed = [outcome for outcome in run_cases(*cases_of(library, name)) if not outcome.passed]
    assert failed == []


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_over_several_fields_has_a_case(library: Registry, name: str) -> None:
    cases, contract = cases_of(library, name)
    shown = {expected.rule for case in cases.cases for expected in case.expect}
    assert {rule.id for rule in contract.rules} - shown == set()


@pytest.mark.parametrize("name", NAMES)
def test_there_are_cases_of_both_kinds(library: Registry, name: str) -> None:
    cases, _ = cases_of(library, name)
    assert {case.accept for case in cases.cases} == {True, False}


def test_a_wrong_expectation_fails_on_both_validators(library: Registry) -> None:
    cases, contract = cases_of(library, "resident@1.0")
    wrong = Case(name="wrong", accept=True, base="resident", record={"seibetsu": "7"})
    outcomes = run_cases(cases.model_copy(update={"cases": [wrong]}), contract)
    assert [outcome.passed for outcome in outcomes] == [False, False]
    assert {outcome.found for outcome in outcomes} == {(Violation("seibetsu", "codes", "reject"),)}


def test_a_broken_contract_fails_its_cases(library: Registry) -> None:
    cases, contract = cases_of(library, "resident@1.0")
    without_rules = contract.model_copy(update={"rules": []})
    failed = {outcome.case for outcome in run_cases(cases, without_rules) if not outcome.passed}
    assert "住民に世帯番号が無い" in failed


def write(folder: Path, text: str) -> Path:
    file = folder / "resident@1.0.cases.yaml"
    file.write_text(text, "utf-8")
    return file


def test_all_mistakes_of_a_cases_file_come_at_once_with_their_lines(library: Registry, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """cases_of: resident@1.0
records:
  someone: {shimei: 山田, nobody_knows: x}
cases:
  - {name: a, accept: true, base: someone}
  - {name: a, accept: true, base: someone, record: {no_such_field: y}}
  - {name: b, accept: false, base: nobody}
""",
    )
    with pytest.raises(DocumentInvalid) as raised:
        load_cases(file, library.contract("resident@1.0"))
    found = [(problem.message_id, problem.line) for problem in raised.value.problems]
    assert found == [("RNK1401E", 3), ("RNK1401E", 6), ("RNK1403E", 6), ("RNK1402E", 7), ("RNK1404E", 7)]


def test_cases_of_another_contract_are_refused(library: Registry, tmp_path: Path) -> None:
    file = write(tmp_path, "cases_of: resident-tax@1.0\nrecords: {a: {}}\ncases: [{name: a, accept: true, base: a}]\n")
    with pytest.raises(DocumentInvalid) as raised:
        load_cases(file, library.contract("resident@1.0"))
    assert [problem.message_id for problem in raised.value.problems] == ["RNK1400E"]
    assert "resident-tax@1.0" in str(raised.value)
