"""Scouts may name a row too many, never one too few. Each odd value stands alone among usual ones, so that no other takes it along."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from contracts.field_rules import field_rules
from contracts.model import Contract
from contracts.scouts import Scout
from tests.contracts.contract_samples import ODD, numbered

WORDS = {"ja": "", "en": ""}
DAYS = [f"{year}-{month:02d}-{day:02d}" for year in (1899, 2023, 2024) for month in range(1, 13) for day in (1, 9, 10, 19, 20, 28)]
NEAR_DAYS = [f"2023-{month:02d}-{day:02d}" for month in range(14) for day in (0, 1, 28, 29, 30, 31, 32)]
NEAR_DAYS += [day[:at] + character + day[at + 1 :] for day in ("2023-11-20",) for at in range(10) for character in "/:-09A é"]
TIMES = ["23:59:59", "00:00:00", "19:30:09"]
NEAR_TIMES = [time[:at] + character + time[at + 1 :] for time in TIMES for at in range(8) for character in "0234569/:A"]

FIELDS: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({"type": "DATE"}, DAYS, NEAR_DAYS),
    ({"type": "DATE", "dates": {"open": False, "unknown_parts": True, "feb_29": True}}, [*DAYS, ""], NEAR_DAYS),
    ({"type": "TIME"}, TIMES, NEAR_TIMES),
    ({"type": "YEAR"}, ["2026", "1999", ""], ["999", "20261", "20 6"]),
    ({"type": "YEAR", "minimum": "1950", "maximum": "2030"}, ["2026", "1999"], ["1949", "2031", "0000", "9999"]),
    ({"type": "N", "length": 4}, ["山田太郎", "ァー"], ["山田太郎次", "αβγδε", "éé山山山", "𠮷𠮷𠮷𠮷𠮷", "𠮷𠮷𠮷", "\uffa0", "Ａ～￥"]),
    ({"type": "N", "length": 2, "exact": True}, ["山田", "ァー"], ["山", "山田太", "𠮷田", "αα", "ααα", "é山", "あαα"]),
    ({"type": "N", "length": 9}, ["山田", "０１２－３"], ["２３ﾀ", "０\ufdd0", "\ufffd０"]),
    ({"type": "M", "length": 6}, ["ab 山", "１2", "Ａ・"], ["1234567", "山田太郎次郎三", "a\x7f", "山\x1f", "\x80a", "𠮷\ufffe"]),
    ({"type": "M", "length": 3}, ["山田", "あ"], ["山\x7f", "山\ufffd", "山\x85", "\ufdd0"]),
    ({"type": "X", "length": 6}, ["abc", "~ 1", ""], ["abcdefg", "ﾀﾅｶ", "ﾀﾅｶﾀﾅｶﾀ", "abcdeé"]),
    ({"type": "X", "length": 6, "exact": True}, ["332020", "372013"], ["33202", "3320201", "ﾀﾅ", "ﾀﾅｶﾀﾅｶ", "\xe9\xe9\xe9", "１２"]),
    ({"type": "X", "length": 7, "pattern": "[0-9]{7}"}, ["7100833", ""], ["710083", "71008333", "710083x", "710/833", "710:833"]),
    ({"type": "X", "length": 9, "pattern": "[0-9A-Z]{2,4}"}, ["A1", "ZZZZ", "000"], ["A", "AAAAA", "A-", "aa", "A@", "[["]),
    ({"type": "X", "length": 9, "pattern": "[1-9][0-9]*"}, ["1", "22"], ["0", "01"]),
    ({"type": "N", "length": 9, "pattern": "[ァ-ヶー　]+"}, ["カナ　カナ"], ["かな", "ヷ"]),
    ({"type": "X", "length": 1, "codes": "one"}, ["1", "2", ""], ["3", "11", "0"]),
    ({"type": "X", "length": 2, "codes": "two"}, ["01", "02"], ["1", "03", "0", "é", "20", "10"]),
    ({"type": "X", "length": 9, "codes": "mixed"}, ["1", "22", "333"], ["2", "333 "]),
    ({"type": "9", "length": 3, "minimum": "1", "maximum": "120"}, ["1", "99", "120"], ["121", "000", "001", "-1"]),
    ({"type": "S9", "length": 9, "maximum": "100"}, ["5", "12", "7"], ["-", "+-5", "5-", "--5", "101", "+101"]),
    ({"type": "9V", "digits": [3, 2], "minimum": "1"}, ["1", "123"], ["1234", "1.555", "0.99", "-1.5", "1."]),
    ({"type": "X", "length": 15, "check_digit": "modulus11_w2_7"}, numbered("modulus11_w2_7", 15), ["000000000000018", "19", "x"]),
    ({"type": "9", "length": 12, "check_digit": "individual_number"}, numbered("individual_number", 12), ["123456789010", "1"]),
    ({"type": "X", "length": 13, "check_digit": "corporate_number"}, numbered("corporate_number", 13), ["1000012050002"]),
]


def contract(field: dict[str, Any], counting: str = "code_points") -> Contract:
    tables = {"one": ["1", "2"], "two": ["01", "02"], "mixed": ["1", "22", "333"]}
    return Contract.model_validate(
        {
            "contract": "sample@1.0",
            "title": WORDS,
            "follows": {"document": "", "version": "", "status": "provisional"},
            "counting": counting,
            "key": ["a"],
            "fields": [{"name": "a", "label": "a", **field}],
            "code_tables": {name: {"version": "1", "values": dict.fromkeys(values, WORDS)} for name, values in tables.items()},
        }
    )


@pytest.mark.parametrize("counting", ["code_points", "utf16_units"])
@pytest.mark.parametrize(("field", "usual", "near"), FIELDS)
def test_no_broken_value_is_passed_over(field: dict[str, Any], usual: list[str], near: list[str], counting: str) -> None:
    checked = contract(field, counting)
    rules = field_rules(checked.fields[0], checked)
    scout = Scout(checked.fields[0], checked)
    around = [usual[index % len(usual)] for index in range(20)]
    for odd in dict.fromkeys([*ODD, *near]):
        if odd and any(rule.broken(odd) for rule in rules):
            found = scout.suspects(pl.Series([*around, odd, *around]))
            assert 20 in found, odd
            assert (found[1:] > found[:-1]).all()


@pytest.mark.parametrize(("field", "usual", "near"), FIELDS)
def test_usual_columns_are_passed_without_a_closer_look(field: dict[str, Any], usual: list[str], near: list[str]) -> None:
    checked = contract(field)
    assert not len(Scout(checked.fields[0], checked).suspects(pl.Series(usual * 20)))


def test_absent_values_are_suspect_only_where_one_is_required() -> None:
    column = pl.Series(["1", ""] * 20)
    for required in (True, False):
        checked = contract({"type": "9", "length": 3, "required": required})
        assert len(Scout(checked.fields[0], checked).suspects(column)) == 20 * required


@pytest.mark.parametrize("at", [0, 8191, 8192, 16383, 19999])
def test_the_edges_of_row_blocks_are_seen(at: int) -> None:
    for field, usual, odd in (
        ({"type": "DATE"}, DAYS, "2023-13-01"),
        ({"type": "TIME"}, TIMES, "24:00:00"),
        ({"type": "X", "length": 2, "check_digit": "modulus11_w2_7"}, ["19", "27"], "18"),
    ):
        checked = contract(field)
        values = [usual[index % len(usual)] for index in range(20_000)]
        values[at] = odd
        assert Scout(checked.fields[0], checked).suspects(pl.Series(values)).tolist() == [at]


@pytest.mark.parametrize("at", [21844, 21845, 21846, 43690, 43691, 59999])
@pytest.mark.parametrize("odd", ["ﾀ", "\ufffd", "\ufdd0"])
def test_the_edges_of_byte_blocks_are_seen(at: int, odd: str) -> None:
    """Character 21845 of three bytes begins with the last byte of the first 65,536."""
    checked = contract({"type": "N", "length": 1})
    values = ["山"] * 60_000
    values[7], values[at] = "～", odd
    assert Scout(checked.fields[0], checked).suspects(pl.Series(values)).tolist() in ([at], [7, at])


def test_a_column_of_one_value_is_judged_by_it() -> None:
    checked = contract({"type": "DATE"})
    scout = Scout(checked.fields[0], checked)
    assert scout.suspects(pl.Series(["2023-01-01"] * 50)).tolist() == []
    assert scout.suspects(pl.Series(["2023-13-01"] * 50)).tolist() == list(range(50))
