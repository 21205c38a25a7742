"""One outage of a receiver, released by one operation."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bus.clock import ManualClock
from bus.errors import OperationRefused
from bus.event_ports import Group
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState
from bus.operations_bulk import AT_ONCE, BulkReleases
from tests.journal.event_samples import OWNER, TENANT, claim, event, publish, settle, to


@pytest.fixture
def journal(tmp_path: Path) -> SqlJournal:
    return SqlJournal.open(tmp_path / "journal.db", ManualClock())


def given_up(journal: SqlJournal, count: int, subscription: str) -> None:
    publish(journal, *(event(n, to(subscription)) for n in range(count)))
    while claimed := claim(journal, 500, subscription):
        settle(journal, *claimed, state=DeliveryState.QUARANTINED, error="RNK5600E")


def finished(bulk: BulkReleases, operation: str) -> dict[str, object]:
    for thread in threading.enumerate():
        if thread.name == f"renkei-{operation}":
            thread.join(60)
    return bulk.progress(operation)


def test_everything_of_the_subscription_and_nothing_else(journal: SqlJournal) -> None:
    count = AT_ONCE * 2 + 7
    given_up(journal, count, "welfare")
    journal.commit(Group(accept=[event(9000, to("tax"))]), OWNER, lease_seconds=60)
    settle(journal, *claim(journal, 1, "tax"), state=DeliveryState.QUARANTINED, error="x")
    told: list[str] = []
    bulk = BulkReleases(journal, told.extend)
    found = finished(bulk, bulk.start(TENANT, "welfare", "operator"))
    assert (found["released"], found["finished"], found["error"]) == (count, True, "")
    assert len(told) == count
    assert [entry.subject for entry in journal.quarantine(tenant=TENANT)] == ["tax"]
    assert len(claim(journal, 500, "welfare")) == count
    assert [entry.kind for entry in journal.entries(TENANT, subject=str(found["operation"]))] == ["released_together"]


def test_an_operation_that_is_none(journal: SqlJournal) -> None:
    with pytest.raises(OperationRefused):
        BulkReleases(journal, lambda _: None).progress("332020-o9")
