"""Synthetic records of `resident-tax@1.0`: assessments whose parts add up, losses among them, for the people of `residents`."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from contracts.synthetic.columns import Ints, corporate_numbers, day_number, iso_days, only, pick, text, times
from contracts.synthetic.residents import history_numbers, person_numbers
from contracts.synthetic.vocabulary import Municipality

_NOT_TAXED, _PER_CAPITA_ONLY, _TAXED, _NOT_DECLARED = range(4)


def tax_block(rng: np.random.Generator, ordinals: Ints, town: Municipality, on: date) -> pl.DataFrame:
    """Records with these ordinals, one String column per field of the contract. `on` is the day the file speaks of."""
    count = len(ordinals)
    kind = np.searchsorted([0.25, 0.33, 0.97], rng.random(count), side="right").astype(np.int64)
    withheld = (kind == _TAXED) & (rng.random(count) < 0.6)
    reassessed = rng.random(count) < 0.02
    today = day_number(on)
    return pl.DataFrame(
        {
            "shikuchoson_code": pl.repeat(town.code, count, eager=True),
            "atenabango": person_numbers(ordinals),
            "fuka_nendo": pl.repeat(str(on.year if on.month >= 4 else on.year - 1), count, eager=True),
            "rirekibango": history_numbers(ordinals),
            "tsuchishobango": text(ordinals * 3 + 100_000, 10),
            "kazei_kubun": pick(["1", "2", "3", "4"], kind),
            **_amounts(rng, kind),
            "fuyo_ninzu": text(rng.integers(0, 5, count)),
            "choshu_kubun": pick(["1", "2"], withheld.astype(np.int64)),
            "shitei_bango": only(withheld, text(rng.integers(1, 9_000, count), 8)),
            "hojinbango": only(withheld, corporate_numbers(10**10 + rng.integers(0, 9_000, count))),
            "kosei_jiyu": only(reassessed, pick(["01", "02", "11"], rng.integers(0, 3, count))),
            "kosei_ymd": only(reassessed, iso_days(today - rng.integers(0, 200, count))),
            "sosa_ymd": iso_days(today - rng.integers(0, 200, count)),
            "sosa_jikoku": times(rng.integers(8 * 3600, 18 * 3600, count)),
        }
    )


def _amounts(rng: np.random.Generator, kind: Ints) -> dict[str, pl.Series]:
    """Income, deductions, levies and the tax of the year, in yen. One income in 300 is a loss."""
    count = len(kind)
    taxed, levied = kind == _TAXED, (kind == _TAXED) | (kind == _PER_CAPITA_ONLY)
    income = np.exp(rng.normal(14.6, 0.7, count)).astype(np.int64)
    income = np.where(kind == _NOT_TAXED, income // 20, np.where(kind == _NOT_DECLARED, 0, income))
    loss = ~taxed & (rng.random(count) < 0.01)
    income = np.where(loss, -income - 1, income)
    deductions = np.minimum(np.maximum(income, 0), rng.integers(430, 1_900, count) * 1_000)
    base = np.where(taxed, np.maximum(income - deductions, 0) // 1_000 * 1_000, 0)
    city, prefecture = base * 6 // 100 // 100 * 100, base * 4 // 100 // 100 * 100
    city_head, prefecture_head, forest = (np.where(levied, yen, 0) for yen in (3_000, 1_000, 1_000))
    return {
        "gokei_shotoku": text(income),
        "so_shotoku": text(income),
        "shotoku_kojo": text(deductions),
        "kazei_hyojun": text(base),
        "shichoson_shotokuwari": text(city),
        "shichoson_kintowari": text(city_head),
        "todofuken_shotokuwari": text(prefecture),
        "todofuken_kintowari": text(prefecture_head),
        "shinrin_kankyozei": text(forest),
        "nenzeigaku": text(city + prefecture + city_head + prefecture_head + forest),
    }
