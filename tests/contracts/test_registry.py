from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import ContractUnknown, DocumentInvalid
from contracts.layouts.columns import columns_of
from contracts.registry import Registry

GOOD = """\
contract: sample@1.0
title: {ja: 見本, en: Sample}
follows: {document: none, version: "0", status: provisional}
key: [id]
fields:
  - {name: id, label: 番号, type: X, length: 5, required: true}
  - {name: born, label: 生年月日, type: DATE}
  - {name: name, label: 氏名, type: N, length: 10}
layouts:
  csv:
    format: csv
  narrow:
    format: csv
    columns:
      - {field: born, date: yyyymmdd}
"""


def write(folder: Path, text: str = GOOD, name: str = "sample@1.0.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def problems(path: Path) -> list[tuple[str, int]]:
    with pytest.raises(DocumentInvalid) as caught:
        Registry.of_files([path])
    return [(problem.message_id, problem.line) for problem in caught.value.problems]


def test_a_contract_and_its_layouts_are_found_by_name(tmp_path: Path) -> None:
    path = write(tmp_path)
    registry = Registry.load([tmp_path])
    assert "sample@1.0" in registry.names()
    assert registry.contract("sample@1.0").names == ["id", "born", "name"]
    assert registry.layout("sample@1.0", "csv").format == "csv"
    assert list(registry.layouts("sample@1.0")) == ["csv", "narrow"]
    assert registry.file("sample@1.0") == path
    assert len(registry.digest("sample@1.0")) == 64


def test_an_unknown_name_suggests_the_nearest(tmp_path: Path) -> None:
    registry = Registry.of_files([write(tmp_path)])
    with pytest.raises(ContractUnknown, match=r'did you mean "sample@1\.0"'):
        registry.contract("sampel@1.0")
    with pytest.raises(ContractUnknown, match='did you mean "narrow"'):
        registry.layout("sample@1.0", "narow")


def test_a_layout_without_key_or_required_fields_is_only_warned_of(tmp_path: Path) -> None:
    registry = Registry.of_files([write(tmp_path)])
    assert [(problem.message_id, problem.facts["fields"]) for problem in registry.warnings] == [("RNK1112W", "id")]


def test_cases_and_translations_in_the_folder_are_no_contracts(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "- name: x\n", "sample@1.0.cases.yaml")
    write(tmp_path, "translation: a@1.0\nfrom: sample@1.0\n", "a@1.0.yaml")
    assert Registry.load([tmp_path]).contract("sample@1.0").title.en == "Sample"


def test_all_mistakes_of_all_files_are_reported_at_once_with_their_lines(tmp_path: Path) -> None:
    bad = GOOD.replace("{field: born, date: yyyymmdd}", "{field: birth}\n      - {field: name, date: slash}\n      - {field: name}")
    write(tmp_path, bad)
    write(tmp_path, GOOD.replace("sample@1.0", "other@1.0").replace("length: 5", "lenght: 5"), "other@1.0.yaml")
    with pytest.raises(DocumentInvalid) as caught:
        Registry.load([tmp_path])
    found = {(problem.file.name, problem.message_id, problem.line) for problem in caught.value.problems}
    assert ("sample@1.0.yaml", "RNK1110E", 15) in found
    assert ("sample@1.0.yaml", "RNK1113E", 16) in found
    assert ("sample@1.0.yaml", "RNK1111E", 17) in found
    assert ("other@1.0.yaml", "RNK1005E", 6) in found


def test_the_same_contract_in_two_files_is_refused(tmp_path: Path) -> None:
    first, second = write(tmp_path), write(tmp_path, name="again@1.0.yaml")
    with pytest.raises(DocumentInvalid, match="RNK1105E"):
        Registry.of_files([first, second])


def test_a_file_named_otherwise_than_its_contract_is_warned_of(tmp_path: Path) -> None:
    registry = Registry.of_files([write(tmp_path, name="mine.yaml")])
    assert "RNK1106W" in [problem.message_id for problem in registry.warnings]


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(DocumentInvalid, match="RNK1102E"):
        Registry.load([tmp_path / "nowhere"])


ALL_FIELDS = "  whole:\n    format: csv\n    all_fields: true\n    columns:\n      - {field: born, date: slash}\n"


def test_a_layout_of_all_fields_lists_only_what_is_special(tmp_path: Path) -> None:
    registry = Registry.of_files([write(tmp_path, GOOD + ALL_FIELDS)])
    contract = registry.contract("sample@1.0")
    columns = columns_of(registry.layout("sample@1.0", "whole"), contract)
    assert [column.field for column in columns] == contract.names
    assert {column.field: column.date for column in columns}["born"] == "slash"
    assert [problem.facts["layout"] for problem in registry.warnings] == ["narrow"]


def test_a_constant_has_no_place_among_all_fields(tmp_path: Path) -> None:
    with pytest.raises(DocumentInvalid, match="all_fields"):
        Registry.of_files([write(tmp_path, GOOD + ALL_FIELDS + "      - {constant: D}\n")])
