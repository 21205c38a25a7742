"""What one attempt to send an event means for its delivery.

Owns: the decision, as a pure function of the error's type and facts: delivered, due again, given up, expired. Booking it is the
dispatcher's work.
"""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom
from typing import Final

from bus.errors import BusError, Permanent, Transient, told_of
from bus.event import ClaimedEvent, Settlement
from bus.events.receivers import Receiver
from bus.message import DeliveryState
from bus.retry import Backoff
from contracts.errors import RenkeiError

_DICE: Final = SystemRandom()
_SECOND_US: Final = 1_000_000


def delivered(claimed: ClaimedEvent, *, filtered: bool = False) -> Settlement:
    """The receiver has it; or, `filtered`, its translation leaves the record out and nothing was to be sent."""
    return Settlement(claimed.id, claimed.fence, DeliveryState.DELIVERED, filtered=filtered)


def not_now(claimed: ClaimedEvent, due_at_us: int) -> Settlement:
    """Nothing was sent and nothing failed: due again, with no attempt counted."""
    return Settlement(claimed.id, claimed.fence, DeliveryState.DUE, due_at_us=due_at_us, counts_attempt=False)


def expired(claimed: ClaimedEvent, receiver: Receiver | None, now_us: int) -> Settlement | None:
    """EXPIRED when its time has passed: the event's own, or that of the subscription, whichever is earlier. None: it is worth sending."""
    until_us = claimed.event.expires_at_us
    if receiver is not None and receiver.expires_seconds is not None:
        own_us = claimed.event.accepted_at_us + round(receiver.expires_seconds * _SECOND_US)
        until_us = own_us if until_us is None else min(until_us, own_us)
    if until_us is None or now_us < until_us:
        return None
    return Settlement(claimed.id, claimed.fence, DeliveryState.EXPIRED, counts_attempt=False)


def failed(
    claimed: ClaimedEvent, error: Exception, receiver: Receiver | None, now_us: int, random: Callable[[], float] = _DICE.random
) -> Settlement:
    """Given up when the error is Permanent or the attempts are used up; else due again after the subscription's backoff or the wait that
    the receiver asked for (`retry_after_seconds` among the error's facts), whichever is later."""
    due_us = None
    if receiver is not None and not isinstance(error, Permanent):
        due_us = Backoff(receiver.retry).due_us(claimed.attempts + 1, now_us, random)
    if due_us is None:
        return Settlement(claimed.id, claimed.fence, DeliveryState.QUARANTINED, told_of(error))
    asked = error.facts.get("retry_after_seconds") if isinstance(error, RenkeiError) else None
    if isinstance(asked, int | float) and asked > 0:
        due_us = max(due_us, now_us + round(asked * _SECOND_US))
    return Settlement(claimed.id, claimed.fence, DeliveryState.DUE, told_of(error), due_us)


def known(error: Exception, claimed: ClaimedEvent) -> RenkeiError:
    """The error in the bus's words. What no adapter may raise is a fault of the product, told without its words, and may pass."""
    if isinstance(error, RenkeiError):
        return error
    return BusError("RNK4204E", delivery=claimed.id, reason=told_of(error))


def answered(error: Exception) -> bool:
    """Whether the endpoint itself spoke, by refusing this one event with an HTTP `status`."""
    return isinstance(error, Transient | Permanent) and isinstance(error.facts.get("status"), int)
