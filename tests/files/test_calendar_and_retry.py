"""Business dates, windows, and when a failed delivery is tried again."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bus.calendar import Span, business_date, rerun_margin_seconds, seconds_left, window
from bus.errors import Permanent, Transient
from bus.retry import Backoff, within_attempt
from bus.site import Retry

TOKYO = "Asia/Tokyo"
HOUR_US = 3_600_000_000


def instant(text: str, zone: str = TOKYO) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("now", "day_ends", "day"),
    [
        ("2026-11-20T22:00", "12:00", "2026-11-20"),
        ("2026-11-21T01:30", "12:00", "2026-11-20"),
        ("2026-11-21T11:59:59.999999", "12:00", "2026-11-20"),
        ("2026-11-21T12:00", "12:00", "2026-11-21"),
        ("2026-11-21T00:00", "00:00", "2026-11-21"),
        ("2027-01-01T03:00", "12:00", "2026-12-31"),
    ],
)
def test_a_run_after_midnight_belongs_to_the_evening_before(now: str, day_ends: str, day: str) -> None:
    assert business_date(instant(now), day_ends, TOKYO) == day


@pytest.mark.parametrize(
    ("start", "end", "day_ends", "begins", "ends"),
    [
        ("20:00", "06:00", "12:00", "2026-11-20T20:00", "2026-11-21T06:00"),
        ("01:00", "05:00", "12:00", "2026-11-21T01:00", "2026-11-21T05:00"),
        ("13:00", "18:00", "12:00", "2026-11-20T13:00", "2026-11-20T18:00"),
        ("20:00", "20:00", "12:00", "2026-11-20T20:00", "2026-11-21T20:00"),
        ("01:00", "05:00", "00:00", "2026-11-20T01:00", "2026-11-20T05:00"),
    ],
)
def test_the_window_of_a_business_date(start: str, end: str, day_ends: str, begins: str, ends: str) -> None:
    assert window("2026-11-20", start, end, day_ends, TOKYO) == Span(instant(begins), instant(ends))


@given(
    day=st.dates(min_value=date(2000, 1, 1), max_value=date(2098, 1, 1)).map(str),
    start=st.times().map(lambda time: f"{time:%H:%M}"),
    end=st.times().map(lambda time: f"{time:%H:%M}"),
    day_ends=st.times().map(lambda time: f"{time:%H:%M}"),
)
def test_a_window_begins_in_its_own_business_date(day: str, start: str, end: str, day_ends: str) -> None:
    span = window(day, start, end, day_ends, TOKYO)
    assert business_date(span.start_us, day_ends, TOKYO) == day
    assert 0 < span.seconds <= 86_400


def test_a_night_with_a_clock_change_is_as_long_as_it_is() -> None:
    assert window("2026-03-28", "20:00", "06:00", "12:00", "Europe/Berlin").seconds == 9 * 3600
    assert window("2026-10-24", "20:00", "06:00", "12:00", "Europe/Berlin").seconds == 11 * 3600


def test_what_is_left_of_the_night() -> None:
    span = window("2026-11-20", "20:00", "06:00", "12:00", TOKYO)
    assert seconds_left(span.start_us - HOUR_US, span) == span.seconds
    assert seconds_left(instant("2026-11-21T05:30"), span) == 30 * 60
    assert seconds_left(instant("2026-11-21T07:00"), span) == -3600
    assert rerun_margin_seconds(instant("2026-11-21T04:00"), span, 3600) == 3600
    assert rerun_margin_seconds(instant("2026-11-21T05:30"), span, 3600) == -1800


@example(attempt=8, dice=0.5, now=0)
@example(attempt=9, dice=0.5, now=0)
@given(attempt=st.integers(1, 10_000), dice=st.floats(0, 1, exclude_max=True), now=st.integers(0, 2**52))
def test_due_times_grow_up_to_the_longest_and_end(attempt: int, dice: float, now: int) -> None:
    backoff = Backoff(Retry(first_seconds=5, factor=3, most_seconds=600, attempts=9))
    due = backoff.due_us(attempt, now, lambda: dice)
    if attempt >= 9:
        assert due is None
    else:
        assert due == now + int(dice * min(600, 5 * 3 ** (attempt - 1)) * 1_000_000)


def test_full_jitter_spreads_over_the_whole_wait() -> None:
    backoff = Backoff(Retry(first_seconds=100, attempts=2))
    dues = sorted(backoff.due_us(1, 0) or 0 for _ in range(500))
    assert dues[0] < 20_000_000
    assert 80_000_000 < dues[-1] < 100_000_000


def test_absurd_settings_do_not_overflow() -> None:
    assert Backoff(Retry(first_seconds=1e300, factor=1e300, most_seconds=60, attempts=10**6)).ceiling_seconds(10**6 - 1) == 60


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        Backoff(Retry()).due_us(0, 0)


def test_within_an_attempt_only_transient_errors_are_tried_again() -> None:
    waits: list[float] = []
    errors: list[Exception] = [Transient("RNK5010E"), Transient("RNK5011E"), Permanent("RNK5015E"), Transient("RNK5010E")]

    def work() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    with pytest.raises(Permanent):
        within_attempt(sleep=waits.append)(work)
    assert len(waits) == 2
    assert within_attempt(sleep=waits.append)(work) == "done"


def test_within_an_attempt_the_last_error_comes_out_as_it_is() -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        raise Transient("RNK5010E", path="x", error="ENOSPC")

    with pytest.raises(Transient) as raised:
        within_attempt(tries=4, sleep=lambda _: None)(work)
    assert (len(tries), raised.value.message_id) == (4, "RNK5010E")
