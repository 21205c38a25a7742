"""Documents are read safely: hostile or broken YAML becomes a problem with its place, and codes stay text."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.documents import LIMIT_BYTES, read_document
from contracts.errors import DocumentInvalid


def read(tmp_path: Path, text: str) -> object:
    file = tmp_path / "x.yaml"
    file.write_text(text, "utf-8")
    return read_document(file).data


def test_codes_dates_and_clock_times_stay_text(tmp_path: Path) -> None:
    assert read(tmp_path, "a: 012\nb: 2026-11-20\nc: 20:00\nd: 7\ne: 0\nf: 1.5\ng: true\nh: ~\n") == {
        "a": "012", "b": "2026-11-20", "c": "20:00", "d": 7, "e": 0, "f": 1.5, "g": True, "h": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message_id", "line", "column"),
    [
        ("a: [1\n", "RNK1001E", 2, 1),
        ("a: 1\nb: \x01", "RNK1001E", 1, 1),
        ("a: !!python/object:os.system x\n", "RNK1001E", 1, 4),
        ("a: 1\nb: 2\na: 3\n", "RNK1002E", 3, 1),
        ("a: &x 1\nb: *x\n", "RNK1004E", 2, 4),
        ("[" * 200_000, "RNK1004E", 1, 101),
        ("{a: " * 1_000, "RNK1004E", 1, 401),
        ("#" * (LIMIT_BYTES + 1), "RNK1004E", 0, 0),
    ],
)
def test_what_cannot_be_read_is_a_problem_at_its_place(tmp_path: Path, text: str, message_id: str, line: int, column: int) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        read(tmp_path, text)
    (problem,) = caught.value.problems
    assert (problem.message_id, problem.line, problem.column) == (message_id, line, column)


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes("名: 倉敷".encode("cp932"))
    with pytest.raises(DocumentInvalid, match="RNK1001E"):
        read_document(file)


@pytest.mark.parametrize(
    ("text", "message_id", "line", "column"),
    [
        ("a: 1\n---\nb: 2\n", "RNK1001E", 2, 1),
        ("a: 1\n[b]: 2\nc: 3\n", "RNK1001E", 2, 1),
        ("a: 1\nb: {? {c: 1} : 2}\n", "RNK1001E", 2, 7),
        ("a: 1\na: {b: [&x 1, *x]}\n", "RNK1004E", 2, 15),
        ("a: 1\na: " + "[" * 200 + "]" * 200, "RNK1004E", 2, 103),
        ("a: !!int x\n", "RNK1001E", 1, 4),
    ],
)
def test_what_is_passed_over_is_looked_at_too(tmp_path: Path, text: str, message_id: str, line: int, column: int) -> None:
    test_what_cannot_be_read_is_a_problem_at_its_place(tmp_path, text, message_id, line, column)


def test_after_what_is_passed_over_reading_goes_on(tmp_path: Path) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        read(tmp_path, "a: 1\na: {b: [1, {c: 2}]}\n? [x, {y: 1}]\n: [2]\nd: !x 1\ne: {f: 1, f: 2}\n")
    assert [(problem.message_id, problem.line) for problem in caught.value.problems] == [
        ("RNK1002E", 2), ("RNK1001E", 3), ("RNK1001E", 5), ("RNK1002E", 6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "data"), [("", {}), ("# nothing\n", {}), ("---\n", None), ("a: '12'\nb: !!str 7\nc: 7", {"a": "12", "b": "7", "c": 7})]
)
def test_what_little_documents_hold(tmp_path: Path, text: str, data: object) -> None:
    assert read(tmp_path, text) == data
