"""Two real nodes on one PostgreSQL: a dead one's work is taken over; work hints over RabbitMQ may be lost, purged or away, events not."""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from bus.broker.rabbitmq import QUEUE
from tests.backends import site_journal
from tests.faults.events.town import HOOKED, EventNode, Hook, cloud_event, publish, record, wait_for, write_town
from tests.services.postgres import fresh_database
from tests.services.rabbitmq import RabbitMq, private_rabbitmq
from tests.webhook.receivers import Receiver, answer, hang, receiving

QUICK = ("-m", "tests.faults.events.quick_node")
LONG_SECONDS = 3.0
"""A delivery that no hint told of is found by a sweep, which looks every second."""


def keys(receiver: Receiver) -> list[str]:
    return [asked.headers["webhook-id"] for asked in receiver.asked]


def ids(receiver: Receiver) -> list[str]:
    return [json.loads(asked.body)["id"] for asked in receiver.asked]


@contextmanager
def nodes_of(site: Path, **roles: str) -> Iterator[list[EventNode]]:
    """Nodes of the site with these names and roles, the first one up before the others start."""
    with ExitStack() as stack:
        made = [EventNode(site, name, role=role, program=QUICK) for name, role in roles.items()]
        for node in made:
            stack.callback(node.end)
            node.start()
            if node is made[0]:
                node.await_serving()
        yield made


def drop(site: Path, sequence: int) -> str:
    """Drop a file of ten records; returns its name."""
    name = f"N20261120_{sequence:03}.csv"
    rows = [record(person, sequence) for person in range(10)]
    text = "\r\n".join(["person,serial,name,kind,note", *(f"{row['person']},{row['serial']},{row['name']},{row['kind']}," for row in rows)])
    (site / "drop" / f".{name}").write_text(text + "\r\n", "utf-8")
    (site / "drop" / f".{name}").rename(site / "drop" / name)
    (site / "drop" / f"{name}.end").touch()
    return name


@pytest.mark.slow
async def test_what_a_dead_node_had_begun_is_taken_over(tmp_path: Path) -> None:
    """Events that it was sending, a file it was taking in, the folder it watched."""

    def live(receiver: Receiver) -> None:
        site = write_town(tmp_path / "site", {HOOKED: Hook(receiver.url, 30)}, services={"journal": fresh_database().settings}, drop=True)
        with nodes_of(site, node1="all", node2="all") as (first, second), closing(site_journal(site)) as journal:
            second.await_serving()
            assert [each.status_code for each in publish(first.port, cloud_event(1, 1), cloud_event(2, 1))] == [202, 202]
            wait_for(lambda: len(receiver.asked) == 2, "both are being sent", first)
            first.stop_at("before_accept=kill")
            one = drop(site, 1)
            assert first.died() == -signal.SIGKILL
            assert len(list((site / "drop" / "claimed").rglob(one))) == 1
            wait_for((site / "out" / one).exists, "the other node takes the file over", second)
            two = drop(site, 2)
            wait_for((site / "out" / two).exists, "and the folder", second)
            sent = journal.deliveries(subscription=HOOKED)
            wait_for(lambda: {one.state.value for one in journal.deliveries(subscription=HOOKED)} == {"delivered"}, "the events", second)
            assert {one.fence for one in journal.deliveries(subscription=HOOKED)} == {2}
            assert len(sent) == 2
            files = journal.deliveries(subscription="out_night")
            assert [one.state.value for one in files] == ["delivered", "delivered"]
            assert len(journal.receipts()) == 2
            assert second.end(signal.SIGTERM) == 0

    async with receiving(hang, hang, answer(200)) as receiver:
        await asyncio.to_thread(live, receiver)
        assert sorted(ids(receiver)) == ["1-1", "1-1", "2-1", "2-1"]
        assert len(set(keys(receiver))) == 2


@contextmanager
def purging(rabbitmq: RabbitMq) -> Iterator[list[int]]:
    """Every queue is emptied again and again; gives how often."""
    ended, times = threading.Event(), [0]

    def purge() -> None:
        while not ended.wait(0.01):
            with suppress(urllib.error.HTTPError):
                rabbitmq.broker.api("DELETE", f"queues/%2F/{QUEUE}/contents")
                times[0] += 1

    thread = threading.Thread(target=purge)
    thread.start()
    try:
        yield times
    finally:
        ended.set()
        thread.join()


def latencies(port: int, receiver: Receiver, serials: range) -> list[float]:
    """Seconds from the answer to the publisher until the receiver has the event, one after another."""
    found = []
    for serial in serials:
        (answered,) = publish(port, cloud_event(9, serial))
        assert answered.status_code == 202, answered.text
        began = time.monotonic()
        while not receiver.asked or ids(receiver)[-1] != f"9-{serial}":
            assert time.monotonic() < began + 30, f"9-{serial} does not come"
            time.sleep(0.005)
        found.append(time.monotonic() - began)
    return found


@pytest.mark.slow
async def test_hints_may_be_purged_and_their_broker_stopped(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """One node takes events in, another sends them: between them are only hints and the journal."""

    def told(what: str, found: list[float]) -> None:
        line = f"{what:24} median {statistics.median(found):.3f} s  longest {max(found):.3f} s"
        record_property("table: from accepted to delivered, between two nodes", line)

    def live(receiver: Receiver, rabbitmq: RabbitMq) -> None:
        broker = {"url": rabbitmq.broker.url("/", password=False), "password_file": str(rabbitmq.broker.password_file(tmp_path))}
        services = {"journal": fresh_database().settings, "broker": broker}
        site = write_town(tmp_path / "site", {HOOKED: Hook(receiver.url)}, services=services)
        with nodes_of(site, node1="api", node2="dispatch") as (api, dispatch):
            wait_for(lambda: rabbitmq.broker.api("GET", f"queues/%2F/{QUEUE}").get("consumers") == 1, "hints are waited for", api, dispatch)
            by_hint = latencies(api.port, receiver, range(1, 21))
            told("hints", by_hint)
            assert statistics.median(by_hint) < 0.5
            with purging(rabbitmq) as times:
                people = [(person, serial) for serial in range(1, 31) for person in range(100, 110)]
                answers = publish(api.port, *(cloud_event(*each) for each in people))
                assert {each.status_code for each in answers} == {202}
                assert max(latencies(api.port, receiver, range(21, 31))) < 30
            assert times[0] > 20
            wait_for(lambda: len(set(ids(receiver))) == 330, "all of them come", api, dispatch)
            rabbitmq.stop()
            by_sweep = latencies(api.port, receiver, range(31, 41))
            told("broker stopped", by_sweep)
            assert statistics.median(by_sweep) < LONG_SECONDS
            rabbitmq.start()
            wait_for(lambda: all("RNK7102I" in node.told() for node in (api, dispatch)), "both are connected again", api, dispatch)
            again = latencies(api.port, receiver, range(41, 51))
            told("broker is back", again)
            assert statistics.median(again) < 0.5

    async with receiving() as receiver:
        with private_rabbitmq() as rabbitmq:
            await asyncio.to_thread(live, receiver, rabbitmq)
        assert len(receiver.asked) == len(set(keys(receiver))) == 350
        own = [int(event.partition("-")[2]) for event in ids(receiver) if event.startswith("9-")]
        assert own == list(range(1, 51))
