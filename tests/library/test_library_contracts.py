"""What the contracts of the library promise, whatever else changes in them."""

from __future__ import annotations

import pytest

from contracts.layouts.model import FixedLayout, XmlLayout
from contracts.registry import Registry

LIBRARY = ("disability-welfare@1.0", "resident-number@1.0", "resident-tax@1.0", "resident@1.0", "resident@1.1")


def test_the_library_is_complete(library: Registry) -> None:
    assert set(LIBRARY) <= set(library.names())


@pytest.mark.parametrize("name", LIBRARY)
def test_every_field_has_its_words_in_both_languages(library: Registry, name: str) -> None:
    contract = library.contract(name)
    assert [field.name for field in contract.fields if not (field.label and field.label_en)] == []
    assert len({field.label for field in contract.fields}) == len(contract.fields)


@pytest.mark.parametrize("name", LIBRARY)
def test_what_is_not_confirmed_says_so(library: Registry, name: str) -> None:
    follows = library.contract(name).follows
    assert follows.status == "confirmed" or "仮" in follows.note


@pytest.mark.parametrize("name", LIBRARY)
def test_every_layout_carries_every_field(library: Registry, name: str) -> None:
    contract = library.contract(name)
    for layout in library.layouts(name).values():
        carried = [column.field for column in layout.columns if column.field] or contract.names
        assert carried == contract.names


@pytest.mark.parametrize("name", LIBRARY)
def test_full_width_columns_hold_whole_characters(library: Registry, name: str) -> None:
    contract = library.contract(name)
    for layout in library.layouts(name).values():
        if isinstance(layout, FixedLayout):
            for column in layout.columns:
                if column.field and contract.field(column.field).type == "N":
                    assert column.bytes is not None
                    assert (column.bytes % 2, column.pad) == (0, "　"), column.field


@pytest.mark.parametrize("name", LIBRARY)
def test_an_absent_number_is_not_padded_with_zeros(library: Registry, name: str) -> None:
    """A column padded with zeros cannot tell 0 from absent: only numbers that are never 0 nor absent may be."""
    contract = library.contract(name)
    for layout in library.layouts(name).values():
        if not isinstance(layout, XmlLayout):
            for column in layout.columns:
                if column.field and column.pad == "0":
                    field = contract.field(column.field)
                    assert field.required
                    assert (field.pattern or "").startswith("[1-9]")


def test_resident_has_its_layouts_and_size(library: Registry) -> None:
    assert len(library.contract("resident@1.0").fields) >= 35
    assert set(library.layouts("resident@1.0")) == {"csv_utf8", "mainframe_csv", "mainframe_fixed", "xml"}


def test_individual_numbers_stand_in_one_contract_only(library: Registry) -> None:
    holders = [
        name
        for name in library.names()
        if any(field.check_digit == "individual_number" or "kojinbango" in field.name for field in library.contract(name).fields)
    ]
    assert holders == ["resident-number@1.0"]
    assert library.contract("resident-number@1.0").field("kojinbango").sensitivity == "individual_number"


def test_a_wrong_check_digit_of_an_old_address_number_only_warns(library: Registry) -> None:
    for name in LIBRARY:
        assert library.contract(name).field("atenabango").severity.get("check_digit") == "warn"


def test_support_measures_are_marked(library: Registry) -> None:
    contract = library.contract("resident@1.0")
    assert {field.name for field in contract.fields if field.sensitivity == "support_measure"} == {
        "shien_sochi_flag",
        "shien_sochi_shuryo_ymd",
    }


def test_history_tells_the_order_within_a_person(library: Registry) -> None:
    contract = library.contract("resident@1.0")
    assert contract.key == ["atenabango", "rirekibango"]
    assert (contract.ordering_key, contract.version_field) == (["atenabango"], "rirekibango")


def test_tax_amounts_are_summed(library: Registry) -> None:
    contract = library.contract("resident-tax@1.0")
    assert {"nenzeigaku", "gokei_shotoku"} <= set(contract.control_sums)


def test_the_library_warns_of_nothing(library: Registry) -> None:
    """A shipped contract that warns would teach operators to look away; narrower columns are agreed with `shorter`."""
    assert library.warnings == ()
