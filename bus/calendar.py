"""Business dates and windows: which day a moment belongs to, and how much of the night is left.

Owns: the arithmetic between instants (UTC microseconds), business dates (ISO text) and local clock times (`HH:MM`). Pure functions;
nobody here asks for the time. Clock times come from `bus.site`, which has checked their form.

A business day begins at `day_ends` of its own calendar day and lasts until `day_ends` of the next: with `12:00`, 01:30 on the 21st
belongs to the 20th. With `00:00` the business date is the calendar date.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """The window of one business date as instants: from `start_us` (included) to `end_us` (not included)."""

    start_us: int
    end_us: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_us - self.start_us) / _SECOND_US


def business_date(now_us: int, day_ends: str, zone: str) -> str:
    """The business date (`YYYY-MM-DD`) that the instant belongs to, in the time zone named `zone`.

    Raises:
        ValueError: `day_ends` is not a clock time. zoneinfo.ZoneInfoNotFoundError: no such zone.
    """
    local = (_EPOCH + now_us * _MICROSECOND).astimezone(ZoneInfo(zone))
    day = local.date()
    if local.time() < time.fromisoformat(day_ends):
        day -= timedelta(days=1)
    return day.isoformat()


def window(day: str, start: str, end: str, day_ends: str, zone: str) -> Span:
    """The window of business date `day`. A start before `day_ends` is on the next calendar day, where the business day still runs;
    the end is the first such clock time after the start (equal clock times: a whole day).

    Raises:
        ValueError: a date or clock time that is none. zoneinfo.ZoneInfoNotFoundError: no such zone.
    """
    opens, closes = time.fromisoformat(start), time.fromisoformat(end)
    first = date.fromisoformat(day)
    if opens < time.fromisoformat(day_ends):
        first += timedelta(days=1)
    last = first if closes > opens else first + timedelta(days=1)
    where = ZoneInfo(zone)
    return Span(_instant(first, opens, where), _instant(last, closes, where))


def seconds_left(now_us: int, span: Span) -> float:
    """How long the window still lasts; negative when it is over, its whole length before it begins."""
    return (span.end_us - max(now_us, span.start_us)) / _SECOND_US


def rerun_margin_seconds(now_us: int, span: Span, last_duration_seconds: float) -> float:
    """What would be left of the window after one more run as long as the last one, begun now. Negative: it does not fit."""
    return seconds_left(now_us, span) - last_duration_seconds


def _instant(day: date, clock: time, zone: ZoneInfo) -> int:
    # `fold` stays 0: a clock time that exists twice means its first, one that does not exist the moment the clocks jump from.
    return (datetime.combine(day, clock, tzinfo=zone) - _EPOCH) // _MICROSECOND
