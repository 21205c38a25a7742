"""When a batch is late, by a clock moved by hand and a journal of the real kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bus.clock import ManualClock
from bus.message import Delivery, Identity, Message, NewDelivery, NewMessage, NewQuarantine, QuarantineKind, Versions
from bus.operations_night import InterfaceNight, night
from bus.site import Interface, LoadedSite, LoadedTenant, Site, System, Tenant, Window
from contracts.totals import Totals
from tests.backends import open_journal

TENANT, FLOW = "332020", "resident"
NONE = Totals()
VERSIONS = Versions("resident@1.0", "0" * 64, "mainframe_csv", "1" * 64, "1.0")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Tokyo")).timestamp() * 1_000_000)


class Night:
    """One interface, expected daily from 20:00 to 06:00, its business day ending at 12:00."""

    def __init__(self, folder: Path, started: str) -> None:
        self.clock = ManualClock(at(started))
        self.journal = open_journal(folder, self.clock)
        self.interface = Interface(
            id=FLOW,
            contract="resident@1.0",
            layout="mainframe_csv",
            endpoint="drop",
            file="R_{business_date:%Y%m%d}.csv",
            window=Window(start="20:00", end="06:00"),
            day_ends="12:00",
            expected="daily",
        )
        self.journal.note(TENANT, "configuration_loaded", "digest", {})

    def seen(self, now: str) -> InterfaceNight:
        self.clock.set_us(at(now))
        tenant = Tenant(
            tenant=TENANT,
            name={"ja": "倉敷市", "en": "Kurashiki"},
            systems=[System(id="001", name={"ja": "住基", "en": "residents"})],
            interfaces=[self.interface],
        )
        site = LoadedSite(Site(site="test", tenants=["a"]), Path("/"), {TENANT: LoadedTenant(tenant, "", Path("/a"))})
        (found,) = night(site, self.journal, self.clock)
        return found

    def came(self, now: str, day: str, sequence: int = 1) -> Message:
        self.clock.set_us(at(now))
        new = NewMessage(
            Identity(TENANT, FLOW, day, sequence), "001", "drop", "full", VERSIONS, "R.csv", 0, f"{sequence:064}", 0, {}, chunks=()
        )
        return self.journal.begin(new).message

    def accepted(self, now: str, day: str, *, subscriptions: tuple[str, ...] = (), sequence: int = 1) -> list[Delivery]:
        message = self.came(now, day, sequence)
        new = [
            NewDelivery(name, "010", f"{name}_in", "resident@1.0", "csv_utf8", None, FLOW, f"{name}.csv", None, "1" * 64)
            for name in subscriptions
        ]
        return list(self.journal.accept(message.id, good=NONE, rejected=NONE, quarantine=(), deliveries=new))

    def delivered(self, now: str) -> None:
        self.clock.set_us(at(now))
        for claimed in self.journal.claim("node", lease_seconds=60, limit=10):
            self.journal.ready_to_publish(claimed, {"files": []}, 0)
            self.journal.delivered(claimed, taken_in=NONE, out=NONE, filtered=NONE, refused=NONE, quarantine=())


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Night]:
    night = Night(tmp_path, "2026-11-18 09:00")
    yield night
    night.journal.close()


def test_nothing_is_late_before_the_window_ends_when_the_last_night_was_good(started: Night) -> None:
    started.accepted("2026-11-19 23:00", "2026-11-19")
    for now in ("2026-11-20 19:59", "2026-11-20 20:00", "2026-11-21 05:59"):
        found = started.seen(now)
        assert (found.business_date, found.accepted, found.late) == ("2026-11-19", True, False), now


def test_late_from_the_moment_the_window_ends(started: Night) -> None:
    started.accepted("2026-11-19 23:00", "2026-11-19")
    found = started.seen("2026-11-21 06:00")
    assert (found.business_date, found.expected, found.accepted, found.late) == ("2026-11-20", True, False, True)
    assert started.seen("2026-11-21 18:00").late, "all day, until the batch is done or the next window has ended"


def test_accepted_in_time(started: Night) -> None:
    started.accepted("2026-11-21 01:30", "2026-11-20")
    found = started.seen("2026-11-21 06:00")
    assert (found.business_date, found.accepted, found.late) == ("2026-11-20", True, False)


def test_accepted_too_late_is_late_until_then(started: Night) -> None:
    assert started.seen("2026-11-21 08:00").late
    started.accepted("2026-11-21 08:30", "2026-11-20")
    assert not started.seen("2026-11-21 08:31").late


def test_accepted_for_another_date_does_not_count(started: Night) -> None:
    started.accepted("2026-11-21 01:30", "2026-11-19")
    started.accepted("2026-11-21 01:40", "2026-11-21", sequence=2)
    found = started.seen("2026-11-21 07:00")
    assert (found.business_date, found.accepted, found.late) == ("2026-11-20", False, True)


@pytest.mark.parametrize("end", ["hold", "refuse", "still received"])
def test_what_was_not_accepted_does_not_count(started: Night, end: str) -> None:
    message = started.came("2026-11-21 01:30", "2026-11-20")
    if end == "hold":
        started.journal.hold(message.id, good=NONE, rejected=NONE, quarantine=(), reason="{}")
    elif end == "refuse":
        refused = NewQuarantine(QuarantineKind.REFUSED_FILE, "R.csv", 0, {})
        started.journal.refuse(message.id, quarantine=[refused], reason="{}")
    assert started.seen("2026-11-21 07:00").late


def test_a_batch_is_done_when_its_deliveries_are(started: Night) -> None:
    started.accepted("2026-11-21 05:50", "2026-11-20", subscriptions=("tax", "welfare"))
    assert started.seen("2026-11-21 06:01").late, "accepted, and nothing delivered"
    started.delivered("2026-11-21 06:10")
    assert not started.seen("2026-11-21 06:11").late


def test_a_delivery_that_was_given_up_or_sent_again_does_not_make_a_batch_late(started: Night) -> None:
    (delivery,) = started.accepted("2026-11-21 01:00", "2026-11-20", subscriptions=("tax",))
    (claimed,) = started.journal.claim("node", lease_seconds=60, limit=10)
    started.journal.failed(claimed, error="RNK5020E", due_at_us=None)
    assert not started.seen("2026-11-21 06:01").late, "it has an alert of its own"
    (entry,) = started.journal.quarantine(kind=QuarantineKind.GIVEN_UP.value)
    started.journal.skip(entry.id, by="operator")
    new = NewDelivery("tax", "010", "tax_in", "resident@1.0", "csv_utf8", None, FLOW, "tax.csv", None, "1" * 64)
    started.journal.resend(delivery.message, new, by="operator")
    assert not started.seen("2026-11-21 06:10").late


def test_the_first_start_after_a_window_owes_nothing_for_it(tmp_path: Path) -> None:
    late_start = Night(tmp_path, "2026-11-21 06:00")
    found = late_start.seen("2026-11-21 06:00")
    assert (found.business_date, found.expected, found.late) == ("2026-11-20", False, False)
    assert not late_start.seen("2026-11-22 05:59").late
    found = late_start.seen("2026-11-22 06:00")
    assert (found.business_date, found.late) == ("2026-11-21", True)
    late_start.journal.close()


def test_the_first_start_within_a_window_owes_that_night(tmp_path: Path) -> None:
    started = Night(tmp_path, "2026-11-21 05:00")
    assert started.seen("2026-11-21 06:00").late
    started.journal.close()


def test_an_interface_that_expects_nothing_is_never_late(started: Night) -> None:
    started.interface = started.interface.model_copy(update={"expected": "none"})
    found = started.seen("2026-11-21 09:00")
    assert found == replace(found, expected=False, accepted=False, late=False)


def test_a_day_that_ends_at_midnight(started: Night) -> None:
    hours = {"window": Window(start="01:00", end="04:00"), "day_ends": "00:00"}
    started.interface = started.interface.model_copy(update=hours)
    started.accepted("2026-11-20 02:00", "2026-11-20")
    assert started.seen("2026-11-21 03:59") == InterfaceNight(TENANT, FLOW, "2026-11-20", True, True, False)
    assert started.seen("2026-11-21 04:00") == InterfaceNight(TENANT, FLOW, "2026-11-21", True, False, True)
