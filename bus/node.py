"""A running node: watches sources, takes files in, delivers, and answers monitoring and operators.

Owns: starting and stopping. `serve` is the service (`renkei up`), `running` the same within another program, `open_operations` whatever a
command needs: the running node if there is one, else the site itself in this process, which then only delivers when it was handed a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import uvloop

from bus.adapter_ports import Arrival
from bus.batch.pool import WorkerPool
from bus.errors import JournalError, OperationRefused, told_of
from bus.events.leading import lead_what_waits
from bus.intake_owned import OwnedSources
from bus.intake_submitted import Progress, SubmittedSource
from bus.intake_watch import SourceWatch, take_one
from bus.node_events import EventParts, open_events
from bus.node_parts import Parts, assemble, configured_sources
from bus.node_place import SOCKET, answering, named_node, own_name, private_folder
from bus.operations import Operations
from bus.operations_night import night
from bus.site import LoadedSite
from bus.site_check import site_alone
from monitoring.log import log
from monitoring.metrics import Waiting

if TYPE_CHECKING:
    from bus.api.client import RemoteOperations

Role = Literal["all", "intake", "dispatch", "api"]
"""What a node does: take in what comes by file and AMQP, deliver, serve applications, or all of it."""
THREADS: Final = 256
"""Threads for blocking calls, made when they are needed: `MOST_RUNNING` hanging deliveries must not starve the journal."""
STOP_SECONDS: Final = 20.0
"""How long an ending node waits for calls that hang (a share that does not answer). What they were at, the next start goes on with."""


@dataclass(slots=True)
class Node:
    """One node over its parts. Runs in one event loop; `ready` is set when everything that was asked for is up."""

    folder: Path
    watch: bool = True
    listen: bool = True
    role: Role = "all"
    name: str | None = None
    """in place of the one in `site.yaml`"""
    port: int = 0
    """the port that monitoring is served on"""
    api_port: int = 0
    """the port that applications are served on; 0: they are not"""
    parts: Parts = field(init=False)
    events: EventParts = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    _dispatching: bool = False
    _events_wait: bool = False
    """of whatever configuration"""

    async def run(self, ready: Future[Node], stop: asyncio.Event) -> None:
        """Run until `stop`. Everything that was begun is either finished or left so that the next start goes on with it."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="renkei"))
        async with WorkerPool(site_alone(self.folder).batch.workers) as pool:  # first: workers start while the rest is put together
            self.parts = await asyncio.to_thread(assemble, self.folder, pool, self._submitted, self.name)
            try:
                self.events = open_events(self.parts, self.parts.name)
                try:
                    async with self._listening():
                        await asyncio.to_thread(self._declare)
                        if self.watch:
                            await self._begin()
                        _settle_memory()
                        ready.set_result(self)
                        await self._until(stop)
                finally:
                    await self._end()
            finally:
                self.parts.close()

    async def _begin(self) -> None:
        """Start what this node's role is to do."""
        if self.role in ("all", "dispatch"):
            self._dispatch()
            self._start(self.events.follow_hints())
            if self.events.used or self._events_wait:
                self._start(self.events.dispatch())
                self._start(self.events.sweep())
        if self.role in ("all", "intake"):
            sources = await asyncio.to_thread(configured_sources, self.parts.site)
            watch = SourceWatch(sources, self.parts.intake, self.parts.reporter)
            owned = OwnedSources(watch, self.parts.journal, self.parts.name) if self.parts.site.site.journal.url else watch
            if sources:
                self._start(owned.run())
            for receiving in self.events.receive():
                self._start(receiving)
        await asyncio.to_thread(self.parts.operations.submissions.resume)

    async def _until(self, stop: asyncio.Event) -> None:
        """Wait for `stop`; a background task that ends by itself is a fault, and ends the node so that its service manager sees it."""
        stopping = asyncio.create_task(stop.wait())
        ended, _ = await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        failures = [error for task in ended if task is not stopping and (error := task.exception()) is not None]
        if failures:
            raise failures[0]

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait({asyncio.gather(*self._tasks, return_exceptions=True)}, timeout=STOP_SECONDS)
        await self.events.close()

    def _dispatch(self) -> None:
        """Begin to deliver, if it has not begun."""
        if not self._dispatching:
            self._dispatching = True
            self._start(self.parts.dispatcher.run())

    def _start(self, work: Any) -> None:
        self._tasks.add(asyncio.create_task(work))

    def _declare(self) -> None:
        """Free what an earlier run of this node had claimed, and make the metrics exist."""
        parts = self.parts
        freed = parts.journal.unclaim(parts.name)
        if self.watch:
            self._events_wait = lead_what_waits(parts.journal, parts.site)
        log("RNK7002I", site=parts.site.site.site, node=parts.name, api_port=self.api_port or "-", port=self.port, freed=freed)
        loaded = parts.site.tenants.items() if self.watch else ()
        parts.journal.note_all("configuration_loaded", [(code, one.digest, {"node": parts.name}) for code, one in loaded])
        parts.reporter.resume()

    # submitted files

    def _submitted(self, arrival: Arrival, progress: Progress) -> None:
        """Take it in. Whoever waits for it is told, too, when the node ends before it could be decided upon."""

        def ended(taking: Future[None]) -> None:
            if taking.cancelled():
                progress.error = OperationRefused("RNK7015E", file=arrival.name)

        asyncio.run_coroutine_threadsafe(self._take_submitted(arrival, progress), self._loop).add_done_callback(ended)

    async def _take_submitted(self, arrival: Arrival, progress: Progress) -> None:
        if not self.watch or self.role in ("all", "dispatch"):  # else another node of the site delivers it
            self._dispatch()
        source = SubmittedSource(private_folder(self.parts.site) / "refused")
        reporter = self.parts.reporter
        try:
            progress.taken = await take_one(self.parts.intake, source, arrival, reporter.observer(progress), reporter)
        except Exception as error:  # noqa: BLE001 - shown to whoever submitted the file
            log("RNK7012E", file=arrival.name, reason=told_of(error))
            progress.error = error
            await asyncio.to_thread(source.give_back, arrival)

    # HTTP

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        if not self.listen:
            yield
            return
        from bus.node_http import listening  # noqa: PLC0415 - a node that does not listen starts without the web libraries

        parts, private = self.parts, private_folder(self.parts.site)
        socket = private / own_name(parts.site, parts.name, SOCKET)
        application = None
        wanted = self.events.used or "api" in parts.site.site.model_fields_set  # a site of files alone opens no port for it
        if self.watch and wanted and self.role in ("all", "api"):
            from bus.node_api import applications  # noqa: PLC0415 - only a node that serves applications

            application = applications(self.events)
        async with listening(parts.site, socket, parts.operations, self._metrics, self._not_ready, application) as ports:
            self.port, self.api_port = ports
            (private / own_name(parts.site, parts.name, "node.port")).write_text(str(self.port), "ascii")
            if application is not None:
                (private / own_name(parts.site, parts.name, "api.port")).write_text(str(self.api_port), "ascii")
            yield

    def _metrics(self) -> bytes:
        parts = self.parts
        now = parts.clock.now_us()
        parts.metrics.set_waiting(
            Waiting(row.tenant, row.subscription, row.state.value, row.count, max(0.0, (now - row.oldest_created_at_us) / 1e6))
            for row in parts.journal.backlog()
        )
        parts.metrics.set_quarantine(parts.journal.open_quarantine())
        for interface in night(parts.site, parts.journal, parts.clock):
            parts.metrics.set_late(interface.tenant, interface.interface, interface.late)
        return parts.metrics.exposition()

    def _not_ready(self) -> list[str]:
        problems = [] if self.parts.pool.pids else ["no batch worker"]
        try:
            self.parts.journal.messages(limit=1)
        except JournalError as error:
            problems.append(str(error))
        return problems


def _settle_memory() -> None:
    """What a node is made of stays as long as it runs: the garbage collector need not look at it again, which would hold up everything
    for a tenth of a second each time. What events leave behind is looked for less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def serve(folder: Path, *, role: Role = "all", name: str | None = None) -> None:
    """Run a node of the site in `folder` until SIGTERM or SIGINT. `name` in place of the one in `site.yaml`.

    Raises:
        NodeBusy: another process runs the site, or its port is taken. DocumentInvalid, SiteInvalid: the configuration.
    """

    code = 1

    async def main() -> None:
        nonlocal code
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await Node(folder, role=role, name=name).run(Future(), stop)
            code = 0
        finally:
            leaving.start()

    leaving = threading.Timer(STOP_SECONDS, lambda: os._exit(code))  # all that is left by then is threads that hang
    leaving.daemon = True
    try:
        uvloop.run(main())
    finally:
        leaving.cancel()


@contextlib.contextmanager
def running_node(folder: Path, *, watch: bool = True, listen: bool = True, role: Role = "all", name: str | None = None) -> Iterator[Node]:
    """The node of the site in `folder`, running in a thread of this process. Raises what its start raises."""
    ready: Future[Node] = Future()
    stopping: Future[asyncio.Event] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        stopping.set_result(stop)
        await Node(folder, watch=watch, listen=listen, role=role, name=name).run(ready, stop)

    def target() -> None:
        try:
            uvloop.run(main())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=target, name="renkei-node")
    thread.start()
    try:
        node = ready.result()
        yield node
    finally:
        if ready.done() and ready.exception() is None:
            loop = ready.result()._loop  # noqa: SLF001 - the node's own starter
            with contextlib.suppress(RuntimeError):  # it may have ended by itself
                loop.call_soon_threadsafe(stopping.result().set)
        thread.join()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Operations]:
    """The operations of a node that runs within this context.

    Raises:
        NodeBusy: another process runs the site. DocumentInvalid, SiteInvalid: the configuration.
    """
    with running_node(folder) as node:
        yield node.parts.operations


@contextlib.contextmanager
def open_operations(folder: Path) -> Iterator[Operations | RemoteOperations]:
    """The site's operations: of its running node, or else of the site itself, in this process, without watching sources.

    Raises:
        NodeBusy: another process holds the site and does not answer. DocumentInvalid, SiteInvalid: the configuration.
    """
    site = LoadedSite(site_alone(folder), folder.resolve(), {})  # where it is; thousands of tenants' files are not read for that
    with answering(site) as remote:
        if remote is not None:
            yield remote
            return
    with running_node(folder, watch=False, listen=False, name=named_node(site)) as node:
        yield node.parts.operations
