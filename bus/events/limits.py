"""What an endpoint bears: how many sends at once, how many a second, how many bytes a second.

Owns: the counting. No thread, no timer: whoever asks is told whether there is room now, and if not, when to ask again. Time is an injected
monotonic clock. Used from the event loop only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bus.site import Limits

BURST_SECONDS: Final = 0.1
"""A rate may be used up in bursts of so long, and one send more: in any second pass at most 1.1 times `per_second` sends and one. It also
makes up for timers that ring late."""
_NOTHING: Final = 1e-6
"""What sums of fractions may be wrong by."""
_SETTLING: Final = 0.2
"""How much one send changes what is held to be the usual size."""


class TokenBucket:
    """A rate. Tokens flow in steadily up to a burst; taking more than there are makes a debt that time pays off, so that over a long
    time no more than the rate passes, whatever was taken at once."""

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self.per_second = per_second
        self._burst = 1 + per_second * BURST_SECONDS
        self._monotonic = monotonic
        self._tokens = self._burst
        self._at = monotonic()

    def tokens(self) -> float:
        """How many there are now; negative: a debt."""
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self.per_second)
        self._at = now
        return self._tokens

    def take(self, tokens: float) -> None:
        """Take them, whether there are so many or not."""
        self._tokens = self.tokens() - tokens

    def give_back(self, tokens: float) -> None:
        """They were not needed."""
        self._tokens = min(self._burst, self.tokens() + tokens)

    def wait_seconds(self, tokens: float) -> float:
        """How long until there are so many; 0 when there are."""
        lacking = min(tokens, self._burst) - self.tokens()
        return lacking / self.per_second if lacking > _NOTHING else 0.0


class EndpointLimits:
    """The room of one endpoint, over all its subscriptions.

    A send takes a place with `take` before its delivery is claimed; it says how long it is with `sending`, and gives the place back with
    `done`, or with `give_back` when there was nothing to send.
    """

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self.limits = limits
        self.taken = 0
        self._sends = TokenBucket(limits.per_second, monotonic) if limits.per_second else None
        self._bytes = TokenBucket(limits.bytes_per_second, monotonic) if limits.bytes_per_second else None
        self._usual_bytes = 1.0
        self._unsized = 0
        """places taken whose send has not told its length yet"""

    def take(self) -> bool:
        """Take a place, if there is one now."""
        if self.taken >= self.limits.concurrent or self.wait_seconds():
            return False
        self.taken += 1
        self._unsized += 1
        if self._sends is not None:
            self._sends.take(1)
        return True

    def give_back(self) -> None:
        """A place was taken and nothing sent."""
        self.taken -= 1
        self._unsized -= 1
        if self._sends is not None:
            self._sends.give_back(1)

    def sending(self, length_bytes: int) -> None:
        """A send of so many bytes begins in a place that was taken."""
        self._unsized -= 1
        if self._bytes is not None:
            self._bytes.take(length_bytes)
            self._usual_bytes += _SETTLING * (length_bytes - self._usual_bytes)

    def done(self) -> None:
        """A send has ended, however."""
        self.taken -= 1

    def wait_seconds(self) -> float:
        """How long the rates forbid another send; 0 when they do not. Whether another may run beside those that do is another matter."""
        wait = 0.0 if self._sends is None else self._sends.wait_seconds(1)
        if self._bytes is not None:
            # Places taken will want bytes, too; how many is not known before they are claimed, so the usual size stands for them.
            expected = self._usual_bytes * self._unsized
            lacking = expected + 1 - self._bytes.tokens()
            wait = max(wait, lacking / self._bytes.per_second if lacking > _NOTHING else 0.0)
        return wait

    def change(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        """Other limits from now on, for a new configuration; what runs goes on."""
        anew = EndpointLimits(limits, monotonic)
        self.limits, self._sends, self._bytes = limits, anew._sends, anew._bytes
