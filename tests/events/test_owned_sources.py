"""Which node watches whose folders: as long as the lease is held and no longer, and free for others when a node ends."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from bus import intake_owned
from bus.errors import JournalUnavailable
from bus.intake_owned import OwnedSources
from bus.intake_watch import SourceWatch
from bus.message import Lease

WAIT_SECONDS = 20.0
ONE, TWO = "332020", "372013"


@dataclass
class Leases:
    """The journal's leases, as a test says."""

    holders: dict[str, str] = field(default_factory=dict)
    away: bool = False
    asked: int = 0
    seconds: float = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take_lease(self, name: str, owner: str, *, seconds: float) -> Lease | None:
        with self._lock:
            self.asked += 1
            self.seconds = seconds
            if self.away:
                raise JournalUnavailable("RNK3001E", reason="away")
            holder = self.holders.setdefault(name, owner)
            return Lease(name, owner, 1, 0) if holder == owner else None

    def give_up_leases(self, owner: str) -> int:
        with self._lock:
            if self.away:
                raise JournalUnavailable("RNK3001E", reason="away")
            mine = [name for name, holder in self.holders.items() if holder == owner]
            for name in mine:
                del self.holders[name]
            return len(mine)


@dataclass(slots=True)
class Watch(SourceWatch):
    """A watch that notes what it watches, and ends when a test wants a fault."""

    watched: ClassVar[dict[str, int]] = {}
    fault: ClassVar[BaseException | None] = None

    async def run(self) -> None:
        (tenant,) = {key[0] for key in self.sources}
        self.watched[tenant] = len(self.sources)
        try:
            while Watch.fault is None:  # noqa: ASYNC110 - a test sets it at any moment
                await asyncio.sleep(0.001)
            raise Watch.fault
        finally:
            del self.watched[tenant]


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_owned, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(Watch, "fault", None)
    Watch.watched.clear()


@asynccontextmanager
async def owning(leases: Leases, owner: str = "node1") -> AsyncIterator[asyncio.Task[None]]:
    sources: Any = {(ONE, "a"): None, (ONE, "b"): None, (TWO, "a"): None}
    nothing: Any = None
    task = asyncio.create_task(OwnedSources(Watch(sources, nothing, nothing), leases, owner).run())
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, RuntimeError):
            await task


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - the product gives no signal; looked at every moment, for a bounded time
        await asyncio.sleep(0.001)


async def looked(leases: Leases) -> None:
    """Everything was looked at once more."""
    before = leases.asked
    await until(lambda: leases.asked >= before + 4)


async def test_what_is_free_is_watched_each_tenant_by_itself() -> None:
    leases = Leases()
    async with owning(leases):
        await until(lambda: Watch.watched == {ONE: 2, TWO: 1})
        assert leases.holders == {f"sources:{ONE}": "node1", f"sources:{TWO}": "node1"}
        assert leases.seconds == intake_owned.LEASE_SECONDS
        await looked(leases)
        assert Watch.watched == {ONE: 2, TWO: 1}
    assert Watch.watched == {}
    assert leases.holders == {}


async def test_what_another_holds_is_left_to_it_until_it_lets_go() -> None:
    leases = Leases({f"sources:{ONE}": "other"})
    async with owning(leases):
        await until(lambda: Watch.watched == {TWO: 1})
        await looked(leases)
        assert Watch.watched == {TWO: 1}
        leases.give_up_leases("other")
        await until(lambda: Watch.watched == {ONE: 2, TWO: 1})
    assert leases.holders == {}


async def test_a_lost_lease_ends_its_watch_and_a_regained_one_begins_it_anew() -> None:
    leases = Leases()
    async with owning(leases):
        await until(lambda: len(Watch.watched) == 2)
        leases.holders[f"sources:{ONE}"] = "other"
        await until(lambda: Watch.watched == {TWO: 1})
        leases.holders[f"sources:{ONE}"] = "node1"
        await until(lambda: Watch.watched == {ONE: 2, TWO: 1})


async def test_while_the_journal_is_away_everything_stays_as_it_is() -> None:
    leases = Leases()
    async with owning(leases):
        await until(lambda: len(Watch.watched) == 2)
        leases.away = True
        await looked(leases)
        assert len(Watch.watched) == 2
        leases.away = False
        await looked(leases)
        assert len(Watch.watched) == 2


async def test_nothing_is_watched_before_the_journal_gave_a_lease() -> None:
    leases = Leases(away=True)
    async with owning(leases):
        await looked(leases)
        assert Watch.watched == {}
        leases.away = False
        await until(lambda: len(Watch.watched) == 2)


async def test_an_end_while_the_journal_is_away_is_an_end() -> None:
    leases = Leases()
    async with owning(leases) as task:
        await until(lambda: len(Watch.watched) == 2)
        leases.away = True
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert Watch.watched == {}


async def test_a_watch_that_ends_by_itself_ends_all_so_that_it_is_seen() -> None:
    leases = Leases()
    async with owning(leases) as task:
        await until(lambda: len(Watch.watched) == 2)
        Watch.fault = RuntimeError("a fault")
        with pytest.raises(RuntimeError, match="a fault"):
            await task
    assert Watch.watched == {}
    assert leases.holders == {}  # another node may take over


async def test_two_nodes_never_own_the_same() -> None:
    leases = Leases()
    async with owning(leases, "node1"):
        await until(lambda: len(Watch.watched) == 2)
        async with owning(leases, "node2"):
            await looked(leases)
            assert set(leases.holders.values()) == {"node1"}
