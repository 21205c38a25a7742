from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.dates import (
    ERAS,
    EraForm,
    era_to_iso,
    era_to_iso_expression,
    is_date,
    is_date_expression,
    iso_to_era,
    iso_to_era_expression,
)
from contracts.model import DateRules

STRICT = DateRules(open=False)
FORMS: list[EraForm] = ["era_kanji", "era_letter", "era_digits"]
RULES = [DateRules(open=a, unknown_parts=b, feb_29=c) for a in (True, False) for b in (True, False) for c in (True, False)]


def test_every_day_of_some_years_and_no_other() -> None:
    years = (1, 4, 100, 1900, 2000, 2023, 2024, 9999)
    texts = [f"{year:04d}-{month:02d}-{day:02d}" for year in years for month in range(14) for day in range(33)]
    found = pl.DataFrame({"t": texts}).select(is_date_expression(pl.col("t"), STRICT)).to_series().to_list()
    for text, by_expression in zip(texts, found, strict=True):
        try:
            real = bool(date.fromisoformat(text))
        except ValueError:
            real = False
        assert is_date(text, STRICT) == by_expression == real, text


@pytest.mark.parametrize("rules", RULES)
def test_both_forms_agree_on_what_is_let_through_besides(rules: DateRules) -> None:
    texts = [f"{year}-{month:02d}-{day:02d}" for year in ("0000", "1950", "2024", "9999") for month in range(14) for day in range(33)]
    texts += ["", "2026-11-2", "2026-11-20 ", "2026-11-20\n", "２０２６-11-20", "2026/11/20", "20261120", "0001-01-01"]
    found = pl.DataFrame({"t": texts}).select(is_date_expression(pl.col("t"), rules)).to_series().to_list()
    assert [is_date(text, rules) for text in texts] == found


def test_what_is_let_through_besides() -> None:
    assert not is_date("0000-01-01", STRICT)
    assert is_date("0000-01-01", DateRules())
    assert is_date("9999-12-31", STRICT)
    assert not is_date("0000-01-02", DateRules())
    assert not is_date("1950-04-00", DateRules())
    assert all(is_date(text, DateRules(unknown_parts=True)) for text in ("1950-00-00", "1950-04-00"))
    assert not is_date("1950-00-05", DateRules(unknown_parts=True))
    assert is_date("2023-02-29", DateRules(feb_29=True))
    assert not is_date("2023-02-30", DateRules(feb_29=True))


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("明治45年7月30日", "1912-07-30"),
        ("大正元年7月30日", "1912-07-30"),
        ("大正1.7.30", "1912-07-30"),
        ("明治45.7.30", "1912-07-30"),
        ("大正15.12.25", "1926-12-25"),
        ("昭和1.12.25", "1926-12-25"),
        ("昭和64年1月7日", "1989-01-07"),
        ("平成元年１月８日", "1989-01-08"),
        ("平成31.4.30", "2019-04-30"),
        ("令和8年11月20日", "2026-11-20"),
        ("R08.11.20", "2026-11-20"),
        ("R081120", "2026-11-20"),
        ("5081120", "2026-11-20"),
        ("S25.00.00", "1950-00-00"),
        ("S25.04.00", "1950-04-00"),
        ("S26.02.29", "1951-02-29"),
        ("M06.01.01", "1873-01-01"),
        ("M06.00.00", "1873-00-00"),
        ("R01.05.00", "2019-05-00"),
        ("T15.12.00", "1926-12-00"),
        ("大正15.12.26", None),
        ("明治45.7.31", None),
        ("大正1.7.29", None),
        ("昭和64.1.8", None),
        ("平成1.1.7", None),
        ("平成32.3.31", None),
        ("令和1.4.30", None),
        ("M05.12.31", None),
        ("令和0年1月1日", None),
        ("2026-11-20", None),
        ("6081120", None),
        ("", None),
        ("R08.11.20\n", None),
        ("慶応3年1月1日", None),
    ],
)
def test_days_written_with_their_era(written: str, iso: str | None) -> None:
    assert era_to_iso(written) == iso
    assert pl.DataFrame({"t": [written]}).select(era_to_iso_expression(pl.col("t"))).item() == iso


def test_beyond_the_end_of_an_era_only_when_asked() -> None:
    for written, iso in (("平成32.3.31", "2020-03-31"), ("昭和65.4.1", "1990-04-01"), ("平成1.1.7", None)):
        assert era_to_iso(written, lenient=True) == iso
        assert pl.DataFrame({"t": [written]}).select(era_to_iso_expression(pl.col("t"), lenient=True)).item() == iso


@pytest.mark.parametrize("form", FORMS)
def test_writing_and_reading_every_day_since_1873(form: EraForm) -> None:
    days = pl.date_range(date(1873, 1, 1), date(2116, 12, 31), "1d", eager=True).dt.strftime("%Y-%m-%d").rename("t").to_frame()
    written = days.select(iso_to_era_expression(pl.col("t"), form).alias("t"))
    assert written.select(era_to_iso_expression(pl.col("t")).alias("t")).equals(days)
    for index in range(0, days.height, 97):
        assert iso_to_era(days["t"][index], form) == written["t"][index]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "iso",
    ["0000-01-01", "9999-12-31", "1872-12-31", "2118-01-01", "x", "", "1926-12-00", "1926-00-00", "1950-04-00", "1951-02-29"],
)
def test_writing_odd_days_agrees(iso: str, form: EraForm) -> None:
    assert pl.DataFrame({"t": [iso]}).select(iso_to_era_expression(pl.col("t"), form)).item() == iso_to_era(iso, form)


def test_a_day_of_two_eras_is_written_with_the_new_one() -> None:
    assert iso_to_era("1912-07-30") == "大正元年7月30日"
    assert iso_to_era("1926-12-25", "era_letter") == "S01.12.25"
    assert iso_to_era("2019-05-01", "era_digits") == "5010501"
    assert iso_to_era("0000-01-01") is None


def test_eras_follow_one_another_without_a_gap() -> None:
    for old, new in pairwise(ERAS):
        assert date.fromisoformat(new.first) - date.fromisoformat(old.last) in (timedelta(0), timedelta(1))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("明治大正昭和平成令MTSHR0123456789元年月日./-１", max_size=12), max_size=20))
def test_both_readers_agree_on_anything(written: list[str]) -> None:
    found = pl.DataFrame({"t": written}, schema={"t": pl.String}).select(era_to_iso_expression(pl.col("t"))).to_series().to_list()
    assert [era_to_iso(text) for text in written] == found
