"""Dispatch: leases that are kept, and slots that hanging targets cannot keep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bus import delivery_dispatch
from bus.batch.prepared import WorkFolder
from bus.broker.embedded import EmbeddedHints
from bus.delivery import Deliverer
from bus.delivery_dispatch import Dispatcher
from bus.errors import JournalUnavailable, StaleClaim
from bus.message import Delivery, MessageState
from bus.ports import DeliverJournal, QueryJournal

BOUND_SECONDS = 20.0


def delivery(name: str) -> Delivery:
    return cast("Delivery", SimpleNamespace(id=name, message="m", tenant="332020", subscription=name, endpoint=name))


async def until(check: Callable[[], bool]) -> None:
    while not check():  # noqa: ASYNC110 - what is waited for happens in threads of the dispatcher
        await asyncio.sleep(0.01)


class Journal:
    """Hands out deliveries by name, as many as are asked for, and remembers what was renewed."""

    def __init__(self, *names: str) -> None:
        self.waiting = list(names)
        self.claimed: list[str] = []
        self.renewals = 0
        self.trouble: list[Exception] = []

    def claim(self, owner: str, *, lease_seconds: float, limit: int) -> Sequence[Delivery]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        self.claimed += taken
        return [delivery(name) for name in taken]

    def renew(self, claimed: Delivery, *, lease_seconds: float) -> None:
        self.renewals += 1
        if self.trouble:
            raise self.trouble.pop(0)

    def message(self, message: str) -> Any:
        return SimpleNamespace(state=MessageState.RECEIVING)


class Targets:
    """Delivers at once, except to targets that hang until they are let go."""

    def __init__(self, *hanging: str) -> None:
        self.let_go = {name: asyncio.Event() for name in hanging}
        self.delivered: dict[str, asyncio.Event] = {}

    def event(self, name: str) -> asyncio.Event:
        return self.delivered.setdefault(name, asyncio.Event())

    async def deliver(self, claimed: Delivery) -> None:
        if claimed.id in self.let_go:
            await self.let_go[claimed.id].wait()
        self.event(claimed.id).set()


def dispatcher(journal: Journal, targets: Targets, folder: Path, *, slots: int = 8) -> Dispatcher:
    reporter = SimpleNamespace(delivered=lambda _: None)
    return Dispatcher(
        "node1",
        cast("DeliverJournal", journal),
        cast("QueryJournal", journal),
        cast("Deliverer", targets),
        EmbeddedHints(),
        cast("Any", reporter),
        WorkFolder(folder),
        slots,
    )


async def stop(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_lease_is_kept_although_the_journal_was_away_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_dispatch, "LEASE_SECONDS", 0.03)
    journal, targets = Journal("slow"), Targets("slow")
    journal.trouble = [JournalUnavailable("RNK3001E", reason="disk full")]
    running = asyncio.create_task(dispatcher(journal, targets, tmp_path).run())
    async with asyncio.timeout(BOUND_SECONDS):
        await until(lambda: journal.renewals >= 4)
    await stop(running)


async def test_a_lease_that_another_has_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_dispatch, "LEASE_SECONDS", 0.03)
    journal, targets = Journal("slow"), Targets("slow")
    journal.trouble = [StaleClaim("RNK3008E", id="slow", fence=1, newest=2)]
    dispatching = dispatcher(journal, targets, tmp_path)
    await asyncio.wait_for(dispatching._renew(delivery("slow")), BOUND_SECONDS)
    assert journal.renewals == 1


async def test_targets_that_hang_give_their_slots_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_dispatch, "SLOW_SECONDS", 0.05)
    journal, targets = Journal("a", "b", "c", "d", "e"), Targets("a", "b", "c")
    running = asyncio.create_task(dispatcher(journal, targets, tmp_path, slots=2).run())
    async with asyncio.timeout(BOUND_SECONDS):
        await targets.event("d").wait()
        await targets.event("e").wait()
        for name, hanging in targets.let_go.items():
            hanging.set()
            await targets.event(name).wait()
    await stop(running)


async def test_slots_are_not_exceeded_while_nothing_hangs(tmp_path: Path) -> None:
    journal, targets = Journal("a", "b", "c"), Targets("a", "b")
    running = asyncio.create_task(dispatcher(journal, targets, tmp_path, slots=2).run())
    async with asyncio.timeout(BOUND_SECONDS):
        await until(lambda: len(journal.claimed) >= 2)
        await asyncio.sleep(0)
        assert journal.claimed == ["a", "b"]
        targets.let_go["a"].set()
        await targets.event("c").wait()
    await stop(running)


async def test_however_many_hang_there_is_a_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_dispatch, "SLOW_SECONDS", 0.02)
    monkeypatch.setattr(delivery_dispatch, "MOST_RUNNING", 3)
    names = ["a", "b", "c", "d"]
    journal, targets = Journal(*names), Targets(*names)
    running = asyncio.create_task(dispatcher(journal, targets, tmp_path, slots=1).run())
    async with asyncio.timeout(BOUND_SECONDS):
        await until(lambda: len(journal.claimed) >= 3)
        await asyncio.sleep(0.1)
        assert journal.claimed == ["a", "b", "c"]
        targets.let_go["b"].set()
        await until(lambda: len(journal.claimed) >= 4)
    await stop(running)
