"""Targets that are away, write-protected or no folder; and clocks that jump, also in the middle of a delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from bus import delivery, node_parts
from bus.clock import ManualClock
from bus.delivery_output import seal_and_recount
from bus.message import FINISHED, Delivery, DeliveryState
from bus.node import Node, running_node
from tests.faults.conftest import Disks
from tests.faults.night_site import SUBSCRIPTIONS, Tries, drop, people, write_site
from tests.faults.real_node import until
from tests.faults.receiver import Receiver

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS


def of(node: Node, subscription: str) -> Delivery:
    """The last delivery to a subscription, by its number: the clock may have jumped."""
    return max(node.parts.journal.deliveries(subscription=subscription), key=lambda one: one.number)


def finished(node: Node, *subscriptions: str) -> bool:
    """Whether there are deliveries to each of these, and all are finished."""
    found = [node.parts.journal.deliveries(subscription=subscription) for subscription in subscriptions]
    return all(deliveries and all(one.state in FINISHED for one in deliveries) for deliveries in found)


def failed(node: Node, subscription: str, message_id: str) -> Callable[[], bool]:
    """Whether the newest delivery to a subscription failed for that reason and waits."""
    return lambda: (one := of(node, subscription)).attempts > 0 and message_id in one.last_error


# --- targets


@pytest.mark.slow
def test_a_target_that_cannot_be_written_delays_no_other_and_gets_its_file_when_it_can(
    tmp_path: Path, disks: Disks, log_of_node: StringIO
) -> None:
    site = write_site(tmp_path / "site", tries=Tries(first_seconds=0.1))
    out = site / "out"
    disk = disks.mount(out / "fixed")
    with running_node(site, listen=False) as node:
        drop(site, 1, people())
        until(lambda: finished(node, *SUBSCRIPTIONS), "the first night is over", log_of_node.getvalue)

        (out / "csv").rename(out / "away")
        drop(site, 2, people())
        until(lambda: len(node.parts.journal.deliveries()) == 6 and finished(node, "fixed", "xml"), "the others have theirs")
        until(failed(node, "csv", "RNK5011E"), "the missing folder is told", log_of_node.getvalue)
        (out / "away").rename(out / "csv")
        until(lambda: finished(node, "csv"), "the folder is back, and the file in it")

        disk.protect(protected=True)
        drop(site, 3, people())
        until(lambda: len(node.parts.journal.deliveries()) == 9 and finished(node, "csv", "xml"), "the others have theirs")
        until(failed(node, "fixed", "RNK5012E"), "the write-protected folder is told", log_of_node.getvalue)
        disk.protect(protected=False)
        until(lambda: finished(node, "fixed"), "the folder can be written, and the file is in it")

        (out / "xml").rename(out / "kept")
        (out / "xml").touch()
        drop(site, 4, people())
        until(lambda: len(node.parts.journal.deliveries()) == 12 and finished(node, "csv", "fixed"), "the others have theirs")
        until(lambda: of(node, "xml").state is DeliveryState.QUARANTINED, "what no trying mends is given up at once")
        assert "RNK5016E" in of(node, "xml").last_error
        (given_up,) = node.parts.journal.quarantine(kind="given_up")
        (out / "xml").unlink()
        (out / "kept").rename(out / "xml")
        node.parts.operations.quarantine_release(given_up.id)
        until(lambda: finished(node, "xml"), "released, it is delivered")

        for pattern, data in (("csv/00?.csv", 4), ("fixed/00?.dat", 4), ("xml/00?-01.xml", 4), ("*/*.end", 12)):
            found = list(out.glob(pattern))
            assert len(found) == data
            assert pattern.endswith(".end") or len({path.read_bytes() for path in found}) == 1
        assert not list(out.rglob(".renkei-*"))


# --- clocks


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The clock of every node that starts: it stands still until it is moved."""
    moved = ManualClock()
    monkeypatch.setattr(node_parts, "SystemClock", lambda: moved)
    return moved


@pytest.mark.slow
def test_due_times_hold_whatever_the_clock_does(tmp_path: Path, clock: ManualClock, log_of_node: StringIO) -> None:
    site = write_site(tmp_path / "site", tries=Tries(first_seconds=900))
    target = site / "out" / "csv"
    with running_node(site, listen=False) as node:
        drop(site, 1, people())
        until(lambda: finished(node, *SUBSCRIPTIONS), "the first night is over", log_of_node.getvalue)
        for sequence, jump_seconds in ((2, 0), (3, -DAY_SECONDS), (4, 400 * DAY_SECONDS), (5, -400 * DAY_SECONDS)):
            target.rename(site / "away")
            drop(site, sequence, people())
            until(lambda: len(node.parts.journal.deliveries()) == 3 * sequence, "the file is taken")  # noqa: B023 - asked at once
            until(failed(node, "csv", "RNK5011E"), "the missing target is told", log_of_node.getvalue)
            waiting = of(node, "csv")
            assert 0 <= waiting.due_at_us - clock.now_us() <= 900 * 1_000_000
            (site / "away").rename(target)
            clock.advance(jump_seconds)
            until(lambda: finished(node, "fixed", "xml"), "the others have theirs")
            if jump_seconds < 0:
                until(lambda: _due_within(node, clock, 900), "the wait is counted anew", log_of_node.getvalue)
            if jump_seconds <= 0:
                assert of(node, "csv").state is DeliveryState.DUE, "it is not due, and is not tried"
            clock.advance(900)
            until(lambda: finished(node, "csv"), "it is due and delivered", log_of_node.getvalue)
            assert of(node, "csv").attempts == 1
        assert len({path.read_bytes() for path in target.glob("*.csv")}) == 1
        assert len(list(target.glob("*.csv"))) == 5


def _due_within(node: Node, clock: ManualClock, seconds: int) -> bool:
    return of(node, "csv").due_at_us <= clock.now_us() + seconds * 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("step", ["written", "ready"])
def test_a_clock_that_jumps_in_mid_delivery_makes_no_second_copy(
    step: str, tmp_path: Path, clock: ManualClock, log_of_node: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every lease runs out at once; each delivery is claimed again while its first attempt still runs, and goes on only then."""
    site = write_site(tmp_path / "site")
    targets = [site / "out" / subscription for subscription in SUBSCRIPTIONS]
    overtaken: list[str] = []

    async def overtake(node: Node, claimed: Delivery, is_overtaken: Callable[[Delivery], bool]) -> None:
        clock.advance(2 * HOUR_SECONDS)
        await asyncio.to_thread(until, lambda: is_overtaken(node.parts.journal.delivery(claimed.id)), "it is overtaken")
        overtaken.append(claimed.subscription)

    publish_again = delivery.Deliverer._publish

    async def sealing(pool: Any, claimed: Delivery, *rest: Any) -> Any:
        if claimed.fence == 1:
            await overtake(node, claimed, lambda now: now.fence > 1)
        return await seal_and_recount(pool, claimed, *rest)

    async def publishing(deliverer: Any, sink: Any, publication: Any) -> None:
        first = publication.renames[0][0].split("-")
        if first[3] == "1" and first[1:3] not in begun:
            begun.append(first[1:3])
            await overtake(node, node.parts.journal.delivery("-".join(first[1:3])), lambda now: now.state in FINISHED)
        await publish_again(deliverer, sink, publication)

    begun: list[list[str]] = []
    if step == "written":
        monkeypatch.setattr(delivery, "seal_and_recount", sealing)
    else:
        monkeypatch.setattr(delivery.Deliverer, "_publish", publishing)
    with Receiver(targets, tmp_path / "taken") as receiver, running_node(site, listen=False) as node:
        drop(site, 1, people())
        until(lambda: finished(node, *SUBSCRIPTIONS) and len(overtaken) == 3, "all is delivered", log_of_node.getvalue)
        assert sorted(overtaken) == sorted(SUBSCRIPTIONS)
        assert {one.attempts for one in node.parts.journal.deliveries()} == {0}
        assert {one.fence for one in node.parts.journal.deliveries()} == {2}
    assert set(receiver.times.values()) == {1}
    assert len(receiver.times) == 9
    assert not list((site / "out").rglob(".renkei-*"))
