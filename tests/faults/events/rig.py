"""What a fault run consists of: nodes, services, a receiver, a fetching subscriber, a publisher, and a proxy on every connection.

    publisher, subscriber --> proxy --> node(s) --> proxy --> receiver
                                          |-------> proxy --> PostgreSQL
                                          `-------> proxy --> RabbitMQ

Every process is a real one, in a session of its own, and ends with the rig.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.backends import Backend
from tests.faults.events.store import taken
from tests.faults.events.town import FETCHED, HOOKED, EventNode, Hook, write_town
from tests.faults.real_node import PATIENCE_SECONDS, REPOSITORY, until
from tests.proxy import TcpProxy
from tests.services.ports import free_ports
from tests.services.postgres import PostgresServer, private_server
from tests.services.rabbitmq import RabbitMq, private_rabbitmq

NODES: Final = ("node1", "node2")


class Program:
    """One of our own programs, started as a process, with its words in a file."""

    def __init__(self, folder: Path, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", f"tests.faults.events.{module}", *arguments]
        self.log = folder / f"{module}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, once more when it was killed."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    @property
    def ended(self) -> int | None:
        """Its exit status; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def told(self) -> str:
        """The end of what it said."""
        return self.log.read_text("utf-8", "replace")[-3000:] if self.log.exists() else ""


@dataclass
class Behind:
    """The services behind the nodes, when they are not embedded."""

    postgres: PostgresServer
    rabbitmq: RabbitMq
    database: TcpProxy
    broker: TcpProxy


@dataclass
class Rig:
    """All of it, running. `apis` are the proxies before the nodes, `hook` the one before the receiver."""

    folder: Path
    site: Path
    nodes: list[EventNode]
    apis: list[TcpProxy]
    hook: TcpProxy
    receiver: Program
    receiver_port: int
    subscriber: Program
    behind: Behind | None
    publisher: Program = field(init=False)

    @property
    def inboxes(self) -> dict[str, Path]:
        """The stores of the subscriptions."""
        return {HOOKED: self.folder / "hooked.db", FETCHED: self.folder / "fetched.db"}

    def taken(self) -> list[int]:
        """How many different events every subscription has."""
        return [taken(file) for file in self.inboxes.values()]

    def published(self) -> int:
        """How many events were answered 202 so far."""
        progress = self.folder / "published"
        return int(progress.read_text("ascii") or 0) if progress.exists() else 0

    def allow(self, count: int) -> None:
        """Let the publisher publish so many in all."""
        unfinished = self.folder / "allowed.new"
        unfinished.write_text(str(count), "ascii")
        unfinished.rename(self.folder / "allowed")

    def publish(self, *, people: int, serials: int, connections: int) -> None:
        """Start the publisher."""
        self.allow(0)
        job = {"ports": [proxy.port for proxy in self.apis], "people": people, "serials": serials, "connections": connections}
        file = self.folder / "job.json"
        file.write_text(json.dumps(job), "ascii")
        self.publisher = Program(self.folder, "publishing", str(file))
        self.publisher.start()

    def report(self) -> dict[str, Any] | None:
        """What the publisher says at its end; None before."""
        file = self.folder / "published.json"
        if not file.exists():
            assert not self.publisher.ended, self.publisher.told()
            return None
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found

    def revive(self, node: EventNode) -> None:
        """Start a node that is dead, and lead its connections to it."""
        node.start()
        self.apis[self.nodes.index(node)].towards(node.await_serving())

    def start_receiver(self) -> None:
        """Start it and wait until it listens."""
        self.receiver.start()
        until(lambda: _listens(self.receiver_port), "the receiver listens", self.receiver.told)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def running_rig(folder: Path, backend: Backend) -> Iterator[Rig]:
    """The rig in `folder`, with everything running but the publisher."""
    with ExitStack() as stack:
        behind = stack.enter_context(_services()) if backend == "services" else None
        (receiver_port,) = free_ports(1)
        hook = stack.enter_context(TcpProxy("127.0.0.1", receiver_port))
        site = write_town(
            folder / "site",
            {HOOKED: Hook(f"http://127.0.0.1:{hook.port}/events")},
            pulled=[FETCHED],
            services=None if behind is None else _settings(behind, folder),
        )
        nodes = [EventNode(site, name) for name in NODES] if behind else [EventNode(site)]
        apis = [stack.enter_context(TcpProxy("127.0.0.1", 1)) for _ in nodes]
        receiver = Program(folder, "receiving", str(folder / "hooked.db"), str(receiver_port))
        subscriber = Program(folder, "fetching", str(folder / "fetched.db"), *(str(proxy.port) for proxy in apis))
        rig = Rig(folder, site, nodes, apis, hook, receiver, receiver_port, subscriber, behind)
        stack.callback(_end, rig)
        rig.start_receiver()
        for node in nodes:  # one after another: the first makes the journal
            rig.revive(node)
        subscriber.start()
        yield rig


def _end(rig: Rig) -> None:
    programs = [rig.receiver, rig.subscriber, *([rig.publisher] if hasattr(rig, "publisher") else [])]
    for program in programs:
        program.kill()
    for node in rig.nodes:
        node.end()


@contextmanager
def _services() -> Iterator[Behind]:
    """PostgreSQL and RabbitMQ of this run alone, each behind a proxy."""
    with ExitStack() as stack:
        postgres = stack.enter_context(private_server())
        rabbitmq = stack.enter_context(private_rabbitmq())
        database = stack.enter_context(TcpProxy("127.0.0.1", postgres.server.port))
        broker = stack.enter_context(TcpProxy("127.0.0.1", rabbitmq.broker.port))
        yield Behind(postgres, rabbitmq, database, broker)


def _settings(behind: Behind, folder: Path) -> dict[str, Any]:
    """What the site says of its services: the way through the proxies."""
    made = behind.postgres.server.database()
    url = made.url.replace(f":{behind.postgres.server.port}/", f":{behind.database.port}/")
    broker = behind.rabbitmq.broker
    password = broker.password_file(folder)
    return {
        "journal": {"url": url, "password_file": str(made.password_file)},
        "broker": {"url": broker.url("/", port=behind.broker.port, password=False), "password_file": str(password)},
    }


