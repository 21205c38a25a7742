"""When the bus calls a person: the alert rules, written to `monitoring/alerts/renkei.yml` for Prometheus.

Owns: the conditions and how long they must last. What an alert says stands in `contracts/messages/monitoring.yaml`, in Japanese and
English, so that mail, log and manual use one id and one text. Change a rule here, then run `python -m monitoring.alert_rules`.

Several nodes may share a journal: one trouble is one alert, whichever of them show it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from contracts.messages import action, text

FILE: Final = Path(__file__).parent / "alerts" / "renkei.yml"
JOB: Final = "renkei"
"""The `job_name` under which Prometheus scrapes the nodes."""
STUCK_SECONDS: Final = 1800
REJECTED_SHARE: Final = 0.01
BACKLOG_DELIVERIES: Final = 1000
"""Waiting deliveries of one subscription from which on a backlog that grows is told."""
PUBLISH_SECONDS: Final = 0.5
"""How long 99 of 100 publishers may wait for their answer."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert. `lasting` is a Prometheus duration: how long `expression` must hold. `facts` are labels that the text names."""

    name: str
    message_id: str
    expression: str
    lasting: str
    severity: Literal["critical", "warning"]
    facts: tuple[str, ...] = ()


_FLOW: Final = ("tenant", "interface")
_RECEIVER: Final = ("tenant", "subscription")
_WAITING: Final = 'sum by (tenant, subscription) (max by (tenant, subscription, state) (renkei_deliveries{state!="quarantined"}))'

_NIGHT: Final = (
    Rule("RenkeiNodeDown", "RNK8001E", f'up{{job="{JOB}"}} == 0', "2m", "critical", ("instance",)),
    Rule(
        "RenkeiBatchFailed",
        "RNK8002E",
        "max by (tenant, interface) (renkei_batch_last_failure_timestamp_seconds)"
        " > max by (tenant, interface) (renkei_batch_last_success_timestamp_seconds)",
        "0s",
        "critical",
        _FLOW,
    ),
    Rule("RenkeiBatchLate", "RNK8003E", "max by (tenant, interface) (renkei_batch_late) == 1", "0s", "critical", _FLOW),
    Rule(
        "RenkeiRerunMarginShort",
        "RNK8004W",
        "min by (tenant, interface) (renkei_batch_rerun_margin_seconds and on (tenant, interface, instance) time() - "
        "topk by (tenant, interface) (1, renkei_batch_last_success_timestamp_seconds) < 86400) < 0",
        "0s",
        "warning",
        _FLOW,
    ),
    Rule(
        "RenkeiDeliveryStuck",
        "RNK8005W",
        f"max by (tenant, subscription) (renkei_delivery_oldest_age_seconds) > {STUCK_SECONDS}",
        "5m",
        "warning",
        _RECEIVER,
    ),
    Rule(
        "RenkeiDeliveryGivenUp",
        "RNK8006E",
        'max by (tenant, subscription) (renkei_deliveries{state="quarantined"}) > 0',
        "0s",
        "critical",
        _RECEIVER,
    ),
    Rule(
        "RenkeiFileRefused",
        "RNK8007E",
        'sum by (tenant, interface, outcome) (increase(renkei_receipts_total{outcome=~"refused|held"}[15m])) > 0',
        "0s",
        "critical",
        (*_FLOW, "outcome"),
    ),
    Rule(
        "RenkeiRejectedShareHigh",
        "RNK8008W",
        'sum by (tenant, interface) (increase(renkei_records_total{outcome="rejected"}[1h]))'
        f" > {REJECTED_SHARE} * sum by (tenant, interface) (increase(renkei_records_total[1h]))",
        "0s",
        "warning",
        _FLOW,
    ),
    Rule(
        "RenkeiQuarantineOpen",
        "RNK8009W",
        "max by (tenant, kind) (renkei_quarantine_open_records) >= 0",
        "15m",
        "warning",
        ("tenant", "kind"),
    ),
    Rule("RenkeiSeriesLeftOut", "RNK8010W", "renkei_series_left_out > 0", "5m", "warning", ("instance",)),
)
_EVENTS: Final = (
    Rule(
        "RenkeiBacklogGrowing",
        "RNK8101W",
        f"{_WAITING} > {BACKLOG_DELIVERIES} and deriv({_WAITING}[10m:1m]) > 0",
        "10m",
        "warning",
        _RECEIVER,
    ),
    Rule("RenkeiBreakerOpen", "RNK8102W", "max by (tenant, endpoint) (renkei_breaker_open) == 1", "10m", "warning", ("tenant", "endpoint")),
    Rule(
        "RenkeiEventExpired",
        "RNK8103W",
        'sum by (tenant, subscription) (increase(renkei_event_deliveries_total{outcome="expired"}[15m])) > 0',
        "0s",
        "warning",
        _RECEIVER,
    ),
    Rule(
        "RenkeiPublishSlow",
        "RNK8104W",
        f"histogram_quantile(0.99, sum by (le, via) (rate(renkei_event_publish_seconds_bucket[5m]))) > {PUBLISH_SECONDS}",
        "10m",
        "warning",
        ("via",),
    ),
    Rule("RenkeiBrokerGone", "RNK8105E", "renkei_broker_connected == 0", "2m", "critical", ("instance",)),
    Rule(
        "RenkeiOverload",
        "RNK8106W",
        "sum by (instance, reason) (increase(renkei_overload_refusals_total[5m])) > 0",
        "5m",
        "warning",
        ("instance", "reason"),
    ),
)
RULES: Final = _NIGHT + _EVENTS
"""In the order of the manual."""


def rules_file() -> str:
    """The whole rule file, as Prometheus reads it."""
    lines = ["# Written by `python -m monitoring.alert_rules`; do not edit.", "groups:", "  - name: renkei", "    rules:"]
    for rule in RULES:
        labels = {"severity": rule.severity, "id": rule.message_id}
        lines += [
            f"      - alert: {rule.name}",
            f"        expr: {_quoted(rule.expression)}",
            f"        for: {rule.lasting}",
            f"        labels: {{{', '.join(f'{key}: {_quoted(value)}' for key, value in labels.items())}}}",
            "        annotations:",
            *(f"          {key}: {_quoted(value)}" for key, value in _words(rule).items()),
        ]
    return "\n".join(lines) + "\n"


def _words(rule: Rule) -> dict[str, str]:
    facts = {name: f"{{{{ $labels.{name} }}}}" for name in rule.facts}
    return {
        "summary_ja": text(rule.message_id, "ja", **facts),
        "summary_en": text(rule.message_id, "en", **facts),
        "action_ja": action(rule.message_id, "ja", **facts),
        "action_en": action(rule.message_id, "en", **facts),
    }


def _quoted(value: str) -> str:
    """A YAML double-quoted scalar; JSON's form is one."""
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    FILE.write_text(rules_file(), "utf-8")
