"""The data dictionary: complete, escaped, the same every time."""

from __future__ import annotations

from typing import cast

import pytest
from lxml import html as lxml_html

from contracts.dictionary import Format, dictionary
from contracts.dictionary_words import WORDS
from contracts.layouts.model import FixedLayout, Layout
from contracts.messages import Language
from contracts.model import Contract
from contracts.registry import Registry

NAMES = Registry.load().names()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("form", ["markdown", "html"])
def test_every_contract_has_one(library: Registry, name: str, language: Language, form: Format) -> None:
    contract, layouts = library.contract(name), library.layouts(name)
    text = dictionary(contract, layouts, language, form)
    assert text == dictionary(contract, layouts, language, form)
    plain = text.replace("\\", "")
    for field in contract.fields:
        assert field.name in plain
        assert (field.label if language == "ja" else field.label_en) in plain
    assert all(layout in plain for layout in layouts)
    assert (WORDS["status.provisional"].ja if language == "ja" else WORDS["status.provisional"].en) in plain


@pytest.mark.parametrize("name", NAMES)
def test_markdown_tables_have_one_width(library: Registry, name: str) -> None:
    width = 0
    for line in dictionary(library.contract(name), library.layouts(name), "ja").splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = line.replace("\\|", "").count("|")
        assert cells == (width or cells), line
        width = cells


def hostile(library: Registry) -> Contract:
    contract = library.contract("resident-number@1.0")
    evil = '<script>alert("x")</script>|`*_\nnext'
    fields = [contract.fields[0].model_copy(update={"label": evil, "note": evil}), *contract.fields[1:]]
    return contract.model_copy(update={"fields": fields, "note": evil})


def test_html_escapes_every_text_and_loads_nothing(library: Registry) -> None:
    page = dictionary(hostile(library), library.layouts("resident-number@1.0"), "ja", "html")
    tree = lxml_html.fromstring(page.encode())
    assert tree.xpath("//script | //link | //img | //iframe | //*[@src] | //*[@href]") == []
    assert any("<script>" in cell for cell in cast("list[str]", tree.xpath("//td/text()")))
    assert "@import" not in page
    assert "url(" not in page


def test_markdown_escapes_every_text(library: Registry) -> None:
    text = dictionary(hostile(library), {}, "ja")
    assert "<script>" not in text
    assert '\\<script\\>alert("x")\\</script\\>\\|\\`\\*\\_ next' in text


def test_need_and_rules_are_told(library: Registry) -> None:
    lines = dictionary(library.contract("resident@1.0"), {}, "en").replace("\\", "").splitlines()
    told = {cells[2]: (cells[5], cells[6]) for cells in (line.split(" | ") for line in lines) if len(cells) > 8}
    assert told["shimei"][0] == "required"
    assert told["kokuseki_code"][0] == "conditional"
    assert told["tsusho"][0] == "optional"
    assert "check digit only warns" in told["atenabango"][1]
    assert "Feb 29" in told["seinengappi"][1]


def test_fixed_positions_count_from_one(library: Registry) -> None:
    layouts: dict[str, Layout] = {"mainframe_fixed": library.layout("resident-number@1.0", "mainframe_fixed")}
    assert isinstance(layouts["mainframe_fixed"], FixedLayout)
    text = dictionary(library.contract("resident-number@1.0"), layouts, "ja").replace("\\", "")
    assert "| 3 | 8 | 15 | 宛名番号 (atenabango) |" in text
    assert "| 2 | 2 | 9 | データ件数 |" in text
