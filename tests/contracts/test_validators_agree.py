from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.model import Contract
from contracts.registry import Registry
from tests.contracts.contract_samples import ODD, TEXT, contracts, disagreement, numbered

QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LIBRARY = Registry.load()
DAYS = [f"{year}-{month:02d}-{day:02d}" for year in (1900, 2000, 2023, 2024) for month in range(1, 13) for day in (1, 28, 29, 30, 31)]


@QUIET
@given(contract=contracts(), data=st.data())
def test_on_contracts_and_records_of_every_kind(contract: Contract, data: st.DataObject) -> None:
    records = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(contract.names, TEXT)), max_size=8))
    assert disagreement(contract, records) == ""


@QUIET
@given(contract=contracts(), seed=st.integers(0, 10_000))
def test_on_columns_of_like_values_with_some_odd_ones(contract: Contract, seed: int) -> None:
    """Columns of one width and kind take other paths than mixed ones; each column here is mostly of one kind."""
    assert disagreement(contract, like_records(contract, seed, 40)) == ""


@pytest.mark.parametrize("name", LIBRARY.names())
@pytest.mark.parametrize("seed", range(6))
def test_on_the_library(name: str, seed: int) -> None:
    contract = LIBRARY.contract(name)
    assert disagreement(contract, like_records(contract, seed, 60)) == ""


def like_records(contract: Contract, seed: int, count: int) -> list[dict[str, str]]:
    chance = random.Random(seed)
    columns = {name: column(contract, name, chance, count) for name in contract.names}
    return [{name: columns[name][index] for name in contract.names} for index in range(count)]


def column(contract: Contract, name: str, chance: random.Random, count: int) -> list[str]:
    field = contract.field(name)
    width = field.length or 4
    usual: list[str] = {
        "X": ["a" * width, "1" * width, "ab"[:width]],
        "N": ["山" * width, "あ" * min(width, 3), "カナ"[:width]],
        "M": ["山1" * width, "ｱあ"[:width], "a１"[:width]],
        "9": ["7" * width, "0" * width, "5"],
        "S9": ["-5"[:width], "12"[:width], "+" + "9" * (width - 1)],
        "9V": ["1", "1.5", "-2.25"],
        "YEAR": ["2026", "1999"],
        "DATE": DAYS,
        "TIME": chance.choice([["12:30", "23:59"], ["12:30:00", "00:00:59"], ["12:30", "12:30:00"]]),
    }[field.type]
    if field.codes:
        usual = list(contract.code_tables[field.codes].values) or usual
    if field.check_digit:
        usual = numbered(field.check_digit, width) or usual
    if chance.random() < 0.3:
        usual = [chance.choice(usual)]
    strange = chance.choice([0.0, 0.05, 0.5])
    empty = chance.choice([0.0, 0.2, 0.9])
    return ["" if chance.random() < empty else chance.choice(ODD if chance.random() < strange else usual) for _ in range(count)]
