"""A key that stands twice is found wherever its records are; two keys with one hash are told apart."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from contracts.key_uniqueness import KeySeen

KEY = ("person", "history")
keys = st.tuples(st.sampled_from(["1", "01", "10", "", "甲"]), st.sampled_from(["1", "2", "0", ""]))


def frame(rows: Sequence[tuple[str, str]], first: int) -> pl.DataFrame:
    made = pl.DataFrame(rows, schema=dict.fromkeys(KEY, pl.String), orient="row")
    return made.with_columns(pl.int_range(first, first + len(rows), dtype=pl.UInt64, eager=True).alias("_ordinal"))


def repeated(chunks: Sequence[Sequence[tuple[str, str]]]) -> list[int]:
    seen = KeySeen(KEY)
    frames = []
    first = 1
    for number, rows in enumerate(chunks):
        frames.append(frame(rows, first))
        seen.add(frames[-1], number)
        first += len(rows)
    suspects = seen.suspected_chunks()
    if not suspects:
        return []
    return seen.repeated(pl.concat([seen.suspected_in(frames[number]) for number in sorted(suspects)]))["_ordinal"].to_list()


@given(st.lists(st.lists(keys, max_size=6), max_size=5))
def test_it_agrees_with_a_set(chunks: list[list[tuple[str, str]]]) -> None:
    known: set[tuple[str, str]] = set()
    expected = []
    for ordinal, key in enumerate((key for rows in chunks for key in rows), 1):
        if key in known:
            expected.append(ordinal)
        known.add(key)
    assert repeated(chunks) == expected


def test_the_later_record_is_the_repeated_one_across_chunks() -> None:
    assert repeated([[("1", "1"), ("2", "1")], [("3", "1")], [("2", "1"), ("1", "2")]]) == [4]


def test_only_chunks_that_may_hold_a_repeated_key_are_read_again() -> None:
    seen = KeySeen(KEY)
    for number, rows in enumerate([[("1", "1")], [("2", "1")], [("1", "1")]]):
        seen.add(frame(rows, number + 1), number)
    assert seen.suspected_chunks() == {0, 2}


def test_two_keys_with_one_hash_are_not_repeated() -> None:
    suspected = frame([("1", "1"), ("2", "1"), ("1", "1")], 1)
    assert KeySeen(KEY).repeated(suspected)["_ordinal"].to_list() == [3]
