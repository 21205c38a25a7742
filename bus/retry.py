"""When something that failed is tried again.

Owns: both waits there are. Between attempts, the due time that the journal keeps across restarts (`Backoff`: exponential with full
jitter). Within one attempt, a few quick tries for what is merely transient (`within_attempt`). The error's type decides, never its text.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom
from typing import Final

import tenacity

from bus.errors import Transient
from bus.site import Retry

_SECOND_US: Final = 1_000_000
_DICE: Final = SystemRandom()
_MOST_DOUBLINGS: Final = 64
"""factor ** attempts would overflow a float for absurd settings; long before this the longest wait holds."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The due times of one subscription's failed deliveries."""

    retry: Retry

    def due_us(self, attempt: int, now_us: int, random: Callable[[], float] = _DICE.random) -> int | None:
        """When to try again after the `attempt`-th failed attempt (1 is the first); None when the attempts are used up.

        Full jitter: evenly spread between now and `ceiling_seconds(attempt)`, so that many deliveries that failed together do not come
        back together. `random` gives 0 <= x < 1.

        Raises:
            ValueError: `attempt` below 1.
        """
        ceiling = self.ceiling_seconds(attempt)
        if attempt >= self.retry.attempts:
            return None
        return now_us + int(random() * ceiling * _SECOND_US)

    def ceiling_seconds(self, attempt: int) -> float:
        """The longest wait after the `attempt`-th failed attempt.

        Raises:
            ValueError: `attempt` below 1.
        """
        if attempt < 1:
            raise ValueError(f"attempts count from 1, not {attempt}")
        try:
            grown = self.retry.first_seconds * self.retry.factor ** min(attempt - 1, _MOST_DOUBLINGS)
        except OverflowError:
            grown = self.retry.most_seconds
        return min(grown, self.retry.most_seconds)


def within_attempt(
    *, tries: int = 3, first_seconds: float = 0.1, most_seconds: float = 1.0, sleep: Callable[[float], None] = time.sleep
) -> tenacity.Retrying:
    """A tenacity policy for one attempt: Transient errors are tried again up to `tries` times in all, then raised as they are; any other
    error is raised at once. Use `within_attempt()(function, ...)` or `for attempt in within_attempt(): with attempt: ...`.
    """
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Transient),
        stop=tenacity.stop_after_attempt(tries),
        wait=tenacity.wait_random_exponential(multiplier=first_seconds, max=most_seconds),
        sleep=sleep,
        reraise=True,
    )
