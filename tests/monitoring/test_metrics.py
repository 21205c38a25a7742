"""The metrics: what a scrape shows after what was observed, and the ceiling on series."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.metrics import Metrics, Waiting

WITHOUT_TENANTS = Metrics().series
"""Distributions of the journal, which are there from the start."""


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families: Any = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, frozenset(labels.items())))


def declared() -> Metrics:
    metrics = Metrics(node="node1", version="1")
    metrics.declare_interface("332020", "resident", window_seconds=36_000, last_success_seconds=7)
    metrics.declare_subscription("332020", "welfare")
    return metrics


def test_counters_exist_at_zero_before_the_first_night() -> None:
    metrics = declared()
    assert value(metrics, "renkei_batch_failures_total", tenant="332020", interface="resident") == 0
    assert value(metrics, "renkei_delivered_records_total", tenant="332020", subscription="welfare", outcome="refused") == 0
    assert value(metrics, "renkei_receipts_total", tenant="332020", interface="", outcome="refused") == 0
    assert value(metrics, "renkei_batch_last_success_timestamp_seconds", tenant="332020", interface="resident") == 7
    assert value(metrics, "renkei_batch_duration_seconds", tenant="332020", interface="resident") is None


def test_a_night() -> None:
    metrics = declared()
    metrics.arrived("332020", "resident", "accepted", 1000)
    metrics.taken_in("332020", "resident", good=98, rejected=2)
    metrics.batch_succeeded("332020", "resident", ended_seconds=50, duration_seconds=12.5, rerun_margin_seconds=-3)
    metrics.delivered("332020", "welfare", out=90, filtered=7, refused=1, bytes_=4000)
    flow = {"tenant": "332020", "interface": "resident"}
    assert [value(metrics, "renkei_records_total", **flow, outcome=o) for o in ("good", "rejected")] == [98, 2]
    assert value(metrics, "renkei_batch_rerun_margin_seconds", **flow) == -3
    assert value(metrics, "renkei_bytes_total", tenant="332020", direction="in") == 1000
    assert value(metrics, "renkei_bytes_total", tenant="332020", direction="out") == 4000
    received = {"tenant": "332020", "subscription": "welfare"}
    assert [value(metrics, "renkei_delivered_records_total", **received, outcome=o) for o in ("out", "filtered", "refused")] == [90, 7, 1]


def test_no_series_carries_a_creation_time() -> None:
    assert b"_created" not in declared().exposition()


def test_finished_deliveries_leave_no_series() -> None:
    metrics = declared()
    metrics.set_waiting([Waiting("332020", "welfare", "due", 3, 10.0), Waiting("332020", "welfare", "quarantined", 1, 99.0)])
    assert value(metrics, "renkei_delivery_oldest_age_seconds", tenant="332020", subscription="welfare") == 99
    before = metrics.series
    metrics.set_waiting([Waiting("332020", "welfare", "due", 1, 20.0)])
    assert value(metrics, "renkei_deliveries", tenant="332020", subscription="welfare", state="due") == 1
    assert value(metrics, "renkei_deliveries", tenant="332020", subscription="welfare", state="quarantined") is None
    assert metrics.series == before - 1
    metrics.set_quarantine({("332020", "given_up"): 4, ("332020", "refused_file"): 0})
    assert value(metrics, "renkei_quarantine_open_records", tenant="332020", kind="given_up") == 4
    assert value(metrics, "renkei_quarantine_open_records", tenant="332020", kind="refused_file") == 0, "a file refused unread is seen"
    metrics.set_quarantine({})
    assert value(metrics, "renkei_quarantine_open_records", tenant="332020", kind="refused_file") is None


def test_series_counts_what_is_exposed() -> None:
    metrics = declared()
    metrics.stage("cut", 0.3)
    metrics.stage("cut", 3000)
    metrics.arrived("332020", "", "refused", 0)
    assert metrics.series == len(samples(metrics)) - 2


def test_beyond_the_ceiling_counts_are_kept_and_it_is_said() -> None:
    metrics = Metrics(series_ceiling=WITHOUT_TENANTS + 16)
    metrics.declare_interface("332020", "resident", window_seconds=1)
    metrics.declare_interface("372013", "resident", window_seconds=1)
    metrics.taken_in("372013", "resident", good=5, rejected=1)
    metrics.taken_in("372013", "tax", good=5, rejected=1)
    assert metrics.series <= WITHOUT_TENANTS + 16
    left_out = value(metrics, "renkei_series_left_out")
    assert left_out is not None
    assert left_out > 0
    metrics.exposition()
    total = sum(v for (name, labels), v in samples(metrics).items() if name == "renkei_records_total")
    assert total == 12
    assert value(metrics, "renkei_records_total", tenant="other", interface="other", outcome="good") == 5


@pytest.mark.parametrize("threads", [4])
def test_threads_lose_nothing(threads: int) -> None:
    metrics = declared()

    def work() -> None:
        for number in range(200):
            metrics.taken_in("332020", f"flow{number % 5}", good=1, rejected=0)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    metrics.exposition()
    counts = [value(metrics, "renkei_records_total", tenant="332020", interface=f"flow{n}", outcome="good") for n in range(5)]
    assert counts == [40 * threads] * 5
    assert metrics.series == len(samples(metrics)) - 2
