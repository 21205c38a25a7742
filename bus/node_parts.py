"""The parts of a node, made from a checked configuration. The only place that knows every part; it wires, and does nothing else."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import IO

from bus.adapter_ports import Adapter, Arrival, Sink, Source
from bus.batch.pool import WorkerPool
from bus.batch.prepared import WorkFolder
from bus.batch.recipes import Recipes
from bus.broker.embedded import EmbeddedHints
from bus.broker.hints import Hints
from bus.clock import SystemClock
from bus.delivery import Deliverer
from bus.delivery_dispatch import Dispatcher
from bus.errors import NodeBusy, SiteInvalid
from bus.intake import Intake
from bus.intake_report import Reporter
from bus.intake_submitted import Progress, Submissions
from bus.journal.journal import SqlJournal
from bus.node_place import own_name, private_folder
from bus.operations import Operations
from bus.operations_bulk import BulkReleases
from bus.payloads import DirectoryPayloads
from bus.security.keyed_hash import KeyedHash
from bus.security.seal import IdentitySeal
from bus.site import LoadedSite
from bus.site_check import load_site, registry_of, translations_of
from monitoring.metrics import Metrics

Start = Callable[[Arrival, Progress], None]


@cache
def adapter(name: str) -> Adapter:
    """The installed adapter of that name.

    Raises:
        SiteInvalid: none is installed under it.
    """
    for point in entry_points(group="renkei.adapters", name=name):
        loaded: Adapter = point.load()
        return loaded
    raise SiteInvalid("RNK7003E", adapter=name)


@dataclass(slots=True)
class ConfiguredSinks:
    """Sinks by tenant and endpoint, each made once."""

    site: LoadedSite
    _made: dict[tuple[str, str], Sink] = field(default_factory=dict)

    def sink(self, tenant: str, endpoint: str) -> Sink:
        """The sink of an endpoint.

        Raises:
            SiteInvalid: no such endpoint, or its settings are wrong. TransportError: its folder cannot be made.
        """
        key = (tenant, endpoint)
        if key not in self._made:
            loaded = self.site.tenants.get(tenant)
            found = next((known for known in loaded.tenant.endpoints if known.id == endpoint), None) if loaded else None
            if found is None:
                raise SiteInvalid("RNK4020E", kind="endpoint", name=endpoint, tenant=tenant)
            self._made[key] = adapter(found.adapter).sink(found.settings, found.id, tenant, self.site.folder)
        return self._made[key]


def configured_sources(site: LoadedSite) -> Mapping[tuple[str, str], Source]:
    """The sources of every endpoint that an interface takes files from."""
    made: dict[tuple[str, str], Source] = {}
    for code, loaded in site.tenants.items():
        used = {interface.endpoint for interface in loaded.tenant.interfaces if interface.kind != "event"}
        for endpoint in loaded.tenant.endpoints:
            if endpoint.id in used:
                made[code, endpoint.id] = adapter(endpoint.adapter).source(endpoint.settings, endpoint.id, code, site.folder)
    return made


@dataclass(slots=True)
class Parts:
    """Everything a node consists of. One process at a time has the parts of a node of a site: it holds `lock`.

    `hints` reach every node of the site, `file_hints` the dispatcher of this one."""

    name: str
    site: LoadedSite
    lock: IO[str]
    journal: SqlJournal
    payloads: DirectoryPayloads
    hashes: KeyedHash
    recipes: Recipes
    metrics: Metrics
    clock: SystemClock
    pool: WorkerPool
    work: WorkFolder
    hints: Hints
    file_hints: EmbeddedHints
    intake: Intake
    dispatcher: Dispatcher
    reporter: Reporter
    operations: Operations

    def close(self) -> None:
        """Close the journal and let the site go."""
        self.hints.close()
        self.file_hints.close()
        self.journal.close()
        self.lock.close()


def take_lock(folder: Path, name: str = "node.lock") -> IO[str]:
    """The lock of a site, or of one of its nodes, held until the file is closed or the process ends.

    Raises:
        NodeBusy: another process holds it.
    """
    lock = (folder / name).open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        pid = lock.read().strip() or "?"
        lock.close()
        raise NodeBusy("RNK7001E", folder=str(folder), pid=pid) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def assemble(folder: Path, pool: WorkerPool, start: Start, node: str | None = None) -> Parts:
    """Make the parts of a node of the site in `folder`; `node` is its name, else the one in `site.yaml`. `start` is called with each
    submitted file.

    Raises:
        DocumentInvalid, SiteInvalid: the configuration. NodeBusy: another process is that node. JournalUnavailable: the journal.
    """
    site = load_site(folder)
    name = node or site.site.node
    site = replace(site, site=site.site.model_copy(update={"node": name}))
    private = private_folder(site)
    with ExitStack() as undo:
        lock = undo.enter_context(take_lock(private, own_name(site, name, "node.lock")))
        parts = _wired(site, name, private, lock, pool, start, undo)
        undo.pop_all()  # all went well: `Parts.close` does it
    return parts


def _journal(site: LoadedSite, clock: SystemClock) -> SqlJournal:
    at = site.site.journal
    password_file = None if at.password_file is None else site.path(at.password_file)
    return SqlJournal.open(at.url or site.path(at.file), clock, password_file=password_file)


def open_hints(site: LoadedSite, metrics: Metrics) -> Hints:
    """The hints of the site: shared over its broker, or inside the process."""
    at = site.site.broker
    if at is None:
        return EmbeddedHints()
    from bus.broker.rabbitmq import RabbitHints  # noqa: PLC0415 - only a site with a broker loads its library

    password_file = None if at.password_file is None else str(site.path(at.password_file))
    return RabbitHints.open(at.url, password_file, observe=metrics.set_broker_connected)


def _wired(site: LoadedSite, name: str, private: Path, lock: IO[str], pool: WorkerPool, start: Start, undo: ExitStack) -> Parts:
    """The parts; `undo` ends what was begun, should a later one fail."""
    clock, file_hints = SystemClock(), EmbeddedHints()
    registry = registry_of(site)
    recipes = Recipes(site, registry, translations_of(site, registry))
    journal = undo.enter_context(closing(_journal(site, clock)))
    shared = site.site.journal.url is not None
    payloads = DirectoryPayloads(site.path(site.site.payloads.folder), IdentitySeal(), writer=name if shared else "")
    payloads.sweep()
    work = WorkFolder.of(site.path(site.site.batch.work_folder))
    work.clear_earlier_boots()
    metrics = Metrics(node=name, version=version("renkei-bus"))
    hints = undo.enter_context(closing(open_hints(site, metrics)))
    reporter = Reporter(site, metrics, clock, journal)
    hashes = KeyedHash.open(private / "hash.key")
    intake = Intake(recipes, journal, payloads, pool, work, hashes, hints, site.site.batch.chunk_bytes)
    deliverer = Deliverer(recipes, journal, payloads, pool, work, ConfiguredSinks(site), clock)
    dispatcher = Dispatcher(name, journal, journal, deliverer, file_hints, reporter, work)
    submissions = Submissions(recipes, private / own_name(site, name, "submitted"), start)
    operations = Operations(recipes, journal, payloads, submissions, hints, clock, BulkReleases(journal, hints.publish))
    return Parts(
        name, site, lock, journal, payloads, hashes, recipes, metrics, clock, pool, work, hints, file_hints, intake, dispatcher, reporter,
        operations,
    )  # fmt: skip
