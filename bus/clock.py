"""Clocks: the system's, and one that tests move by hand.

Owns: the one place that reads the wall clock for the journal and whatever is decided by it; who decides is handed a `bus.ports.Clock`.
And how an instant is written for others.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at_us: int, timespec: Literal["auto", "milliseconds"] = "auto") -> str:
    """An instant as JSON and CloudEvents write it (RFC 3339, section 5.6), in UTC."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec=timespec).replace("+00:00", "Z")


class SystemClock:
    """The machine's clock. It may jump, in either direction; whoever uses it must bear that."""

    def now_us(self) -> int:
        """UTC microseconds since 1970."""
        return time.time_ns() // 1000


class ManualClock:
    """A clock that stands still until it is moved. Safe to use from several threads."""

    def __init__(self, start_us: int = 1_795_000_000_000_000) -> None:
        self._now_us = start_us
        self._lock = threading.Lock()

    def now_us(self) -> int:
        """UTC microseconds since 1970."""
        with self._lock:
            return self._now_us

    def advance(self, seconds: float) -> int:
        """Move by `seconds` (negative: the clock jumps back). Returns the new time in microseconds."""
        with self._lock:
            self._now_us += round(seconds * 1_000_000)
            return self._now_us

    def set_us(self, now_us: int) -> None:
        """Jump to `now_us`."""
        with self._lock:
            self._now_us = now_us
