"""When the bus calls a person: the alert rules, written to `monitoring/alerts/renkei.yml` for Prometheus.

Owns: the conditions and how long they must last. What an alert says stands in `contracts/messages/monitoring.yaml`, in Japanese and
English, so that mail, log and manual use one id and one text. Change a rule here, then run `python -m monitoring.alert_rules`.
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

RULES: Final = (
    Rule("RenkeiNodeDown", "RNK8001E", f'up{{job="{JOB}"}} == 0', "2m", "critical", ("instance",)),
    Rule(
        "RenkeiBatchFailed",
        "RNK8002E",
        "renkei_batch_last_failure_timestamp_seconds > renkei_batch_last_success_timestamp_seconds",
        "0s",
        "critical",
        _FLOW,
    ),
    Rule("RenkeiBatchLate", "RNK8003E", "renkei_batch_late == 1", "0s", "critical", _FLOW),
    Rule(
        "RenkeiRerunMarginShort",
        "RNK8004W",
        "renkei_batch_rerun_margin_seconds < 0 and time() - renkei_batch_last_success_timestamp_seconds < 86400",
        "0s",
        "warning",
        _FLOW,
    ),
    Rule(
        "RenkeiDeliveryStuck",
        "RNK8005W",
        f"renkei_delivery_oldest_age_seconds > {STUCK_SECONDS}",
        "5m",
        "warning",
        ("tenant", "subscription"),
    ),
    Rule(
        "RenkeiDeliveryGivenUp",
        "RNK8006E",
        'renkei_deliveries{state="quarantined"} > 0',
        "0s",
        "critical",
        ("tenant", "subscription"),
    ),
    Rule(
        "RenkeiFileRefused",
        "RNK8007E",
        'increase(renkei_receipts_total{outcome=~"refused|held"}[15m]) > 0',
        "0s",
        "critical",
        (*_FLOW, "outcome"),
    ),
    Rule(
        "RenkeiRejectedShareHigh",
        "RNK8008W",
        'increase(renkei_records_total{outcome="rejected"}[1h])'
        f' > ignoring(outcome) ({REJECTED_SHARE} * increase(renkei_records_total{{outcome="in"}}[1h]))',
        "0s",
        "warning",
        _FLOW,
    ),
    Rule("RenkeiQuarantineOpen", "RNK8009W", "renkei_quarantine_open_records >= 0", "15m", "warning", ("tenant", "kind")),
    Rule("RenkeiSeriesLeftOut", "RNK8010W", "renkei_series_left_out > 0", "5m", "warning", ("instance",)),
)


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
