"""Who receives events that are sent: each subscription of a loaded configuration with its endpoint's limits and sink.

Owns: the dispatcher's view of the configuration. A `Receiver` is the same object as long as its configuration is, so that the dispatcher
sees a change by identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from bus.event import Lane, Way
from bus.event_ports import EventSink
from bus.site import EventRules, Limits, LoadedTenant, Retry

FETCHING: Final = "http"
"""The adapter of endpoints whose systems fetch their events themselves."""
_LANES: Final = {"urgent": Lane.URGENT, "normal": Lane.NORMAL, "bulk": Lane.BULK}


def way_of(adapter: str) -> Way:
    """How events leave through an adapter."""
    return Way.PULL if adapter == FETCHING else Way.PUSH


def lane_of(rules: EventRules) -> Lane:
    """How urgent the events of an interface are; support-measure flags always are."""
    return Lane.URGENT if rules.support_measure == "flags" else _LANES[rules.lane]


@dataclass(frozen=True, slots=True)
class Receiver:
    """One subscription, as sending needs to know it."""

    tenant: str
    subscription: str
    endpoint: str
    adapter: str
    limits: Limits
    retry: Retry
    expires_seconds: float | None = None
    """how long after its acceptance an event is worth sending; None: no limit of the subscription's own"""
    lane: Lane = Lane.NORMAL
    """of its interface: at one endpoint the more urgent goes first"""


class Receivers(Protocol):
    """Finds receivers and sinks. Asked for every event, from the event loop: answers at once."""

    def receiver(self, tenant: str, subscription: str) -> Receiver | None:
        """The subscription; None when it is not configured any more."""
        ...

    def sink(self, tenant: str, endpoint: str) -> EventSink | None:
        """The endpoint's sink; None when it has none."""
        ...


class SiteReceivers:
    """`Receivers` of the loaded tenants, replaced one tenant at a time when its configuration is loaded anew."""

    def __init__(self, tenants: Iterable[LoadedTenant] = (), sinks: Mapping[tuple[str, str], EventSink] | None = None) -> None:
        """`sinks` by (tenant, endpoint); it is looked into, not copied."""
        self._sinks = {} if sinks is None else sinks
        self._receivers: dict[str, dict[str, Receiver]] = {}
        for loaded in tenants:
            self.load(loaded)

    def load(self, loaded: LoadedTenant) -> None:
        """Take a tenant's configuration, in place of the one before."""
        tenant = loaded.tenant
        endpoints = {endpoint.id: endpoint for endpoint in tenant.endpoints}
        lanes = {interface.id: lane_of(interface.event) for interface in tenant.interfaces}
        before = self._receivers.get(tenant.tenant, {})
        found: dict[str, Receiver] = {}
        for own in tenant.subscriptions:
            endpoint = endpoints[own.endpoint]
            lane = lanes[own.interface]
            made = Receiver(tenant.tenant, own.id, endpoint.id, endpoint.adapter, endpoint.limits, own.retry, own.expires_seconds, lane)
            found[own.id] = before[own.id] if before.get(own.id) == made else made
        self._receivers[tenant.tenant] = found

    def receiver(self, tenant: str, subscription: str) -> Receiver | None:
        """The subscription; None when it is not configured any more."""
        return self._receivers.get(tenant, {}).get(subscription)

    def sink(self, tenant: str, endpoint: str) -> EventSink | None:
        """The endpoint's sink; None when it has none."""
        return self._sinks.get((tenant, endpoint))
