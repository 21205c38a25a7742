"""The night at a glance: for each interface, whether its batch came, in time or late.

Owns: which window ended last for each interface, and whether its batch is done: a message of that business date is accepted, and none of
its deliveries still waits or moves (one that was given up has its own alert). A window that ended before the node first knew the tenant
cannot be late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from bus.calendar import Span, business_date, window
from bus.ports import Clock, NightJournal
from bus.site import Interface, LoadedSite


@dataclass(frozen=True, slots=True)
class InterfaceNight:
    """One interface on the business date whose window ended last."""

    tenant: str
    interface: str
    business_date: str
    expected: bool
    accepted: bool
    late: bool


def night(site: LoadedSite, journal: NightJournal, clock: Clock) -> Sequence[InterfaceNight]:
    """Every interface of every tenant, in the order of the configuration. Asks the journal the same two questions, however many there
    are."""
    now = clock.now_us()
    zone = site.site.time_zone
    ended = lru_cache(maxsize=None)(_last_ended)  # most interfaces share their hours
    nights = [
        (code, interface, *ended(interface.window.start, interface.window.end, interface.day_ends, zone, now))
        for code, loaded in site.tenants.items()
        for interface in loaded.tenant.interfaces
    ]
    since = journal.first_entries()
    done = journal.batches_done([(code, interface.id, day) for code, interface, day, _ in nights if interface.expected == "daily"])
    return [_told(code, interface, day, span.end_us > since.get(code, now), done) for code, interface, day, span in nights]


def _told(code: str, interface: Interface, day: str, known: bool, done: Mapping[tuple[str, str, str], bool]) -> InterfaceNight:
    batch = (code, interface.id, day)
    expected = interface.expected == "daily" and known
    return InterfaceNight(*batch, expected, batch in done, expected and not done.get(batch, False))


def _last_ended(start: str, end: str, day_ends: str, zone: str, now_us: int) -> tuple[str, Span]:
    """The business date whose window was the last to end, and that window."""
    day = business_date(now_us, day_ends, zone)
    span = window(day, start, end, day_ends, zone)
    if span.end_us > now_us:
        day = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        span = window(day, start, end, day_ends, zone)
    return day, span
