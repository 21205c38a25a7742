"""Testing a file against a contract: everything is found at its place, nothing personal comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from openpyxl import load_workbook

from contracts import contract_test
from contracts.cases import CaseFile, cases_file_of, load_cases
from contracts.contract_test import TestResult as Result
from contracts.errors import FileUnreadable
from contracts.registry import Registry
from contracts.report import write_xlsx
from contracts.synthetic.files import generate

RESIDENT = "resident@1.0"
TAX = "resident-tax@1.0"


@pytest.fixture(scope="session")
def people(library: Registry) -> CaseFile:
    return load_cases(cases_file_of(library.file(RESIDENT)), library.contract(RESIDENT))


@pytest.fixture(scope="session")
def tax_payers(library: Registry) -> CaseFile:
    return load_cases(cases_file_of(library.file(TAX)), library.contract(TAX))


def written(library: Registry, contract: str, record: dict[str, str]) -> list[str]:
    """The record as the mainframe writes it: dates without hyphens, absent fields empty."""
    return [
        record.get(field.name, "").replace("-", "") if field.type == "DATE" else record.get(field.name, "")
        for field in library.contract(contract).fields
    ]


def save(file: Path, lines: Sequence[str]) -> Path:
    file.write_bytes("".join(f"{line}\r\n" for line in lines).encode("cp932"))
    return file


def resident_file(folder: Path, library: Registry, records: Sequence[dict[str, str]]) -> Path:
    """A `mainframe_csv` file of those records."""
    lines = [",".join(written(library, RESIDENT, record)) for record in records]
    return save(folder / "JUMIN.csv", [",".join(library.contract(RESIDENT).names), *lines])


def run(library: Registry, contract: str, layout: str, file: Path) -> Result:
    return contract_test.test_file(file, library.contract(contract), library.layout(contract, layout))


def found(result: Result) -> list[tuple[int, int, str, str]]:
    return result.findings.select("ordinal", "line", "field", "rule").rows()


def test_a_good_file_passes(library: Registry, people: CaseFile, tmp_path: Path) -> None:
    file = resident_file(tmp_path, library, [people.records["resident"], people.records["foreigner"]])
    result = run(library, RESIDENT, "mainframe_csv", file)
    assert result.passed
    assert (result.records, result.good, result.rejected, result.warned) == (2, 2, 0, 0)
    assert found(result) == []


def test_each_mistake_is_found_at_its_line_byte_and_field(library: Registry, people: CaseFile, tmp_path: Path) -> None:
    good = people.records["resident"]
    wrong_sex = {**good, "rirekibango": "2", "seibetsu": "7"}
    old_number = {**good, "rirekibango": "3", "atenabango": "033202000000017"}
    again = {**good, "sosa_jikoku": "10:00:00"}
    file = resident_file(tmp_path, library, [good, wrong_sex, old_number, again])
    result = run(library, RESIDENT, "mainframe_csv", file)
    assert (result.records, result.good, result.rejected, result.warned) == (4, 2, 2, 1)
    assert found(result) == [(2, 3, "seibetsu", "codes"), (3, 4, "atenabango", "check_digit"), (4, 5, "atenabango", "duplicate_key")]
    assert dict(result.broken) == {
        ("atenabango", "check_digit", "warn"): 1,
        ("atenabango", "duplicate_key", "reject"): 1,
        ("seibetsu", "codes", "reject"): 1,
    }
    byte = result.findings.filter(pl.col("field") == "seibetsu")["byte"].item()
    assert file.read_bytes()[byte : byte + 2] == b"7,"


def test_a_rejected_record_does_not_make_the_next_one_a_duplicate(library: Registry, people: CaseFile, tmp_path: Path) -> None:
    good = people.records["resident"]
    file = resident_file(tmp_path, library, [{**good, "seibetsu": "7"}, good])
    result = run(library, RESIDENT, "mainframe_csv", file)
    assert found(result) == [(1, 2, "seibetsu", "codes")]


def test_a_warned_duplicate_is_rejected_not_warned(library: Registry, people: CaseFile, tmp_path: Path) -> None:
    warned = {**people.records["resident"], "ido_jiyu": "77"}
    result = run(library, RESIDENT, "mainframe_csv", resident_file(tmp_path, library, [warned, warned]))
    assert (result.good, result.rejected, result.warned) == (1, 1, 1)


def test_the_same_is_found_however_the_file_is_cut(
    library: Registry, people: CaseFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = people.records["resident"]
    records = [{**good, "rirekibango": str(number % 7 + 1), "seibetsu": "127"[number % 3]} for number in range(20)]
    file = resident_file(tmp_path, library, records)
    whole = run(library, RESIDENT, "mainframe_csv", file)
    monkeypatch.setattr(contract_test, "CHUNK_BYTES", 700)
    cut = run(library, RESIDENT, "mainframe_csv", file)
    assert len(cut.plan.cuts) > 3
    assert whole.rejected > 6
    assert (cut.good, cut.rejected, cut.broken) == (whole.good, whole.rejected, whole.broken)
    assert cut.findings.equals(whole.findings)


def test_unreadable_records_are_told_and_the_rest_goes_on(library: Registry, people: CaseFile, tmp_path: Path) -> None:
    good = people.records["resident"]
    broken = {**good, "rirekibango": "2", "jusho_katagaki": "◆◆"}
    file = resident_file(tmp_path, library, [good, broken])
    file.write_bytes(file.read_bytes().replace("◆◆".encode("cp932"), b"\x81\xad\xfd\xff"))
    result = run(library, RESIDENT, "mainframe_csv", file)
    assert (result.good, result.rejected) == (1, 1)
    assert {row[3] for row in found(result)} == {"undecodable"}
    byte = result.findings["byte"][0]
    assert file.read_bytes()[byte - 1 : byte + 2] == b",\x81\xad"


def test_no_personal_value_comes_out(library: Registry, people: CaseFile, tmp_path: Path) -> None:
    mistakes = {"atenabango": "0332020000X0016", "shimei_furigana": "くらしき　たろう", "seinengappi": "19800231"}
    wrong = {**people.records["resident"], **mistakes}
    file = resident_file(tmp_path, library, [wrong])
    result = run(library, RESIDENT, "mainframe_csv", file)
    shown = " ".join(result.findings["value"].to_list())
    assert result.findings.height >= 3
    assert "X0016" not in shown
    assert "らしき" not in shown
    assert "1980" not in shown
    book = tmp_path / "report.xlsx"
    write_xlsx(result, book)
    for sheet in load_workbook(book).worksheets:
        text = " ".join(str(cell) for row in sheet.iter_rows(values_only=True) for cell in row)
        assert "X0016" not in text
        assert "らしき" not in text


def tax_file(folder: Path, library: Registry, records: Sequence[dict[str, str]], count: int, tax: int, income: int) -> Path:
    lines = [",".join(["D", *written(library, TAX, record)]) for record in records]
    return save(folder / "ZEIFUKA.csv", ["H,ZEIFUKA,332020,20261120,1", *lines, f"T,{count},{tax},{income}"])


def test_declared_totals_are_compared(library: Registry, tax_payers: CaseFile, tmp_path: Path) -> None:
    records = [{**tax_payers.records["taxed"], "gokei_shotoku": "-100"}, tax_payers.records["untaxed"]]
    result = run(library, TAX, "mainframe_csv", tax_file(tmp_path, library, records, 2, 216000, -100))
    assert result.passed
    assert result.compared
    wrong = run(library, TAX, "mainframe_csv", tax_file(tmp_path, library, records, 3, 216001, -100))
    assert not wrong.passed
    assert [(one.total, one.declared, one.counted) for one in wrong.disagreements] == [
        ("count", "3", "2"),
        ("sum.nenzeigaku", "216001", "216000"),
    ]


def test_a_file_that_is_not_of_the_layout_is_an_error(library: Registry, tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_bytes(b"")
    with pytest.raises(FileUnreadable):
        run(library, RESIDENT, "mainframe_csv", file)


def test_progress_is_told(library: Registry, people: CaseFile, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    file = resident_file(tmp_path, library, [people.records["resident"]])
    contract_test.test_file(
        file, library.contract(RESIDENT), library.layout(RESIDENT, "mainframe_csv"), lambda done, of: told.append((done, of))
    )
    assert told == [(1, 1)]


def test_findings_beyond_the_most_are_counted_and_said(
    library: Registry, people: CaseFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract_test, "MOST_FINDINGS", 3)
    records = [{**people.records["resident"], "rirekibango": str(number), "seibetsu": "7"} for number in range(1, 11)]
    result = run(library, RESIDENT, "mainframe_csv", resident_file(tmp_path, library, records))
    assert (result.findings.height, result.omitted, result.broken["seibetsu", "codes", "reject"]) == (3, 7, 10)
    book = tmp_path / "report.xlsx"
    write_xlsx(result, book, "en")
    summary = [row[1] for row in load_workbook(book)["Summary"].iter_rows(values_only=True)]
    assert "the first 3 findings are listed, 7 more" in summary


def test_the_workbook_says_line_byte_label_rule_expected_and_found(library: Registry, people: CaseFile, tmp_path: Path) -> None:
    wrong = {**people.records["resident"], "seibetsu": "7", "zokugara_hyoki": "=1+1"}
    result = run(library, RESIDENT, "mainframe_csv", resident_file(tmp_path, library, [wrong]))
    book = tmp_path / "report.xlsx"
    write_xlsx(result, book, "ja")
    sheet = load_workbook(book)["明細"]
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == ("レコード", "行", "バイト", "項目名", "項目", "規則", "重み", "期待する値", "見つかった値（伏せ字）")
    line = {row[4]: row for row in rows[1:]}
    assert line["seibetsu"][3] == "性別"
    assert line["seibetsu"][5:] == ("codes", "拒否", "0 不明、1 男、2 女", "7")
    assert line["zokugara_hyoki"][8] == "=1+1"
    by_rule = {row[1]: row for row in load_workbook(book)["規則別"].iter_rows(values_only=True)}
    assert by_rule["seibetsu"][2:5] == ("codes", "拒否", 1)
    assert str(by_rule["seibetsu"][5]).startswith("性別: ")
    assert by_rule["seibetsu"][6]
    cell = next(cell for row in sheet.iter_rows() for cell in row if cell.value == "=1+1")
    assert cell.data_type == "s"


def test_sums_are_not_compared_when_records_cannot_be_read(library: Registry, tax_payers: CaseFile, tmp_path: Path) -> None:
    records = [tax_payers.records["taxed"], {**tax_payers.records["untaxed"], "kosei_jiyu": "@@"}]
    file = tax_file(tmp_path, library, records, 2, 999999, 3560000)
    file.write_bytes(file.read_bytes().replace(b"@@", b"\x81\xad"))
    result = run(library, TAX, "mainframe_csv", file)
    assert (result.rejected, result.disagreements, result.compared) == (1, (), False)
    book = tmp_path / "report.xlsx"
    write_xlsx(result, book, "en")
    assert ("Note", "sums not compared: some records cannot be read") in list(load_workbook(book)["Summary"].iter_rows(values_only=True))


def test_a_control_character_does_not_stop_the_report(library: Registry, people: CaseFile, tmp_path: Path) -> None:
    file = resident_file(tmp_path, library, [people.records["resident"]])
    result = run(library, RESIDENT, "mainframe_csv", file)
    row = {"ordinal": 1, "line": 2, "byte": 9, "field": "seibetsu", "rule": "codes", "severity": "reject", "value": "\x0b7"}
    spoiled = replace(result, findings=pl.DataFrame([row], schema=result.findings.schema))
    book = tmp_path / "report.xlsx"
    write_xlsx(spoiled, book, "ja")
    assert [row[8] for row in load_workbook(book)["明細"].iter_rows(values_only=True)][1] == "\\x0b7"


@pytest.mark.parametrize(("name", "layout"), [(RESIDENT, "mainframe_csv"), (RESIDENT, "mainframe_fixed"), (TAX, "mainframe_csv")])
def test_exactly_the_planted_mistakes_are_found(library: Registry, tmp_path: Path, name: str, layout: str) -> None:
    file = tmp_path / "synthetic"
    planted = generate(name, layout, file, records=3000, bad_share=0.02, registry=library)
    result = run(library, name, layout, file)
    bad = {ordinal for ordinals in planted.bad.values() for ordinal in ordinals}
    assert set(result.findings.filter(pl.col("severity") == "reject")["ordinal"].to_list()) == bad
    assert (result.good, result.rejected) == (3000 - len(bad), len(bad))
    assert result.disagreements == ()
