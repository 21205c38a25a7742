"""PostgreSQL restarted and stalled under publishers: they are told to come back, and what they were told is safe is safe."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.backends import site_journal
from tests.faults.events.town import HOOKED, PUBLISH, EventNode, Hook, cloud_event, publish, wait_for, write_town
from tests.proxy import TcpProxy
from tests.services.postgres import PostgresServer, private_server
from tests.webhook.receivers import Receiver, receiving

PUBLISHERS = 8
BOUND_SECONDS = 40.0
"""The longest a publisher waits for an answer while the database says nothing: its turn, a statement, and the answer."""


@dataclass
class Place:
    """A node whose database can be stopped and stalled."""

    site: Path
    node: EventNode
    postgres: PostgresServer
    proxy: TcpProxy


@contextmanager
def placed(folder: Path, hook: str) -> Iterator[Place]:
    with ExitStack() as stack:
        postgres = stack.enter_context(private_server())
        proxy = stack.enter_context(TcpProxy("127.0.0.1", postgres.server.port))
        database = postgres.server.database()
        url = database.url.replace(f":{postgres.server.port}/", f":{proxy.port}/")
        journal = {"url": url, "password_file": str(database.password_file)}
        site = write_town(folder / "site", {HOOKED: Hook(hook)}, services={"journal": journal})
        node = EventNode(site, "node1")
        stack.callback(node.end)
        node.start()
        node.await_serving()
        yield Place(site, node, postgres, proxy)


@contextmanager
def publishers(port: int, count: int) -> Iterator[Callable[[], list[tuple[int, str | None]]]]:
    """So many publish one event after another, each of a person of its own, going on to the next only when it was taken; gives what
    they were told: statuses, and Retry-After."""
    told: list[tuple[int, str | None]] = []
    ending = False

    def work(person: int) -> int:
        serial = 1
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=BOUND_SECONDS) as client:
            while not ending:
                body = json.dumps(cloud_event(person, serial), ensure_ascii=False).encode()
                answered = client.post(PUBLISH, content=body, headers={"content-type": "application/cloudevents+json"})
                told.append((answered.status_code, answered.headers.get("retry-after")))
                if answered.status_code == 202:
                    serial += 1
                else:
                    time.sleep(0.1)
        return serial - 1

    with ThreadPoolExecutor(count) as pool:
        working = [pool.submit(work, person) for person in range(count)]
        try:
            yield lambda: list(told)
        finally:
            ending = True
    published[:] = [each.result() for each in working]


published: list[int] = []
"""How many each publisher of the last block was told to be safe."""


def check_all_came(place: Place, receiver: Receiver, counts: Sequence[int]) -> None:
    """Everything that was acknowledged is delivered, in its order and once in effect."""
    wait_for(lambda: len({asked.headers["webhook-id"] for asked in receiver.asked}) >= sum(counts), "all came", place.node)
    first: dict[str, str] = {}
    for asked in receiver.asked:
        first.setdefault(asked.headers["webhook-id"], json.loads(asked.body)["id"])
    for person, count in enumerate(counts):
        serials = [int(event.partition("-")[2]) for event in first.values() if event.startswith(f"{person}-")]
        assert serials[:count] == list(range(1, count + 1))
        assert len(serials) == len(set(serials))


def waited(told: Callable[[], list[tuple[int, str | None]]], status: int, place: Place) -> None:
    """Until somebody more is told this."""
    before = len(told())
    wait_for(lambda: status in {each for each, _ in told()[before:]}, f"somebody is told {status}", place.node)


@pytest.mark.slow
async def test_restarted_and_killed_under_publishers(tmp_path: Path) -> None:
    def live(receiver: Receiver) -> None:
        with placed(tmp_path, receiver.url) as place:
            with publishers(place.node.port, PUBLISHERS) as told:
                waited(told, 202, place)
                for stop in (place.postgres.stop, place.postgres.kill):
                    stop()
                    waited(told, 503, place)
                    place.postgres.start()
                    waited(told, 202, place)
                answers = told()
            assert {status for status, _ in answers} == {202, 503}
            assert all(after is not None and int(after) > 0 for status, after in answers if status == 503)
            check_all_came(place, receiver, published)

    async with receiving() as receiver:
        await asyncio.to_thread(live, receiver)


@pytest.mark.slow
async def test_stalled_under_a_publisher(tmp_path: Path) -> None:
    """Nothing comes back from the database, and nothing goes there: whoever publishes is told so within bounds."""

    def live(receiver: Receiver) -> None:
        with placed(tmp_path, receiver.url) as place, closing(site_journal(place.site)) as journal:
            assert publish(place.node.port, cloud_event(1, 1))[0].status_code == 202
            place.proxy.stall()
            began = time.monotonic()
            (answered,) = publish(place.node.port, cloud_event(1, 2), timeout_seconds=BOUND_SECONDS)
            assert answered.status_code == 503, answered.text
            assert time.monotonic() - began < BOUND_SECONDS
            assert int(answered.headers["retry-after"]) > 0
            place.proxy.go_on()

            def taken() -> bool:
                (again,) = publish(place.node.port, cloud_event(1, 2), timeout_seconds=BOUND_SECONDS)
                assert again.status_code in (202, 503), again.text
                return again.status_code == 202

            wait_for(taken, "it is taken", place.node)
            wait_for(lambda: len({asked.headers["webhook-id"] for asked in receiver.asked}) == 2, "both came", place.node)
            assert len(journal.messages()) == 2
            assert place.node.alive()

    async with receiving() as receiver:
        await asyncio.to_thread(live, receiver)
