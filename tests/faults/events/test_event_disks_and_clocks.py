"""Full disks under publishers, and clocks that jump: nothing acknowledged is lost, the node goes on, nothing waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path

import httpx
import pytest

from bus import node_parts
from bus.clock import ManualClock
from bus.errors import JournalUnavailable
from bus.message import Delivery
from bus.node import Node, running_node
from tests.backends import embedded, service_settings
from tests.faults.conftest import Disks
from tests.faults.events.town import FETCHED, HOOKED, PUBLISH, PULL, Hook, cloud_event, publish, write_town
from tests.faults.real_node import until
from tests.webhook.receivers import Receiver, answer, receiving

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS
BLANKS = 100 * 1024
"""Makes an event too long for the journal: its body stands in a part."""


def ids(receiver: Receiver) -> set[str]:
    return {json.loads(asked.body)["id"] for asked in receiver.asked}


def put(node: Node, serial: int, *, blanks: int = 0) -> httpx.Response:
    """Publish one event, with so many blanks between its members."""
    body = json.dumps(cloud_event(serial, serial), ensure_ascii=False).encode().replace(b"{", b"{" + b" " * blanks, 1)
    with httpx.Client(base_url=f"http://127.0.0.1:{node.api_port}", timeout=60) as client:
        return client.post(PUBLISH, content=body, headers={"content-type": "application/cloudevents+json"})


# --- disks


@pytest.mark.slow
@pytest.mark.parametrize("place", ["journal", "var/payloads"])
async def test_a_full_disk_is_told_and_loses_nothing(place: str, tmp_path: Path, disks: Disks, log_of_node: StringIO) -> None:
    blanks = BLANKS if place == "var/payloads" else 0

    def live(receiver: Receiver) -> None:
        with embedded() if place == "journal" else contextlib.nullcontext():
            services = service_settings(tmp_path / "site") or {"journal": {"file": "journal/journal.db"}}
            site = write_town(tmp_path / "site", {HOOKED: Hook(receiver.url)}, services=services)
        disk = disks.mount(site / place, "3m")
        with running_node(site) as node:
            assert put(node, 1, blanks=blanks).status_code == 202
            disk.fill()
            if place == "journal":
                with contextlib.suppress(JournalUnavailable):  # the log is used again from its beginning until it must grow
                    while True:
                        node.parts.journal.note("332020", "viewed", "332020", {"text": "x" * 3000})
            taken = 1
            while (refused := put(node, taken + 1, blanks=blanks)).status_code == 202:
                taken += 1
                assert taken < 3000
            for _ in range(3):
                assert refused.status_code == 503, refused.text
                assert int(refused.headers["retry-after"]) > 0
                assert refused.json()["message_id"].startswith("RNK")
                refused = put(node, taken + 1, blanks=blanks)
            disk.free()
            for serial in range(taken + 1, taken + 11):
                answered = put(node, serial, blanks=blanks)
                assert answered.status_code == 202, answered.text
            until(lambda: finished_of(node, taken + 10), "all are delivered", log_of_node.getvalue)
            assert ids(receiver) == {f"{serial}-{serial}" for serial in range(1, taken + 11)}

    def finished_of(node: Node, count: int) -> bool:
        backlog = node.parts.journal.backlog()
        return [(row.subscription, row.state.value, row.count) for row in backlog] in ([], [(HOOKED, "delivered", count)])

    async with receiving() as receiver:
        await asyncio.to_thread(live, receiver)


# --- clocks


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The clock of every node that starts: it stands still until it is moved."""
    moved = ManualClock(time.time_ns() // 1000)
    monkeypatch.setattr(node_parts, "SystemClock", lambda: moved)
    return moved


Live = Callable[[Receiver], None]


async def with_receiver(live: Live, *conversations: Callable[..., Awaitable[None]]) -> None:
    async with receiving(*conversations) as receiver:
        await asyncio.to_thread(live, receiver)


def of(node: Node, subscription: str) -> Delivery:
    """The newest delivery."""
    return max(node.parts.journal.deliveries(subscription=subscription), key=lambda one: one.number)


@pytest.mark.slow
async def test_a_failed_event_waits_its_time_whatever_the_clock_does(tmp_path: Path, clock: ManualClock, log_of_node: StringIO) -> None:
    retry = {"first_seconds": 900, "factor": 1, "most_seconds": 900, "attempts": 1000}
    jumps = (0, -DAY_SECONDS, 400 * DAY_SECONDS, -400 * DAY_SECONDS)

    def live(receiver: Receiver) -> None:
        site = write_town(tmp_path / "site", {HOOKED: Hook(receiver.url, retry=retry)}, services=service_settings(tmp_path / "site"))
        with running_node(site) as node:
            for serial, jump_seconds in enumerate(jumps, 1):
                assert publish(node.api_port, cloud_event(serial, 1))[0].status_code == 202
                until(lambda: of(node, HOOKED).attempts == 1, "it fails once", log_of_node.getvalue)
                assert 0 <= of(node, HOOKED).due_at_us - clock.now_us() <= 900 * 1_000_000
                clock.advance(jump_seconds)
                clock.advance(900 if jump_seconds >= 0 else 0)
                if jump_seconds < 0:  # a claim finds that the clock went back, and counts the waits anew
                    assert publish(node.api_port, cloud_event(1000 + serial, 1))[0].status_code == 202
                    until(lambda: _due_within(node, clock), "the wait is counted anew", log_of_node.getvalue)
                    clock.advance(900)
                until(lambda: _all_delivered(node), "it is due and delivered", log_of_node.getvalue)
                assert len(receiver.asked) == len({asked.headers["webhook-id"] for asked in receiver.asked}) + serial

    well, badly = answer(200), answer(500)
    await with_receiver(live, badly, well, badly, well, well, badly, well, badly, well)


def _due_within(node: Node, clock: ManualClock) -> bool:
    waiting = [one for one in node.parts.journal.deliveries(subscription=HOOKED) if one.state.value == "due"]
    return all(one.due_at_us <= clock.now_us() + 900 * 1_000_000 for one in waiting)


def _all_delivered(node: Node) -> bool:
    return {one.state.value for one in node.parts.journal.deliveries(subscription=HOOKED)} == {"delivered"}


@pytest.mark.slow
def test_a_lease_ends_whatever_the_clock_does(tmp_path: Path, clock: ManualClock) -> None:
    site = write_town(tmp_path / "site", {}, pulled=[FETCHED], services=service_settings(tmp_path / "site"))
    with running_node(site) as node, httpx.Client(base_url=f"http://127.0.0.1:{node.api_port}", timeout=30) as client:

        def pulled() -> list[dict[str, object]]:
            answered = client.post(f"{PULL}/pull", json={"lease_seconds": 60})
            assert answered.status_code == 200, answered.text
            events: list[dict[str, object]] = answered.json()["events"]
            return events

        def ack(lent: dict[str, object]) -> str:
            named = {"deliveries": [{"delivery": lent["delivery"], "fence": lent["fence"]}]}
            outcome: str = client.post(f"{PULL}/ack", json=named).json()["results"][0]["outcome"]
            return outcome

        assert publish(node.api_port, cloud_event(1, 1))[0].status_code == 202
        (first,) = pulled()
        clock.advance(2 * HOUR_SECONDS)
        (second,) = pulled()
        assert second["delivery"] == first["delivery"]
        assert ack(first) == "stale"
        clock.advance(-DAY_SECONDS)
        assert pulled() == []
        clock.advance(61)
        (third,) = pulled()
        assert third["delivery"] == first["delivery"]
        assert [ack(second), ack(third), ack(third)] == ["stale", "delivered", "delivered"]
