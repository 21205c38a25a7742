"""More events than the journal can take: publishers are told to come back, and the node's memory does not grow with them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.backends import backend, journal_database, service_settings, site_journal
from tests.faults.events.line import Line, post
from tests.faults.events.town import FETCHED, PUBLISH, EventNode, cloud_event, wait_for, write_town
from tests.services.postgres import shared_server

WAITING = 100
CONNECTIONS = 300
NOTE = "長い備考" * 400
"""About 5 KB an event: 20,000 of them kept in memory would be seen."""
GROWTH_BYTES = 40 * 1024 * 1024
FLOOD_SECONDS = 6.0
_ADVISORY = 0x52_45_4E_4B_45_49


@contextmanager
def held(site: Path) -> Iterator[None]:
    """Nobody can write the journal in this block."""
    if backend() == "embedded":
        with closing(sqlite3.connect(site / "var" / "journal.db", isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
    else:
        with shared_server().admin(journal_database(site).url.rpartition("/")[2]) as connection:
            connection.execute(f"SELECT pg_advisory_lock({_ADVISORY})")
            yield


class Flood:
    """Very many connections that publish without minding what they are told."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.told: Counter[int] = Counter()
        self.without_retry_after = 0
        self.taken: set[str] = set()
        self.ends = time.monotonic() + FLOOD_SECONDS

    async def run(self) -> None:
        """Until the flood is over."""
        await asyncio.gather(*(self._one(number) for number in range(CONNECTIONS)))

    async def _one(self, number: int) -> None:
        line, serial = Line([self.port], 0, patience_seconds=60), 0
        while time.monotonic() < self.ends:
            serial += 1
            event = cloud_event(number, serial, note=NOTE)
            answer = await line._once(post(PUBLISH, "application/cloudevents+json", json.dumps(event, ensure_ascii=False).encode()))
            if answer is None:
                self.told[0] += 1
                await asyncio.sleep(0.05)
                continue
            self.told[answer.status] += 1
            if answer.status == 202:
                self.taken.add(event["id"])
            elif "retry-after" not in answer.headers:
                self.without_retry_after += 1
        line._drop()


@pytest.mark.slow
def test_a_flood_is_refused_and_does_not_fill_the_memory(tmp_path: Path) -> None:
    site = write_town(
        tmp_path / "site", {}, pulled=[FETCHED], services=service_settings(tmp_path / "site"), api={"most_waiting": WAITING}
    )
    node = EventNode(site, None if backend() == "embedded" else "node1")
    try:
        node.start()
        node.await_serving()
        process = psutil.Process(node.process.pid)
        first = Flood(node.port)
        first.ends = time.monotonic() + 1
        asyncio.run(first.run())  # whatever is made once for so many connections is made
        before = process.memory_info().rss
        flood, most = Flood(node.port), 0

        async def watched() -> None:
            nonlocal most
            flooding = asyncio.create_task(flood.run())
            while not flooding.done():
                most = max(most, process.memory_info().rss)
                await asyncio.sleep(0.1)
            await flooding

        with held(site):
            flood.ends = time.monotonic() + FLOOD_SECONDS
            with suppress(TimeoutError):
                asyncio.run(asyncio.wait_for(watched(), FLOOD_SECONDS * 5))
        assert set(flood.told) <= {202, 429, 503}, flood.told
        assert flood.told[429] > 20 * WAITING
        assert flood.without_retry_after == 0
        assert most - before < GROWTH_BYTES, f"{before} bytes became {most} after {flood.told}"
        last = Flood(node.port)
        last.ends = time.monotonic() + 1
        asyncio.run(last.run())
        assert last.told[202] > 0, "it takes events again"
        taken = first.taken | last.taken | flood.taken

        def kept() -> bool:
            with closing(site_journal(site)) as journal:
                return sum(row.count for row in journal.backlog()) >= len(taken)

        wait_for(kept, "all that was acknowledged is there", node)
    finally:
        node.end()
