"""The metrics of events: what a scrape shows, how many series a large site has, and what counting and writing them out costs."""

from __future__ import annotations

import timeit
from collections.abc import Callable

import pytest

from monitoring.metrics import NAMED_WAITING, Metrics, Waiting
from tests.monitoring.test_metrics import samples, value

TENANTS, INTERFACES, SUBSCRIPTIONS = 1700, 2, 5
COUNTING_SECONDS = 1.5e-6
FLOW = {"tenant": "332020", "interface": "move"}
RECEIVER = {"tenant": "332020", "subscription": "tax"}


def test_events_by_what_became_of_them() -> None:
    metrics = Metrics()
    metrics.declare_events("332020", "move")
    metrics.declare_event_deliveries("332020", "tax")
    assert value(metrics, "renkei_events_total", **FLOW, outcome="conflict") == 0
    metrics.event_received("332020", "move", "accepted", 3)
    metrics.event_received("332020", "move", "duplicate")
    metrics.event_delivery("332020", "tax", "delivered", 2)
    metrics.event_delivery("332020", "tax", "expired")
    outcomes = ("accepted", "duplicate", "conflict", "refused")
    assert [value(metrics, "renkei_events_total", **FLOW, outcome=outcome) for outcome in outcomes] == [3, 1, 0, 0]
    outcomes = ("delivered", "retried", "given_up", "expired")
    assert [value(metrics, "renkei_event_deliveries_total", **RECEIVER, outcome=outcome) for outcome in outcomes] == [2, 0, 0, 1]


def test_durations_and_sizes() -> None:
    metrics = Metrics()
    metrics.event_published("http", 0.004)
    metrics.event_published("amqp", 0.3)
    metrics.event_delivered_after("webhook", 0.02)
    metrics.journal_committed(0.003, 40)
    assert value(metrics, "renkei_event_publish_seconds_bucket", via="http", le="0.005") == 1
    assert value(metrics, "renkei_event_publish_seconds_bucket", via="amqp", le="0.25") == 0
    assert value(metrics, "renkei_event_delivery_seconds_sum", adapter="webhook") == 0.02
    assert value(metrics, "renkei_journal_commit_seconds_count") == 1
    assert value(metrics, "renkei_journal_group_size_bucket", le="64.0") == 1
    assert value(metrics, "renkei_journal_group_size_bucket", le="32.0") == 0
    assert metrics.series == len(samples(metrics)) - 2


def test_what_holds_the_bus_up() -> None:
    metrics = Metrics()
    assert value(metrics, "renkei_broker_connected") is None, "no broker is used"
    metrics.set_broker_connected(True)
    metrics.set_broker_connected(False)
    assert value(metrics, "renkei_broker_connected") == 0
    metrics.set_breaker("332020", "tax_in", is_open=True)
    assert value(metrics, "renkei_breaker_open", tenant="332020", endpoint="tax_in") == 1
    metrics.set_breaker("332020", "tax_in", is_open=False)
    assert value(metrics, "renkei_breaker_open", tenant="332020", endpoint="tax_in") == 0
    metrics.overload_refused("too many waiting")
    metrics.exposition()
    assert value(metrics, "renkei_overload_refusals_total", reason="too many waiting") == 1


def test_a_counter_that_was_not_declared_is_seen_at_zero_first() -> None:
    metrics = Metrics()
    metrics.event_received("332020", "move", "refused", 2)
    metrics.event_received("332020", "move", "refused", 1)
    assert value(metrics, "renkei_events_total", **FLOW, outcome="refused") == 0
    assert value(metrics, "renkei_events_total", **FLOW, outcome="refused") == 3
    metrics.event_received("332020", "move", "duplicate", 0)
    assert value(metrics, "renkei_events_total", **FLOW, outcome="duplicate") is None, "nothing was counted"


def test_label_values_are_written_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    metrics.overload_refused('a "quoted" \\ and\na second line')
    assert value(metrics, "renkei_overload_refusals_total", reason='a "quoted" \\ and\na second line') == 0


def busy_site() -> Metrics:
    """1,700 tenants with 2 interfaces and 5 subscriptions, each of which has had both files and events. Nothing unusual has happened."""
    metrics = Metrics(node="node1", version="1")
    for number in range(TENANTS):
        tenant = f"{number:06}"
        for interface in ("resident", "tax")[:INTERFACES]:
            metrics.declare_interface(tenant, interface, window_seconds=36_000)
            metrics.declare_events(tenant, interface)
            metrics.arrived(tenant, interface, "accepted", 1)
            metrics.taken_in(tenant, interface, good=1, rejected=0)
            metrics.batch_succeeded(tenant, interface, ended_seconds=1, duration_seconds=1, rerun_margin_seconds=1)
            metrics.event_received(tenant, interface, "accepted")
        for subscription in ("a", "b", "c", "d", "e")[:SUBSCRIPTIONS]:
            metrics.declare_subscription(tenant, subscription)
            metrics.declare_event_deliveries(tenant, subscription)
            metrics.delivered(tenant, subscription, out=1, filtered=0, refused=0, bytes_=1)
            metrics.event_delivery(tenant, subscription, "delivered")
    for via in ("http", "amqp"):
        metrics.event_published(via, 0.01)
    for adapter in ("files", "http", "amqp", "webhook", "sse", "node"):
        metrics.event_delivered_after(adapter, 0.01)
    return metrics


def test_seventeen_hundred_tenants_stay_below_the_ceiling_without_using_it() -> None:
    metrics = busy_site()
    everything = ((f"{number:06}", name) for number in range(TENANTS) for name in ("a", "b", "c", "d", "e"))
    metrics.set_waiting(Waiting(tenant, name, "due", 2, 5.0) for tenant, name in everything)
    print(f"series of {TENANTS} tenants, {INTERFACES} interfaces and {SUBSCRIPTIONS} subscriptions each: {metrics.series}")
    assert metrics.series == len(samples(metrics)) - 2
    assert value(metrics, "renkei_series_left_out") == 0
    assert metrics.series < 50_000


def test_in_a_large_site_only_trouble_has_a_series() -> None:
    metrics = busy_site()
    before = metrics.series
    late = {"tenant": "001699", "interface": "tax"}
    metrics.set_late("001699", "tax", False)
    metrics.set_breaker("001699", "tax_in", is_open=False)
    assert metrics.series == before
    metrics.set_late("001699", "tax", True)
    metrics.set_breaker("001699", "tax_in", is_open=True)
    assert value(metrics, "renkei_batch_late", **late) == 1
    assert metrics.series == before + 2
    metrics.set_late("001699", "tax", False)
    metrics.set_breaker("001699", "tax_in", is_open=False)
    assert value(metrics, "renkei_batch_late", **late) is None
    assert metrics.series == before


def test_the_page_of_a_large_site_is_written_quickly() -> None:
    metrics = busy_site()
    seconds = min(timeit.repeat(metrics.exposition, number=1, repeat=3))
    assert seconds < 0.25, f"{seconds:.3f} s"


def test_the_most_urgent_waiting_is_named_and_the_totals_hold() -> None:
    metrics = Metrics()
    many = NAMED_WAITING + 500
    rows = [Waiting(f"{number:06}", "tax", "due", 2, float(number)) for number in range(many)]
    metrics.set_waiting([*rows, Waiting("000001", "welfare", "quarantined", 1, 0.5)])
    found = {dict(labels)["tenant"]: count for (name, labels), count in samples(metrics).items() if name == "renkei_deliveries"}
    assert sum(found.values()) == 2 * many + 1
    assert found["000001"] == 1, "what was given up is named, however young"
    assert f"{many - 1:06}" in found
    assert "000000" not in found
    assert found["other"] == 2 * 501
    assert value(metrics, "renkei_delivery_oldest_age_seconds", tenant="other", subscription="other") == 500


@pytest.mark.parametrize(
    "count",
    [
        lambda metrics: metrics.event_received("332020", "move", "accepted"),
        lambda metrics: metrics.event_published("http", 0.004),
        lambda metrics: metrics.event_delivery("332020", "tax", "delivered"),
        lambda metrics: metrics.event_delivered_after("http", 0.02),
    ],
    ids=["received", "published", "delivery", "delivered after"],
)
def test_counting_is_cheap(count: Callable[[Metrics], None]) -> None:
    metrics = Metrics()
    count(metrics)
    seconds = min(timeit.repeat(lambda: count(metrics), number=2000, repeat=15)) / 2000
    assert seconds < COUNTING_SECONDS, f"{seconds * 1e6:.2f} us"
