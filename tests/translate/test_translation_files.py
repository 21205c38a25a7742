"""Reading translation files: every mistake of every file at once, each at its line, and tables to look up in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import DocumentInvalid
from contracts.model import Contract
from contracts.registry import Registry
from contracts.translate import Translator
from contracts.translation_files import Found, find_translations, load_translations
from tests.translate.translate_cases import SOURCE, TARGET, frame

HEAD = "translation: t@1.0\nfrom: person@1.0\nto: client@1.0\n"


class Known:
    """Knows the two contracts of the cases besides the library."""

    _library = Registry.load()

    def contract(self, name: str) -> Contract:
        own = {contract.contract: contract for contract in (SOURCE, TARGET)}
        return own[name] if name in own else self._library.contract(name)


def find(folder: Path, text: str, name: str = "t.yaml") -> Found:
    (folder / name).write_text(text, "utf-8")
    return find_translations([folder], Known())


def ids(found: Found) -> list[tuple[str, int]]:
    return [(problem.message_id, problem.line) for problem in found.problems if problem.message_id != "RNK1308W"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fields:\n  number: id\n", []),
        ("fields:\n  text: kana\n", [("RNK1307E", 4)]),
        ('fields:\n  number: {constant: ""}\n', [("RNK1307E", 5)]),
        ("fields:\n  number: id\n  tekst: kana\n", [("RNK1305E", 6)]),
        ("fields:\n  number: idd\n", [("RNK1306E", 5)]),
        ("fields:\n  number: id\n  text: {when: {fields: {sax: {eq: a}}}, then: kanna}\n", [("RNK1306E", 6), ("RNK1306E", 6)]),
        ("drop: [nobody]\nfilter: {fields: {nothing: {present: true}}}\nfields: {number: id}\n", [("RNK1306E", 5), ("RNK1306E", 4)]),
        ("fields:\n  number: id\n  kind:\n    from: sex\n    steps:\n      - map: {codes: {'0': X, '1': Z, '2': F}}\n", [("RNK1309E", 6)]),
        ("fields:\n  number: id\n  kind: {constant: Q}\n", [("RNK1309E", 6)]),
        ("fields:\n  number: id\n  fee: {constant: '1000'}\n", [("RNK1310E", 6)]),
        ("fields:\n  number: id\n  fee: {from: amount}\n", [("RNK1316W", 6), ("RNK1311W", 6)]),
        ("fields:\n  number: id\n  fee: {from: amount, steps: [{cut: {start: 1, length: 3}}]}\n", []),
        ("fields:\n  number: id\n  wide: {join: {parts: [name, name, name]}}\n", [("RNK1311W", 6)]),
        ("fields:\n  number: id\n  kind: {from: name, steps: [{map: {codes: {a: M}, default: X}}]}\n", [("RNK1312W", 6)]),
        ("fields:\n  number: id\n  kind: {from: sex, steps: [{map: {codes: {'1': M}}}]}\n", [("RNK1313W", 6)]),
        ("fields:\n  number: id\n  kind: {from: sex, steps: [{map: {codes: {'0': X, '1': M}, keep: true}}]}\n", [("RNK1314W", 6)]),
        ("fields:\n  number: id\n  kind: sex\n", [("RNK1314W", 6)]),
        ("fields:\n  number: kana\n", [("RNK1315W", 5), ("RNK1311W", 5)]),
        ("fields:\n  number: id\n  wide: kana\n", [("RNK1316W", 6)]),
        ("fields:\n  number: id\n  text: born\n  yen: amount\n", []),
        ("fields:\n  number: {from: id, steps: [{shout: 1}]}\n", [("RNK1005E", 5)]),
        ("fields:\n  number: {from: id, constant: a}\n", [("RNK1003E", 5)]),
        ("fields:\n  number: {from: id, steps: [{lookup: {table: no.csv, key: a, value: b}}]}\n", [("RNK1304E", 5)]),
        ("fields:\n  number: {from: id, steps: [{lookup: {table: ../x.csv, key: a, value: b}}]}\n", [("RNK1304E", 5)]),
    ],
)
def test_findings_stand_at_their_line(tmp_path: Path, text: str, expected: list[tuple[str, int]]) -> None:
    assert ids(find(tmp_path, HEAD + text)) == expected


def test_what_nothing_fills_is_named(tmp_path: Path) -> None:
    found = find(tmp_path, HEAD + "fields:\n  number: id\n")
    unfilled = [problem.facts["field"] for problem in found.warnings if problem.message_id == "RNK1308W"]
    assert unfilled == ["text", "wide", "kind", "day", "yen", "fee"]
    assert "kind" in found.warnings[2].text("en")


def test_all_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("translation: a@1.0\nfrom: persn@1.0\nto: client@1.0\n", "utf-8")
    (tmp_path / "b.yaml").write_text("translation: b@1.0\n  from: [\n", "utf-8")
    (tmp_path / "c.yaml").write_text(HEAD + "fields: {number: id}\n", "utf-8")
    found = find(tmp_path, HEAD + "fields: {number: id}\n", "d.yaml")
    assert ids(found) == [("RNK1303E", 2), ("RNK1001E", 2), ("RNK1302E", 1)]
    with pytest.raises(DocumentInvalid) as raised:
        load_translations([tmp_path, tmp_path / "absent"], Known())
    assert len(raised.value.problems) == 4


def test_a_lookup_reads_its_table_and_the_digest_covers_it(tmp_path: Path) -> None:
    rule = "{from: kana, steps: [{lookup: {table: town.csv, key: old, value: new}}]}"
    table = tmp_path / "town.csv"
    table.write_text('\ufeffold,name,new\r\n1,"a, b",X1\r\n2,c,X2\r\n', "utf-8")
    loaded = find(tmp_path, f"{HEAD}fields:\n  number: id\n  text: {rule}\n").translations["t@1.0"]
    made = Translator(loaded, SOURCE, TARGET).apply(frame({"kana": "1"}, {"kana": "2"}, {"kana": ""}, {"kana": "9"}))
    assert made.frame["text"].to_list() == ["X1", "X2", ""]
    assert made.refused.select("ordinal", "rule", "value").rows() == [(4, "not_in_table", "9")]
    table.write_text("old,new\n1,X9\n", "utf-8")
    again = find_translations([tmp_path], Known()).translations["t@1.0"]
    assert again.digest != loaded.digest
    assert again.file == tmp_path / "t.yaml"


@pytest.mark.parametrize("table", ["old,other\n1,2\n", "old,new\n1\n", "old,new\n1,2\n1,3\n", 'old,new\n"1,2\n', "old,new\n1,2,3\n"])
def test_a_broken_table_is_refused(tmp_path: Path, table: str) -> None:
    (tmp_path / "town.csv").write_text(table, "utf-8")
    rule = "{from: kana, steps: [{lookup: {table: town.csv, key: old, value: new}}]}"
    assert ids(find(tmp_path, f"{HEAD}fields:\n  number: id\n  text: {rule}\n")) == [("RNK1304E", 6)]


def test_every_finding_has_words_in_both_languages(tmp_path: Path) -> None:
    found = find(tmp_path, HEAD + "fields:\n  tekst: {from: idd}\n")
    for problem in found.problems:
        for language in ("ja", "en"):
            said: Any = SimpleNamespace(text=problem.text(language), action=problem.action(language))  # type: ignore[arg-type]
            assert said.text
            assert said.action
            assert "?" not in said.text.replace('did you mean "', "")


def test_the_products_own_translations_are_without_finding() -> None:
    found = find_translations([], Registry.load())
    assert found.problems == []
    assert "resident-current@1.0" in found.translations
