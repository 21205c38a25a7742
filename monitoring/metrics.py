"""What the bus measures: every metric's name, labels and meaning, and the page that Prometheus scrapes.

Owns: the metric definitions and the ceiling on series. Knows nothing of the bus: intake and delivery call the observing methods, the
node sets what is read from the journal at scrape time. Ratios and thresholds are the dashboard's and the alerts' business.
Labels are tenant, interface, subscription, state, outcome: never a file name, a message id or anything personal.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

SERIES_CEILING: Final = 50_000
"""The most series one node exposes. Beyond it counters go on under `other`, gauges are left out, and `renkei_series_left_out` says so."""
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of `Metrics.exposition`."""
UNKNOWN_INTERFACE: Final = ""
"""Label value for a file whose interface could not be told from its name."""
_OTHER: Final = "other"
_CLOSED: Final = frozenset({"in", "out", "good", "rejected", "filtered", "refused", "accepted", "duplicate", "held"})
"""Label values that stay what they are when their tenant goes on under `other`."""
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


class Metrics:
    """All metrics of one node, in a registry of their own. Every method may be called from any thread and never raises for its values.

    A counter's series exists, at 0, from `declare_interface`/`declare_subscription` on, so that its first increase is seen.
    """

    def __init__(self, *, node: str = "", version: str = "", series_ceiling: int = SERIES_CEILING) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self._registry = CollectorRegistry()
        self._ceiling = series_ceiling
        self._known: set[tuple[str, ...]] = set()
        self._left_out: set[tuple[str, ...]] = set()
        self._series = 0
        self._lock = threading.Lock()
        self._counters()
        self._gauges()
        up = Gauge("renkei_up", "1 while the node runs.", ["node", "version"], registry=self._registry)
        up.labels(node, version).set(1)

    def _counters(self) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self._registry)

        self._records = counter("renkei_records_total", "Records taken in: in = good + rejected.", "tenant", "interface", "outcome")
        self._delivered = counter(
            "renkei_delivered_records_total",
            "Records of finished deliveries: out (published), filtered, refused.",
            "tenant",
            "subscription",
            "outcome",
        )
        self._bytes = counter("renkei_bytes_total", "Bytes of files taken in (in) and published (out).", "tenant", "direction")
        self._failures = counter("renkei_batch_failures_total", "Batches that ended abnormally.", "tenant", "interface")
        self._receipts = counter("renkei_receipts_total", "Arrivals by what became of them.", "tenant", "interface", "outcome")
        self._stage = Histogram(
            "renkei_batch_stage_seconds",
            "Time one stage of one batch took.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=self._registry,
        )

    def _gauges(self) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=self._registry)

        flow = ("tenant", "interface")
        self._duration = gauge("renkei_batch_duration_seconds", "Duration of the last batch, received until delivered.", *flow)
        self._window = gauge("renkei_batch_window_seconds", "Length of the batch window.", *flow)
        self._margin = gauge(
            "renkei_batch_rerun_margin_seconds",
            "Time left in the window after one more run as long as the last. Negative: none fits.",
            *flow,
        )
        self._success = gauge("renkei_batch_last_success_timestamp_seconds", "When the last batch ended normally. 0: never.", *flow)
        self._failure = gauge("renkei_batch_last_failure_timestamp_seconds", "When the last batch ended abnormally. 0: never.", *flow)
        self._late = gauge("renkei_batch_late", "1 while an expected batch is not delivered and its window has ended.", *flow)
        self._deliveries = gauge(
            "renkei_deliveries", "Unfinished deliveries by state. No series: none.", "tenant", "subscription", "state"
        )
        self._oldest = gauge(
            "renkei_delivery_oldest_age_seconds", "Age of the oldest unfinished delivery. No series: none.", "tenant", "subscription"
        )
        self._quarantine = gauge(
            "renkei_quarantine_open_records", "Open in quarantine. 0: a file refused unread. No series: none.", "tenant", "kind"
        )
        self._out = Gauge("renkei_series_left_out", "Series not exposed because of the ceiling.", registry=self._registry)

    # --- what stands in the configuration

    def declare_interface(
        self, tenant: str, interface: str, *, window_seconds: float, last_success_seconds: float = 0, last_failure_seconds: float = 0
    ) -> None:
        """Make an interface's series exist. The last ends (seconds since 1970, from the journal) outlive a restart of the node."""
        for outcome in ("in", "good", "rejected"):
            self._count(self._records, 0, tenant, interface, outcome)
        for outcome in ("accepted", "duplicate", "held", "refused"):
            self._count(self._receipts, 0, tenant, interface, outcome)
        self._count(self._receipts, 0, tenant, UNKNOWN_INTERFACE, "refused")
        self._count(self._bytes, 0, tenant, "in")
        self._count(self._failures, 0, tenant, interface)
        for stage in STAGES:
            self._stage_of(stage)
        self._set(self._window, window_seconds, tenant, interface)
        self._set(self._success, last_success_seconds, tenant, interface)
        self._set(self._failure, last_failure_seconds, tenant, interface)
        self._set(self._late, 0, tenant, interface)

    def declare_subscription(self, tenant: str, subscription: str) -> None:
        """Make a subscription's counters exist."""
        for outcome in ("out", "filtered", "refused"):
            self._count(self._delivered, 0, tenant, subscription, outcome)
        self._count(self._bytes, 0, tenant, "out")

    # --- what intake observes

    def arrived(self, tenant: str, interface: str, outcome: str, bytes_: int) -> None:
        """A file came and this became of it (`accepted`, `duplicate`, `held`, `refused`). `interface` may be `UNKNOWN_INTERFACE`."""
        self._count(self._receipts, 1, tenant, interface, outcome)
        self._count(self._bytes, bytes_, tenant, "in")

    def taken_in(self, tenant: str, interface: str, *, good: int, rejected: int) -> None:
        """A message's records were checked."""
        self._count(self._records, good + rejected, tenant, interface, "in")
        self._count(self._records, good, tenant, interface, "good")
        self._count(self._records, rejected, tenant, interface, "rejected")

    def stage(self, stage: str, seconds: float) -> None:
        """One of the `STAGES` of one batch took so long."""
        if (histogram := self._stage_of(stage)) is not None:
            histogram.observe(seconds)

    def _stage_of(self, stage: str) -> Histogram | None:
        """The histogram of a stage, which exists from now on; None beyond the ceiling."""
        room = self._room("renkei_batch_stage_seconds", (stage,), series=len(_STAGE_SECONDS) + 3)
        return self._stage.labels(stage) if room else None

    def batch_succeeded(
        self, tenant: str, interface: str, *, ended_seconds: float, duration_seconds: float, rerun_margin_seconds: float
    ) -> None:
        """A batch was accepted, or one more of its deliveries published. `ended_seconds`: since 1970."""
        self._set(self._success, ended_seconds, tenant, interface)
        self._set(self._duration, duration_seconds, tenant, interface)
        self._set(self._margin, rerun_margin_seconds, tenant, interface)

    def batch_failed(self, tenant: str, interface: str, *, ended_seconds: float) -> None:
        """A batch ended abnormally: refused whole, held, or stopped by an error. `ended_seconds`: since 1970."""
        self._count(self._failures, 1, tenant, interface)
        self._set(self._failure, ended_seconds, tenant, interface)

    # --- what delivery observes

    def delivered(self, tenant: str, subscription: str, *, out: int, filtered: int, refused: int, bytes_: int) -> None:
        """A delivery was published with so many records and bytes."""
        self._count(self._delivered, out, tenant, subscription, "out")
        self._count(self._delivered, filtered, tenant, subscription, "filtered")
        self._count(self._delivered, refused, tenant, subscription, "refused")
        self._count(self._bytes, bytes_, tenant, "out")

    # --- what is read at scrape time

    def set_late(self, tenant: str, interface: str, late: bool) -> None:
        """Whether an expected batch is not done although its window has ended."""
        self._set(self._late, float(late), tenant, interface)

    def set_waiting(self, rows: Iterable[Waiting]) -> None:
        """Replace what is known of unfinished deliveries; whatever is not in `rows` is finished."""
        counts: dict[tuple[str, ...], float] = {}
        oldest: dict[tuple[str, ...], float] = {}
        for row in rows:
            counts[row.tenant, row.subscription, row.state] = row.count
            key = (row.tenant, row.subscription)
            oldest[key] = max(oldest.get(key, 0.0), row.oldest_age_seconds)
        self._replace(self._deliveries, counts)
        self._replace(self._oldest, oldest)

    def set_quarantine(self, records: Mapping[tuple[str, str], int]) -> None:
        """Replace what is known of open quarantine: records per (tenant, kind). 0 is shown: a file refused unread stands there."""
        self._replace(self._quarantine, {key: float(count) for key, count in records.items()})

    def exposition(self) -> bytes:
        """The page for Prometheus, of `CONTENT_TYPE`."""
        self._out.set(len(self._left_out))
        return generate_latest(self._registry)

    @property
    def series(self) -> int:
        """Series exposed now, without `renkei_up`, `renkei_series_left_out` and what goes on under `other`."""
        return self._series

    # --- the ceiling

    def _room(self, name: str, labels: tuple[str, ...], series: int = 1) -> bool:
        key = (name, *labels)
        with self._lock:
            if key in self._known:
                return True
            if self._series + series > self._ceiling:
                self._left_out.add(key)
                return False
            self._known.add(key)
            self._series += series
            return True

    def _count(self, counter: Counter, amount: float, *labels: str) -> None:
        if not self._room(_name(counter), labels):
            labels = tuple(label if label in _CLOSED else _OTHER for label in labels)
        counter.labels(*labels).inc(amount)

    def _set(self, gauge: Gauge, value: float, *labels: str) -> None:
        if self._room(_name(gauge), labels):
            gauge.labels(*labels).set(value)

    def _replace(self, gauge: Gauge, values: Mapping[tuple[str, ...], float]) -> None:
        name = _name(gauge)
        with self._lock:
            gone = [key for key in self._known if key[0] == name and key[1:] not in values]
            self._known.difference_update(gone)
            self._series -= len(gone)
            self._left_out = {key for key in self._left_out if key[0] != name}
        for key in gone:
            gauge.remove(*key[1:])
        for labels, value in values.items():
            self._set(gauge, value, *labels)


def _name(metric: Counter | Gauge) -> str:
    return str(next(iter(metric.describe())).name)
