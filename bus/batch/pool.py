"""The batch workers as seen from the node: a fixed number of processes, tasks dealt in turn, a dead worker replaced.

Owns: which worker does what, and when. Tasks are put in groups (a message being taken in, a delivery being written); groups take turns, and
the tasks of one group start in the order they were given, so that a task may wait for an earlier one of its group without deadlock:
a lost task goes back to the front of its group. Among the groups' first tasks a worker prefers one about what it has at hand.

A worker may hang in the middle of a task (a share that does not answer; not even a signal ends such a process). Another takes its place
until it is back, and no further task of that group begins meanwhile, so that one target or source cannot have all workers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bus.batch.task import Task
from bus.batch.worker_process import Worker, start_worker
from bus.errors import BusError
from monitoring.log import log

Answer = Callable[[Any], Awaitable[object]]

SPAWN_AGAIN_SECONDS: Final = 1.0
LOSSES_ALLOWED: Final = 3
"""How often one task may lose its worker (killed, out of memory) before it is given up."""
SILENT_SECONDS: Final = 60.0
"""A worker that says nothing for so long is taken to hang: a task takes seconds."""
MOST_SPARES: Final = 16
"""Workers at once beyond `size`, in the place of those that hang."""


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
class WorkerPool:
    """`size` worker processes. Use as `async with WorkerPool(2) as pool`, from one event loop."""

    size: int
    lost: int = 0
    """workers that died, since the start"""
    _queues: dict[str, deque[_Job]] = field(default_factory=dict)
    _waiting: asyncio.Condition = field(default_factory=asyncio.Condition)
    _servers: set[asyncio.Task[None]] = field(default_factory=set)
    _watching: asyncio.Task[None] | None = None
    _workers: dict[int, Worker] = field(default_factory=dict)

    async def __aenter__(self) -> WorkerPool:
        for _ in range(self.size):
            self._start_server()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._servers, *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start_server(self) -> None:
        server = asyncio.create_task(self._serve())
        self._servers.add(server)
        server.add_done_callback(self._servers.discard)

    async def _watch(self) -> None:
        """Give the place of each worker that hangs to another."""
        while True:
            await asyncio.sleep(SILENT_SECONDS / 10)
            silent = [worker for worker in self._workers.values() if worker.silent_seconds >= SILENT_SECONDS and not worker.replaced]
            for worker in silent[: self.size + MOST_SPARES - len(self._servers)]:
                worker.replaced = True
                log("RNK4048W", group=worker.group, pid=worker.process.pid, seconds=round(worker.silent_seconds))
                self._start_server()

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

    async def _next(self, worker: Worker) -> _Job:
        async with self._waiting:
            await self._waiting.wait_for(self._ready)
            group = self._choose(worker)
            queue = self._queues.pop(group)
            job = queue.popleft()
            if queue:
                self._queues[group] = queue  # to the back: groups take turns
            return job

    def _ready(self) -> dict[str, deque[_Job]]:
        """The groups whose first task may begin: none of their workers hangs."""
        hang = {worker.group for worker in self._workers.values() if worker.replaced and not worker.asks}
        return {group: queue for group, queue in self._queues.items() if group not in hang}

    def _choose(self, worker: Worker) -> str:
        """The group whose first task is about what the worker has at hand; else about nothing another worker has; else the next."""
        firsts = {group: queue[0].about for group, queue in self._ready().items()}
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
            while not worker.replaced:
                job = await self._next(worker)
                if job.result.done():
                    continue
                alive = await self._try(worker, job)
                if not (alive or worker.replaced):
                    worker = await self._new_worker()
        finally:
            self._end(worker)

    async def _try(self, worker: Worker, job: _Job) -> bool:
        """Have the worker do the job. False when it is not to be used again."""
        worker.at_hand, worker.group = job.about, job.group
        try:
            await self._work(worker, job)
        except (EOFError, OSError):
            self.lost += 1
            self._end(worker)
            await self._lose(job)
            return False
        except Exception as error:  # noqa: BLE001 - what came over the pipe makes no sense: the job fails, the pool goes on
            self._end(worker)
            if not job.result.done():
                job.result.set_exception(error)
            return False
        finally:
            worker.group = ""
            if worker.replaced:
                await self._let_group_go()
        return True

    async def _let_group_go(self) -> None:
        async with self._waiting:
            self._waiting.notify_all()

    async def _lose(self, job: _Job) -> None:
        job.losses += 1
        if job.losses < LOSSES_ALLOWED:
            await self._put_back(job)
        elif not job.result.done():
            job.result.set_exception(WorkerLost("RNK4001E", group=job.group, losses=job.losses))

    async def _work(self, worker: Worker, job: _Job) -> None:
        worker.connection.send(job.task)
        while True:
            worker.heard(asks=False)
            await worker.speaks()
            kind, body = worker.connection.recv()
            if kind == "ask":
                worker.heard(asks=True)
                worker.connection.send(await self._answered(worker, job, body))
                continue
            if not job.result.done():
                if kind == "done":
                    job.result.set_result(body)
                else:
                    job.result.set_exception(body)
            return

    async def _answered(self, worker: Worker, job: _Job, question: object) -> tuple[str, object]:
        """The parent's answer; EOFError when the worker dies while it waits."""
        if job.answer is None or job.result.done():
            return "refuse", "nobody answers"
        answering = asyncio.ensure_future(job.answer(question))
        dying = asyncio.ensure_future(worker.speaks())
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

    async def _new_worker(self) -> Worker:
        """A new process; where the system gives none now (no memory, too many processes), as soon as it does."""
        while True:
            try:
                return self._spawn()
            except OSError:
                await asyncio.sleep(SPAWN_AGAIN_SECONDS)

    def _spawn(self) -> Worker:
        worker = start_worker()
        self._workers[worker.process.pid] = worker
        return worker

    def _end(self, worker: Worker) -> None:
        worker.end()
        self._workers.pop(worker.process.pid, None)
