"""Claiming deliveries, keeping them and booking how they ended: what sending and fetching share.

Owns: the ports to the group commit and the journal, and who is told of outcomes to count them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, Protocol

from bus.event import ClaimedEvent, Settlement, Wanted
from bus.message import DeliveryState

LEASE_SECONDS: Final = 60.0
"""Of what this node sends itself; whoever fetches says for how long."""


class Settling(Protocol):
    """The group commit, as whoever ends attempts uses it."""

    def settle(self, settlement: Settlement) -> Awaitable[DeliveryState | None]:
        """Book how an attempt ended; None: its claim had ended."""
        ...


class Committing(Settling, Protocol):
    """The group commit, as whoever makes attempts uses it. Of what is given to it in one breath, settlements are done before claims."""

    def claim(self, wanted: Wanted) -> Awaitable[Sequence[ClaimedEvent]]:
        """Claim what is due."""
        ...


class RenewJournal(Protocol):
    """What keeps leases."""

    def renew_events(self, claims: Sequence[tuple[str, int]], *, lease_seconds: float) -> Sequence[bool]:
        """See `bus.event_ports.EventJournal`."""
        ...


class AttemptObserver(Protocol):
    """Is told what became of attempts, once it is booked. Called for every event: counts and returns."""

    def delivered(self, tenant: str, subscription: str, adapter: str, seconds: float) -> None:
        """Delivered so long after it was accepted."""
        ...

    def retried(self, tenant: str, subscription: str) -> None:
        """An attempt failed and the delivery is due again."""
        ...

    def given_up(self, tenant: str, subscription: str) -> None:
        """The delivery stands in quarantine."""
        ...

    def expired(self, tenant: str, subscription: str) -> None:
        """Its time was over before it could be delivered."""
        ...
