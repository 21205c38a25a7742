"""A whole translation: filtering, refusing, totals that add up, and what stays untouched."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.record_validator import RecordValidator
from contracts.totals import Totals
from contracts.translate import Translator
from contracts.violations import PLACE, VIOLATIONS
from tests.translate.translate_cases import SOURCE, TARGET, apply, frame, translation

FIELDS: dict[str, Any] = {
    "text": {"from": "era", "steps": [{"split": {"by": "-", "part": 1}}]},
    "kind": {"from": "sex", "steps": [{"map": {"codes": {"1": "M", "2": "F"}}}]},
    "yen": "amount",
    "fee": {"from": "amount", "steps": [{"trim": {"side": "left", "characters": "-"}}]},
}


def test_filtered_refused_and_delivered_add_up() -> None:
    made = apply(
        FIELDS,
        {"sex": "1", "amount": "10"},
        {"sex": "0", "amount": "200"},
        {"sex": "2", "amount": "-3000"},
        {"sex": "2", "amount": "40000", "era": "drop"},
        {"sex": "2", "amount": "-50"},
        filter={"fields": {"era": {"ne": "drop"}}},
    )
    assert made.frame["number"].to_list() == ["1", "5"]
    assert made.frame.columns == [*TARGET.names, *PLACE]
    assert made.frame["_ordinal"].to_list() == [1, 5]
    assert made.taken_in == Totals(5, {"yen": Decimal(37160)})
    assert made.filtered == Totals(1, {"yen": Decimal(40000)})
    assert made.refused_totals == Totals(2, {"yen": Decimal(-2800)})
    assert made.refused.schema == VIOLATIONS
    assert made.refused.select("ordinal", "field", "rule").rows() == [(2, "kind", "unmapped"), (3, "fee", "length")]


def test_only_copies_of_numbers_carry_sums() -> None:
    translator = Translator(translation(FIELDS), SOURCE, TARGET)
    assert translator.carried_sums == {"yen": "amount"}
    assert Translator(translation({}), SOURCE, TARGET).apply(frame({"amount": "1"})).taken_in == Totals(1)


def test_unfilled_fields_are_absent_and_copies_are_nothing_but_renamed_columns() -> None:
    translator = Translator(translation({"wide": "name"}), SOURCE, TARGET)
    made = translator.apply(frame({"name": "山田"}, {"name": "髙﨑"}))
    assert made.frame["day"].to_list() == ["", ""]
    assert made.frame["wide"].to_list() == ["山田", "髙﨑"]
    column = translator._columns[TARGET.names.index("wide")]
    assert column.meta == pl.col("name").alias("wide"), "anything more would copy the column"
    assert "wide" not in translator._guarded


def test_a_required_field_that_comes_out_absent_is_refused() -> None:
    made = apply({"number": {"from": "era", "steps": [{"split": {"by": "-", "part": 2}}]}}, {"era": "a-b"}, {"era": "a"})
    assert made.frame["number"].to_list() == ["b"]
    assert made.refused.select("ordinal", "field", "rule").rows() == [(2, "number", "required")]


def test_a_field_less_sensitive_than_its_source_shows_no_value() -> None:
    made = apply({"kind": {"from": "name", "steps": [{"map": {"codes": {"x": "X"}}}]}}, {"name": "山田"})
    assert made.refused["value"].to_list() == [""]
    valued = apply({"kind": {"from": "name", "steps": [{"trim": {}}]}}, {"name": "山田"})
    assert set(valued.refused["value"]) == {""}


def test_same_names_and_drop() -> None:
    again = translation({}).model_validate(
        {"translation": "t@1.0", "from": "person@1.0", "to": "person@1.0", "same_names": True, "drop": ["name"]}
    )
    translator = Translator(again, SOURCE, SOURCE)
    made = translator.apply(frame({"name": "山田", "sex": "1", "born": "1950-01-01"}))
    assert made.frame.select("name", "sex", "born").rows() == [("", "1", "1950-01-01")]
    assert translator._validator is None, "equal fields that are copied need no second check"


def test_an_empty_frame_stays_empty() -> None:
    made = Translator(translation(FIELDS), SOURCE, TARGET).apply(frame())
    assert made.frame.height == made.refused.height == 0
    assert made.frame.columns == [*TARGET.names, *PLACE]


def test_a_translation_survives_pickling_to_a_worker() -> None:
    copied = pickle.loads(pickle.dumps((translation(FIELDS), SOURCE, TARGET)))
    records = frame({"sex": "1", "amount": "5"})
    assert Translator(*copied).apply(records).frame.equals(Translator(translation(FIELDS), SOURCE, TARGET).apply(records).frame)


_RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "sex": st.sampled_from(["", "0", "1", "2"]),
            "era": st.sampled_from(["", "a-b", "drop", "-", "x" * 20]),
            "amount": st.integers(-(10**11), 10**12 - 1).map(str),
        }
    ),
    max_size=12,
)


@given(_RECORDS, st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_any_split_gives_the_same_and_everything_that_leaves_is_valid(records: list[dict[str, str]], at: int) -> None:
    translator = Translator(translation(FIELDS, filter={"fields": {"era": {"ne": "drop"}}}), SOURCE, TARGET)
    whole = translator.apply(frame(*records))
    parts = [translator.apply(part) for part in (frame(*records).head(at), frame(*records).slice(at))]
    assert pl.concat([part.frame for part in parts]).equals(whole.frame)
    assert pl.concat([part.refused for part in parts]).equals(whole.refused)
    refused = whole.refused["ordinal"].n_unique()
    assert whole.taken_in.records == whole.frame.height + whole.filtered.records + refused
    assert refused == whole.refused_totals.records
    out = sum(int(value) for value in whole.frame["yen"])
    assert whole.taken_in.sums["yen"] == out + whole.filtered.sums["yen"] + whole.refused_totals.sums["yen"]
    check = RecordValidator(TARGET).check
    assert not [violation for row in whole.frame.drop(PLACE).iter_rows(named=True) for violation in check(row)]
