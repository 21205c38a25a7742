"""The batch workers as seen from the node: a fixed number of processes, tasks dealt in turn, a dead worker replaced.

Owns: processes and their pipes. Tasks are put in groups (a message being taken in, a delivery being written); groups take turns, and
the tasks of one group start in the order they were given, so that a task may wait for an earlier one of its group without deadlock:
a lost task goes back to the front of its group. Among the groups' first tasks a worker prefers one about what it has at hand.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

from bus.batch.task import Task
from bus.errors import BusError

Answer = Callable[[Any], Awaitable[object]]

WORKER_ENVIRONMENT: Final = {
    "POLARS_MAX_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(256 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(512 * 1024 * 1024),
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:10000,muzzy_decay_ms:10000",
}
"""One thread per process: the processes share the cores. Freed memory is kept for the next chunk instead of going back to the kernel and
being faulted in again, which cost a fifth of the time. Whoever sets one of these for the node overrides it."""
SPAWN_AGAIN_SECONDS: Final = 1.0
LOSSES_ALLOWED: Final = 3
"""How often one task may lose its worker (killed, out of memory) before it is given up."""


class WorkerLost(BusError):
    """The same task lost its worker several times."""


@dataclass(slots=True)
class _Job:
    group: str
    task: Task
    answer: Answer | None
    about: str
    result: asyncio.Future[Any]
    losses: int = 0


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    at_hand: str = ""
    """what its latest task was about"""


@dataclass(slots=True)
class WorkerPool:
    """`size` worker processes. Use as `async with WorkerPool(2) as pool`, from one event loop."""

    size: int
    lost: int = 0
    """workers that died, since the start"""
    _queues: dict[str, deque[_Job]] = field(default_factory=dict)
    _waiting: asyncio.Condition = field(default_factory=asyncio.Condition)
    _servers: list[asyncio.Task[None]] = field(default_factory=list)
    _workers: dict[int, _Worker] = field(default_factory=dict)

    async def __aenter__(self) -> WorkerPool:
        self._servers = [asyncio.create_task(self._serve(), name=f"batch-worker-{n}") for n in range(self.size)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.cancel()
        await asyncio.gather(*self._servers, return_exceptions=True)

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of the living workers."""
        return frozenset(pid for pid, worker in self._workers.items() if worker.process.poll() is None)

    async def run(self, group: str, task: Task, answer: Answer | None = None, *, about: str = "") -> Any:
        """Run `task` on the next free worker and return its result.

        `answer` is awaited for each question of the task; if it raises, the task is told to give up. Tasks `about` the same thing go to
        the same worker where possible, which may keep it at hand.

        Raises:
            WorkerLost: the task lost its worker LOSSES_ALLOWED times.
            Exception: whatever the task raised.
        """
        job = _Job(group, task, answer, about, asyncio.get_running_loop().create_future())
        async with self._waiting:
            self._queues.setdefault(group, deque()).append(job)
            self._waiting.notify()
        try:
            return await job.result
        finally:
            self._forget(job)

    def _forget(self, job: _Job) -> None:
        queue = self._queues.get(job.group)
        if queue is not None and job in queue:
            queue.remove(job)
            if not queue:
                del self._queues[job.group]

    async def _next(self, worker: _Worker) -> _Job:
        async with self._waiting:
            await self._waiting.wait_for(lambda: self._queues)
            group = self._choose(worker)
            queue = self._queues.pop(group)
            job = queue.popleft()
            if queue:
                self._queues[group] = queue  # to the back: groups take turns
            return job

    def _choose(self, worker: _Worker) -> str:
        """The group whose first task is about what the worker has at hand; else about nothing another worker has; else the next."""
        firsts = {group: queue[0].about for group, queue in self._queues.items()}
        own = next((group for group, about in firsts.items() if about and about == worker.at_hand), None)
        others = {other.at_hand for other in self._workers.values()}
        free = next((group for group, about in firsts.items() if not about or about not in others), None)
        return own or free or next(iter(firsts))

    async def _put_back(self, job: _Job) -> None:
        async with self._waiting:
            self._queues.setdefault(job.group, deque()).appendleft(job)
            self._waiting.notify()

    async def _serve(self) -> None:
        worker = await self._new_worker()
        try:
            while True:
                job = await self._next(worker)
                if job.result.done():
                    continue
                worker.at_hand = job.about
                try:
                    await self._work(worker, job)
                except (EOFError, OSError):
                    self.lost += 1
                    self._end(worker)
                    await self._lose(job)
                    worker = await self._new_worker()
                except Exception as error:  # noqa: BLE001 - what came over the pipe makes no sense: the job fails, the pool goes on
                    self._end(worker)
                    if not job.result.done():
                        job.result.set_exception(error)
                    worker = await self._new_worker()
        finally:
            self._end(worker)

    async def _lose(self, job: _Job) -> None:
        job.losses += 1
        if job.losses < LOSSES_ALLOWED:
            await self._put_back(job)
        elif not job.result.done():
            job.result.set_exception(WorkerLost("RNK4001E", group=job.group, losses=job.losses))

    async def _work(self, worker: _Worker, job: _Job) -> None:
        worker.connection.send(job.task)
        while True:
            await _readable(worker.connection)
            kind, body = worker.connection.recv()
            if kind == "ask":
                worker.connection.send(await self._answered(worker, job, body))
                continue
            if not job.result.done():
                if kind == "done":
                    job.result.set_result(body)
                else:
                    job.result.set_exception(body)
            return

    async def _answered(self, worker: _Worker, job: _Job, question: object) -> tuple[str, object]:
        """The parent's answer; EOFError when the worker dies while it waits."""
        if job.answer is None or job.result.done():
            return "refuse", "nobody answers"
        answering = asyncio.ensure_future(job.answer(question))
        dying = asyncio.ensure_future(_readable(worker.connection))
        try:
            await asyncio.wait({answering, dying, job.result}, return_when=asyncio.FIRST_COMPLETED)
            if dying.done():
                raise EOFError
            if not answering.done():
                return "refuse", "given up"
            if (error := answering.exception()) is not None:
                return "refuse", str(error)
            return "answer", answering.result()
        finally:
            answering.cancel()
            dying.cancel()
            await asyncio.gather(answering, dying, return_exceptions=True)  # the pipe's reader must be free again

    async def _new_worker(self) -> _Worker:
        """A new process; where the system gives none now (no memory, too many processes), as soon as it does."""
        while True:
            try:
                return self._spawn()
            except OSError:
                await asyncio.sleep(SPAWN_AGAIN_SECONDS)

    def _spawn(self) -> _Worker:
        ours, theirs = socket.socketpair()
        environment = WORKER_ENVIRONMENT | dict(os.environ)
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "bus.batch.worker", str(theirs.fileno()), str(os.getpid())],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        worker = self._workers[process.pid] = _Worker(process, Connection(ours.detach()))
        return worker

    def _end(self, worker: _Worker) -> None:
        worker.connection.close()
        worker.process.kill()
        worker.process.wait()
        self._workers.pop(worker.process.pid, None)


async def _readable(connection: Connection) -> None:
    """Wait until something (or the end) can be read."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    descriptor = connection.fileno()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, wake)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
