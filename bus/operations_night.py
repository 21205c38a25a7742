"""The night at a glance: for each interface, whether its batch came, in time or late.

Owns: which window ended last for each interface, and whether its batch is done: a message of that business date is accepted, and none of
its deliveries still waits or moves (one that was given up has its own alert). A window that ended before the node first knew the tenant
cannot be late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from bus.calendar import Span, business_date, window
from bus.message import DeliveryState, Message, MessageState
from bus.ports import Clock, QueryJournal
from bus.site import Interface, LoadedSite, LoadedTenant

_MOVING: Final = (DeliveryState.DUE, DeliveryState.CLAIMED, DeliveryState.READY_TO_PUBLISH)
_MOST_FILES: Final = 100
"""Of one interface on one business date."""


@dataclass(frozen=True, slots=True)
class InterfaceNight:
    """One interface on the business date whose window ended last."""

    tenant: str
    interface: str
    business_date: str
    expected: bool
    accepted: bool
    late: bool


def night(site: LoadedSite, journal: QueryJournal, clock: Clock) -> Iterator[InterfaceNight]:
    """Every interface of every tenant, in the order of the configuration."""
    now = clock.now_us()
    for code, loaded in site.tenants.items():
        since = _known_since(journal, code, now)
        for interface in loaded.tenant.interfaces:
            yield _interface_night(site, journal, loaded, interface, now, since)


def _known_since(journal: QueryJournal, tenant: str, now_us: int) -> int:
    first = journal.entries(tenant, limit=1)
    return first[0].at_us if first else now_us


def _interface_night(
    site: LoadedSite, journal: QueryJournal, loaded: LoadedTenant, interface: Interface, now_us: int, since_us: int
) -> InterfaceNight:
    zone = site.site.time_zone
    day = business_date(now_us, interface.day_ends, zone)
    span = _span(interface, day, zone)
    if span.end_us > now_us:
        day = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        span = _span(interface, day, zone)
    code = loaded.tenant.tenant
    found = journal.messages(tenant=code, interface=interface.id, business_date=day, state=MessageState.ACCEPTED, limit=_MOST_FILES)
    expected = interface.expected == "daily" and span.end_us > since_us
    late = expected and not (found and all(_delivered(journal, message) for message in found))
    return InterfaceNight(code, interface.id, day, expected, bool(found), late)


def _delivered(journal: QueryJournal, message: Message) -> bool:
    """Whether nothing of the message's batch waits or moves. What an operator had sent again later is not of the batch."""
    return not any(
        delivery.created_at_us == message.accepted_at_us and delivery.state in _MOVING
        for delivery in journal.deliveries(message=message.id, limit=1000)
    )


def _span(interface: Interface, day: str, zone: str) -> Span:
    return window(day, interface.window.start, interface.window.end, interface.day_ends, zone)
