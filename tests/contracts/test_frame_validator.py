from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from contracts.frame_validator import FrameValidator
from contracts.model import Contract
from contracts.registry import Registry
from contracts.violations import VIOLATIONS
from tests.contracts.contract_samples import disagreement, numbered

WORDS = {"ja": "", "en": ""}
ROWS = 20_000


def contract(**field: Any) -> Contract:
    return Contract.model_validate(
        {
            "contract": "sample@1.0",
            "title": WORDS,
            "follows": {"document": "", "version": "", "status": "provisional"},
            "key": ["a"],
            "fields": [{"name": "a", "label": "a", "type": "X", "length": 15, **field}],
            "code_tables": {
                "t": {"version": "1", "values": {"1": WORDS, "2": WORDS}},
                "w": {"version": "1", "values": {"01": WORDS, "02": WORDS}},
            },
        }
    )


def test_violations_carry_the_place_of_their_record_in_row_order() -> None:
    frame = pl.DataFrame(
        {"a": ["1", "山", "", "22"], "_ordinal": [7, 8, 9, 10], "_line": [70, 80, 90, 100], "_byte": [700, 800, 900, 1000]}
    )
    found = FrameValidator(contract(length=1, required=True)).check(frame)
    assert found.good.to_list() == [True, False, False, False]
    assert found.violations.schema == VIOLATIONS
    assert found.violations.rows() == [
        (8, 80, 800, "a", "type", "reject", "山"),
        (9, 90, 900, "a", "required", "reject", ""),
        (10, 100, 1000, "a", "length", "reject", "22"),
    ]


def test_a_warning_leaves_the_row_good() -> None:
    found = FrameValidator(contract(codes="t", severity={"codes": "warn"})).check(pl.DataFrame({"a": ["1", "9"]}))
    assert found.good.to_list() == [True, True]
    assert found.violations.select("ordinal", "rule", "severity").rows() == [(2, "codes", "warn")]


def test_no_rows_and_no_violations() -> None:
    found = FrameValidator(contract()).check(pl.DataFrame({"a": []}, schema={"a": pl.String}))
    assert found.good.to_list() == []
    assert found.violations.schema == VIOLATIONS


DAYS = [f"{year}-{month:02d}-{day:02d}" for year in range(1899, 2030) for month in range(1, 13) for day in range(1, 29)][:ROWS]


@pytest.mark.parametrize(
    ("field", "usual", "odd"),
    [
        (
            {"type": "DATE"},
            DAYS,
            [
                "2023-02-29",
                "2024-02-29",
                "2023-02-30",
                "2023-04-31",
                "0000-01-01",
                "0099-12-31",
                "2023-1-011",
                "2023-12-3:",
                "山23-1-1",
                "9999-12-31",
            ],
        ),
        (
            {"type": "DATE", "dates": {"unknown_parts": True, "feb_29": True}},
            [*DAYS, ""],
            ["1950-00-00", "1950-04-00", "1950-00-01", "2023-02-29"],
        ),
        ({"type": "TIME"}, ["23:59:59", "00:00:00", "19:30:00"], ["24:00:00", "12:60:00", "12:00:60", "12:00", "1 :00:00", "12-00-00"]),
        (
            {"type": "N", "length": 4},
            ["山田太郎", "ァー", "０１２３", "～＃"],
            ["山田太郎次", "山a", "山\x85", "ﾀ", "山\ufffd", "𠮷田", "é", "ααααα", "\ufdd0", "\uffff", "￥", "山\n"],
        ),
        ({"type": "N", "length": 2, "exact": True}, ["山田"], ["山", "山田太", "𠮷田", "αα", "ααα", "山a", "a山田"]),
        ({"type": "X", "pattern": "[0-9]+"}, [f"{number:015d}" for number in range(500)], ["12a", "1" * 16, "１２", "1\n", "-1"]),
        (
            {"type": "X", "length": 7, "exact": True, "pattern": "[0-9]{7}"},
            ["7100833", ""],
            ["710083", "71008333", "710083x", "ﾀ", "710 833"],
        ),
        ({"type": "X", "length": 1, "codes": "t"}, ["1", "2"], ["3", "", "11", "１", "\x01"]),
        ({"type": "X", "length": 2, "codes": "w", "required": True}, ["01", "02"], ["2", "03", "10", "", "é"]),
        ({"type": "9", "length": 3, "minimum": "1", "maximum": "120"}, ["1", "99", "120"], ["0", "121", "-1", "1.", "٣", "001", "000"]),
        ({"type": "S9", "length": 9}, ["-5", "+123", "7"], ["-", "+-5", "5-", "5 ", "--5"]),
        ({"type": "9V", "digits": [3, 2], "length": None}, ["1", "123", "1.5"], ["1234", "1.555", ".5", "1.", "-1.5", "-", "+1"]),
        ({"type": "YEAR", "length": None, "minimum": "1950"}, ["2026", "1999"], ["202", "20266", "1949", "0000", "９９９９"]),
        (
            {"type": "X", "check_digit": "modulus11_w2_7", "severity": {"check_digit": "warn"}},
            numbered("modulus11_w2_7", 15),
            ["1", "000000000000018", "x"],
        ),
    ],
)
def test_a_few_odd_values_among_many_usual_ones_are_found(field: dict[str, Any], usual: list[str], odd: list[str]) -> None:
    """Long columns take the scouts' paths through several blocks; each odd value stands alone, first, last and at the edges."""
    sample = contract(**field)
    places = np.linspace(0, ROWS - 1, len(odd), dtype=int)
    values = [usual[index % len(usual)] for index in range(ROWS)]
    for place, value in zip(places, odd, strict=True):
        values[place] = value
    found = FrameValidator(sample).check(pl.DataFrame({"a": values}))
    few = sorted({int(place) for place in places} | set(range(0, ROWS, 997)))
    assert disagreement(sample, [{"a": values[index]} for index in few]) == ""
    small = FrameValidator(sample).check(pl.DataFrame({"a": [values[index] for index in few]}))
    columns = ("ordinal", "rule", "severity", "value")
    expected = [(few[ordinal - 1] + 1, *rest) for ordinal, *rest in small.violations.select(columns).iter_rows()]
    chosen = found.violations.filter(pl.col("ordinal").is_in([index + 1 for index in few]))
    assert chosen.select(columns).rows() == expected
    alone = pl.DataFrame({"a": odd[-1:] * ROWS})
    one = FrameValidator(sample).check(alone.head(1))
    assert FrameValidator(sample).check(alone).violations.height == one.violations.height * ROWS


def test_a_warning_on_every_row_stays_a_frame() -> None:
    sample = contract(check_digit="modulus11_w2_7", severity={"check_digit": "warn"})
    values = [f"{number:014d}x"[:14] + str((int(number % 7)) % 10) for number in range(ROWS)]
    found = FrameValidator(sample).check(pl.DataFrame({"a": values}))
    assert found.good.all()
    assert found.violations.height > ROWS // 2
    assert found.violations["ordinal"].is_sorted()


def test_the_library_compiles() -> None:
    registry = Registry.load()
    for name in registry.names():
        checked = registry.contract(name)
        empty = pl.DataFrame({field: [""] for field in checked.names})
        assert FrameValidator(checked).check(empty).violations.filter(pl.col("rule") == "required").height > 0
