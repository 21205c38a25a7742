"""How long a batch took, what is left of its window, and how it last ended: over deliveries, releases, and a restart of the node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bus.adapter_ports import Arrival
from bus.clock import ManualClock
from bus.delivery import Outcome
from bus.intake import Taken
from bus.intake_report import Reporter
from bus.journal.journal import SqlJournal
from bus.message import (
    Delivery,
    DeliveryState,
    Identity,
    NewDelivery,
    NewMessage,
    NewQuarantine,
    QuarantineKind,
    ReceiptOutcome,
    Versions,
)
from bus.site import Interface, LoadedSite, LoadedTenant, Site, Subscription, System, Tenant
from contracts.totals import Totals
from monitoring.metrics import Metrics
from tests.backends import open_journal

TENANT, FLOW = "332020", "resident"
NONE = Totals()
VERSIONS = Versions("resident@1.0", "0" * 64, "mainframe_csv", "1" * 64, "1.0")
EVENING_US = 1_795_000_000_000_000 - 1_795_000_000_000_000 % 86_400_000_000 + 12 * 3_600_000_000
"""Some day at 21:00 in Japan: an hour into the window of 20:00 to 06:00."""
LEFT = 9 * 3600.0
"""Seconds of the window that are left in the evening."""


def loaded() -> LoadedSite:
    flow = Interface(id=FLOW, contract="resident@1.0", layout="mainframe_csv", endpoint="drop", file="R_{business_date:%Y%m%d}.csv")
    receivers = [
        Subscription(id=name, interface=FLOW, system="010", endpoint=f"{name}_in", layout="csv_utf8", file="a.csv")
        for name in ("tax", "welfare")
    ]
    tenant = Tenant(
        tenant=TENANT,
        name={"ja": "倉敷市", "en": "Kurashiki"},
        systems=[System(id="001", name={"ja": "住基", "en": "residents"})],
        interfaces=[flow],
        subscriptions=receivers,
    )
    return LoadedSite(Site(site="test", tenants=["a"]), Path("/"), {TENANT: LoadedTenant(tenant, "", Path("/a"))})


@dataclass
class Bus:
    """A journal and what a node reports of it, at a time that only the test moves."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(EVENING_US))
    journal: SqlJournal = field(init=False)
    metrics: Metrics = field(init=False)
    reporter: Reporter = field(init=False)
    _files: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.journal = open_journal(self.folder, self.clock)
        self.metrics = Metrics()
        self.reporter = Reporter(loaded(), self.metrics, self.clock, self.journal)
        self.reporter.resume()

    def restart(self) -> None:
        self.journal.close()
        self.start()

    @property
    def day(self) -> str:
        return datetime.fromtimestamp(EVENING_US / 1e6, ZoneInfo("Asia/Tokyo")).date().isoformat()

    def file(self, outcome: ReceiptOutcome, *, lasting: float = 0, sequence: int = 1) -> str:
        """A file came, and this became of it after so many seconds. Returns its message."""
        self._files += 1
        identity = Identity(TENANT, FLOW, self.day, sequence)
        begun = self.journal.begin(
            NewMessage(identity, "001", "drop", "full", VERSIONS, "R.csv", 0, f"{self._files:064}", 0, {}, chunks=())
        )
        self.clock.advance(lasting)
        message = begun.message.id
        made: tuple[Delivery, ...] = ()
        if outcome is ReceiptOutcome.ACCEPTED:
            made = tuple(self.accept(message, None))
        elif outcome is ReceiptOutcome.HELD:
            held = NewQuarantine(QuarantineKind.HELD_REVISION, "R.csv", 0, {"earlier": begun.revision_of or ""})
            self.journal.hold(message, good=NONE, rejected=NONE, quarantine=[held], reason="{}")
        else:
            refused = NewQuarantine(QuarantineKind.REFUSED_FILE, "R.csv", 0, {})
            self.journal.refuse(message, quarantine=[refused], reason="{}")
        self.receipt(outcome, message, Taken, begun.message, made)
        return message

    def accept(self, message: str, corrects: str | None) -> list[Delivery]:
        new = [NewDelivery(n, "010", f"{n}_in", "c@1.0", "csv", None, FLOW, "a.csv", None, "1" * 64) for n in ("tax", "welfare")]
        return list(self.journal.accept(message, good=NONE, rejected=NONE, quarantine=(), deliveries=new, corrects=corrects))

    def receipt(self, outcome: ReceiptOutcome, message: str | None, make: Any, of: Any, made: tuple[Delivery, ...]) -> None:
        receipt = self.journal.receipt(
            tenant=TENANT, endpoint="drop", interface=FLOW, file_name="R.csv", bytes_=1, sha256="", outcome=outcome, message=message
        )
        arrival = Arrival("drop", TENANT, "R.csv", Path("/R.csv"), 1, None)
        self.reporter.took(arrival, make(receipt, FLOW, of, made))

    def deliver(self, *names: str) -> None:
        """Publish what is due of these subscriptions."""
        for claimed in self.journal.claim("node", lease_seconds=60, limit=10):
            if claimed.subscription not in names:
                continue
            self.journal.ready_to_publish(claimed, {"files": []}, 0)
            state = self.journal.delivered(claimed, taken_in=NONE, out=NONE, filtered=NONE, refused=NONE, quarantine=())
            self.reporter.delivered(Outcome(claimed, state, message=self.journal.message(claimed.message)))
        self.journal.unclaim("node")

    def give_up(self, name: str) -> str:
        """Give the due delivery of a subscription up; returns its entry in quarantine."""
        for claimed in self.journal.claim("node", lease_seconds=60, limit=10):
            if claimed.subscription == name:
                assert self.journal.failed(claimed, error="RNK5020E", due_at_us=None) is DeliveryState.QUARANTINED
        self.journal.unclaim("node")
        (entry,) = self.journal.quarantine(kind=QuarantineKind.GIVEN_UP.value)
        return entry.id

    def shown(self, name: str) -> float | None:
        families: Any = text_string_to_metric_families(self.metrics.exposition().decode())
        return next((s.value for family in families for s in family.samples if s.name == f"renkei_batch_{name}"), None)

    @property
    def duration(self) -> float | None:
        return self.shown("duration_seconds")

    @property
    def margin(self) -> float | None:
        return self.shown("rerun_margin_seconds")

    @property
    def failed(self) -> bool:
        """As the alert asks it."""
        failure, success = self.shown("last_failure_timestamp_seconds"), self.shown("last_success_timestamp_seconds")
        assert failure is not None
        assert success is not None
        return failure > success


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(tmp_path)
    yield bus
    bus.journal.close()


def test_a_batch_lasts_until_it_is_accepted_and_on_until_its_last_delivery(bus: Bus) -> None:
    bus.file(ReceiptOutcome.ACCEPTED, lasting=60)
    assert (bus.duration, bus.margin) == (60, LEFT - 60 - 60)
    bus.clock.advance(30)
    bus.deliver("tax")
    assert (bus.duration, bus.margin) == (90, LEFT - 90 - 90)
    bus.clock.advance(10)
    bus.deliver("welfare")
    assert (bus.duration, bus.margin) == (100, LEFT - 100 - 100)
    assert bus.shown("last_success_timestamp_seconds") == EVENING_US / 1e6 + 100


def test_a_margin_is_negative_when_one_more_run_does_not_fit(bus: Bus) -> None:
    bus.file(ReceiptOutcome.ACCEPTED, lasting=5 * 3600)
    assert bus.margin == -3600


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_sent_again_later_is_not_of_the_batch(bus: Bus, restarted: bool) -> None:
    message = bus.file(ReceiptOutcome.ACCEPTED, lasting=60)
    bus.deliver("tax", "welfare")
    bus.clock.advance(86_400)
    again = NewDelivery("tax", "010", "tax_in", "c@1.0", "csv", None, FLOW, "a.csv", None, "1" * 64)
    bus.journal.resend(message, again, by="operator")
    bus.deliver("tax")
    if restarted:
        bus.restart()
    assert (bus.duration, bus.margin) == (60, LEFT - 120)


@pytest.mark.parametrize("restarted", [False, True])
def test_what_a_person_released_is_not_of_the_batch(bus: Bus, restarted: bool) -> None:
    bus.file(ReceiptOutcome.ACCEPTED, lasting=60)
    bus.deliver("welfare")
    entry = bus.give_up("tax")
    bus.clock.advance(86_400)
    bus.journal.release(entry, by="operator")
    bus.deliver("tax")
    if restarted:
        bus.restart()
    assert (bus.duration, bus.margin) == (60, LEFT - 120)


@pytest.mark.parametrize("outcome", [ReceiptOutcome.REFUSED, ReceiptOutcome.HELD])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_delivery_of_an_earlier_file_does_not_make_a_failure_good(bus: Bus, outcome: ReceiptOutcome, restarted: bool) -> None:
    bus.file(ReceiptOutcome.ACCEPTED, lasting=60)
    bus.clock.advance(10)
    bus.file(outcome, sequence=2)
    assert bus.failed
    bus.clock.advance(10)
    if restarted:
        bus.restart()
    bus.deliver("tax")
    assert bus.failed
    assert bus.duration == 60
    if restarted:
        bus.restart()
        assert bus.failed
    bus.file(ReceiptOutcome.ACCEPTED, lasting=5, sequence=2 if outcome is ReceiptOutcome.REFUSED else 3)
    assert not bus.failed
    assert bus.duration == 5


def test_a_later_batch_is_not_lengthened_by_an_earlier_ones_delivery(bus: Bus) -> None:
    bus.file(ReceiptOutcome.ACCEPTED, lasting=60)
    bus.clock.advance(1000)
    bus.file(ReceiptOutcome.ACCEPTED, lasting=5, sequence=2)
    bus.deliver("tax", "welfare")
    assert bus.duration == 5


@pytest.mark.parametrize("restarted", [False, True])
def test_a_held_revision_that_was_accepted_makes_its_failure_good(bus: Bus, restarted: bool) -> None:
    first = bus.file(ReceiptOutcome.ACCEPTED, lasting=60)
    bus.deliver("tax", "welfare")
    bus.clock.advance(10)
    held = bus.file(ReceiptOutcome.HELD)
    assert bus.failed
    bus.clock.advance(4 * 3600)
    bus.accept(held, first)
    (entry,) = bus.journal.quarantine(kind=QuarantineKind.HELD_REVISION.value)
    bus.journal.release(entry.id, by="operator")
    bus.clock.advance(7)
    bus.deliver("tax", "welfare")
    if restarted:
        bus.restart()
    assert not bus.failed
    assert bus.duration == 7, "from the decision on: a run does not wait for a person"


def test_a_restart_remembers_the_last_batch(bus: Bus) -> None:
    bus.file(ReceiptOutcome.ACCEPTED, lasting=60)
    bus.clock.advance(30)
    bus.deliver("tax", "welfare")
    before = [bus.duration, bus.margin, bus.shown("last_success_timestamp_seconds")]
    bus.clock.advance(3600)
    bus.restart()
    assert [bus.duration, bus.margin, bus.shown("last_success_timestamp_seconds")] == before
    assert not bus.failed


def test_a_restart_goes_on_with_the_batch_under_way(bus: Bus) -> None:
    bus.file(ReceiptOutcome.ACCEPTED, lasting=60)
    bus.restart()
    bus.clock.advance(40)
    bus.deliver("tax", "welfare")
    assert bus.duration == 100


def test_a_restart_remembers_a_file_that_was_refused_unread(bus: Bus) -> None:
    bus.file(ReceiptOutcome.ACCEPTED, lasting=60)
    bus.clock.advance(10)
    bus.receipt(ReceiptOutcome.REFUSED, None, Taken, None, ())
    assert bus.failed
    bus.restart()
    assert bus.failed


def test_nothing_yet(bus: Bus) -> None:
    assert (bus.duration, bus.margin) == (None, None)
    assert bus.shown("last_success_timestamp_seconds") == 0
    assert not bus.failed
    assert bus.shown("window_seconds") == 36_000
