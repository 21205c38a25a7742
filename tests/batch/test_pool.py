"""The worker pool: tasks in turn, answers, and workers that die."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bus.batch import pool as pools
from bus.batch.pool import LOSSES_ALLOWED, WorkerLost, WorkerPool
from bus.batch.task import AskRefused
from bus.errors import Transient
from tests.batch.pool_tasks import AskTurn, Die, DieOnce, Double, Fail, FailStrangely, Hang, TellPids


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    async with WorkerPool(2) as made:
        yield made


async def test_results_come_back_to_who_asked(pool: WorkerPool) -> None:
    results = await asyncio.gather(*(pool.run(f"group {n % 3}", Double(n)) for n in range(20)))
    assert results == [2 * n for n in range(20)]


async def test_an_error_keeps_its_type_and_its_facts(pool: WorkerPool) -> None:
    with pytest.raises(Transient) as caught:
        await pool.run("g", Fail())
    assert caught.value.facts["reason"] == "here"
    with pytest.raises(RuntimeError, match="Unpicklable: odd"):
        await pool.run("g", FailStrangely())
    assert await pool.run("g", Double(4)) == 8


class Turns:
    """Answers in order of index, like the offsets of a file."""

    def __init__(self) -> None:
        self.next = 0
        self.turn = asyncio.Condition()

    async def answer(self, index: object) -> int:
        async with self.turn:
            await self.turn.wait_for(lambda: self.next >= int(str(index)))
            self.next = max(self.next, int(str(index)) + 1)
            self.turn.notify_all()
        return self.next


async def test_a_lost_task_starts_again_before_those_that_wait_for_it(pool: WorkerPool, tmp_path: Path) -> None:
    """Task 0 dies once while task 1 waits for it; task 2 is queued. Were 0 put at the back, all would wait for ever."""
    turns = Turns()
    tasks = [DieOnce(tmp_path / "mark", 0), AskTurn(1), AskTurn(2), AskTurn(3)]
    async with asyncio.timeout(20):
        results = await asyncio.gather(*(pool.run("g", task, turns.answer) for task in tasks))
    assert results == [1, 2, 3, 4]
    assert pool.lost == 1


async def test_a_task_that_always_loses_its_worker_is_given_up_and_the_pool_goes_on(pool: WorkerPool) -> None:
    with pytest.raises(WorkerLost):
        await pool.run("poison", Die())
    assert pool.lost == LOSSES_ALLOWED
    assert await pool.run("g", Double(1)) == 2


async def test_a_refused_answer_ends_the_task_and_frees_the_worker(pool: WorkerPool) -> None:
    async def refuse(_: object) -> object:
        raise ValueError("no")

    with pytest.raises(AskRefused, match="no"):
        await pool.run("g", AskTurn(0), refuse)
    assert await pool.run("g", Double(1)) == 2


async def test_a_task_given_up_while_it_waits_frees_its_worker(pool: WorkerPool) -> None:
    waiting = asyncio.Event()

    async def never(_: object) -> object:
        waiting.set()
        return await asyncio.Event().wait()

    tasks = [asyncio.create_task(pool.run(f"g{n}", AskTurn(n), never)) for n in range(2)]
    await waiting.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(20):
        assert await pool.run("g", Double(1)) == 2


PARENT = """
import asyncio, os, signal
from bus.batch import pool as pools
from bus.batch.pool import WorkerPool
from tests.batch.pool_tasks import TellPids
async def main():
    async with WorkerPool(1) as pool:
        _, worker = await pool.run("g", TellPids())
        print(worker, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def test_workers_die_with_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        descriptor = os.pidfd_open(worker) if Path(f"/proc/{worker}").exists() else None
        parent.wait()
    if descriptor is not None:
        assert select.select([descriptor], [], [], 10)[0], "the worker outlived its parent"
        os.close(descriptor)


async def test_tasks_run_outside_this_process(pool: WorkerPool) -> None:
    parent, worker = await pool.run("g", TellPids())
    assert parent == os.getpid() != worker
    assert worker in pool.pids


async def test_a_worker_that_hangs_is_replaced_until_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One group hangs the only worker; others go on, while of the hanging group nothing more begins."""
    monkeypatch.setattr(pools, "SILENT_SECONDS", 1.0)
    fifo, here = tmp_path / "fifo", tmp_path / "here"
    os.mkfifo(fifo)
    async with WorkerPool(1) as pool, asyncio.timeout(30):
        hanging = asyncio.create_task(pool.run("hangs", Hang(fifo, here)))
        behind = asyncio.create_task(pool.run("hangs", Double(1)))
        assert await pool.run("other", Double(2)) == 4
        assert await pool.run("other", Double(3)) == 6
        assert not behind.done()
        assert len(pool.pids) == 2
        await asyncio.to_thread(fifo.write_text, "back", "ascii")
        assert (await hanging, await behind) == ("back", 2)
        while len(pool.pids) > 1:  # noqa: ASYNC110 - processes end by themselves
            await asyncio.sleep(0.01)
        assert int(here.read_text("ascii")) not in pool.pids
        assert await pool.run("other", Double(4)) == 8


async def test_a_task_that_waits_for_its_answer_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for an earlier task of its group must not keep that task from beginning."""
    monkeypatch.setattr(pools, "SILENT_SECONDS", 0.5)
    turns = Turns()
    async with WorkerPool(1) as pool, asyncio.timeout(120):
        tasks = [asyncio.create_task(pool.run("g", AskTurn(index), turns.answer)) for index in (1, 0)]
        assert (await asyncio.gather(*tasks))[0] == 2
