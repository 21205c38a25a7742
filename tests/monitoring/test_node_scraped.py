"""A real Prometheus scrapes a real node over one bad night: every panel and every rule says what the journal says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bus.message import DeliveryState, MessageState, ReceiptOutcome
from bus.node import running_node
from monitoring.alert_rules import FILE as RULES_FILE
from monitoring.alert_rules import JOB, RULES
from monitoring.metrics import STAGES
from monitoring.night_panels import PANELS
from tests.monitoring.prometheus import Prometheus, prometheus
from tests.node.small_city import TENANT, City, csv, interface, people, person, subscription, until, write_city

Series = list[tuple[dict[str, str], float]]
NAME, NUMBER = "漏洩山太郎", "987654321012"
DAY = "20200401"
ALWAYS = {"window": {"start": "20:00", "end": "06:00"}, "rejects": {"max_share": 0.5}}
WINDOW_END = 1_585_774_800
"""2020-04-02T06:00:00+09:00, in seconds since 1970."""


@dataclass
class Scraped:
    """A city under a real Prometheus; the night has happened and is scraped."""

    city: City
    asked: Prometheus
    quiet: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """rules that fired before the night"""

    def panel(self, title_en: str, query: int = 0, tenant: str = ".*") -> Series:
        """What a panel shows, as Grafana asks for it, without the labels that Prometheus adds."""
        (panel,) = [panel for panel in PANELS if panel.title_en == title_en]
        asked = panel.queries[query].expression.replace("$tenant", tenant).replace("$__range", "1h")
        return [(bare(labels), value) for labels, value in self.asked.ask(asked)]

    def one(self, title_en: str) -> float:
        """The one number of a panel."""
        ((_, value),) = self.panel(title_en)
        return value

    def by(self, title_en: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The series of a panel by these labels, which must be all they have besides the tenant."""
        found = self.panel(title_en)
        assert all(set(have) <= {"tenant", *labels} and have.get("tenant", TENANT) == TENANT for have, _ in found)
        return {tuple(have.get(label, "") for label in labels): value for have, value in found}

    def firing(self) -> dict[str, list[dict[str, str]]]:
        """The rules whose expression holds now, whatever they wait for, and for whom."""
        asked = ((rule.name, [bare(labels) for labels, _ in self.asked.ask(rule.expression)]) for rule in RULES)
        return {name: found for name, found in asked if found}

    def settle(self) -> None:
        """Until everything that has happened is scraped: two scrapes begun from now on."""
        before = self.scraped_at()
        until(lambda: self.scraped_at() > before, "a scrape")
        between = self.scraped_at()
        until(lambda: self.scraped_at() > between, "one more scrape")

    def scraped_at(self) -> float:
        """When the newest sample was scraped."""
        return max((at for _, at in self.asked.ask("timestamp(renkei_up)")), default=0.0)


def bare(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in ("__name__", "instance", "job")}


def bad_night(city: City) -> None:
    """An accepted batch with rejected records, a refused file, an unread one, a held revision, a refusal and two failing subscribers."""
    broken = [person(20, name="x" + NAME), person(21, kind=NUMBER), person(22, day=NAME)]
    accepted = city.send("people", f"PEOPLE_{DAY}_001.csv", csv([*people(17), *broken]))
    assert accepted.outcome is ReceiptOutcome.ACCEPTED
    settled = (DeliveryState.DELIVERED, DeliveryState.QUARANTINED, DeliveryState.DUE)
    until(
        lambda: all(
            found.state in settled and (found.attempts or found.finished_at_us)
            for found in city.deliveries(accepted.message, within=settled)
        )
    )
    assert city.send("people", f"PEOPLE_{DAY}_001.csv", csv([*people(18), *broken])).outcome is ReceiptOutcome.HELD
    assert city.send("people", f"PEOPLE_{DAY}_001.csv", csv([*people(17), *broken])).outcome is ReceiptOutcome.DUPLICATE
    assert city.send("strict", f"STRICT_{DAY}.csv", csv([*people(3), *broken])).outcome is ReceiptOutcome.REFUSED
    assert city.send("good", f"GOOD_{DAY}_001.csv", csv(people(30))).outcome is ReceiptOutcome.ACCEPTED
    city.deliveries(city.receipts(f"GOOD_{DAY}_001.csv")[0].message)
    assert city.send("good", f"{NUMBER}.csv", b"").outcome is ReceiptOutcome.REFUSED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scraped")
    interfaces = [
        interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv", **ALWAYS),
        interface("strict", "csv_cp932", "STRICT_{business_date:%Y%m%d}.csv", rejects={"policy": "reject_file"}),
        interface("good", "csv_cp932", "GOOD_{business_date:%Y%m%d}_{sequence:03}.csv"),
    ]
    subscriptions = [
        subscription("tax", "people", filter={"fields": {"number": {"ne": "000001"}}}),
        subscription("waiting", "people", retry={"first_seconds": 900, "attempts": 5}),
        subscription("gone", "people", retry={"first_seconds": 0.1, "attempts": 1}),
        subscription("welfare", "good", "xml"),
    ]
    write_city(folder, interfaces, subscriptions)
    for name in ("waiting", "gone"):
        (folder / "out" / name).mkdir(parents=True)
        (folder / "out" / name / f"{name}_{DAY}_001.csv").write_text("not yet taken by its receiver", "ascii")
    return folder


@pytest.fixture(scope="module")
def scraped(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    with running_node(folder) as node:
        address = f"127.0.0.1:{node.port}"
        with prometheus(tmp_path_factory.mktemp("prometheus"), {JOB: address}, [RULES_FILE], every="1s") as asked:
            scraped = Scraped(City(folder, node), asked)
            scraped.settle()
            scraped.quiet = scraped.firing()
            bad_night(scraped.city)
            scraped.settle()
            yield scraped


pytestmark = pytest.mark.slow


def test_before_the_night_no_rule_fires(scraped: Scraped) -> None:
    assert scraped.quiet == {}


def test_the_first_row_says_who_may_not_sleep_on(scraped: Scraped) -> None:
    journal = scraped.city.journal
    given_up = journal.deliveries(state=DeliveryState.QUARANTINED)
    assert len(given_up) == 1
    assert scraped.one("Deliveries given up") == len(given_up)
    assert scraped.one("Failed batches") == 2, "people (held), strict (refused)"
    assert scraped.one("Late batches") == 0
    assert scraped.one("Records in quarantine") == sum(journal.open_quarantine().values()) > 0
    assert scraped.one("Availability, 30 days") == 1.0
    assert scraped.one("Nodes running") == 1.0
    assert scraped.panel("Nodes running", 1) == [({}, 0.0)]


def test_batches_by_length_margin_and_window(scraped: Scraped) -> None:
    journal = scraped.city.journal
    window = 10 * 3600
    length = scraped.by("Batch duration", "interface")
    assert set(length) == {("people",), ("good",)}, "strict never ended well"
    for (name,), seconds in length.items():
        message = next(found for found in journal.messages(interface=name, state=MessageState.ACCEPTED))
        ends = [found.finished_at_us for found in journal.deliveries(message=message.id) if found.finished_at_us]
        in_journal = (max(ends) - message.received_at_us) / 1e6
        assert in_journal <= seconds < in_journal + 5, "until the last delivery is published, a moment after the journal says so"
        assert scraped.by("Share of the window used", "interface")[name,] == pytest.approx(seconds / window)
        # the window of that business date is long over
        ended = message.received_at_us / 1e6 + seconds
        margin = scraped.by("Re-run margin", "interface")[name,]
        assert margin == pytest.approx(WINDOW_END - ended - seconds, abs=1)
        since = scraped.by("Time since the last normal end", "interface")[name,]
        assert 0 <= since < 60
    assert set(scraped.by("Time since the last normal end", "interface")) == {("people",), ("good",)}
    assert scraped.one("Least re-run margin") == min(scraped.by("Re-run margin", "interface").values())


def test_arrivals_and_failures(scraped: Scraped) -> None:
    # `increase` reaches out to the ends of its range, so counts are compared by what is above zero, and exactly by the counters
    arrived = {labels: value for labels, value in scraped.by("Arrivals", "interface", "outcome").items() if value > 0}
    counted: dict[tuple[str, ...], float] = {}
    for receipt in scraped.city.journal.receipts(limit=1000):
        key = (receipt.interface, receipt.outcome.value)
        counted[key] = counted.get(key, 0) + 1
    assert set(counted) == {
        ("people", "accepted"),
        ("people", "held"),
        ("people", "duplicate"),
        ("strict", "refused"),
        ("good", "accepted"),
        ("", "refused"),
    }
    assert exact(scraped, "renkei_receipts_total", "interface", "outcome") == counted
    assert set(arrived) == set(counted)
    failed = {labels for labels, value in scraped.by("Abnormal ends", "interface").items() if value > 0}
    assert failed == {("people",), ("strict",)}
    assert exact(scraped, "renkei_batch_failures_total", "interface") == {("people",): 1, ("strict",): 1}


def exact(scraped: Scraped, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """A counter's values above zero."""
    found = scraped.asked.ask(f"{name} > 0")
    return {tuple(have.get(label, "") for label in labels): value for have, value in found}


def test_records_and_bytes_are_those_of_the_journal(scraped: Scraped) -> None:
    journal = scraped.city.journal
    taken_in: dict[tuple[str, ...], float] = {}
    for message in journal.messages(limit=1000):
        if message.state in (MessageState.ACCEPTED, MessageState.HELD):
            for outcome, count in (("good", message.good.records), ("rejected", message.rejected.records)):
                key = (message.identity.interface, outcome)
                taken_in[key] = taken_in.get(key, 0) + count
    assert taken_in["people", "good"] + taken_in["people", "rejected"] == 41
    taken_in = {key: count for key, count in taken_in.items() if count}
    assert exact(scraped, "renkei_records_total", "interface", "outcome") == taken_in
    shown = {key for key, value in scraped.by("Records taken in", "interface", "outcome").items() if value > 0}
    assert shown == set(taken_in)
    delivered = {
        (found.subscription, outcome): totals.records
        for found in journal.deliveries(limit=1000)
        for outcome, totals in (("out", found.out), ("filtered", found.filtered), ("refused", found.refused))
        if totals.records
    }
    assert delivered == {("tax", "out"): 16, ("tax", "filtered"): 1, ("welfare", "out"): 30}
    assert exact(scraped, "renkei_delivered_records_total", "subscription", "outcome") == delivered
    assert {key for key, value in scraped.by("Records delivered", "subscription", "outcome").items() if value > 0} == set(delivered)
    assert exact(scraped, "renkei_bytes_total", "direction") == {
        ("in",): sum(receipt.bytes for receipt in journal.receipts(limit=1000)),
        ("out",): sum(found.bytes_out for found in journal.deliveries(limit=1000) if found.finished_at_us),
    }
    assert all(value > 0 for value in scraped.by("Bytes in and out", "direction").values())


def test_every_stage_of_a_batch_is_timed(scraped: Scraped) -> None:
    counted = exact(scraped, "renkei_batch_stage_seconds_count", "stage")
    assert {stage for (stage,) in counted} == set(STAGES)
    assert counted["publish",] == 2, "two deliveries were published"
    shown = {labels["stage"]: seconds for labels, seconds in scraped.panel("Stage duration, 95 %")}
    assert set(shown) == set(STAGES)
    assert all(0 < seconds < 60 for seconds in shown.values()), shown


def test_what_is_stuck_for_whom(scraped: Scraped) -> None:
    journal = scraped.city.journal
    rows = {(row.subscription, row.state.value): float(row.count) for row in journal.backlog()}
    assert set(rows) == {("waiting", "due"), ("gone", "quarantined")}
    assert scraped.by("Unfinished deliveries", "subscription", "state") == rows
    oldest = scraped.by("Oldest delivery", "subscription")
    assert set(oldest) == {("waiting",), ("gone",)}
    assert all(0 < age < 60 for age in oldest.values())
    in_quarantine = {(kind,): float(records) for (_, kind), records in journal.open_quarantine().items()}
    assert set(in_quarantine) == {("rejected_records",), ("held_revision",), ("refused_file",), ("given_up",)}
    assert scraped.by("Quarantine by kind", "kind") == in_quarantine


def test_every_panel_was_asked_and_narrows_to_its_tenant(scraped: Scraped) -> None:
    for panel in PANELS:
        for number, query in enumerate(panel.queries):
            assert scraped.panel(panel.title_en, number), panel.title_en
            if "$tenant" in query.expression:
                nobody = scraped.panel(panel.title_en, number, tenant="372013")
                assert nobody in ([], [({}, 0.0)]), panel.title_en


def test_every_rule_fires_for_whom_it_should_and_no_other(scraped: Scraped) -> None:
    firing = scraped.firing()
    assert set(firing) == {
        "RenkeiBatchFailed",
        "RenkeiRerunMarginShort",
        "RenkeiDeliveryGivenUp",
        "RenkeiFileRefused",
        "RenkeiRejectedShareHigh",
        "RenkeiQuarantineOpen",
    }
    names = {
        name: sorted({labels.get("interface", labels.get("subscription", labels.get("kind", ""))) for labels in found})
        for name, found in firing.items()
    }
    assert names["RenkeiBatchFailed"] == ["people", "strict"]
    assert names["RenkeiRerunMarginShort"] == ["good", "people"], "their business date is long over"
    assert names["RenkeiDeliveryGivenUp"] == ["gone"]
    assert names["RenkeiFileRefused"] == ["", "people", "strict"]
    assert names["RenkeiRejectedShareHigh"] == ["people"]
    assert names["RenkeiQuarantineOpen"] == ["given_up", "held_revision", "refused_file", "rejected_records"]
    stuck = next(rule.expression for rule in RULES if rule.name == "RenkeiDeliveryStuck").replace("> 1800", "> 0")
    assert sorted(labels["subscription"] for labels, _ in scraped.asked.ask(stuck)) == ["gone", "waiting"], "only their age is missing"


def test_the_page_carries_no_personal_data_and_no_names_of_files(scraped: Scraped) -> None:
    known: Any = scraped.asked.get("series", **{"match[]": '{__name__=~"renkei_.*"}'})
    values = {value for series in known for value in series.values()}
    for planted in (NAME, NUMBER, "PEOPLE", "STRICT", "332020-m", "332020-d", "倉敷"):
        assert not [value for value in values if planted in value], planted
