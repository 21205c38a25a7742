from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.patterns import PatternRefused, read_pattern

REFUSED = [
    "^a", "a$", r"\s", r"\D", r"\b", r"\1", r"\n", r"\x41", r"\pL", "(?i)a", "(?=a)", "(?P<a>b)",
    "(a", "a)", "[a", "[]", "[b-a]", "[[:alpha:]]", "[a&&[b]]",
    "a*?", "a++", "a{2}{3}", "a{,3}", "a{3,2}", "a{9999}",
    "*", "{", "a\tb", "\x00", "\\", "(あ{1000}){1000}", "a{1x}", "[a-\\d]", "{2}", "]",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_engines_do_not_read_alike_is_refused(text: str) -> None:
    with pytest.raises(PatternRefused):
        read_pattern(text)


def test_the_reason_names_the_place() -> None:
    with pytest.raises(PatternRefused, match=r"not needed.*character 3 of"):
        read_pattern("ab$")


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        (r"\d{3}-\d{4}", ["710-0833"], ["７１０-0833", "710-083", "710-0833\n", "٧10-0833"]),
        ("[ァ-ヶー　]+", ["クラシキ　タロウ"], ["ｸﾗｼｷ", "くらしき", ""]),
        ("a|bc*", ["a", "b", "bcc"], ["ac", "abc", "ab"]),
        ("(a|b){2,3}", ["ab", "bba"], ["a", "abab"]),
        ("[^-a]", ["b", "山", "𠮷"], ["-", "a", "bb"]),
        ("[a-]", ["-", "a"], ["b"]),
        ("a.c", ["abc", "a山c", "a𠮷c"], ["ac", "a\nc"]),
        (r"\w", ["_", "Z"], ["é", "山", "-"]),
        (r"[\[\]~&|]+", ["[]~&|", "&&", "~~"], ["a"]),
        ("", [""], ["a"]),
    ],
)
def test_both_engines_match_the_whole_value(text: str, good: list[str], bad: list[str]) -> None:
    assert matches(text, good) == (good, good)
    assert matches(text, bad) == ([], [])


PIECES = st.sampled_from(
    ["a", "b", "山", "\\.", "-", ".", "[a-c]", "[^ab]", "[山-川]", "\\d", "\\w", "[&~-]", "(a|b)", "(?:ab)", " ", "[\\]^]", "&&"]
)
QUANTIFIED = st.tuples(PIECES, st.sampled_from(["", "", "?", "*", "+", "{2}", "{1,3}", "{2,}"])).map("".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(QUANTIFIED, max_size=4), st.lists(st.text("ab山川.-c1 &~]^_é\nZ", max_size=6), max_size=10))
def test_both_engines_agree_on_every_pattern_that_is_accepted(parts: list[str], values: list[str]) -> None:
    for text in ("".join(parts), "|".join(parts)):
        one, many = matches(text, values)
        assert one == many


def matches(text: str, values: list[str]) -> tuple[list[str], list[str]]:
    pattern = read_pattern(text)
    found = pl.Series(values, dtype=pl.String).str.contains(pattern.polars()).to_list()
    python = pattern.python()
    return [value for value in values if python.fullmatch(value)], [value for value, yes in zip(values, found, strict=True) if yes]


def test_one_class_of_ascii_characters_is_recognised() -> None:
    assert read_pattern("[0-9]{2,5}").one_ascii_class() == (frozenset(b"0123456789"), 2, 5)
    assert read_pattern("[0-2x]+").one_ascii_class() == (frozenset(b"012x"), 1, 1 << 31)
    assert read_pattern(r"\d{7}").one_ascii_class() == (frozenset(b"0123456789"), 7, 7)
    assert read_pattern(r"[\]a]?").one_ascii_class() == (frozenset(b"]a"), 0, 1)
    for other in ("[^0-9]+", "[0-9]x", "[0-9][0-9]", "[ァ-ヶ]+", "abc", "[a]|[b]", "[0-9山]+"):
        assert read_pattern(other).one_ascii_class() is None
