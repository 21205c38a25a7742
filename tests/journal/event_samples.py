"""Events for the journal's tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bus.event import Attributes, ClaimedEvent, EventDelivery, EventTaken, Lane, NewEvent, Settlement, Wanted, Way
from bus.event_ports import Group
from bus.message import DeliveryState, Versions

TENANT = "332020"
OWNER = "node1"
VERSIONS = Versions("resident@1.0", "digest", "", "config", "1")


def to(subscription: str = "welfare", **more: Any) -> EventDelivery:
    usual = {"system": "010", "endpoint": f"{subscription}_in", "contract": "resident@1.0", "translation": None}
    usual |= {"way": Way.PUSH, "lane": Lane.NORMAL, "filtered": False, "flags": False, "waits": False}
    return EventDelivery(subscription, **{**usual, **more})


def event(number: int, *deliveries: EventDelivery, key: str = "", tenant: str = TENANT, content: str = "", **more: Any) -> NewEvent:
    return NewEvent(
        tenant=tenant,
        interface="moves",
        source_system="001",
        endpoint="resident_api",
        versions=VERSIONS,
        business_date="2026-11-20",
        attributes=more.pop("attributes", Attributes(f"e{number}", "/resident", "jp.move", subject=f"s{number}")),
        form=more.pop("form", "binary"),
        body=more.pop("body", b'{"number": "%d"}' % number),
        content=content or f"content {number}",
        ordering_key=key,
        deliveries=deliveries or (to(),),
        **more,
    )


def publish(journal: Any, *events: NewEvent, owner: str = OWNER) -> Sequence[EventTaken]:
    taken: Sequence[EventTaken] = journal.commit(Group(accept=events), owner, lease_seconds=60).taken
    return taken


def claim(journal: Any, limit: int = 10, subscription: str = "welfare", *, owner: str = OWNER, **more: Any) -> Sequence[ClaimedEvent]:
    wanted = Wanted(more.pop("tenant", TENANT), subscription, limit, owner, more.pop("lease_seconds", 60.0), **more)
    claimed: Sequence[ClaimedEvent] = journal.commit(Group(claim=[wanted]), owner, lease_seconds=60).claimed[0]
    return claimed


def settle(journal: Any, *claims: ClaimedEvent, state: DeliveryState = DeliveryState.DELIVERED, **more: Any) -> Sequence[Any]:
    settlements = [Settlement(one.id, one.fence, state, **more) for one in claims]
    settled: Sequence[Any] = journal.commit(Group(settle=settlements), OWNER, lease_seconds=60).settled
    return settled


def numbers(claims: Sequence[ClaimedEvent]) -> list[int]:
    """Which events they are."""
    return [int(one.event.attributes.id.removeprefix("e")) for one in claims]
