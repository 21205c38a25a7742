"""The result of a contract test as an xlsx workbook that can be sent to the vendor whose file it was.

Owns: the sheets and their words. Values in it are masked already (`contracts.contract_test`). Rows are written one by one, so memory does
not grow with the findings. Text that looks like a formula stays text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.cell.cell import Cell as TextCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from contracts.contract_test import TestResult
from contracts.explain import advice, expected, label, reason
from contracts.messages import Language

Cell = str | int
SEVERITY_WORDS: Final = {"reject": ("拒否", "reject"), "warn": ("警告", "warn")}

_SUMMARY: Final = ("概要", "Summary")
_BY_RULE: Final = ("規則別", "By rule")
_FINDINGS: Final = ("明細", "Findings")
_BY_RULE_TITLES: Final = (
    ("項目名", "Field"),
    ("項目", "Name"),
    ("規則", "Rule"),
    ("重み", "Severity"),
    ("件数", "Count"),
    ("内容", "What is wrong"),
    ("どうするか", "What to do"),
)
_FINDING_TITLES: Final = (
    ("レコード", "Record"),
    ("行", "Line"),
    ("バイト", "Byte"),
    ("項目名", "Field"),
    ("項目", "Name"),
    ("規則", "Rule"),
    ("重み", "Severity"),
    ("期待する値", "Expected"),
    ("見つかった値（伏せ字）", "Found (masked)"),
)
_BY_RULE_WIDTHS: Final = (26, 26, 26, 10, 12, 70, 70)
_FINDING_WIDTHS: Final = (10, 10, 12, 26, 26, 26, 10, 50, 30)


def write_xlsx(result: TestResult, path: Path, language: Language = "ja") -> None:
    """Write the workbook: a summary, a count for each broken rule, and one row for each finding kept.

    Raises:
        OSError: the workbook cannot be written.
    """
    book = Workbook(write_only=True)
    _sheet(book, _said(_SUMMARY, language), (), _summary(result, language), (34, 90))
    titles = [_said(title, language) for title in _BY_RULE_TITLES]
    _sheet(book, _said(_BY_RULE, language), titles, _by_rule(result, language), _BY_RULE_WIDTHS)
    titles = [_said(title, language) for title in _FINDING_TITLES]
    _sheet(book, _said(_FINDINGS, language), titles, _findings(result, language), _FINDING_WIDTHS)
    book.save(path)


def _said(words: tuple[str, str], language: Language) -> str:
    return words[0] if language == "ja" else words[1]


def _sheet(book: Workbook, name: str, titles: Sequence[str], rows: Iterator[Sequence[Cell]], widths: Sequence[int]) -> None:
    sheet = book.create_sheet(name)
    for number, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    if titles:
        sheet.freeze_panes = "A2"
        head = [WriteOnlyCell(sheet, title) for title in titles]
        for cell in head:
            cell.font = Font(bold=True)
            cell.fill = PatternFill("solid", fgColor="DDE5EC")
            cell.alignment = Alignment(vertical="top", wrap_text=True)
        sheet.append(head)
    for row in rows:
        sheet.append([_plain(sheet, value) if isinstance(value, str) else value for value in row])


def _plain(sheet: WriteOnlyWorksheet, value: str) -> TextCell:
    """Text that stays text: no formula, no character a workbook cannot hold."""
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub(lambda found: f"\\x{ord(found[0]):02x}", value))
    cell.data_type = "s"
    return cell


def _summary(result: TestResult, language: Language) -> Iterator[Sequence[Cell]]:
    ja = language == "ja"
    follows = result.contract.follows
    yield ("結果" if ja else "Result"), _verdict(result, language)
    yield ("ファイル" if ja else "File"), result.file.name
    yield ("契約" if ja else "Contract"), result.contract.contract
    yield ("準拠文書" if ja else "Follows"), f"{follows.document} {follows.version} ({follows.status})"
    yield ("大きさ（バイト）" if ja else "Size (bytes)"), result.plan.bytes
    yield "SHA-256", result.plan.sha256
    yield ("レコード数" if ja else "Records"), result.records
    yield ("正常" if ja else "Good"), result.good
    yield ("拒否" if ja else "Rejected"), result.rejected
    yield ("うち警告のある正常" if ja else "Good with a warning"), result.warned
    for name, declared in result.plan.declared.items():
        yield (f"ファイルの宣言: {name}" if ja else f"Declared: {name}"), declared
    for name, total in result.totals.sums.items():
        yield f"{'合計' if ja else 'Sum'}: {label(result.contract, name, language)}", str(total)
    for one in result.disagreements:
        told = f"宣言 {one.declared} / 実際 {one.counted}" if ja else f"declared {one.declared}, counted {one.counted}"
        yield (f"不一致: {one.total}" if ja else f"Disagrees: {one.total}"), told
    if not result.compared:
        told = "読めないレコードがあるため合計は突き合わせていません" if ja else "sums not compared: some records cannot be read"
        yield ("注意" if ja else "Note"), told
    if result.omitted:
        kept = result.findings.height
        more = result.omitted
        told = f"明細は最初の {kept} 件まで。ほか {more} 件" if ja else f"the first {kept} findings are listed, {more} more"
        yield ("注意" if ja else "Note"), told


def _verdict(result: TestResult, language: Language) -> str:
    if result.passed:
        return "合格" if language == "ja" else "passed"
    return "不合格" if language == "ja" else "failed"


def _by_rule(result: TestResult, language: Language) -> Iterator[Sequence[Cell]]:
    for (field, rule, severity), count in result.broken.items():
        what = reason(result.contract, field, rule, language, result.layout)
        name = label(result.contract, field, language)
        yield name, field, rule, _said(SEVERITY_WORDS[severity], language), count, what, advice(rule, language)


def _findings(result: TestResult, language: Language) -> Iterator[Sequence[Cell]]:
    told: dict[tuple[str, str], tuple[str, str]] = {}
    for ordinal, line, byte, field, rule, severity, value in result.findings.iter_rows():
        words = told.get((field, rule))
        if words is None:
            words = told[field, rule] = _words(result, field, rule, language)
        yield ordinal, line, byte, words[0], field, rule, _said(SEVERITY_WORDS[severity], language), words[1], value


def _words(result: TestResult, field: str, rule: str, language: Language) -> tuple[str, str]:
    told = expected(result.contract, field, rule, language, result.layout)
    return label(result.contract, field, language), told or reason(result.contract, field, rule, language)
