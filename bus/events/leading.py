"""What waits when the configuration has changed: it leaves by the endpoint that its subscription has now.

Owns: what a node does once at its start, before anything is sent. A delivery remembers the endpoint it was made for. When its subscription
moved to another one, from pull to webhook or back, it would wait there for ever, and hold back whatever comes behind it for the same
person. One whose subscription is gone is given to the dispatcher, which gives it up: in quarantine a person sees it, and may put the
subscription back or skip it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from bus.event import Standing, Way
from bus.events.receivers import way_of
from bus.site import LoadedSite
from monitoring.log import log

AT_ONCE: Final = 50_000
"""So many are changed in one transaction."""
_FILES: Final = "files"


class RoutesJournal(Protocol):
    """What it asks of the journal."""

    def standing(self) -> Sequence[Standing]:
        """See `bus.journal.event_routes`."""
        ...

    def lead(self, standing: Standing, endpoint: str, way: Way, *, limit: int) -> int:
        """See `bus.journal.event_routes`."""
        ...


def lead_what_waits(journal: RoutesJournal, site: LoadedSite) -> bool:
    """Let every unfinished delivery leave as the configuration says now. Whether there is any.

    Raises:
        JournalUnavailable: some may be changed; doing it again is safe.
    """
    places = _places(site)
    waiting = journal.standing()
    for standing in waiting:
        place = places.get((standing.tenant, standing.subscription))
        endpoint, way = (standing.endpoint, Way.PUSH) if place is None else place
        if place is None:
            log("RNK4212W", tenant=standing.tenant, subscription=standing.subscription, count=standing.count)
        if (endpoint, way) == (standing.endpoint, standing.way):
            continue
        while journal.lead(standing, endpoint, way, limit=AT_ONCE):
            pass
        if place is not None:
            log("RNK4211I", tenant=standing.tenant, subscription=standing.subscription, count=standing.count, endpoint=endpoint)
    return bool(waiting)


def _places(site: LoadedSite) -> dict[tuple[str, str], tuple[str, Way]]:
    """Endpoint and way of every subscription of events."""
    found = {}
    for code, loaded in site.tenants.items():
        adapters = {endpoint.id: endpoint.adapter for endpoint in loaded.tenant.endpoints}
        for one in loaded.tenant.subscriptions:
            if adapters[one.endpoint] != _FILES:
                found[code, one.id] = (one.endpoint, way_of(adapters[one.endpoint]))
    return found
