"""Records one by one come out as the frame path has them; the two versions of the resident contract translate into one another."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.cases import cases_file_of, load_cases
from contracts.event_record import masked
from contracts.model import Contract
from contracts.record_validator import RecordValidator
from contracts.registry import Registry
from contracts.translate import Translator
from contracts.translate_record import RecordTranslator, TranslatedRecord
from contracts.translation import Translation
from contracts.translation_files import load_translations
from contracts.violations import PLACE, Violation
from tests.translate.translate_cases import SOURCE, TARGET, translation

LIBRARY = Registry.load()
TRANSLATIONS = load_translations([], LIBRARY)
FIELDS: dict[str, Any] = {
    "text": {"first_of": ["era", "kana"]},
    "wide": {"join": {"parts": ["name", {"constant": "様"}]}},
    "kind": {"from": "sex", "steps": [{"map": {"codes": {"1": "M", "2": "F"}}}]},
    "day": {"from": "era", "steps": [{"from_era": {}}]},
    "yen": "amount",
    "fee": {"from": "amount", "steps": [{"trim": {"side": "left", "characters": "-"}}]},
}
FILTER = {"fields": {"kana": {"ne": "drop"}}}
PEOPLE = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "22", "333"])},
    optional={
        "name": st.sampled_from(["", "山田", "髙﨑"]),
        "kana": st.sampled_from(["", "drop", "ﾔﾏﾀﾞ"]),
        "sex": st.sampled_from(["", "0", "1", "2"]),
        "era": st.sampled_from(["", "R08.11.20", "S64.01.08", "x"]),
        "amount": st.sampled_from(["", "5", "-50", "40000"]),
    },
)


def by_frame(rule: Translation, source: Contract, target: Contract, records: Sequence[Mapping[str, str]]) -> list[TranslatedRecord]:
    """What the frame path makes of each record, put together from the frames it gives."""
    rows = [{name: record.get(name, "") for name in source.names} for record in records]
    places = pl.DataFrame({place: pl.Series(range(1, len(rows) + 1), dtype=pl.UInt64) for place in PLACE})
    made = Translator(rule, source, target).apply(pl.DataFrame(rows, schema=dict.fromkeys(source.names, pl.String)).hstack(places))
    found = []
    for ordinal in range(1, len(rows) + 1):
        out = made.frame.filter(pl.col("_ordinal") == ordinal).select(target.names).to_dicts()
        broken = made.refused.filter(pl.col("ordinal") == ordinal).select("field", "rule", "severity", "value").rows()
        violations = tuple(Violation(*said[:3]) for said in broken)
        values = {said[0]: said[3] for said in broken}
        outcome = "out" if out else "refused" if broken else "filtered"
        found.append(TranslatedRecord(outcome, out[0] if out else {}, violations, values))  # type: ignore[arg-type]
    assert len(rows) == made.taken_in.records
    assert sum(each.outcome == "filtered" for each in found) == made.filtered.records
    assert sum(each.outcome == "refused" for each in found) == made.refused_totals.records
    return found


@settings(max_examples=60, deadline=None)
@given(records=st.lists(PEOPLE, max_size=6), together=st.booleans())
def test_records_come_out_as_those_of_a_file(records: list[dict[str, str]], together: bool) -> None:
    rule = translation(FIELDS, filter=FILTER)
    translator = RecordTranslator(rule, SOURCE, TARGET)
    made = translator.apply(records) if together else [one for record in records for one in translator.apply([record])]
    assert made == by_frame(rule, SOURCE, TARGET, records)


@pytest.mark.parametrize("name", sorted(TRANSLATIONS))
def test_records_of_the_library_come_out_as_those_of_a_file(name: str) -> None:
    rule = TRANSLATIONS[name]
    source, target = LIBRARY.contract(rule.from_), LIBRARY.contract(rule.to)
    cases = load_cases(cases_file_of(LIBRARY.file(rule.from_)), source)
    records = [{**cases.records[case.base], **case.record} for case in cases.cases if case.accept]
    made = RecordTranslator(rule, source, target).apply(records)
    assert made == by_frame(rule, source, target, records)
    validator = RecordValidator(target)
    out = [one.record for one in made if one.outcome == "out"]
    assert out
    assert [each for record in out for each in validator.check(record) if each.severity == "reject"] == []


def test_nothing_comes_of_nothing() -> None:
    assert RecordTranslator(translation(FIELDS), SOURCE, TARGET).apply([]) == []


def test_each_outcome_tells_what_a_delivery_needs() -> None:
    translator = RecordTranslator(translation({**FIELDS, "text": "name"}, filter=FILTER), SOURCE, TARGET)
    records = [{"id": "1", "sex": "1"}, {"id": "2", "kana": "drop"}, {"id": "3", "name": "山田", "sex": "0"}]
    out, filtered, refused = translator.apply(records)
    assert (out.outcome, out.record["number"], out.record["kind"], out.violations) == ("out", "1", "M", ())
    assert (filtered.outcome, filtered.record, filtered.violations) == ("filtered", {}, ())
    assert (refused.outcome, refused.record) == ("refused", {})
    assert refused.violations == (Violation("kind", "unmapped", "reject"),)
    (told,) = masked(TARGET, refused.violations, refused.values)
    assert (told["field"], told["rule"], told["value"]) == ("kind", "unmapped", "0")


def resident(version: str, **changes: str) -> dict[str, str]:
    name = f"resident@{version}"
    return {**load_cases(cases_file_of(LIBRARY.file(name)), LIBRARY.contract(name)).records["resident"], **changes}


def versions(name: str) -> RecordTranslator:
    rule = TRANSLATIONS[name]
    return RecordTranslator(rule, LIBRARY.contract(rule.from_), LIBRARY.contract(rule.to))


def test_a_publisher_on_the_old_version_reaches_a_subscriber_on_the_new_one() -> None:
    (made,) = versions("resident-up@1.0").apply([resident("1.0")])
    assert made.record == dict.fromkeys(LIBRARY.contract("resident@1.1").names, "") | resident("1.0")


@pytest.mark.parametrize(
    ("one", "two", "expected"), [("12", "62", ("", "")), ("31", "12", ("", "")), ("12", "52", ("12", "52")), ("31", "", ("", ""))]
)
def test_a_relationship_the_old_version_cannot_say_is_left_out_whole(one: str, two: str, expected: tuple[str, str]) -> None:
    """Half of it would say something else: the wife's grandmother is not the wife."""
    sent = resident("1.1", zokugara_code1=one, zokugara_code2=two, zokugara_hyoki="続柄", shimei_furigana_kakunin_flag="1")
    (made,) = versions("resident-down@1.0").apply([sent])
    assert (made.record["zokugara_code1"], made.record["zokugara_code2"]) == expected
    assert made.record["zokugara_hyoki"] == "続柄"
    assert "shimei_furigana_kakunin_flag" not in made.record


def test_up_and_down_again_changes_nothing() -> None:
    chance = random.Random(1)
    cases = load_cases(cases_file_of(LIBRARY.file("resident@1.0")), LIBRARY.contract("resident@1.0"))
    records = [{**cases.records[case.base], **case.record} for case in cases.cases if case.accept]
    chance.shuffle(records)
    up = versions("resident-up@1.0").apply(records)
    down = versions("resident-down@1.0").apply([one.record for one in up])
    absent = dict.fromkeys(LIBRARY.contract("resident@1.0").names, "")
    assert [one.record for one in down] == [absent | record for record in records]
