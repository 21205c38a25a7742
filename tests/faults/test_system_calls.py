"""Accepted means on disk, and published means on disk before: the order of system calls, which a kill -9 cannot show.

A night is run under strace. The same checks must fail when the journal is opened without syncing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backends import embedded
from tests.faults.night_site import SUBSCRIPTIONS, TENANT, drop, file_name, people, write_site
from tests.faults.real_node import REPOSITORY
from tests.faults.trace import Call, Trace, check_order, traced

MESSAGE = f"{TENANT}-m1"
CHUNKS = 4
SEALED_PARTS = CHUNKS + 1
"""The chunks, and the titles before the first."""
DELIVERED = {"csv": "delivered", "fixed": "delivered_with_refusals", "xml": "delivered"}


@dataclass
class Night:
    """One traced night in its site."""

    site: Path
    trace: Trace

    @property
    def wal(self) -> str:
        """The journal's write-ahead log, where every commit goes."""
        return str(self.site / "journal" / "journal.db-wal")

    def committing(self, entry: str) -> Call:
        """The write of the journal that first held an entry, e.g. `accepted` of a message: kind and subject stand side by side."""
        found = self.trace.writes(self.wal, entry)
        assert found, f"the journal never held {entry}"
        return found[0]

    @property
    def acknowledged(self) -> Call:
        """The claimed file is removed: its sender is told."""
        name = file_name(1)
        removed = self.trace.find(lambda call: call.name.startswith("unlink") and "/claimed/" in call.paths[0])
        (found,) = [call for call in removed if call.paths[0].endswith(name)]
        return found


def night(folder: Path, synchronous: str) -> Night:
    with embedded():  # PostgreSQL syncs in processes of its own
        site = write_site(folder / "site", chunk_bytes=12_000)
    drop(site, 1, people())
    program = REPOSITORY / "tests" / "faults" / "one_night_node.py"
    return Night(site, traced([str(program), str(site), synchronous], folder / "calls"))


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return night(tmp_path_factory.mktemp("durable"), "FULL")


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return night(tmp_path_factory.mktemp("careless"), "OFF")


def check_payloads(one: Night) -> None:
    """Every part and its folder are on disk before the sender is told."""
    trace, told = one.trace, one.acknowledged
    folder = one.site / "var" / "payloads" / TENANT / MESSAGE
    parts = [rename for rename in trace.renames(lambda target: Path(target).parent == folder) if rename[0].ended < told.began]
    assert len([target for _, _, target in parts if "/original" in target]) == SEALED_PARTS
    for renamed, writing, _ in parts:
        trace.check_synced(writing, after=trace.writes(writing)[-1], before=renamed)
        trace.check_synced(str(folder), after=renamed, before=told)
    for made in trace.find(lambda call: call.name.startswith("mkdir") and f"/payloads/{TENANT}" in call.paths[0]):
        trace.check_synced(str(Path(made.paths[0]).parent), after=made, before=told)


def check_acceptance(one: Night) -> None:
    """Every chunk, the acceptance and the receipt are on disk before the sender is told, and the parts of a chunk before the chunk."""
    trace, told = one.trace, one.acknowledged
    for entry in (f"chunk_done{MESSAGE}", f"accepted{MESSAGE}", f"received{TENANT}-r1"):
        check_order(one.committing(entry), told)
        trace.check_synced(one.wal, after=one.committing(entry), before=told)
    done = trace.writes(one.wal, f"chunk_done{MESSAGE}")
    first_part = trace.renames(lambda target: f"/{MESSAGE}/original-" in target)[0][0]
    check_order(first_part, done[0])
    trace.check_synced(str(one.site / "journal"), after=trace.writes(one.wal)[0], before=told)


def check_publishing(one: Night, subscription: str) -> None:
    """Bytes synced, ready committed, data renamed, folder synced, marker renamed, folder synced, delivered committed: in this order."""
    trace, folder = one.trace, one.site / "out" / subscription
    delivery = f"{TENANT}-d{SUBSCRIPTIONS.index(subscription) + 1}"
    ready = one.committing(f"ready_to_publish{delivery}")
    delivered = one.committing(f"{DELIVERED[subscription]}{delivery}")
    renames = trace.renames(lambda target: Path(target).parent == folder)
    assert len(renames) == (5 if subscription == "xml" else 2)
    for renamed, temporary, _ in renames:
        last_written = trace.writes(temporary)[-1]
        trace.check_synced(temporary, after=last_written, before=ready)
        trace.check_synced(str(folder), after=last_written, before=ready)
        trace.check_synced(one.wal, after=ready, before=renamed)
        trace.check_synced(str(folder), after=renamed, before=delivered)
    *data, (marker, _, name) = renames
    assert name.endswith(".end")
    for renamed, _, _ in data:
        trace.check_synced(str(folder), after=renamed, before=marker)


@pytest.mark.slow
def test_what_was_sent_is_on_disk_before_its_sender_is_told(durable: Night) -> None:
    check_payloads(durable)


@pytest.mark.slow
def test_the_acceptance_is_on_disk_before_the_sender_is_told(durable: Night) -> None:
    check_acceptance(durable)


@pytest.mark.slow
@pytest.mark.parametrize("subscription", SUBSCRIPTIONS)
def test_what_is_delivered_is_on_disk_step_by_step(durable: Night, subscription: str) -> None:
    check_publishing(durable, subscription)


@pytest.mark.slow
def test_without_syncing_the_journal_the_acceptance_is_found_wanting(careless: Night) -> None:
    check_payloads(careless)  # the parts do not depend on it
    with pytest.raises(AssertionError, match=r"journal\.db-wal is not synced"):
        check_acceptance(careless)


@pytest.mark.slow
def test_without_syncing_the_journal_the_publishing_is_found_wanting(careless: Night) -> None:
    for subscription in SUBSCRIPTIONS:
        with pytest.raises(AssertionError, match=r"journal\.db-wal is not synced"):
            check_publishing(careless, subscription)
