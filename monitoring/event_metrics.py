"""What the bus measures of events: what became of each, how long it took, and what held the bus up.

Owns: these metrics' names, labels and meanings; `monitoring.metrics.Metrics` puts them on the page. Counting methods are called for every
event, so they look their series up and add, and nothing else. Label values are those of the configuration and of closed lists: never what
a caller sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Histogram

from monitoring.series import Counters, Gauges, Page

Received = Literal["accepted", "duplicate", "conflict", "refused"]
Delivered = Literal["delivered", "retried", "given_up", "expired"]
Via = Literal["http", "amqp"]

_PUBLISH_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_DELIVERY_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_GROUP_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Distribution:
    """A histogram that takes its room when a label value first appears. Beyond the ceiling nothing is shown."""

    def __init__(self, page: Page, registry: CollectorRegistry, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> None:
        self.left_out = 0
        self._page = page
        page.parts.append(self)
        self._series = len(buckets) + 3
        self._histogram = Histogram(name, text, labels, buckets=buckets, registry=registry)
        self._children: dict[tuple[str, ...], Histogram | None] = {}
        if not labels:
            self.declare()  # without labels the library shows it from the start

    def lines(self) -> Iterator[str]:
        """None: the library writes them."""
        return iter(())

    def observe(self, value: float, *labels: str) -> None:
        """One more of this size."""
        child = self._children.get(labels) or self.declare(*labels)
        if child is not None:
            child.observe(value)

    def declare(self, *labels: str) -> Histogram | None:
        """Make it exist, empty. None: there is no room."""
        with self._page.lock:
            if labels not in self._children:
                room = self._page.take(self._series)
                self.left_out += 0 if room else self._series
                self._children[labels] = (self._histogram.labels(*labels) if labels else self._histogram) if room else None
            return self._children[labels]


class EventMetrics:
    """The part of `Metrics` about events. Every method may be called from any thread and never raises for its values."""

    def __init__(self, page: Page, registry: CollectorRegistry) -> None:
        self._events = Counters(page, "renkei_events_total", "Events that came, by what became of them.", "tenant", "interface", "outcome")
        self._event_deliveries = Counters(
            page,
            "renkei_event_deliveries_total",
            "Attempts to deliver an event, by how they ended.",
            "tenant",
            "subscription",
            "outcome",
        )
        self._refusals = Counters(page, "renkei_overload_refusals_total", "Requests turned away because of load.", "reason")
        self._breaker = Gauges(
            page,
            "renkei_breaker_open",
            "1 while an endpoint is left alone because it kept failing. No series: it is not.",
            "tenant",
            "endpoint",
        )
        self._broker = Gauges(page, "renkei_broker_connected", "1 while the node is connected to its broker. No series: none is used.")
        self._publish = Distribution(
            page, registry, "renkei_event_publish_seconds", "From an event's arrival to its answer.", _PUBLISH_SECONDS, "via"
        )
        self._delivery = Distribution(
            page, registry, "renkei_event_delivery_seconds", "From an event's acceptance to its delivery.", _DELIVERY_SECONDS, "adapter"
        )
        self._commit = Distribution(
            page, registry, "renkei_journal_commit_seconds", "Time one commit of the journal took.", _COMMIT_SECONDS
        )
        self._group = Distribution(
            page, registry, "renkei_journal_group_size", "Writes that one commit of the journal carried.", _GROUP_SIZES
        )

    def declare_events(self, tenant: str, interface: str) -> None:
        """Make an interface's counters of events exist, while there is plenty of room."""
        for outcome in get_args(Received):
            self._events.declare((tenant, interface, outcome))

    def declare_event_deliveries(self, tenant: str, subscription: str) -> None:
        """Make a subscription's counters of event deliveries exist, while there is plenty of room."""
        for outcome in get_args(Delivered):
            self._event_deliveries.declare((tenant, subscription, outcome))

    def event_received(self, tenant: str, interface: str, outcome: Received, count: int = 1) -> None:
        """An event came: `accepted`; `duplicate` of one that is known; `conflict`: known with other content; `refused`: it breaks its
        contract, or was too big. `interface` may be `UNKNOWN_INTERFACE`; `tenant` is the one that was signed in."""
        self._events.add((tenant, interface, outcome), count)

    def event_published(self, via: Via, seconds: float) -> None:
        """An event or batch of events was answered so long after it arrived, whatever the answer."""
        self._publish.observe(seconds, via)

    def event_delivery(self, tenant: str, subscription: str, outcome: Delivered, count: int = 1) -> None:
        """An attempt to deliver an event ended: `delivered`; `retried`: it failed and is due again; `given_up`: it stands in quarantine;
        `expired`: its time was over before it could be delivered."""
        self._event_deliveries.add((tenant, subscription, outcome), count)

    def event_delivered_after(self, adapter: str, seconds: float) -> None:
        """An event was delivered through that adapter so long after it was accepted."""
        self._delivery.observe(seconds, adapter)

    def journal_committed(self, seconds: float, size: int) -> None:
        """One commit of the journal, with its sync, took so long and carried so many writes."""
        self._commit.observe(seconds)
        self._group.observe(size)

    def set_breaker(self, tenant: str, endpoint: str, *, is_open: bool) -> None:
        """Whether an endpoint is left alone because it kept failing. In a large site, only those that are have a series."""
        if is_open:
            self._breaker.set((tenant, endpoint), 1)
        else:
            self._breaker.rest((tenant, endpoint))

    def overload_refused(self, reason: str) -> None:
        """A request was answered 429 or 503 because of load. `reason` comes from a closed list of the caller's."""
        self._refusals.add((reason,))

    def set_broker_connected(self, connected: bool) -> None:
        """Whether the node is connected to its broker. Without a broker: never called."""
        self._broker.set((), float(connected))
