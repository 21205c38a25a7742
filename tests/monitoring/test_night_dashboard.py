"""Every panel and every rule, asked of a real Prometheus that scrapes the metrics: a good night is quiet, a bad one is seen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from monitoring.alert_rules import FILE as RULES_FILE
from monitoring.alert_rules import JOB, RULES
from monitoring.dashboards import DASHBOARDS, Dashboard
from monitoring.metrics import CONTENT_TYPE, Metrics, Waiting
from monitoring.night_panels import PANELS
from tests.monitoring.prometheus import Page, Prometheus, prometheus, serving

KURASHIKI, TAKAMATSU = "332020", "372013"
NEEDS_TROUBLE = {"Unfinished deliveries", "Oldest delivery", "Quarantine by kind"}
"""Panels that are empty in a good night, because nothing waits."""


class Night:
    """Two tenants: Kurashiki's night is always good, Takamatsu's goes wrong."""

    def __init__(self, page: Page, asked: Prometheus, metrics: Metrics) -> None:
        self.page = page
        self.asked = asked
        self.metrics = metrics

    def begin(self) -> None:
        for tenant in (KURASHIKI, TAKAMATSU):
            self.metrics.declare_interface(tenant, "resident", window_seconds=36_000)
            self.metrics.declare_subscription(tenant, "tax")
            for stage in ("cut", "check", "write"):
                self.metrics.stage(stage, 0.01)
        self.page.wait_scrapes(2)

    def good(self, tenant: str) -> None:
        self.metrics.arrived(tenant, "resident", "accepted", 1000)
        self.metrics.taken_in(tenant, "resident", good=1000, rejected=0)
        for stage in ("cut", "check", "write"):
            self.metrics.stage(stage, 1.0)
        self.metrics.batch_succeeded(tenant, "resident", ended_seconds=time.time(), duration_seconds=60, rerun_margin_seconds=30_000)
        self.metrics.delivered(tenant, "tax", out=900, filtered=100, refused=0, bytes_=2000)

    def bad(self, tenant: str) -> None:
        now = time.time()
        self.metrics.taken_in(tenant, "resident", good=900, rejected=100)
        self.metrics.batch_succeeded(tenant, "resident", ended_seconds=now - 60, duration_seconds=20_000, rerun_margin_seconds=-4_000)
        self.metrics.arrived(tenant, "resident", "refused", 10)
        self.metrics.batch_failed(tenant, "resident", ended_seconds=now)
        self.metrics.set_late(tenant, "resident", True)
        self.metrics.set_waiting([Waiting(tenant, "tax", "due", 2, 4000.0), Waiting(tenant, "tax", "quarantined", 1, 7200.0)])
        self.metrics.set_quarantine({(tenant, "rejected_records"): 100})

    def settle(self) -> None:
        """Until what was observed is stored."""
        self.page.wait_scrapes(3)

    def panel(self, title_en: str) -> list[tuple[dict[str, str], float]]:
        panel = next(panel for panel in PANELS if panel.title_en == title_en)
        return self.asked.ask(as_grafana_asks(panel.queries[0].expression))

    def firing(self) -> dict[str, list[dict[str, str]]]:
        return {rule.name: found for rule in RULES if (found := [labels for labels, _ in self.asked.ask(rule.expression)])}


def as_grafana_asks(expression: str) -> str:
    return expression.replace("$tenant", ".*").replace("$__range", "1h")


@pytest.fixture(scope="module")
def prometheus_night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    metrics = Metrics(node="node1", version="test")
    with (
        serving(metrics.exposition, CONTENT_TYPE) as page,
        prometheus(tmp_path_factory.mktemp("prometheus"), {JOB: page.address}, [RULES_FILE]) as asked,
    ):
        night = Night(page, asked, metrics)
        night.begin()
        yield night


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_the_dashboard_file_is_current(dashboard: Dashboard) -> None:
    assert dashboard.file.read_text("utf-8") == dashboard.text(), "run: python -m monitoring.dashboards"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_panels_do_not_overlap_and_stay_within_the_page(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(dashboard.text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert " / " in panel["title"]


@pytest.mark.slow
def test_a_good_night_is_quiet_and_a_bad_one_is_seen(prometheus_night: Night) -> None:
    night = prometheus_night
    night.good(KURASHIKI)
    night.good(TAKAMATSU)
    night.settle()
    assert night.firing() == {}
    for panel in PANELS:
        for query in panel.queries:
            found = night.asked.ask(as_grafana_asks(query.expression))
            assert bool(found) == (panel.title_en not in NEEDS_TROUBLE), (panel.title_en, found)
    for quiet in ("Failed batches", "Late batches", "Deliveries given up", "Records in quarantine"):
        assert night.panel(quiet) == [({}, 0.0)]
    assert night.panel("Least re-run margin") == [({}, 30_000.0)]
    assert night.panel("Availability, 30 days")[0][1] == 1.0

    night.bad(TAKAMATSU)
    night.settle()
    assert_seen(night)
    assert_alerted(night)


def assert_seen(night: Night) -> None:
    for panel in PANELS:
        for query in panel.queries:
            assert night.asked.ask(as_grafana_asks(query.expression)), (panel.title_en, query.expression)
    assert night.panel("Failed batches") == [({}, 1.0)]
    assert night.panel("Late batches") == [({}, 1.0)]
    assert night.panel("Deliveries given up") == [({}, 1.0)]
    assert night.panel("Records in quarantine") == [({}, 100.0)]
    assert night.panel("Least re-run margin") == [({}, -4_000.0)]
    used = {labels["tenant"]: round(value, 4) for labels, value in night.panel("Share of the window used")}
    assert used == {KURASHIKI: 0.0017, TAKAMATSU: 0.5556}
    assert [labels for labels, _ in night.panel("Oldest delivery")] == [{"tenant": TAKAMATSU, "subscription": "tax"}]
    taken_in = {(labels["tenant"], labels["outcome"]) for labels, value in night.panel("Records taken in") if value > 0}
    assert taken_in == {(KURASHIKI, "good"), (TAKAMATSU, "good"), (TAKAMATSU, "rejected")}
    only = night.asked.ask(PANELS[0].queries[0].expression.replace("$tenant", KURASHIKI))
    assert only == [({}, 0.0)], "the choice of a tenant narrows the panel"


def assert_alerted(night: Night) -> None:
    firing = night.firing()
    assert set(firing) == {rule.name for rule in RULES if rule.message_id < "RNK8100"} - {"RenkeiNodeDown", "RenkeiSeriesLeftOut"}
    for name, found in firing.items():
        assert [labels["tenant"] for labels in found] == [TAKAMATSU], name
    alerts = {alert["labels"]["alertname"]: alert for alert in night.asked.get("alerts")["alerts"]}
    assert set(alerts) == set(firing)
    at_once = {rule.name for rule in RULES if rule.lasting == "0s"} & set(firing)
    assert {name for name, alert in alerts.items() if alert["state"] == "firing"} == at_once
    assert TAKAMATSU in alerts["RenkeiBatchFailed"]["annotations"]["summary_ja"]
    for name, alert in alerts.items():
        rule = next(rule for rule in RULES if rule.name == name)
        assert set(rule.facts) <= set(alert["labels"]), name
