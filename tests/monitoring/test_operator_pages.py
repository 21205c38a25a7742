"""The operators' pages name every metric, alert and configuration key that there is, in both languages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from adapters.amqp.settings import AmqpSettings
from adapters.files.settings import SinkSettings, SourceSettings
from adapters.webhook.settings import WebhookSettings
from bus.site import (
    Api,
    ApiKey,
    Batch,
    Breaker,
    BrokerAt,
    Endpoint,
    EventRules,
    Interface,
    Journal,
    Limits,
    Listen,
    Payloads,
    Rejects,
    Retry,
    Site,
    Subscription,
    System,
    Tenant,
)
from monitoring.alert_rules import RULES
from monitoring.metrics import Metrics, Waiting

PAGES = Path(__file__).parents[2] / "docs" / "operator"
MODELS: list[type[BaseModel]] = [
    Site, Listen, Api, Journal, BrokerAt, Payloads, Batch,
    Tenant, System, ApiKey, Endpoint, Limits, Breaker, Interface, EventRules, Rejects, Subscription, Retry,
    SourceSettings, SinkSettings, WebhookSettings, AmqpSettings,
]  # fmt: skip


def page(name: str) -> str:
    return (PAGES / name).read_text("utf-8")


def metrics_with_labels() -> dict[str, set[str]]:
    metrics = Metrics()
    metrics.declare_interface("332020", "resident", window_seconds=1)
    metrics.declare_subscription("332020", "tax")
    metrics.arrived("332020", "resident", "accepted", 1)
    metrics.batch_succeeded("332020", "resident", ended_seconds=1, duration_seconds=1, rerun_margin_seconds=1)
    metrics.stage("cut", 1)
    metrics.set_waiting([Waiting("332020", "tax", "due", 1, 1)])
    metrics.set_quarantine({("332020", "given_up"): 1})
    metrics.declare_events("332020", "move")
    metrics.declare_event_deliveries("332020", "tax")
    metrics.event_published("http", 0.01)
    metrics.event_delivered_after("http", 0.01)
    metrics.overload_refused("waiting")
    metrics.set_breaker("332020", "tax_in", is_open=True)
    metrics.set_broker_connected(True)
    found: Any = text_string_to_metric_families(metrics.exposition().decode())
    return {
        family.name + ("_total" if family.type == "counter" else ""): {name for sample in family.samples for name in sample.labels} - {"le"}
        for family in found
    }


@pytest.mark.parametrize("name", ["monitoring.md", "monitoring.ja.md"])
def test_every_metric_stands_in_the_table_with_its_labels(name: str) -> None:
    rows = re.findall(r"^\| `(renkei_[a-z_]+)` \|([a-z, ]*)\|", page(name), re.MULTILINE)
    assert {metric: set(labels.split(", ")) - {""} for metric, labels in ((m, text.strip()) for m, text in rows)} == metrics_with_labels()


@pytest.mark.parametrize("name", ["monitoring.md", "monitoring.ja.md"])
def test_every_alert_stands_in_the_table(name: str) -> None:
    rows = re.findall(r"^\| `(Renkei[A-Za-z]+)` \| (RNK[0-9]{4}[EW]) \|.*\| ([0-9]+[sm]) \|$", page(name), re.MULTILINE)
    assert rows == [(rule.name, rule.message_id, rule.lasting) for rule in RULES]


@pytest.mark.parametrize("name", ["site.md", "site.ja.md"])
def test_every_key_is_explained(name: str) -> None:
    said = set(re.findall(r"`([a-z0-9_]+)`", page(name)))
    missing = {f"{model.__name__}.{key}" for model in MODELS for key in model.model_fields if key not in said}
    assert not missing
