"""Broken rules in words: every rule of every contract has some, in both languages, and none holds a value."""

from __future__ import annotations

import pytest

from contracts.explain import advice, expected, label, reason
from contracts.messages import Language, catalogue
from contracts.registry import Registry

NAMES = Registry.load().names()
LANGUAGES: tuple[Language, Language] = ("ja", "en")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_of_every_field_says_what_is_expected(library: Registry, name: str, language: Language) -> None:
    contract = library.contract(name)
    for field in contract.fields:
        broken = ["type"]
        broken += ["required"] if field.required else []
        broken += ["length"] if field.length else []
        broken += ["codes"] if field.codes else []
        broken += ["pattern"] if field.pattern else []
        broken += ["check_digit"] if field.check_digit else []
        broken += ["range"] if field.minimum or field.maximum else []
        for rule in broken:
            assert expected(contract, field.name, rule, language), (field.name, rule)
    for cross in contract.rules:
        assert expected(contract, cross.field, cross.id, language) == cross.words.said(language)
        assert reason(contract, cross.field, cross.id, language) == cross.words.said(language)


def test_what_is_expected_names_the_contract_s_own_limits(library: Registry) -> None:
    contract = library.contract("resident@1.0")
    assert expected(contract, "shimei", "length", "ja") == "100 文字以内"
    assert expected(contract, "jusho_yubinbango", "length", "ja") == "7 文字ちょうど"
    assert expected(contract, "seibetsu", "codes", "ja") == "0 不明、1 男、2 女"
    assert expected(contract, "zokugara_code1", "codes", "en").endswith("…")
    welfare = library.contract("disability-welfare@1.0")
    assert expected(welfare, "shikyu_ryo", "type", "en") == "a decimal number, at most 5.2 digits"
    assert expected(library.contract("resident-tax@1.0"), "fuka_nendo", "range", "ja") == "1950 〜 2100"


def test_rules_about_the_form_of_a_file_name_the_layout_s_figures(library: Registry) -> None:
    contract = library.contract("resident@1.0")
    fixed, csv = library.layout("resident@1.0", "mainframe_fixed"), library.layout("resident@1.0", "csv_utf8")
    assert expected(contract, "", "columns", "ja", csv) == "46 列"
    assert expected(contract, "", "newline", "ja", csv) == "CRLF"
    assert expected(contract, "", "record_length", "en", fixed) == "800 bytes"
    assert expected(contract, "", "constant", "ja", fixed) == '"D"'
    assert expected(contract, "seinengappi", "date_form", "ja", fixed) == "yyyymmdd"
    assert expected(contract, "shimei", "too_wide", "ja", fixed) == "60 バイト以内"
    assert expected(contract, "", "columns", "ja") == "レイアウトのとおり"
    assert expected(contract, "shimei", "undecodable", "ja") == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_has_a_whole_sentence_and_advice(library: Registry, language: Language) -> None:
    contract = library.contract("resident@1.0")
    rules = [message_id.removeprefix("rule.") for message_id in catalogue() if message_id.startswith("rule.")]
    assert {"required", "undecodable", "columns", "duplicate_key"} <= set(rules)
    for rule in rules:
        sentence = reason(contract, "seinengappi", rule, language)
        assert "?" not in sentence
        assert "rule." not in sentence
        assert advice(rule, language)


def test_a_field_is_called_by_its_label(library: Registry) -> None:
    contract = library.contract("resident@1.0")
    assert [label(contract, "atenabango", language) for language in LANGUAGES] == ["宛名番号", "address number"]
    assert label(contract, "", "ja") == "レコード全体"
    assert label(contract, "not_of_it", "ja") == "not_of_it"
