"""The alert rules by promtool: well formed, current, and each one fires when it should, for whom it should, and not before."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from contracts.messages import catalogue
from monitoring.alert_rules import FILE, RULES, rules_file

FLOW = 'tenant="332020", interface="resident"'
RECEIVER = 'tenant="332020", subscription="tax"'


@dataclass(frozen=True)
class Case:
    """Series in promtool's notation, one sample a minute; the alert fires at `after` and is quiet at `before`."""

    alert: str
    series: dict[str, str]
    before: str
    after: str
    labels: dict[str, str]


TENANT = {"tenant": "332020", "interface": "resident"}
CASES = [
    Case("RenkeiNodeDown", {'up{job="renkei", instance="a"}': "1 1 0x10"}, "3m", "5m", {"job": "renkei", "instance": "a"}),
    Case(
        "RenkeiBatchFailed",
        {
            f"renkei_batch_last_failure_timestamp_seconds{{{FLOW}}}": "0x4 300x10",
            f"renkei_batch_last_success_timestamp_seconds{{{FLOW}}}": "60x20",
        },
        "4m",
        "6m",
        TENANT,
    ),
    Case("RenkeiBatchLate", {f"renkei_batch_late{{{FLOW}}}": "0x4 1x10"}, "4m", "6m", TENANT),
    Case(
        "RenkeiRerunMarginShort",
        {
            f"renkei_batch_rerun_margin_seconds{{{FLOW}}}": "60x4 -1x10",
            f"renkei_batch_last_success_timestamp_seconds{{{FLOW}}}": "60x20",
        },
        "4m",
        "6m",
        TENANT,
    ),
    Case(
        "RenkeiDeliveryStuck",
        {'renkei_delivery_oldest_age_seconds{tenant="332020", subscription="tax"}': "1500+60x30"},
        "9m",
        "12m",
        {"tenant": "332020", "subscription": "tax"},
    ),
    Case(
        "RenkeiDeliveryGivenUp",
        {
            'renkei_deliveries{tenant="332020", subscription="tax", state="due"}': "9x20",
            'renkei_deliveries{tenant="332020", subscription="tax", state="quarantined"}': "_x5 1x10",
        },
        "4m",
        "6m",
        {"tenant": "332020", "subscription": "tax"},
    ),
    Case(
        "RenkeiFileRefused",
        {
            f'renkei_receipts_total{{{FLOW}, outcome="refused"}}': "0x4 1x10",
            f'renkei_receipts_total{{{FLOW}, outcome="accepted"}}': "0+1x20",
        },
        "4m",
        "6m",
        {**TENANT, "outcome": "refused"},
    ),
    Case(
        "RenkeiRejectedShareHigh",
        {
            f'renkei_records_total{{{FLOW}, outcome="rejected"}}': "0x2 9x4 30x10",
            f'renkei_records_total{{{FLOW}, outcome="good"}}': "0x2 970x10",
        },
        "5m",
        "8m",
        TENANT,
    ),
    Case(
        "RenkeiQuarantineOpen",
        {'renkei_quarantine_open_records{tenant="332020", kind="given_up"}': "4x30"},
        "14m",
        "16m",
        {"tenant": "332020", "kind": "given_up"},
    ),
    Case("RenkeiSeriesLeftOut", {'renkei_series_left_out{instance="a"}': "0x3 7x20"}, "8m", "10m", {"instance": "a"}),
    Case(
        "RenkeiBacklogGrowing",
        {
            f'renkei_deliveries{{{RECEIVER}, state="due", instance="a"}}': "2000x10 2000+10x40",
            f'renkei_deliveries{{{RECEIVER}, state="due", instance="b"}}': "2000x10 2000+10x40",
            'renkei_deliveries{tenant="332020", subscription="few", state="due", instance="a"}': "1+1x50",
            f'renkei_deliveries{{{RECEIVER}, state="quarantined", instance="a"}}': "5000+100x50",
        },
        "18m",
        "25m",
        {"tenant": "332020", "subscription": "tax"},
    ),
    Case(
        "RenkeiBreakerOpen",
        {'renkei_breaker_open{tenant="332020", endpoint="tax_in", instance="a"}': "0x4 1x30"},
        "14m",
        "16m",
        {"tenant": "332020", "endpoint": "tax_in"},
    ),
    Case(
        "RenkeiEventExpired",
        {
            f'renkei_event_deliveries_total{{{RECEIVER}, outcome="expired", instance="a"}}': "_x4 0 1x10",
            f'renkei_event_deliveries_total{{{RECEIVER}, outcome="delivered", instance="a"}}': "0+9x20",
        },
        "4m",
        "6m",
        {"tenant": "332020", "subscription": "tax"},
    ),
    Case(
        "RenkeiPublishSlow",
        {
            'renkei_event_publish_seconds_bucket{via="http", le="0.5", instance="a"}': "0+100x8 800+50x30",
            'renkei_event_publish_seconds_bucket{via="http", le="1", instance="a"}': "0+100x8 800+100x30",
            'renkei_event_publish_seconds_bucket{via="http", le="+Inf", instance="a"}': "0+100x8 800+100x30",
            'renkei_event_publish_seconds_bucket{via="amqp", le="0.5", instance="a"}': "0+100x40",
            'renkei_event_publish_seconds_bucket{via="amqp", le="+Inf", instance="a"}': "0+100x40",
        },
        "15m",
        "20m",
        {"via": "http"},
    ),
    Case("RenkeiBrokerGone", {'renkei_broker_connected{instance="a"}': "1x4 0x10"}, "6m", "8m", {"instance": "a"}),
    Case(
        "RenkeiOverload",
        {'renkei_overload_refusals_total{instance="a", reason="waiting"}': "0x4 0+5x20"},
        "8m",
        "12m",
        {"instance": "a", "reason": "waiting"},
    ),
]

SEVERAL_NODES = [
    Case(
        "RenkeiBatchFailed",
        {
            f'renkei_batch_last_failure_timestamp_seconds{{{FLOW}, instance="a"}}': "0x4 300x20",
            f'renkei_batch_last_success_timestamp_seconds{{{FLOW}, instance="a"}}': "60x25",
            f'renkei_batch_last_failure_timestamp_seconds{{{FLOW}, instance="b"}}': "0x25",
            f'renkei_batch_last_success_timestamp_seconds{{{FLOW}, instance="b"}}': "60x9 600x20",
        },
        "12m",
        "6m",
        TENANT,
    ),
    Case(
        "RenkeiRerunMarginShort",
        {
            f'renkei_batch_rerun_margin_seconds{{{FLOW}, instance="a"}}': "-1x25",
            f'renkei_batch_last_success_timestamp_seconds{{{FLOW}, instance="a"}}': "60x25",
            f'renkei_batch_rerun_margin_seconds{{{FLOW}, instance="b"}}': "_x9 70x20",
            f'renkei_batch_last_success_timestamp_seconds{{{FLOW}, instance="b"}}': "0x9 600x20",
        },
        "12m",
        "6m",
        TENANT,
    ),
]
"""What one node saw go wrong, another made good later: quiet at `before`, although the first node still shows it."""


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_the_rule_file_is_current() -> None:
    assert FILE.read_text("utf-8") == rules_file(), "run: python -m monitoring.alert_rules"


def test_the_rules_are_well_formed() -> None:
    result = promtool("check", "rules", str(FILE))
    assert result.returncode == 0, result.stderr
    assert f"{len(RULES)} rules found" in result.stdout


def test_every_alert_says_in_both_languages_what_happened_and_what_to_do() -> None:
    for rule in RULES:
        entry = catalogue()[rule.message_id]
        assert all(entry.get(key) for key in ("ja", "en", "action_ja", "action_en"))
        named = set(re.findall(r"\{([a-z]+)\}", entry["ja"] + entry["en"]))
        assert named == set(rule.facts), rule.name
        assert (rule.severity == "critical") == rule.message_id.endswith("E")


def test_every_alert_has_its_case() -> None:
    assert [case.alert for case in CASES] == [rule.name for rule in RULES]


def alert_test(case: Case, at: str, fires: bool) -> dict[str, object]:
    rule = next(rule for rule in RULES if rule.name == case.alert)
    document = yaml.safe_load(FILE.read_text("utf-8"))
    written = next(entry for entry in document["groups"][0]["rules"] if entry["alert"] == case.alert)
    annotations = {
        key: re.sub(r"\{\{ \$labels\.([a-z]+) \}\}", lambda label: case.labels[label[1]], text)
        for key, text in written["annotations"].items()
    }
    labels = {**case.labels, "severity": rule.severity, "id": rule.message_id}
    return {
        "eval_time": at,
        "alertname": case.alert,
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}] if fires else [],
    }


@pytest.mark.parametrize("case", [*CASES, *SEVERAL_NODES], ids=lambda case: case.alert)
def test_an_alert_fires_when_it_should_and_not_before(case: Case, tmp_path: Path) -> None:
    tests = {
        "rule_files": [str(FILE)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "alert_rule_test": [alert_test(case, case.before, False), alert_test(case, case.after, True)],
            }
        ],
    }
    file = tmp_path / "rules.test.yml"
    file.write_text(yaml.safe_dump(tests, allow_unicode=True), "utf-8")
    result = promtool("test", "rules", str(file))
    assert result.returncode == 0, result.stdout + result.stderr
