"""Padding, absent forms, widths and date forms of single columns, both ways."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from layout_samples import PEOPLE, broken, csv, frame_of, read, records

from contracts.layouts.build import reader_for, writer_for
from contracts.layouts.ports import ChunkPlace


def canonical(written: str, field: str, **column: Any) -> str | tuple[str, str]:
    """What one written value is read as; (field, rule) when it is refused."""
    layout = csv(columns=[{"field": field, **column}, {"constant": "."}])
    chunk = reader_for(layout, PEOPLE).read(f"{written},.\r\n".encode(), ChunkPlace(1, 1, 0))
    return broken(chunk)[0][3:] if chunk.unreadable.height else str(chunk.frame.item(0, field))


@pytest.mark.parametrize(
    ("written", "column", "expected"),
    [
        ("20261120", {"date": "yyyymmdd"}, "2026-11-20"),
        ("00000101", {"date": "yyyymmdd"}, "0000-01-01"),
        ("99991231", {"date": "yyyymmdd"}, "9999-12-31"),
        ("19500000", {"date": "yyyymmdd"}, "1950-00-00"),
        ("20230229", {"date": "yyyymmdd"}, "2023-02-29"),
        ("", {"date": "yyyymmdd"}, ""),
        ("00000000", {"date": "yyyymmdd", "absent": ["00000000", "99999999"]}, ""),
        ("2026112", {"date": "yyyymmdd"}, "2026112"),
        ("2026112x", {"date": "yyyymmdd"}, "2026112x"),
        ("２０２６１１２０", {"date": "yyyymmdd"}, "２０２６１１２０"),
        ("２０２６１１２０", {"date": "yyyymmdd", "narrow": True}, "2026-11-20"),
        ("2026-11-20", {"date": "yyyymmdd"}, ("born", "date_form")),
        ("2026/11/20", {"date": "slash"}, "2026-11-20"),
        ("2026/1/2", {"date": "slash"}, "2026/1/2"),
        ("2026-11-20", {"date": "slash"}, ("born", "date_form")),
        ("令和8年11月20日", {"date": "era_kanji"}, "2026-11-20"),
        ("S64.01.07", {"date": "era_letter"}, "1989-01-07"),
        ("5081120", {"date": "era_digits"}, "2026-11-20"),
        ("明治99年1月1日", {"date": "era_kanji"}, "明治99年1月1日"),
        ("2026-11-20", {"date": "era_digits"}, ("born", "date_form")),
        ("2026-11-20", {}, "2026-11-20"),
        ("2026-11-20", {"date": "any"}, "2026-11-20"),
        ("2026/1/2", {"date": "any"}, "2026-01-02"),
        ("2026.01.2", {"date": "any"}, "2026-01-02"),
        ("20260102", {"date": "any"}, "2026-01-02"),
        ("平成元年1月8日", {"date": "any"}, "1989-01-08"),
        ("S64.01.07", {"date": "any"}, "1989-01-07"),
        ("5081120", {"date": "any"}, "2026-11-20"),
        ("1950-00-00", {"date": "any"}, "1950-00-00"),
        ("9999-12-31", {"date": "any"}, "9999-12-31"),
        ("2026/1-2", {"date": "any"}, "2026/1-2"),
        ("26/1/2", {"date": "any"}, "26/1/2"),
        ("２０２６/１/２", {"date": "any"}, "２０２６/１/２"),
        ("２０２６/１/２", {"date": "any", "narrow": True}, "2026-01-02"),
        ("", {"date": "any"}, ""),
    ],
)
def test_dates_become_canonical_or_stay_as_written(written: str, column: dict[str, Any], expected: object) -> None:
    assert canonical(written, "born", **column) == expected


@pytest.mark.parametrize(
    ("written", "column", "expected"),
    [
        ("2", {"zero_fill": 2}, "02"),
        ("02", {"zero_fill": 2}, "02"),
        ("", {"zero_fill": 2}, ""),
        ("a", {"zero_fill": 2}, "a"),
        ("123", {"zero_fill": 2}, "123"),
        ("００７", {"narrow": True, "zero_fill": 4}, "0007"),
        ("７１０－００３３", {"narrow": True}, "710-0033"),
        ("007", {"pad": "0", "justify": "right"}, "7"),
        ("x  ", {"pad": " "}, "x"),
        ("  x ", {"pad": " ", "justify": "right"}, "x "),
        ("  x ", {}, "  x "),
        ("-", {"absent": ["-", "なし"]}, ""),
        ("なし", {"absent": ["-", "なし"]}, ""),
        ("なしx", {"absent": ["-", "なし"]}, "なしx"),
        ('"a\nb"', {"line_breaks": " "}, "a b"),
        ('"a\r\nb\r\n"', {"line_breaks": " ", "pad": " "}, "a b"),
        ('"a\nb"', {"line_breaks": ""}, "ab"),
        ('"a\nb"', {"line_breaks": "$"}, "a$b"),
        ('"a\nb"', {}, "a\nb"),
    ],
)
def test_values_lose_padding_and_regain_zeros(written: str, column: dict[str, Any], expected: str) -> None:
    assert canonical(written, "note", **column) == expected


@pytest.mark.parametrize(
    ("iso", "form", "written"),
    [
        ("2026-11-20", "yyyymmdd", "20261120"),
        ("0000-01-01", "yyyymmdd", "00000101"),
        ("2026-11-20", "slash", "2026/11/20"),
        ("2026-11-20", "era_kanji", "令和8年11月20日"),
        ("2026-11-20", "era_letter", "R08.11.20"),
        ("2026-11-20", "era_digits", "5081120"),
        ("", "era_digits", ""),
        ("", "yyyymmdd", ""),
        ("2026-11-20", "iso", "2026-11-20"),
    ],
)
def test_dates_are_written_in_their_form_and_read_back(iso: str, form: str, written: str) -> None:
    layout = csv(columns=[{"field": "born", "date": form}, {"field": "id"}])
    rendered = writer_for(layout, PEOPLE).render(frame_of([{"born": iso, "id": "1"}]))
    assert rendered.data.decode() == f"{written},1\r\n"
    assert records(read(rendered.data, layout))[0][3] == iso


@pytest.mark.parametrize(
    ("iso", "form"), [("9999-12-31", "era_digits"), ("0000-01-01", "era_kanji"), ("1800-01-01", "era_letter"), ("x", "slash")]
)
def test_a_date_without_a_form_is_refused(iso: str, form: str) -> None:
    layout = csv(columns=[{"field": "born", "date": form}, {"field": "id"}])
    rendered = writer_for(layout, PEOPLE).render(frame_of([{"born": iso, "id": "1"}, {"born": "2026-11-20", "id": "2"}]))
    assert [row[3:] for row in broken(rendered)] == [("born", "date_form")]
    assert rendered.totals.records == 1


def test_whole_columns_of_dates_and_mixed_ones_give_the_same() -> None:
    layout = csv(columns=[{"field": "born", "date": "yyyymmdd"}, {"field": "id"}])
    days = ["20261120", "20000229", "00000101"]
    whole = read("".join(f"{day},1\r\n" for day in days).encode(), layout).frame.get_column("born")
    mixed = read("".join(f"{day},1\r\n" for day in [*days, "", "x"]).encode(), layout).frame.get_column("born")
    assert isinstance(whole, pl.Series)
    assert [*whole.to_list(), "", "x"] == mixed.to_list()
