"""The circuit breaker of one endpoint: one that keeps failing is left alone for a while, then tried with a single send.

Owns: the three states and the waits between them. No thread, no timer; time is an injected monotonic clock. What is left alone stays in
the journal, due and without a failed attempt. Used from the event loop only.

    closed --(failures in a row)--> open --(its time is over)--> half open --(the probe came through)--> closed
                                     ^                               |
                                     +---(the probe failed: longer)--+
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from bus.errors import Transient
from bus.site import Breaker

LONGEST: Final = 10
"""However often the probe fails: at most so many times `open_seconds`."""
_BUSY: Final = 429


class BreakerState(StrEnum):
    """Whether an endpoint is sent to."""

    CLOSED = "closed"
    OPEN = "open"
    """left alone"""
    HALF_OPEN = "half_open"
    """one send, the probe, may find out"""


def blames_endpoint(error: Exception) -> bool:
    """Whether a failed send speaks of the endpoint itself, not of the event: it could not be reached, gave no answer in time, or answered
    5xx or 429. Adapters put the HTTP `status` into the facts of their errors; a Transient without one is trouble on the way."""
    if not isinstance(error, Transient):
        return False
    status = error.facts.get("status")
    return not isinstance(status, int) or status >= 500 or status == _BUSY


class EndpointBreaker:
    """Counts failures in a row, and gives or refuses leave to send."""

    def __init__(self, settings: Breaker, monotonic: Callable[[], float]) -> None:
        self.settings = settings
        self._monotonic = monotonic
        self._failures = 0
        self._opened_at: float | None = None
        self._failed_probes = 0
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """What it is now."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.wait_seconds() > 0 else BreakerState.HALF_OPEN

    def take(self) -> bool:
        """Leave to claim one delivery: always while closed, never while open, for one probe at a time when half open."""
        state = self.state
        if state is BreakerState.HALF_OPEN and not self._probing:
            self._probing = True
            return True
        return state is BreakerState.CLOSED

    def give_back(self) -> None:
        """Leave was not used: there was nothing to send, or how it ended says nothing of the endpoint."""
        self._probing = False

    def succeeded(self) -> bool:
        """The endpoint answered: as it should, or by refusing this one event. True when this closed the breaker."""
        closed = self._opened_at is not None
        self._failures = self._failed_probes = 0
        self._opened_at, self._probing = None, False
        return closed

    def failed(self) -> bool:
        """A send failed by the endpoint's fault. True when this opened the breaker, also anew after a probe."""
        state = self.state
        if state is BreakerState.OPEN:
            return False  # it was on its way when the breaker opened
        self._failures += 1
        if state is BreakerState.HALF_OPEN:
            self._failed_probes += 1
        elif self._failures < self.settings.failures:
            return False
        self._opened_at, self._probing = self._monotonic(), False
        return True

    def wait_seconds(self) -> float:
        """How long it stays open; 0 when it is not."""
        if self._opened_at is None:
            return 0.0
        length = self.settings.open_seconds * min(1 << min(self._failed_probes, LONGEST), LONGEST)
        return max(0.0, self._opened_at + length - self._monotonic())
