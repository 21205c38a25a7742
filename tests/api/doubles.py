"""What stands in for the rest of the node where a test needs only one part of the API: the journal itself is real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bus.clock import ManualClock
from bus.errors import BusError
from bus.event import ClaimedEvent, EventTaken, NewEvent, OutgoingEvent, Settlement, Wanted
from bus.event_ports import Group
from bus.events.lookout import Lookout
from bus.events.pull import Pull
from bus.events.signals import Signals
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState
from bus.site import Retry, Subscription
from tests.backends import open_journal

TENANT = "332020"


@dataclass
class DirectGroup:
    """Commits each thing by itself, in a thread."""

    journal: SqlJournal
    claims: int = 0
    claimed: Callable[[], None] = field(default=lambda: None)
    """called after each claim"""

    async def claim(self, wanted: Wanted) -> Sequence[ClaimedEvent]:
        self.claims += 1
        done = await asyncio.to_thread(self.journal.commit, Group(claim=[wanted]), "node1", lease_seconds=60)
        self.claimed()
        return done.claimed[0]

    async def settle(self, settlement: Settlement) -> DeliveryState | None:
        done = await asyncio.to_thread(self.journal.commit, Group(settle=[settlement]), "node1", lease_seconds=60)
        return done.settled[0]


@dataclass
class PlainRenderer:
    """The body as it came; of events named in `broken`, the error; None for those in `left_out`."""

    broken: dict[str, BusError] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)

    def quick(self, claimed: ClaimedEvent) -> OutgoingEvent | None:
        name = claimed.event.attributes.id
        if name in self.broken or name in self.left_out:
            return None
        attributes = replace(claimed.event.attributes, extensions={"renkeidelivery": claimed.id})
        return OutgoingEvent(
            claimed.tenant, claimed.subscription, claimed.endpoint, claimed.id, claimed.attempts + 1, attributes, claimed.event.body
        )

    async def render_all(self, claimed: Sequence[ClaimedEvent]) -> Sequence[BusError | None]:
        return [self.broken.get(one.event.attributes.id) for one in claimed]


@dataclass
class Seen:
    """Counts what a pull service tells."""

    told: list[tuple[str, ...]] = field(default_factory=list)

    def delivered(self, tenant: str, subscription: str, adapter: str, seconds: float) -> None:
        self.told.append(("delivered", subscription, adapter))

    def retried(self, tenant: str, subscription: str) -> None:
        self.told.append(("retried", subscription))

    def given_up(self, tenant: str, subscription: str) -> None:
        self.told.append(("given_up", subscription))

    def expired(self, tenant: str, subscription: str) -> None:
        self.told.append(("expired", subscription))


@dataclass
class Bench:
    """A pull service over a real journal and a clock moved by hand."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    signals: Signals = field(default_factory=Signals)
    renderer: PlainRenderer = field(default_factory=PlainRenderer)
    seen: Seen = field(default_factory=Seen)
    journal: SqlJournal = field(init=False)
    group: DirectGroup = field(init=False)
    lookout: Lookout = field(init=False)
    pull: Pull = field(init=False)

    def __post_init__(self) -> None:
        self.journal = open_journal(self.folder, self.clock)
        self.group = DirectGroup(self.journal)
        self.lookout = Lookout(self.journal, self.signals, look_seconds=0.02)
        self.pull = self.another_node()

    def another_node(self) -> Pull:
        """A pull service that remembers nothing of what others lent."""
        return Pull(self.group, self.journal, self.renderer, self.lookout, self.clock, self.seen)

    def publish(self, *events: NewEvent) -> Sequence[EventTaken]:
        return self.journal.commit(Group(accept=events), "node1", lease_seconds=60).taken

    def state(self, delivery: str) -> DeliveryState:
        return self.journal.delivery(delivery).state


def subscription(name: str = "welfare", **retry: float) -> Subscription:
    return Subscription(id=name, interface="moves", system="010", endpoint=f"{name}_in", retry=Retry.model_validate(retry))
