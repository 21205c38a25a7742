"""A real RabbitMQ for tests: a plain process of its own user, node name and ports, on loopback, with its data in a temporary folder.

`rabbitmq` is the one that all tests of a run share, each in a virtual host of its own (`virtual_host`); `RabbitMq` is one that a test may
stop, kill and start again. There is no guest: its only user has a random password. It tells that it is ready itself, through the socket
it would tell a service manager.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services.ports import free_ports
from tests.services.shared import alone, shared

PATIENCE_SECONDS = 120.0
USER = "rabbitmq"


@dataclass(frozen=True)
class Broker:
    """Where a RabbitMQ is and how to come in."""

    port: int
    management_port: int
    user: str
    password: str

    @property
    def management_url(self) -> str:
        return f"http://127.0.0.1:{self.management_port}"

    def url(self, virtual_host: str, *, port: int | None = None, password: bool = True) -> str:
        """An AMQP address; `port` is another one that leads there (a proxy's), without `password` as a site's configuration has it."""
        secret = f":{self.password}" if password else ""
        return f"amqp://{self.user}{secret}@127.0.0.1:{port or self.port}/{urllib.parse.quote(virtual_host, safe='')}"

    def password_file(self, folder: Path) -> Path:
        """The password in a file, as a site's configuration names it."""
        file = folder / "broker-password"
        file.touch(mode=0o600)
        file.write_text(self.password + "\n", "utf-8")
        return file

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Ask the management API. `path` begins after `/api/`; its parts must be quoted."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.management_url}/api/{path}", data, {"content-type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(self._passwords()))
        with opener.open(request, timeout=PATIENCE_SECONDS) as response:
            said = response.read()
            return json.loads(said) if said else None

    def _passwords(self) -> urllib.request.HTTPPasswordMgr:
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        known.add_password(None, self.management_url, self.user, self.password)
        return known

    @contextmanager
    def new_virtual_host(self) -> Iterator[str]:
        """A virtual host for the length of the block."""
        name = f"test-{secrets.token_hex(6)}"
        self.api("PUT", f"vhosts/{name}", {})
        try:
            yield name
        finally:
            self.api("DELETE", f"vhosts/{name}")


class RabbitMq:
    """A RabbitMQ that is started, stopped, killed and started again, always on the same ports and with the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        port, management, self._distribution, self._epmd_port = free_ports(4)
        self.broker = Broker(port, management, "renkei", secrets.token_urlsafe(24))
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._log = (folder / "server.log").open("ab")
        self._configure()

    def facts(self) -> dict[str, Any]:
        return asdict(self.broker)

    def start(self) -> None:
        """Start it and wait until it tells that it is ready."""
        if self._epmd is None:
            self._epmd = self._run("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")
            _wait_port(self._epmd_port, self._epmd)
        address = self.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(address))
            address.chmod(0o777)
            told.settimeout(1)
            self._server = self._run("/usr/lib/rabbitmq/bin/rabbitmq-server")
            try:
                self._wait_ready(told, self._server)
            finally:
                address.unlink()

    def stop(self) -> None:
        """Let it shut down in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9. Quorum queues just declared come back without a leader, for ever: see `wait_written`."""
        self._end(signal.SIGKILL)

    def wait_written(self, virtual_host: str, *queues: str) -> None:
        """Until the names of these quorum queues are in the file from which RabbitMQ 3.10 finds them after a kill: it writes them half a
        second late, and a queue whose name is missing there never works again."""
        pause = threading.Event()
        names = [f"{virtual_host}_{queue}".encode() for queue in queues]
        for _ in range(int(PATIENCE_SECONDS / 0.05)):
            written = b"".join(file.read_bytes() for file in self.folder.glob("mnesia/*/quorum/*/names.dets"))
            if all(name in written for name in names):
                return
            pause.wait(0.05)
        raise AssertionError(f"not written: {queues}")

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Away with it and its data."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(PATIENCE_SECONDS)
            self._epmd = None
        self._log.close()
        shutil.rmtree(self.folder)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._server is not None:
            self._server.send_signal(with_signal)
            self._server.wait(PATIENCE_SECONDS)
            self._server = None

    def _configure(self) -> None:
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.broker.port}",
            "management.tcp.ip = 127.0.0.1",
            f"management.tcp.port = {self.broker.management_port}",
            f"default_user = {self.broker.user}",
            f"default_pass = {self.broker.password}",
            "log.file = false",
            "log.console = true",
            "disk_free_limit.absolute = 50MB",
            "vm_memory_high_watermark.absolute = 1GB",
            # what tests count (consumers, messages) is never older than this
            "collect_statistics_interval = 1000",
        ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n", "utf-8")
        (self.folder / "plugins").write_text("[rabbitmq_management].", "utf-8")
        for path in (self.folder, *self.folder.iterdir()):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if os.geteuid() == 0:
                shutil.chown(path, USER, USER)

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_NODENAME": f"renkei{self.broker.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        become: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        return subprocess.Popen(
            command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            start_new_session=True, **become,
        )  # fmt: skip

    def _wait_ready(self, told: socket.socket, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            assert server.poll() is None, (self.folder / "server.log").read_text("utf-8")[-5000:]
            try:
                if told.recv(4096).startswith(b"READY=1"):
                    return
            except TimeoutError:
                continue
        raise AssertionError((self.folder / "server.log").read_text("utf-8")[-5000:])


def _wait_port(port: int, process: subprocess.Popen[bytes]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.02)):
        assert process.poll() is None, f"nothing listens on {port}: it ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            pause.wait(0.02)
        else:
            return
    raise AssertionError(f"nothing listens on {port}")


def private_rabbitmq() -> AbstractContextManager[RabbitMq]:
    """A running one for the length of the block, of this test alone."""
    return alone("rabbitmq", RabbitMq)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Broker]:
    """The broker that the tests of this run share."""
    with shared("rabbitmq", "tests.services.rabbitmq:RabbitMq") as facts:
        yield Broker(**facts)


@pytest.fixture
def virtual_host(rabbitmq: Broker) -> Iterator[str]:
    """A virtual host of this test's own on the shared broker."""
    with rabbitmq.new_virtual_host() as name:
        yield name
