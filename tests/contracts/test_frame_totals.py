from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.frame_totals import totals_of
from contracts.model import Contract


def contract(**changes: object) -> Contract:
    fields = [
        {"name": "count", "label": "", "type": "9", "length": 18},
        {"name": "amount", "label": "", "type": "S9", "length": 18},
        {"name": "rate", "label": "", "type": "9V", "digits": [10, 8]},
    ]
    head = {"contract": "s@1.0", "title": {"ja": "", "en": ""}, "follows": {"document": "", "version": "", "status": "provisional"}}
    return Contract.model_validate({**head, "key": ["count"], "fields": fields, "control_sums": ["count", "amount", "rate"], **changes})


def frame(rows: list[tuple[str, str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(("count", "amount", "rate"), pl.String), orient="row")


def test_sums_beyond_64_bits_are_exact() -> None:
    rows = [("9" * 18, "-" + "9" * 17, "-9999999999.99999999")] * 1000
    found = totals_of(frame(rows), contract())
    assert found.records == 1000
    assert found.sums == {"count": 1000 * (10**18 - 1), "amount": -1000 * (10**17 - 1), "rate": -1000 * Decimal("9999999999.99999999")}


def test_what_is_absent_or_unreadable_adds_nothing() -> None:
    rows = [("", "", ""), ("x", "1.5", "1,5"), ("-1", "--1", "1e3"), ("１", " 1", "1.123456789"), ("0007", "+7", "7")]
    assert totals_of(frame(rows), contract()).sums == {"count": 7, "amount": 7, "rate": 7}


def test_no_rows_and_no_sums() -> None:
    assert totals_of(frame([]), contract()).sums == {"count": 0, "amount": 0, "rate": 0}
    assert totals_of(frame([("1", "1", "1")]), contract(control_sums=[])).as_json() == {"records": 1, "sums": {}}


def test_numbers_too_long_to_sum_are_refused() -> None:
    long = [{"name": "count", "label": "", "type": "9", "length": 30}]
    with pytest.raises(ValueError, match="18 digits"):
        totals_of(frame([("1", "", "")]), contract(fields=long, control_sums=["count"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.decimals(-(10**9), 10**9, places=8).map(lambda number: f"{number:f}"), max_size=20))
def test_decimals_add_up_exactly(values: list[str]) -> None:
    found = totals_of(frame([("", "", value) for value in values]), contract())
    assert found.sums["rate"] == sum(map(Decimal, values), Decimal(0))
