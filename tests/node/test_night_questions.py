"""The night at a glance asks the journal as often for 1,700 tenants as for one, on either database, and is quickly told."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bus.clock import ManualClock
from bus.journal.journal import SqlJournal
from bus.message import Identity, NewDelivery, NewMessage, Versions
from bus.operations_night import night
from bus.site import Interface, LoadedSite, LoadedTenant, Site, System, Tenant
from contracts.totals import Totals
from tests.backends import journal_database

TENANTS = 1700
NONE = Totals()
VERSIONS = Versions("resident@1.0", "0" * 64, "mainframe_csv", "1" * 64, "1.0")
FLOWS = ("resident", "tax")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Tokyo")).timestamp() * 1_000_000)


def interface(name: str) -> Interface:
    return Interface(
        id=name, contract="resident@1.0", layout="mainframe_csv", endpoint="drop", file="R_{business_date}.csv", expected="daily"
    )


def site_of(tenants: int) -> LoadedSite:
    loaded = {}
    for number in range(tenants):
        code = f"{number:06}"
        tenant = Tenant(
            tenant=code,
            name={"ja": "市", "en": "city"},
            systems=[System(id="001", name={"ja": "住基", "en": "residents"})],
            interfaces=[interface(name) for name in FLOWS],
        )
        loaded[code] = LoadedTenant(tenant, "", Path("/a"))
    return LoadedSite(Site(site="test", tenants=["a"]), Path("/"), loaded)


class Counted:
    """The night's questions to a journal, counted."""

    def __init__(self, journal: SqlJournal) -> None:
        self.journal = journal
        self.asked = 0

    def first_entries(self) -> Mapping[str, int]:
        self.asked += 1
        return self.journal.first_entries()

    def batches_done(self, wanted: Collection[tuple[str, str, str]]) -> Mapping[tuple[str, str, str], bool]:
        self.asked += 1
        return self.journal.batches_done(wanted)


@pytest.fixture(params=["sqlite", "postgresql"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlJournal]:
    clock = ManualClock(at("2026-11-19 09:00"))
    if request.param == "sqlite":
        opened = SqlJournal.open(tmp_path / "journal.db", clock)
    else:
        database = journal_database(tmp_path)
        opened = SqlJournal.open(database.url, clock, password_file=database.password_file)
    yield opened
    opened.close()


def accept(journal: SqlJournal, clock: ManualClock, tenant: str, flow: str, day: str, *, waits: bool) -> None:
    identity = Identity(tenant, flow, day, 1)
    new = NewMessage(identity, "001", "drop", "full", VERSIONS, "R.csv", 0, "2" * 64, 0, {}, chunks=())
    delivery = NewDelivery("tax", "010", "tax_in", "resident@1.0", "csv_utf8", None, flow, "tax.csv", None, "1" * 64)
    message = journal.begin(new).message
    journal.accept(message.id, good=NONE, rejected=NONE, quarantine=(), deliveries=[delivery] if waits else [])


def test_each_batch_is_told_for_itself(journal: SqlJournal) -> None:
    clock = ManualClock(at("2026-11-21 05:00"))
    for number in range(4):
        journal.note(f"{number:06}", "configuration_loaded", "digest", {})
    accept(journal, clock, "000000", "resident", "2026-11-20", waits=False)
    accept(journal, clock, "000001", "resident", "2026-11-20", waits=True)
    accept(journal, clock, "000002", "resident", "2026-11-19", waits=False)
    clock.set_us(at("2026-11-21 07:00"))
    late = {(found.tenant, found.interface) for found in night(site_of(4), journal, clock) if found.late}
    everything = {(f"{number:06}", flow) for number in range(4) for flow in FLOWS}
    assert late == everything - {("000000", "resident")}
    accepted = {found.tenant for found in night(site_of(4), journal, clock) if found.accepted}
    assert accepted == {"000000", "000001"}


def test_many_tenants_cost_two_questions_and_little_time(journal: SqlJournal) -> None:
    clock = ManualClock(at("2026-11-21 07:00"))
    for number in range(0, TENANTS, 100):
        journal.note(f"{number:06}", "configuration_loaded", "digest", {})
        accept(journal, clock, f"{number:06}", "resident", "2026-11-20", waits=number % 200 == 0)
    site, counted = site_of(TENANTS), Counted(journal)
    night(site, counted, clock)
    counted.asked = 0
    begun = time.perf_counter()
    found = night(site, counted, clock)
    seconds = time.perf_counter() - begun
    assert counted.asked == 2
    assert len(found) == TENANTS * len(FLOWS)
    assert sum(each.late for each in found) == TENANTS // 100 * 2 - TENANTS // 200
    assert seconds < 0.5, f"{seconds:.3f} s"
