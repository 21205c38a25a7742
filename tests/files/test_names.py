"""Name patterns: what they make they read back, and what they cannot mean is said at once."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import Permanent, SiteInvalid
from bus.names import LONGEST_NAME_BYTES, Direction, NamePattern, lint, name_problem
from contracts.messages import catalogue, text

DAYS = st.dates(min_value=datetime.date(2000, 1, 1), max_value=datetime.date(2099, 12, 31)).map(datetime.date.isoformat)
PATTERNS = [
    "JUMIN_{business_date:%Y%m%d}_{sequence:03}.csv",
    "{tenant}_{interface}_{business_date}.dat",
    "住民　{business_date:%y%m%d}-{sequence}r{revision:02}.csv",
    "{business_date:%Y}年{business_date:%m}月{business_date:%d}日 {records} 件 {{済}}.xml",
    "{business_date:%Y-%j}.{document:05}.{tenant}",
]


@given(
    pattern=st.sampled_from(PATTERNS),
    day=DAYS,
    numbers=st.fixed_dictionaries({name: st.integers(0, 10**7) for name in ("sequence", "revision", "records", "document")}),
    tenant=st.from_regex(r"[0-9]{6}", fullmatch=True),
    interface=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
)
def test_what_a_pattern_makes_it_reads_back(pattern: str, day: str, numbers: dict[str, int], tenant: str, interface: str) -> None:
    made = NamePattern(pattern)
    facts: dict[str, str | int] = {"business_date": day, "tenant": tenant, "interface": interface, **numbers}
    assert made.match(made.format(**facts)) == {word: facts[word] for word in made.words}


@given(name=st.text(max_size=40), pattern=st.sampled_from(PATTERNS))
def test_any_name_is_matched_or_not_but_never_an_error(name: str, pattern: str) -> None:
    found = NamePattern(pattern).match(name)
    assert found is None or NamePattern(pattern).format(**found) == name


@given(pattern=st.text(alphabet="{}:%Y0{tenat} _/.a", max_size=30))
def test_lint_and_making_agree_on_any_text(pattern: str) -> None:
    directions: list[Direction] = ["in", "out", "marker"]
    if any(not lint(pattern, direction) for direction in directions):
        NamePattern(pattern)
    else:
        assert all(problem.message_id in catalogue() for problem in lint(pattern, "in"))


@pytest.mark.parametrize(
    "name",
    [
        "JUMIN_20260231_001.csv",  # no such day
        "JUMIN_20261120_1.csv",  # too few digits
        "JUMIN_20261120_0001.csv",  # would have been printed 001
        "JUMIN_20261120_٠٠١.csv",  # digits of another script
        "JUMIN_20261120_001.csv\n",
        "xJUMIN_20261120_001.csv",
    ],
)
def test_near_misses_do_not_match(name: str) -> None:
    assert NamePattern("JUMIN_{business_date:%Y%m%d}_{sequence:03}.csv").match(name) is None


def test_a_word_twice_must_say_the_same() -> None:
    pattern = NamePattern("{sequence}_{sequence:03}_{business_date:%Y%m%d}_{business_date:%y%m%d}")
    assert pattern.match("7_007_20261120_261120") == {"sequence": 7, "business_date": "2026-11-20"}
    assert pattern.match("7_008_20261120_261120") is None
    assert pattern.match("7_007_20261120_261121") is None


def test_any_lets_a_time_stamp_pass() -> None:
    assert NamePattern("J_{business_date:%Y%m%d}_{any}.csv").match("J_20261120_013000.csv") == {"business_date": "2026-11-20"}


def test_a_marker_is_named_for_its_file() -> None:
    assert NamePattern("{name}.end").format(name="a b.csv") == "a b.csv.end"
    assert NamePattern("{stem}.完了").format(name="a b.csv") == "a b.完了"


@pytest.mark.parametrize(
    ("pattern", "direction", "message_id"),
    [
        ("", "in", "RNK5002E"),
        ("a/b.csv", "out", "RNK5002E"),
        ("..csv", "out", "RNK5002E"),
        (".{tenant}", "out", "RNK5002E"),
        ("a\x1fb", "out", "RNK5002E"),
        ("{tenat}.csv", "out", "RNK5003E"),
        ("{sequence", "in", "RNK5003E"),
        ("sequence}", "in", "RNK5003E"),
        ("{}", "in", "RNK5003E"),
        ("{any}.csv", "out", "RNK5003E"),
        ("{name}.csv", "in", "RNK5003E"),
        ("{sequence:4}", "in", "RNK5004E"),
        ("{tenant:06}", "in", "RNK5004E"),
        ("{business_date:%H%M}", "out", "RNK5004E"),
        ("{business_date:yyyy}", "out", "RNK5004E"),
        ("{sequence}{business_date}", "in", "RNK5005E"),
        ("{sequence:03}7.csv", "in", "RNK5005E"),
        ("{any}{interface}", "in", "RNK5005E"),
        ("J{business_date:%m%d}.csv", "in", "RNK5006E"),
    ],
)
def test_lint_names_each_mistake(pattern: str, direction: Direction, message_id: str) -> None:
    problems = lint(pattern, direction)
    assert [problem.message_id for problem in problems] == [message_id]
    assert "?" not in text(message_id, "ja", **problems[0].facts)
    assert "?" not in text(message_id, "en", **problems[0].facts)


def test_lint_names_all_mistakes_at_once() -> None:
    assert [problem.message_id for problem in lint("{tenat}_{sequence:x}_{business_date:%H}", "in")] == ["RNK5003E", "RNK5004E", "RNK5004E"]


@pytest.mark.parametrize(("pattern", "direction"), [(pattern, "in") for pattern in PATTERNS] + [("OUT_{business_date:%m%d}.csv", "out")])
def test_good_patterns_have_no_problem(pattern: str, direction: Direction) -> None:
    assert lint(pattern, direction) == []


def test_a_pattern_that_is_none_cannot_be_made() -> None:
    with pytest.raises(SiteInvalid) as raised:
        NamePattern("{tenat}")
    assert raised.value.message_id == "RNK5003E"


def test_a_name_with_a_missing_fact_or_too_long_is_refused() -> None:
    with pytest.raises(Permanent) as raised:
        NamePattern("{tenant}_{sequence}").format(tenant="332020")
    assert (raised.value.message_id, raised.value.facts["words"]) == ("RNK5007E", "sequence")
    with pytest.raises(Permanent) as raised:
        NamePattern("{name}.end").format(name="長" * 85)
    assert raised.value.message_id == "RNK5001E"


def test_safe_names() -> None:
    assert name_problem("住民　異動 データ.csv") is None
    assert name_problem("a" * LONGEST_NAME_BYTES) is None
    for bad in ("", ".", "..", "a..b", ".x", "a/b", "a\\b", "a\0", "a\n", "a\u202eb", "a\ud800", "\ue000", "a" * (LONGEST_NAME_BYTES + 1)):
        problem = name_problem(bad)
        assert problem is not None
        assert text(problem.message_id, "ja", **problem.facts).encode("utf-8")
