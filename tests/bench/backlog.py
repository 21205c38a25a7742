"""`renkei bench backlog`: what operators do, and how quickly events come in, with a million deliveries queued.

Owns: a journal filled with queued deliveries, some in quarantine, beside an empty one. Operator actions are timed one by one at the full
journal (p95). Intake is timed in groups of sixty, at the full and at an empty journal in turn, so that both see the same machine.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bus.batch.recipes import Recipes
from bus.broker.embedded import EmbeddedHints
from bus.clock import SystemClock
from bus.event import Attributes, EventDelivery, Lane, NewEvent, Settlement, Wanted, Way
from bus.event_ports import Group
from bus.intake_submitted import Submissions
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState, Versions
from bus.operations import Operations
from bus.operations_bulk import BulkReleases
from bus.payloads import DirectoryPayloads
from bus.security.seal import IdentitySeal
from bus.site_check import load_site, registry_of, translations_of
from tests.bench.event_site import TENANT, record, write_site
from tests.bench.machine import described

GROUP = 60
SUBSCRIPTION = "welfare"
_TO = EventDelivery(SUBSCRIPTION, "010", "welfare_in", "move@1.0", None, Way.PULL, Lane.NORMAL, filtered=False, flags=False, waits=False)
_VERSIONS = Versions("move@1.0", "d" * 64, "", "c" * 64, "1")
_BODY = str(record("0" * 15)).encode()


def run(*, deliveries: int, rounds: int) -> dict[str, Any]:
    """Measure. Seconds at the 95th percentile of each action, and `intake_ratio_to_empty` (medians of interleaved rounds)."""
    folder = Path(tempfile.mkdtemp(prefix="renkei-bench-"))
    try:
        return _measured(folder, deliveries, rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(folder: Path, deliveries: int, rounds: int) -> dict[str, Any]:
    full = _filled(folder / "full", deliveries)
    actions = _actions(folder, full, deliveries, rounds)
    empty_rates, full_rates = [], []
    for number in range(rounds):
        empty = SqlJournal.open(folder / f"empty{number}" / "journal.db", SystemClock())
        _intake(empty, number * 2, 5)  # both are warm
        _intake(full, number * 2, 5)
        empty_rates.append(_intake(empty, number * 2, 40))
        full_rates.append(_intake(full, number * 2 + 1, 40))
        empty.close()
    full.close()
    return {
        "queued_deliveries": deliveries,
        **{f"{name}_p95_seconds": _p95(times) for name, times in actions.items()},
        **{f"{name}_median_seconds": round(statistics.median(times), 5) for name, times in actions.items()},
        "intake_ratio_to_empty": round(statistics.median(full_rates) / statistics.median(empty_rates), 3),
        "intake_events_per_second_full": round(statistics.median(full_rates)),
        "intake_events_per_second_empty": round(statistics.median(empty_rates)),
        "machine": described("sqlalchemy"),
    }


def _event(stamp: str, number: int) -> NewEvent:
    return NewEvent(
        tenant=TENANT,
        interface="moves",
        source_system="001",
        endpoint="moves_out",
        versions=_VERSIONS,
        business_date="2026-11-20",
        attributes=Attributes(f"{stamp}-{number:08}", "/resident", "jp.move"),
        form="binary",
        body=_BODY,
        content=f"{stamp}{number:056}",
        ordering_key=f"{(number * 2654435761) % 2**128:032x}",  # a person of its own each, in no order
        deliveries=(_TO,),
    )


def _filled(folder: Path, deliveries: int) -> SqlJournal:
    """A journal with so many queued deliveries, a thousand of them in quarantine. Filled without waiting for the disk."""
    quick = SqlJournal.open(folder / "journal.db", SystemClock(), synchronous="OFF")
    for first in range(0, deliveries, 500):
        quick.commit(Group(accept=[_event("fill", n) for n in range(first, min(first + 500, deliveries))]), "node", lease_seconds=60)
    for _ in range(10):
        wanted = Wanted(TENANT, SUBSCRIPTION, 100, "node", 60, Way.PULL)
        claimed = quick.commit(Group(claim=[wanted]), "node", lease_seconds=60).claimed[0]
        given_up = [Settlement(one.id, one.fence, DeliveryState.QUARANTINED, "RNK5600E") for one in claimed]
        quick.commit(Group(settle=given_up), "node", lease_seconds=60)
    quick.close()
    return SqlJournal.open(folder / "journal.db", SystemClock())


def _actions(folder: Path, journal: SqlJournal, deliveries: int, rounds: int) -> dict[str, list[float]]:
    """What operators do, each timed by itself."""
    write_site(folder / "site")
    site = load_site(folder / "site")
    registry = registry_of(site)
    recipes = Recipes(site, registry, translations_of(site, registry))
    payloads = DirectoryPayloads(folder / "payloads", IdentitySeal())
    submissions = Submissions(recipes, folder / "submitted", lambda _arrival, _progress: None)
    hints = EmbeddedHints()
    operations = Operations(recipes, journal, payloads, submissions, hints, SystemClock(), BulkReleases(journal, hints.publish))
    entries = [entry["id"] for entry in operations.quarantine_list(tenant=TENANT, limit=1000)]
    times: dict[str, list[float]] = {}

    def timed(name: str, deed: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = deed()
        times.setdefault(name, []).append(time.perf_counter() - began)
        return result

    for number in range(rounds * 10):
        timed("list", lambda: operations.deliveries(limit=100))
        timed("list_of_subscription", lambda: operations.deliveries(tenant=TENANT, subscription=SUBSCRIPTION, limit=100))
        timed("list_of_state", lambda: operations.deliveries(tenant=TENANT, state="quarantined", limit=100))
        timed("messages", lambda: operations.messages(tenant=TENANT, limit=100))
        timed("quarantine", lambda: operations.quarantine_list(tenant=TENANT, limit=100))
        timed("trace", lambda number=number: operations.trace(f"{TENANT}-m{number * 7919 % deliveries + 1}"))
        timed("release", lambda number=number: operations.quarantine_release(entries[number]))
    operation = timed("release_all", lambda: operations.quarantine_release_all(TENANT, SUBSCRIPTION))["operation"]
    while not operations.operation_progress(operation)["finished"]:
        time.sleep(0.01)
    return times


def _intake(journal: SqlJournal, number: int, groups: int) -> float:
    """Events a second, in groups of sixty, each commit on disk."""
    prepared = [[_event(f"in{number}-{groups}-{group}", n) for n in range(GROUP)] for group in range(groups)]
    began = time.perf_counter()
    for group in prepared:
        journal.commit(Group(accept=group), "node", lease_seconds=60)
    return groups * GROUP / (time.perf_counter() - began)


def _p95(times: list[float]) -> float:
    return round(sorted(times)[min(len(times) - 1, int(len(times) * 0.95))], 5)
