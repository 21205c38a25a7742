"""Synthetic records of `resident@1.0`: households with and without head, foreigners, rare characters, days unknown and odd.

Owns: how likely each kind of person is. A block of records depends on seed, tenant and block number only, so that files of any length
begin alike and no chunking shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

import numpy as np
import polars as pl

from contracts.synthetic.columns import (
    FIRST_ODD_DAY,
    ODD_DAYS,
    Flags,
    Ints,
    damaged_check_digit,
    day_number,
    era_days,
    flags_text,
    iso_days,
    numbered,
    odd_day_numbers,
    only,
    pick,
    text,
    times,
    wide,
)
from contracts.synthetic.vocabulary import (
    AREA_ENDINGS,
    AREAS,
    BUILDINGS,
    CHOME,
    FORMER_ADDRESSES,
    GIVEN_FEMALE,
    GIVEN_MALE,
    ORIGINS,
    RARE_SURNAMES,
    SURNAMES,
    Municipality,
)

_SIZES: Final = ((1, 2, 3, 4, 5, 6), (0.40, 0.28, 0.15, 0.12, 0.035, 0.015))
"""People in a household, and the share of households of each size."""
_PERSON_OFFSET: Final = 1_000_000
_HOUSEHOLD_OFFSET: Final = 500_000_000
_NAMES: Final = (*SURNAMES, *RARE_SURNAMES)


def person_numbers(ordinals: Ints) -> pl.Series:
    """宛名番号 of the records with these ordinals (1-based). One in 211 is an old number with a wrong check digit, which only warns."""
    numbers = numbered(ordinals, _PERSON_OFFSET)
    return text(np.where(ordinals % 211 == 5, damaged_check_digit(numbers), numbers), 10)


def history_numbers(ordinals: Ints) -> pl.Series:
    """履歴番号 of the records with these ordinals."""
    return text(1 + ordinals * 7 % 12)


@dataclass(frozen=True, slots=True)
class _Household:
    """One value per person, the same within a household; `position` counts from 0 (the head)."""

    number: Ints
    position: Ints
    first: Ints
    foreign: Flags
    headless: Flags


@dataclass(frozen=True, slots=True)
class _People:
    """One value per person. `birth` is a real day number; `written_birth` may be an odd day's."""

    sex: Ints
    role: Ints
    birth: Ints
    written_birth: Ints
    unknown: Ints
    state: Ints
    changed: Ints


_ROLES: Final = ("02", "12", "11", "14", "13", "20", "51", "52", "71", "81", "96", "99")
_ROLE_WORDS: Final = ("世帯主", "妻", "夫", "妻（未届）", "夫（未届）", "子", "父", "母", "兄", "姉", "縁故者", "同居人")
_HEAD, _WIFE, _HUSBAND, _WIFE_UNREGISTERED, _HUSBAND_UNREGISTERED, _CHILD, _FATHER, _MOTHER, _BROTHER, _SISTER, _KIN, _LODGER = range(12)


def resident_block(rng: np.random.Generator, ordinals: Ints, town: Municipality, on: date) -> pl.DataFrame:
    """Records with these ordinals, one String column per field of the contract. `on` is the day the file speaks of."""
    households = _households(rng, ordinals)
    people = _people(rng, households, day_number(on))
    columns = {
        "shikuchoson_code": pl.repeat(town.code, len(ordinals), eager=True),
        "atenabango": person_numbers(ordinals),
        "rirekibango": history_numbers(ordinals),
        "saishin_flag": pl.repeat("1", len(ordinals), eager=True),
        "setaibango": text(numbered(ordinals[households.first], _HOUSEHOLD_OFFSET), 10),
    }
    for part in (_names(rng, households, people), _births(people), _places(rng, households, people, town, day_number(on))):
        columns |= part
    return pl.DataFrame({**columns, **_flags(rng, households, people, day_number(on))})


def _households(rng: np.random.Generator, ordinals: Ints) -> _Household:
    count = len(ordinals)
    sizes = rng.choice(_SIZES[0], count, p=_SIZES[1])
    number = np.repeat(np.arange(count), sizes)[:count]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    first = starts[number]
    chance = rng.random((2, count))
    foreign, headless = chance[0] < 0.03, chance[1] < 0.004
    return _Household(number, np.arange(count) - first, first, foreign[number], headless[number])


def _people(rng: np.random.Generator, households: _Household, today: int) -> _People:
    count = len(households.number)
    sex, role, age = _roles(rng, households)
    birth = today - (np.clip(age, 0, 110) * 365.25).astype(np.int64) - rng.integers(0, 365, count)
    odd = rng.random(count) < 0.0004
    which = rng.integers(0, ODD_DAYS, count)
    birth = np.where(odd, odd_day_numbers()[which], birth)
    unknown = np.where(~odd & (rng.random(count) < 0.003), 1 + rng.integers(0, 2, count), 0)
    changed = np.maximum(birth, today - rng.integers(0, 30 * 365, count))
    state = np.searchsorted([0.95, 0.975, 0.995], rng.random(count), side="right")
    return _People(sex, role, birth, np.where(odd, FIRST_ODD_DAY + which, birth), unknown, state, changed)


def _roles(rng: np.random.Generator, households: _Household) -> tuple[Ints, Ints, Ints]:
    """Sex (1 male, 2 female), relationship and age. Relationships without a head are those of kin."""
    count = len(households.number)
    chance = rng.random(count)
    position, first = households.position, households.first
    alone = np.zeros(count, dtype=np.bool_)
    alone[first] = np.bincount(households.number, minlength=1)[households.number[first]] == 1
    head_age = np.where(alone, rng.integers(19, 97, count), rng.integers(26, 88, count))[first]
    head_sex = np.where(rng.random(count) < 0.72, 1, 2)[first]
    own_sex = rng.integers(1, 3, count)
    parent = (position >= 3) & (chance < 0.25)
    lodger, kin = (position == 1) & (chance < 0.02), (position == 1) & (chance >= 0.02) & (chance < 0.03)
    sibling = (position == 1) & (chance >= 0.03) & (chance < 0.05)
    spouse = (position == 1) & (chance >= 0.05) & (chance < 0.9)
    unregistered = spouse & (chance < 0.07)
    sex = np.where(position == 0, head_sex, np.where(spouse, 3 - head_sex, own_sex))
    role = np.full(count, _CHILD)
    for flags, male, female in (
        (parent, _FATHER, _MOTHER),
        (sibling, _BROTHER, _SISTER),
        (spouse, _HUSBAND, _WIFE),
        (unregistered, _HUSBAND_UNREGISTERED, _WIFE_UNREGISTERED),
        (kin | households.headless, _KIN, _KIN),
        (lodger & ~households.headless, _LODGER, _LODGER),
        ((position == 0) & ~households.headless, _HEAD, _HEAD),
    ):
        role = np.where(flags, np.where(sex == 1, male, female), role)
    age = head_age - rng.integers(22, 41, count)
    age = np.where(parent, head_age + rng.integers(20, 36, count), age)
    age = np.where(spouse | sibling, head_age + rng.integers(-7, 8, count), age)
    age = np.where(lodger | kin, rng.integers(18, 80, count), age)
    return sex, role, np.where(position == 0, head_age, age)


def _names(rng: np.random.Generator, households: _Household, people: _People) -> dict[str, pl.Series]:
    count = len(people.sex)
    japanese, japanese_kana = _japanese_names(rng, households, people)
    latin, foreign_kana, code = _foreign_names(rng, households)
    foreign = households.foreign
    name = pl.select(pl.when(pl.Series(foreign)).then(latin).otherwise(japanese)).to_series()
    kana = pl.select(pl.when(pl.Series(foreign)).then(foreign_kana).otherwise(japanese_kana)).to_series()
    head = name.gather(households.first)
    return {
        "jumin_shubetsu": pick(["1", "2"], foreign.astype(np.int64)),
        "jumin_jotai": pick(["1", "2", "3", "9"], people.state),
        "shimei": name,
        "shimei_furigana": kana,
        "shimei_gaikokujin_romaji": only(foreign, latin),
        "tsusho": only(foreign & (rng.random(count) < 0.2), japanese),
        "seibetsu": text(np.where(rng.random(count) < 0.0005, 0, people.sex)),
        "zokugara_code1": pick(_ROLES, people.role),
        "zokugara_code2": pl.repeat("", count, eager=True),
        "zokugara_hyoki": pick(_ROLE_WORDS, people.role),
        "setainushi_shimei": only(~households.headless, head),
        "kisai_juni": text(households.position + 1),
        "kokuseki_code": only(foreign, code),
    }


def _japanese_names(rng: np.random.Generator, households: _Household, people: _People) -> tuple[pl.Series, pl.Series]:
    """Surname of the household (frequent ones more often, one in 60 with a rare character), given name by sex."""
    count = len(people.sex)
    common = (rng.random(count) ** 1.7 * len(SURNAMES)).astype(np.int64)
    rare = len(SURNAMES) + rng.integers(0, len(RARE_SURNAMES), count)
    surname = np.where(rng.random(count) < 1 / 60, rare, common)[households.first]
    male, female = rng.integers(0, len(GIVEN_MALE), count), len(GIVEN_MALE) + rng.integers(0, len(GIVEN_FEMALE), count)
    index = surname * len(_given()) + np.where(people.sex == 1, male, female)
    kanji, kana = _full_names()
    return kanji.gather(index), kana.gather(index)


@cache
def _given() -> tuple[tuple[str, str], ...]:
    return (*GIVEN_MALE, *GIVEN_FEMALE)


@cache
def _full_names() -> tuple[pl.Series, pl.Series]:
    """Every surname with every given name, in kanji and in katakana."""
    pairs = [(surname, given) for surname in _NAMES for given in _given()]
    return (
        pl.Series([f"{surname[0]}\u3000{given[0]}" for surname, given in pairs]),
        pl.Series([f"{surname[1]}\u3000{given[1]}" for surname, given in pairs]),
    )


@cache
def _foreign_words() -> tuple[pl.Series, pl.Series, pl.Series]:
    """Every foreign name: full-width Latin, katakana, nationality code; names of one family stand together."""
    rows = [
        (f"{family[0]}\u3000{given[0]}", f"{family[1]}\u3000{given[1]}", origin.code)
        for origin in ORIGINS
        for family in origin.families
        for given in origin.given
    ]
    latin, kana, code = zip(*rows, strict=True)
    return pl.Series(latin), pl.Series(kana), pl.Series(code)


def _foreign_names(rng: np.random.Generator, households: _Household) -> tuple[pl.Series, pl.Series, pl.Series]:
    latin, kana, code = _foreign_words()
    count = len(households.number)
    index = (rng.integers(0, len(latin), count)[households.first] + rng.integers(0, 2, count)) % len(latin)
    return latin.gather(index), kana.gather(index), code.gather(index)


def _births(people: _People) -> dict[str, pl.Series]:
    """Birth days: known, known by year only (month and day 00), or not at all; the unknown ones with the form as written."""
    known = people.unknown == 0
    iso = iso_days(people.written_birth)
    year_only = (iso.str.slice(0, 4) + "-00-00").alias("")
    written = pick(_around_years(), np.clip(people.birth // 365, 0, 160))
    return {
        "seinengappi": pl.select(
            pl.when(pl.Series(known)).then(iso).when(pl.Series(people.unknown == 1)).then(year_only).otherwise(pl.lit(""))
        ).to_series(),
        "seinengappi_fusho_flag": flags_text(~known),
        "seinengappi_fusho_hyoki": only(~known, written),
        "seinengappi_wareki": only(known, era_days(people.written_birth)),
    }


@cache
def _around_years() -> pl.Series:
    """`昭和２５年頃` for each year since 1900."""
    starts = (("明治", 1868), ("大正", 1912), ("昭和", 1926), ("平成", 1989), ("令和", 2019))
    names = []
    for year in range(1900, 2061):
        era, first = next((era, first) for era, first in reversed(starts) if year >= first)
        names.append(f"{era}{'元' if year == first else wide(year - first + 1)}年頃")
    return pl.Series(names)


def _places(rng: np.random.Generator, households: _Household, people: _People, town: Municipality, today: int) -> dict[str, pl.Series]:
    count, first = len(people.sex), households.first
    areas, codes, postals = _areas(town.postal)
    area = rng.integers(0, len(areas), count)[first]
    flat = (rng.random(count) < 0.35)[first]
    settled = np.minimum(np.maximum(people.birth, today - rng.integers(0, 40 * 365, count)), today)
    moved_in = rng.random(count) < 0.4
    gone = people.state == 1
    return {
        "jusho_shikuchoson_code": pl.repeat(town.code, count, eager=True),
        "jusho_machiaza_code": codes.gather(area),
        "jusho_yubinbango": postals.gather(area),
        "jusho_todofuken": pl.repeat(town.prefecture, count, eager=True),
        "jusho_shikugunchoson": pl.repeat(town.name, count, eager=True),
        "jusho_machiaza": areas.gather(area),
        "jusho_banchigo": pick(_house_numbers(), rng.integers(0, len(_house_numbers()), count)[first]),
        "jusho_katagaki": only(flat, pick(_rooms(), rng.integers(0, len(_rooms()), count)[first])),
        "jumin_to_natta_ymd": iso_days(settled),
        "jusho_sadameta_ymd": iso_days(settled),
        "tennyumae_jusho": only(moved_in, pick(FORMER_ADDRESSES, rng.integers(0, len(FORMER_ADDRESSES), count))),
        "tenshutsusaki_jusho": only(gone, pick(FORMER_ADDRESSES, rng.integers(0, len(FORMER_ADDRESSES), count))),
    }


@cache
def _areas(postal: str) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Names, 7-digit town codes and postal codes of the areas of a municipality."""
    names = [f"{area}{ending}{chome}" for area in AREAS for ending in AREA_ENDINGS for chome in CHOME]
    codes = [f"{1 + index // len(CHOME):04d}{index % len(CHOME):03d}" for index in range(len(names))]
    postals = [f"{postal}{index // len(CHOME):04d}" for index in range(len(names))]
    return pl.Series(names), pl.Series(codes), pl.Series(postals)


@cache
def _house_numbers() -> pl.Series:
    plain = [f"{wide(block)}－{wide(number)}" for block in range(1, 60) for number in range(1, 30)]
    return pl.Series([*plain, *(f"{wide(block)}番地{wide(number)}" for block in range(1, 600, 7) for number in range(1, 10))])


@cache
def _rooms() -> pl.Series:
    rooms = [f"{wide(100 * floor + room)}号室" for floor in range(1, 8) for room in range(1, 9)]
    return pl.Series([f"{building}\u3000{room}" for building in BUILDINGS for room in rooms])


def _flags(rng: np.random.Generator, households: _Household, people: _People, today: int) -> Mapping[str, pl.Series]:
    count = len(people.sex)
    foreign = households.foreign
    permanent = rng.random(count) < 0.3
    until = today + rng.integers(1, 5 * 365, count)
    support = (rng.random(count) < 0.002)[households.first]
    stay = pl.select(pl.when(pl.Series(permanent)).then(pl.lit("9999-12-31")).otherwise(iso_days(until))).to_series()
    return {
        "ido_ymd": iso_days(people.changed),
        "ido_fusho_flag": pl.repeat("0", count, eager=True),
        "ido_todoke_ymd": iso_days(np.minimum(people.changed + rng.integers(0, 14, count), today)),
        "ido_jiyu": pick(_reasons(), people.state * 4 + rng.integers(0, 4, count)),
        "zairyu_shikaku_code": only(foreign, pick(["A01", "B02", "C03", "D04"], rng.integers(0, 4, count))),
        "zairyu_manryo_ymd": only(foreign, stay),
        "shien_sochi_flag": flags_text(support),
        "shien_sochi_shuryo_ymd": only(support, iso_days(today + rng.integers(-200, 365, count))),
        "sansho_fuka_flag": flags_text(support),
        "sakujo_flag": pl.repeat("0", count, eager=True),
        "sosa_ymd": iso_days(people.changed),
        "sosa_jikoku": times(rng.integers(8 * 3600, 18 * 3600, count)),
    }


def _reasons() -> tuple[str, ...]:
    """Four reasons of change for each state: resident, moved out, deceased, removed."""
    return ("01", "03", "21", "25", "11", "11", "11", "12", "13", "13", "13", "13", "14", "14", "15", "14")
