"""Every panel of the events' dashboard and every rule about events, asked of a real Prometheus: a good day is quiet, a bad one is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitoring.alert_rules import FILE as RULES_FILE
from monitoring.alert_rules import JOB, RULES
from monitoring.event_panels import PANELS
from monitoring.metrics import CONTENT_TYPE, Metrics, Waiting
from tests.monitoring.prometheus import Prometheus, prometheus, serving

pytestmark = pytest.mark.slow

TENANT = "332020"
QUIET = {"Events not accepted", "Deliveries in trouble", "Waiting by subscriber", "Oldest delivery"}
"""Panels that are empty on a good day, because nothing is wrong and nothing waits."""
EVENT_RULES = [rule for rule in RULES if rule.message_id > "RNK8100"]


def good(metrics: Metrics) -> None:
    """A thousand events that came, were written and left."""
    metrics.set_broker_connected(True)
    metrics.set_breaker(TENANT, "tax_in", is_open=False)
    metrics.event_received(TENANT, "move", "accepted", 1000)
    metrics.event_delivery(TENANT, "tax", "delivered", 1000)
    for _ in range(100):
        metrics.event_published("http", 0.004)
        metrics.event_delivered_after("webhook", 0.03)
        metrics.journal_committed(0.002, 10)


def bad(metrics: Metrics) -> None:
    """Everything that a panel or rule should show."""
    metrics.set_broker_connected(False)
    metrics.set_breaker(TENANT, "tax_in", is_open=True)
    metrics.event_received(TENANT, "move", "conflict", 2)
    metrics.event_delivery(TENANT, "tax", "expired", 3)
    metrics.overload_refused("waiting")
    metrics.set_waiting([Waiting(TENANT, "tax", "due", 5000, 4000.0)])
    for _ in range(100):
        metrics.event_published("http", 2.0)


def shown(asked: Prometheus, title_en: str, query: int = 0, tenant: str = ".*") -> list[tuple[dict[str, str], float]]:
    (panel,) = [panel for panel in PANELS if panel.title_en == title_en]
    return asked.ask(panel.queries[query].expression.replace("$tenant", tenant).replace("$__range", "1h"))


def holding(asked: Prometheus) -> set[str]:
    return {rule.name for rule in EVENT_RULES if asked.ask(rule.expression)}


def test_a_good_day_is_quiet_and_a_bad_one_is_seen(tmp_path: Path) -> None:
    metrics = Metrics(node="node1", version="test")
    metrics.declare_events(TENANT, "move")
    metrics.declare_event_deliveries(TENANT, "tax")
    metrics.event_published("http", 0.004)
    metrics.event_delivered_after("webhook", 0.03)
    with (
        serving(metrics.exposition, CONTENT_TYPE) as page,
        prometheus(tmp_path, {JOB: page.address}, [RULES_FILE]) as asked,
    ):
        page.wait_scrapes(2)
        good(metrics)
        page.wait_scrapes(3)
        assert holding(asked) == set()
        for panel in PANELS:
            for number, _ in enumerate(panel.queries):
                assert bool(shown(asked, panel.title_en, number)) == (panel.title_en not in QUIET), panel.title_en
        assert shown(asked, "Broker") == [({}, 1.0)]
        assert shown(asked, "Expired") == [({}, 0.0)]
        assert shown(asked, "Events accepted", tenant="372013") == [({}, 0.0)], "the choice of a tenant narrows the panel"

        bad(metrics)
        page.wait_scrapes(4)
        for panel in PANELS:
            for number, _ in enumerate(panel.queries):
                assert shown(asked, panel.title_en, number), panel.title_en
        assert shown(asked, "Broker") == [({}, 0.0)]
        assert shown(asked, "Endpoints left alone") == [({}, 1.0)]
        assert shown(asked, "Deliveries waiting") == [({}, 5000.0)]
        assert [labels["outcome"] for labels, _ in shown(asked, "Events not accepted")] == ["conflict"]
        # whether a backlog grows is seen only after minutes; promtool asks that in `test_alert_rules`
        assert holding(asked) == {rule.name for rule in EVENT_RULES} - {"RenkeiBacklogGrowing"}
