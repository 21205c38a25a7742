"""`renkei contract diff`: by name and by file, in both languages, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.registry import library_folder
from tests.cli.conftest import Renkei

CONTRACT = """\
contract: town-note@1.0
title: {ja: 町のメモ, en: Notes of a town}
follows: {document: none, version: "1", status: provisional}
key: [number]
code_tables:
  kind: {version: "1", values: {"1": {ja: 通知, en: notice}}}
fields:
  - {name: number, label: 番号, type: "9", length: 5, required: true}
  - {name: kind, label: 種類, type: X, length: 1, codes: kind}
  - {name: note, label: メモ, type: N, length: 10}
"""
MORE_CODES = ('{"1": {ja: 通知, en: notice}}', '{"1": {ja: 通知, en: notice}, "2": {ja: 催告, en: reminder}}')
TRANSLATION = "translation: note-back@1.0\nfrom: town-note@1.1\nto: town-note@1.0\nsame_names: true\n"


def version(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    text = CONTRACT.replace("town-note@1.0", name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize("name", ["town-note@1.0", "resident@1.0"])
def test_a_contract_and_itself_are_the_same(renkei: Renkei, tmp_path: Path, name: str) -> None:
    version(tmp_path / "own", "town-note@1.0")
    ended = renkei("contract", "diff", name, name, "--folder", str(tmp_path / "own"))
    assert (ended.code, "RNK6500I" in ended.out) == (0, True)


def test_what_breaks_nobody_is_a_warning(renkei: Renkei, tmp_path: Path) -> None:
    old = version(tmp_path, "town-note@1.0")
    more = ("length: 10}", "length: 10}\n  - {name: more, label: 他, type: X, length: 5}")
    new = version(tmp_path, "town-note@1.1", ("label: メモ", "label: 覚え"), more)
    ended = renkei("contract", "diff", str(old), str(new))
    assert ended.code == 4
    assert "more: field added, may be absent" in ended.out
    assert "note: the label changed (メモ → 覚え)" in ended.out
    assert "RNK6501I" in ended.out
    assert "breaking for" in ended.out


def test_a_breaking_change_is_told_with_whom_it_breaks_in_both_languages(renkei: Renkei, tmp_path: Path) -> None:
    old = version(tmp_path, "town-note@1.0")
    new = version(tmp_path, "town-note@1.1", MORE_CODES, ("length: 10", 'length: 8, pattern: "[あ-ん]+"'))
    ended = renkei("contract", "diff", str(old), str(new))
    assert ended.code == 8
    assert "kind: codes added (2)" in ended.out
    assert "RNK6502E town-note@1.0 to town-note@1.1: 3 of 3 change(s) breaking for publishers, subscribers" in ended.out
    assert "not proven" in ended.out
    told = renkei("--lang", "ja", "contract", "diff", str(old), str(new)).out
    assert "kind: コードが増えました(2)" in told
    assert "送り手、受け手" in told
    assert "受け手: 旧版のままだと" in told
    found = json.loads(renkei("contract", "diff", str(old), str(new), "--json").out)
    assert (found["verdict"], found["breaking_for"]) == ("breaking", ["publisher", "subscriber"])
    assert [(each["field"], each["kind"], each["breaking_for"], each["proven"]) for each in found["changes"]] == [
        ("kind", "codes_added", ["subscriber"], True),
        ("note", "length", ["publisher"], True),
        ("note", "pattern", ["publisher"], False),
    ]
    assert found["changes"][0]["facts"] == {"codes": "2"}


def test_a_declared_translation_is_named_and_changes_no_verdict(renkei: Renkei, tmp_path: Path) -> None:
    own = tmp_path / "own"
    version(own, "town-note@1.0")
    version(own, "town-note@1.1", MORE_CODES)
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "note-back@1.0.yaml").write_text(TRANSLATION, "utf-8")
    (tmp_path / "site.yaml").write_text("site: here\ncontracts: [own]\ntranslations: [maps]\ntenants: [t.yaml]\n", "utf-8")
    ended = renkei("contract", "diff", "town-note@1.0", "town-note@1.1")
    assert ended.code == 8
    assert "RNK6503I declared for subscribers who stay with the old version: translation note-back@1.0" in ended.out
    assert renkei("contract", "diff", "town-note@1.1", "town-note@1.0").code == 8


def test_what_is_not_there_is_not_found(renkei: Renkei, tmp_path: Path) -> None:
    ended = renkei("contract", "diff", "resident@1.0", str(tmp_path / "none.yaml"))
    assert (ended.code, "RNK6006E" in ended.err) == (5, True)
    ended = renkei("contract", "diff", "resident@1.0", "residents@1.0")
    assert (ended.code, "resident@1.0" in ended.err) == (5, True)


def test_a_file_with_mistakes_is_told_at_its_line(renkei: Renkei, tmp_path: Path) -> None:
    file = version(tmp_path, "town-note@1.0", ("required: true", "requird: true"))
    ended = renkei("contract", "diff", str(library_folder() / "resident@1.0.yaml"), str(file))
    assert ended.code == 8
    assert "town-note@1.0.yaml:8:" in ended.err


def test_the_two_versions_of_the_library_stand_side_by_side(renkei: Renkei) -> None:
    found = json.loads(renkei("contract", "diff", "resident@1.0", "resident@1.1", "--events", "--json").out)
    assert [(each["field"], each["kind"], each["breaking_for"]) for each in found["changes"]] == [
        ("zokugara_code1", "codes_added", ["subscriber"]),
        ("zokugara_code2", "codes_added", ["subscriber"]),
        ("shimei_furigana_kakunin_flag", "field_added", []),
        ("shimei_furigana", "rule_added", []),
    ]
    assert found["translations"] == {"publisher": ["resident-up@1.0"], "subscriber": ["resident-down@1.0"]}
    with_files = json.loads(renkei("contract", "diff", "resident@1.0", "resident@1.1", "--json").out)
    assert with_files["breaking_for"] == ["publisher", "subscriber"]
    assert with_files["changes"][6]["facts"] == {"layout": "mainframe_fixed", "differences": "+shimei_furigana_kakunin_flag, ~#2"}
