"""What the bus measures: every metric's name, labels and meaning, and the page that Prometheus scrapes.

Owns: the metric definitions and the ceiling on series; those of events are in `monitoring.event_metrics`. Knows nothing of the bus: intake
and delivery call the observing methods, the node sets what is read from the journal at scrape time. Ratios and thresholds are the
dashboard's and the alerts' business. Labels are tenant, interface, subscription, state, outcome: never a file name, a message id or
anything personal.

Several nodes over one journal each show what stands in it (`renkei_deliveries`, `renkei_quarantine_open_records`, `renkei_batch_late`), so
a reader takes the largest over the nodes; what a node counted itself is added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics, generate_latest

from monitoring.event_metrics import Distribution, EventMetrics
from monitoring.series import OTHER, Counters, Gauges, Page

SERIES_CEILING: Final = 50_000
"""The most series one node exposes. Beyond it counters go on under `other`, gauges are left out, and `renkei_series_left_out` says so."""
DECLARED_SERIES: Final = 4_000
"""Up to so many series, counters exist at 0 before their first count; beyond, from their first count on."""
NAMED_WAITING: Final = 1_000
"""Subscriptions whose waiting deliveries are shown by name: those given up and the oldest first. The others are shown under `other`."""
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of `Metrics.exposition`."""
UNKNOWN_INTERFACE: Final = ""
"""Label value for a file whose interface could not be told from its name, or an event that names none of the tenant's."""
STAGES: Final = ("cut", "check", "unique", "accept", "write", "publish")
"""The stages of a batch: of its intake, and of each of its deliveries."""
_STAGE_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deliveries of one subscription that stand in one unfinished state; the age is of the oldest of them."""

    tenant: str
    subscription: str
    state: str
    count: int
    oldest_age_seconds: float


class Metrics(EventMetrics):
    """All metrics of one node, in a registry of their own. Every method may be called from any thread and never raises for its values."""

    def __init__(self, *, node: str = "", version: str = "", series_ceiling: int = SERIES_CEILING) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self._registry = CollectorRegistry()
        self._page = Page(series_ceiling, DECLARED_SERIES)
        super().__init__(self._page, self._registry)
        self._counters()
        self._gauges()
        self._stage = Distribution(
            self._page, self._registry, "renkei_batch_stage_seconds", "Time one stage of one batch took.", _STAGE_SECONDS, "stage"
        )
        self._out = Gauge("renkei_series_left_out", "Series not exposed because of the ceiling.", registry=self._registry)
        up = Gauge("renkei_up", "1 while the node runs.", ["node", "version"], registry=self._registry)
        up.labels(node, version).set(1)

    def _counters(self) -> None:
        def counters(name: str, text: str, *labels: str) -> Counters:
            return Counters(self._page, name, text, *labels)

        self._records = counters("renkei_records_total", "Records taken in: good, rejected.", "tenant", "interface", "outcome")
        self._delivered = counters(
            "renkei_delivered_records_total",
            "Records of finished deliveries: out (published), filtered, refused.",
            "tenant",
            "subscription",
            "outcome",
        )
        self._bytes = counters("renkei_bytes_total", "Bytes of files taken in (in) and published (out).", "tenant", "direction")
        self._failures = counters("renkei_batch_failures_total", "Batches that ended abnormally.", "tenant", "interface")
        self._receipts = counters("renkei_receipts_total", "Arrivals by what became of them.", "tenant", "interface", "outcome")

    def _gauges(self) -> None:
        def gauges(name: str, text: str, *labels: str) -> Gauges:
            return Gauges(self._page, name, text, *labels)

        flow = ("tenant", "interface")
        self._duration = gauges("renkei_batch_duration_seconds", "Duration of the last batch, received until delivered.", *flow)
        self._window = gauges("renkei_batch_window_seconds", "Length of the batch window.", *flow)
        self._margin = gauges(
            "renkei_batch_rerun_margin_seconds",
            "Time left in the window after one more run as long as the last. Negative: none fits.",
            *flow,
        )
        self._success = gauges("renkei_batch_last_success_timestamp_seconds", "When the last batch ended normally. 0: never.", *flow)
        self._failure = gauges(
            "renkei_batch_last_failure_timestamp_seconds", "When the last batch ended abnormally. 0 or no series: never.", *flow
        )
        self._late = gauges(
            "renkei_batch_late", "1 while an expected batch is not delivered and its window has ended. No series: it is not late.", *flow
        )
        self._deliveries = gauges(
            "renkei_deliveries", "Unfinished deliveries by state. No series: none.", "tenant", "subscription", "state"
        )
        self._oldest = gauges(
            "renkei_delivery_oldest_age_seconds", "Age of the oldest unfinished delivery. No series: none.", "tenant", "subscription"
        )
        self._quarantine = gauges(
            "renkei_quarantine_open_records", "Open in quarantine. 0: a file refused unread. No series: none.", "tenant", "kind"
        )

    # --- what stands in the configuration

    def declare_interface(
        self, tenant: str, interface: str, *, window_seconds: float, last_success_seconds: float = 0, last_failure_seconds: float = 0
    ) -> None:
        """Make the series of an interface's batches exist. The last ends (seconds since 1970, from the journal) outlive a restart of the
        node."""
        for outcome in ("good", "rejected"):
            self._records.declare((tenant, interface, outcome))
        for outcome in ("accepted", "duplicate", "held", "refused"):
            self._receipts.declare((tenant, interface, outcome))
        self._receipts.declare((tenant, UNKNOWN_INTERFACE, "refused"))
        self._bytes.declare((tenant, "in"))
        self._failures.declare((tenant, interface))
        for stage in STAGES:
            self._stage.declare(stage)
        self._window.set((tenant, interface), window_seconds)
        self._success.set((tenant, interface), last_success_seconds)
        if last_failure_seconds:
            self._failure.set((tenant, interface), last_failure_seconds)
        else:
            self._failure.rest((tenant, interface))
        self.set_late(tenant, interface, False)

    def declare_subscription(self, tenant: str, subscription: str) -> None:
        """Make a subscription's counters of batches exist, while there is plenty of room."""
        for outcome in ("out", "filtered", "refused"):
            self._delivered.declare((tenant, subscription, outcome))
        self._bytes.declare((tenant, "out"))

    # --- what intake observes

    def arrived(self, tenant: str, interface: str, outcome: str, bytes_: int) -> None:
        """A file came and this became of it (`accepted`, `duplicate`, `held`, `refused`). `interface` may be `UNKNOWN_INTERFACE`."""
        self._receipts.add((tenant, interface, outcome))
        self._bytes.add((tenant, "in"), bytes_)

    def taken_in(self, tenant: str, interface: str, *, good: int, rejected: int) -> None:
        """A message's records were checked."""
        self._records.add((tenant, interface, "good"), good)
        self._records.add((tenant, interface, "rejected"), rejected)

    def stage(self, stage: str, seconds: float) -> None:
        """One of the `STAGES` of one batch took so long."""
        self._stage.observe(seconds, stage)

    def batch_succeeded(
        self, tenant: str, interface: str, *, ended_seconds: float, duration_seconds: float, rerun_margin_seconds: float
    ) -> None:
        """A batch was accepted, or one more of its deliveries published. `ended_seconds`: since 1970."""
        self._success.set((tenant, interface), ended_seconds)
        self._duration.set((tenant, interface), duration_seconds)
        self._margin.set((tenant, interface), rerun_margin_seconds)

    def batch_failed(self, tenant: str, interface: str, *, ended_seconds: float) -> None:
        """A batch ended abnormally: refused whole, held, or stopped by an error. `ended_seconds`: since 1970."""
        self._failures.add((tenant, interface))
        self._failure.set((tenant, interface), ended_seconds)

    # --- what delivery observes

    def delivered(self, tenant: str, subscription: str, *, out: int, filtered: int, refused: int, bytes_: int) -> None:
        """A delivery was published with so many records and bytes."""
        self._delivered.add((tenant, subscription, "out"), out)
        self._delivered.add((tenant, subscription, "filtered"), filtered)
        self._delivered.add((tenant, subscription, "refused"), refused)
        self._bytes.add((tenant, "out"), bytes_)

    # --- what is read at scrape time

    def set_late(self, tenant: str, interface: str, late: bool) -> None:
        """Whether an expected batch is not done although its window has ended. In a large site, only what is late has a series."""
        if late:
            self._late.set((tenant, interface), 1)
        else:
            self._late.rest((tenant, interface))

    def set_waiting(self, rows: Iterable[Waiting]) -> None:
        """Replace what is known of unfinished deliveries; whatever is not in `rows` is finished. Beyond `NAMED_WAITING` subscriptions the
        least urgent ones are added up under tenant and subscription `other`, so that the totals hold."""
        waiting: dict[tuple[str, str], list[Waiting]] = {}
        for row in rows:
            waiting.setdefault((row.tenant, row.subscription), []).append(row)
        counts: dict[tuple[str, ...], float] = {}
        oldest: dict[tuple[str, ...], float] = {}
        for place, (name, states) in enumerate(sorted(waiting.items(), key=_urgent_first)):
            shown = name if place < NAMED_WAITING else (OTHER, OTHER)
            for row in states:
                counts[*shown, row.state] = counts.get((*shown, row.state), 0) + row.count
                oldest[shown] = max(oldest.get(shown, 0.0), row.oldest_age_seconds)
        self._deliveries.replace(counts)
        self._oldest.replace(oldest)

    def set_quarantine(self, records: Mapping[tuple[str, str], int]) -> None:
        """Replace what is known of open quarantine: records per (tenant, kind). 0 is shown: a file refused unread stands there."""
        self._quarantine.replace({key: float(count) for key, count in records.items()})

    # --- the page

    def exposition(self) -> bytes:
        """The page for Prometheus, of `CONTENT_TYPE`."""
        text = self._page.text()
        self._out.set(self._page.left_out)
        return text.encode() + generate_latest(self._registry)

    @property
    def series(self) -> int:
        """Series exposed now, without `renkei_up`, `renkei_series_left_out` and what goes on under `other`."""
        return self._page.used


def _urgent_first(waiting: tuple[tuple[str, str], list[Waiting]]) -> tuple[bool, float]:
    """Given up before waiting, older before newer."""
    states = waiting[1]
    return all(row.state != "quarantined" for row in states), -max(row.oldest_age_seconds for row in states)
