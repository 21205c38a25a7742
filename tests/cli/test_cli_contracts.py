"""The commands that need no node: contracts, synthetic data, a new site and its check."""

from __future__ import annotations

import json
from pathlib import Path
from runpy import run_path

import pytest

from contracts.registry import library_folder
from tests.cli.conftest import Renkei

CONTRACT = """\
contract: town-note@1.0
title: {ja: 町のメモ, en: Notes of a town}
follows: {document: none, version: "1", status: provisional}
key: [number]
fields:
  - {name: number, label: 番号, type: "9", length: 5, required: true}
  - {name: note, label: メモ, type: N, length: 10}
layouts:
  csv: {format: csv, newline: lf}
"""
CASES = """\
cases_of: town-note@1.0
records:
  good: {number: "00001"}
cases:
  - {name: a number alone, accept: true, base: good}
  - {name: no number, accept: false, base: good, record: {number: ""}, expect: [{field: number, rule: REQUIRED}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "own"
    found.mkdir()
    (found / "town-note@1.0.yaml").write_text(CONTRACT, "utf-8")
    (found / "town-note@1.0.cases.yaml").write_text(CASES.replace("REQUIRED", "required"), "utf-8")
    return found


def test_contracts_are_listed_with_those_of_a_folder(renkei: Renkei, folder: Path) -> None:
    listed = json.loads(renkei("contract", "list", "--folder", str(folder), "--json").out)
    names = [row["contract"] for row in listed]
    assert {"resident@1.0", "town-note@1.0"} <= set(names)
    assert len(names) == 1 + sum(1 for file in library_folder().glob("*.yaml") if not file.name.endswith(".cases.yaml"))
    assert "町のメモ" in renkei("--lang", "ja", "contract", "list", "--folder", str(folder)).out


def test_a_contract_is_shown_with_its_fields(renkei: Renkei, folder: Path) -> None:
    shown = renkei("contract", "show", "town-note@1.0", "--folder", str(folder)).out
    assert "メモ" in shown
    assert "provisional" in shown
    assert json.loads(renkei("contract", "show", "resident@1.0", "--json").out)["layouts"]["mainframe_csv"]["format"] == "csv"


def test_an_unknown_contract_is_not_found_and_the_nearest_is_named(renkei: Renkei) -> None:
    ended = renkei("contract", "show", "residents@1.0")
    assert ended.code == 5
    assert "resident@1.0" in ended.err


def test_a_sites_own_contracts_are_found(renkei: Renkei, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("site: here\ncontracts: [own]\ntenants: [t.yaml]\n", "utf-8")
    assert renkei("contract", "show", "town-note@1.0").code == 0


def test_check_runs_the_cases(renkei: Renkei, folder: Path) -> None:
    ended = renkei("contract", "check", "--folder", str(folder))
    assert ended.code in {0, 4}, ended.out + ended.err
    assert "RNK6040I" in ended.out
    (folder / "town-note@1.0.cases.yaml").write_text(CASES.replace("REQUIRED", "length"), "utf-8")
    broken = renkei("contract", "check", "--folder", str(folder))
    assert broken.code == 8
    assert "no number" in broken.out
    told = json.loads(renkei("contract", "check", "--folder", str(folder), "--json").out)
    assert {failure["validator"] for failure in told["failed_cases"]} == {"record", "frame"}


def test_check_names_every_problem_with_file_and_line(renkei: Renkei, folder: Path) -> None:
    mistaken = CONTRACT.replace("required: true", "requird: true").replace("type: N", "type: NN")
    (folder / "town-note@1.0.yaml").write_text(mistaken, "utf-8")
    ended = renkei("contract", "check", "--folder", str(folder))
    assert ended.code == 8
    assert "town-note@1.0.yaml:6:" in ended.err
    assert "town-note@1.0.yaml:7:" in ended.err
    assert "requird" in ended.err


def test_a_file_is_tested_against_its_contract(renkei: Renkei, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes.csv"
    file.write_text("number,note\n00001,山\n,川\n00003,空\n", "utf-8")
    arguments = ["contract", "test", str(file), "--contract", "town-note@1.0", "--layout", "csv", "--folder", str(folder)]
    ended = renkei(*arguments, "--xlsx", str(tmp_path / "found.xlsx"))
    assert ended.code == 4, ended.out + ended.err
    assert "RNK6043W" in ended.out
    assert (tmp_path / "found.xlsx").stat().st_size > 0
    counted = json.loads(renkei(*arguments, "--json").out)
    assert (counted["records"], counted["good"], counted["rejected"]) == (3, 2, 1)
    assert counted["broken"] == [{"field": "number", "rule": "required", "severity": "reject", "count": 1}]
    file.write_text("number,note\n00001,山\n", "utf-8")
    assert renkei(*arguments).code == 0


@pytest.mark.parametrize(("form", "sign"), [("markdown", "#"), ("html", "<!doctype html")])
def test_the_dictionary_is_shown_or_written(renkei: Renkei, tmp_path: Path, form: str, sign: str) -> None:
    shown = renkei("--lang", "ja", "contract", "docs", "resident@1.0", "--format", form)
    assert shown.out.lower().lstrip().startswith(sign)
    assert "宛名番号" in shown.out
    assert renkei("contract", "docs", "--format", form, "--output", str(tmp_path / "docs")).code == 0
    ending = "en.html" if form == "html" else "en.md"
    assert (tmp_path / "docs" / f"resident@1.0.{ending}").is_file()


def test_synthetic_data_is_generated_with_its_manifest(renkei: Renkei, tmp_path: Path) -> None:
    file, manifest = tmp_path / "residents.csv", tmp_path / "planted.json"
    ended = renkei("generate", str(file), "--records", "500", "--seed", "7", "--bad-share", "0.02", "--manifest", str(manifest))
    assert ended.code == 0, ended.err
    assert "500" in ended.out
    assert sum(map(len, json.loads(manifest.read_text("utf-8"))["bad"].values())) == 10
    first = file.read_bytes()
    renkei("generate", str(file), "--records", "500", "--seed", "7", "--bad-share", "0.02")
    assert file.read_bytes() == first


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [("--contract", "none@1.0", 5), ("--kind", "no_such_kind", 2), ("--layout", "none", 5), ("--business-date", "2026-13-01", 2)],
)
def test_what_cannot_be_generated_is_said(renkei: Renkei, tmp_path: Path, option: str, value: str, code: int) -> None:
    ended = renkei("generate", str(tmp_path / "x"), "--bad-share", "0.1", option, value)
    assert ended.code == code, ended.err
    assert value in ended.err


def test_a_new_site_passes_its_check(renkei: Renkei, tmp_path: Path) -> None:
    assert renkei("init", str(tmp_path)).code == 0
    ended = renkei("check")
    assert ended.code == 0, ended.out
    assert json.loads(renkei("check", "--json").out) == []
    assert renkei("init", str(tmp_path)).code == 8


def test_check_of_a_site_shows_every_mistake_at_its_place(renkei: Renkei, tmp_path: Path) -> None:
    renkei("init", str(tmp_path))
    tenant = tmp_path / "tenants" / "332020.yaml"
    text = tenant.read_text("utf-8").replace("layout: csv_utf8", "layout: csv_utf9").replace("placed: on_premises", "placed: basement", 1)
    tenant.write_text(text, "utf-8")
    ended = renkei("check")
    assert ended.code == 8
    assert ended.out.count("332020.yaml:") == 2
    found = json.loads(renkei("check", "--json").out)
    assert {row["line"] for row in found} == {
        number for number, line in enumerate(text.splitlines(), 1) if "csv_utf9" in line or "basement" in line
    }


def test_the_benchmark_explains_itself_outside_a_checkout(renkei: Renkei, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bus.cli.bench.__file__", str(tmp_path / "bus" / "cli" / "bench.py"))
    ended = renkei("bench", "batch")
    assert ended.code == 5
    assert "RNK6008E" in ended.err


def test_the_benchmark_of_the_checkout_is_run(renkei: Renkei, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tests" / "bench").mkdir(parents=True)
    code = "def run(records, rounds, as_json):\n    return {'ratio': 3.5, 'records': records, 'rounds': rounds, 'raw': [1]}\n"
    (tmp_path / "tests" / "bench" / "batch.py").write_text(code)
    monkeypatch.setattr("bus.cli.bench.__file__", str(tmp_path / "bus" / "cli" / "bench.py"))
    monkeypatch.setattr("bus.cli.bench.measuring", lambda module: run_path(str(tmp_path / "tests" / "bench" / f"{module}.py"))["run"])
    found = json.loads(renkei("bench", "batch", "--records", "10", "--rounds", "2", "--json").out)
    assert found == {"ratio": 3.5, "records": 10, "rounds": 2, "raw": [1]}
    assert "3.50" in renkei("bench", "batch", "--records", "10").out


@pytest.mark.parametrize(("good", "code"), [(True, 0), (False, 8)])
def test_a_fault_run_that_lost_something_ends_abnormally(renkei: Renkei, monkeypatch: pytest.MonkeyPatch, good: bool, code: int) -> None:
    def measured(**asked: object) -> dict[str, object]:
        return {**asked, "good": good}

    monkeypatch.setattr("bus.cli.bench.measuring", lambda module: {"event_faults": measured}[module])
    ended = renkei("bench", "event-faults", "--events", "500", "--back-ends", "embedded", "--json")
    assert ended.code == code
    assert json.loads(ended.out) == {"events": 500, "back_ends": "embedded", "as_json": True, "good": good}
