"""Real PostgreSQL for tests: servers of our own on loopback, each with a data folder and a random password of its own.

`fresh_database` gives a database of the one server that all processes of a run share (see `tests.services.shared`), with the journal's
tables in it; `empty_database` one without. Tests that stop, cut or kill a server take a `private_server`.
"""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
from psycopg import sql

from bus.journal.database import open_database
from tests.services.ports import free_ports
from tests.services.shared import alone, shared

ROLE: Final = "renkei"
"""The journal's account: it owns its databases and is no superuser."""
_ADMIN: Final = "postgres"
_MIGRATED: Final = "migrated"
_PATIENCE_SECONDS: Final = 60.0
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "max_wal_size": "512MB",
}


@dataclass(frozen=True)
class Database:
    """A database and how to reach it."""

    url: str
    password_file: Path

    @property
    def settings(self) -> dict[str, str]:
        """What stands under `journal:` of a site.yaml."""
        return {"url": self.url, "password_file": str(self.password_file)}


@dataclass(frozen=True)
class Server:
    """A running server and what may be asked of it."""

    port: int
    password_file: Path

    def database(self, *, like: str | None = None, encoding: str | None = None) -> Database:
        """A new database, empty or a copy of the database `like`, owned by the journal's account."""
        name = f"t_{secrets.token_hex(8)}"
        self.create(name, like=like, encoding=encoding)
        return Database(self.url(name), self.password_file)

    def url(self, database: str) -> str:
        """The address of a database, without password."""
        return f"postgresql+psycopg://{ROLE}@127.0.0.1:{self.port}/{database}"

    def create(self, name: str, *, like: str | None = None, encoding: str | None = None) -> None:
        """Make a database under a name of one's own."""
        words = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(ROLE))
        if like:
            words += sql.SQL(" TEMPLATE {}").format(sql.Identifier(like))
        if encoding:
            words += sql.SQL(" TEMPLATE template0 LOCALE 'C' ENCODING {}").format(sql.Literal(encoding))
        with self.admin() as connection:
            connection.execute(words)

    def content(self, database: str) -> bytes:
        """Everything that stands in the tables of a database, its texts and bytes as they are."""
        found = b""
        with self.admin(database) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                words = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(table))
                with connection.cursor().copy(words) as rows:
                    found += b"".join(bytes(data) for data in rows)
        return found

    @contextmanager
    def admin(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        """A superuser's connection; each statement is a transaction."""
        password = self.password_file.read_text("ascii")
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=_ADMIN, dbname=database, password=password, autocommit=True, connect_timeout=10
        ) as connection:
            yield connection


class PostgresServer:
    """A server that is started, stopped, killed and started again on the same port, with the same data.

    Starts in the main thread: the server ends with the thread that started it, so that none outlives a test that is killed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Server(free_ports(1)[0], folder / "password")
        self._process: subprocess.Popen[bytes] | None = None
        self._make()

    def facts(self) -> dict[str, Any]:
        """What other processes must know to use it."""
        return {"port": self.server.port, "password_file": str(self.server.password_file)}

    def start(self, **settings: str) -> None:
        """Start it and wait until it answers. `settings` override those of production."""
        options = [word for name, value in (_SETTINGS | settings).items() for word in ("-c", f"{name}={value}")]
        command = [_program("postgres"), "-D", str(self._data), "-p", str(self.server.port), *options]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                _as_account("--pdeathsig", "INT") + command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_answer(self._process)

    def stop(self) -> None:
        """Stop it as an operator does: sessions are ended, everything is written."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE_SECONDS)
            self._process = None

    def restart(self, **settings: str) -> None:
        """Stop and start."""
        self.stop()
        self.start(**settings)

    def kill(self) -> None:
        """kill -9 of the server and its sessions; `start` recovers what was confirmed."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        family = [main, *main.children()]
        main.suspend()  # makes no more of them
        family += main.children()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(_PATIENCE_SECONDS)
        self._process = None
        _, alive = psutil.wait_procs(family, timeout=_PATIENCE_SECONDS)
        assert not alive

    def close(self) -> None:
        """Away with it and its data."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _make(self) -> None:
        self.folder.mkdir(mode=0o711)
        self._data.mkdir(mode=0o700)
        handed, password = self.folder / "handed", self.server.password_file
        for file in (handed, password):
            file.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24), "ascii")
        handed.write_text(password.read_text("ascii"), "ascii")
        for path in (self._data, handed):
            shutil.chown(path, _account(), pwd.getpwnam(_account()).pw_gid)
        command = [_program("initdb"), "-D", str(self._data), "-U", _ADMIN, "--auth=scram-sha-256", f"--pwfile={handed}"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        done = subprocess.run(_as_account() + command, cwd="/", capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        handed.unlink()

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        ends = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with suppress(psycopg.OperationalError), self.server.admin() as connection:
                if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is None:
                    password = sql.Literal(self.server.password_file.read_text("ascii"))
                    connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(ROLE), password))
                return
            log = (self.folder / "server.log").read_text("utf-8", errors="replace")[-3000:]
            assert process.poll() is None, f"PostgreSQL ended:\n{log}"
            assert time.monotonic() < ends, f"PostgreSQL does not answer:\n{log}"
            time.sleep(0.02)


class SharedPostgres(PostgresServer):
    """The server of a run, with a migrated database to copy from."""

    def start(self, **settings: str) -> None:
        """Start it and make what `fresh_database` copies."""
        super().start(**settings)
        self.server.create(_MIGRATED)
        open_database(self.server.url(_MIGRATED), password_file=self.server.password_file).close()


def private_server() -> AbstractContextManager[PostgresServer]:
    """A running server for the length of the block, of this test alone."""
    return alone("postgres", PostgresServer)


@cache
def shared_server() -> Server:
    """The server that this run's processes share, kept until the last of them ends."""
    kept = ExitStack()
    atexit.register(kept.close)
    facts = kept.enter_context(shared("postgres", "tests.services.postgres:SharedPostgres"))
    return Server(int(facts["port"]), Path(facts["password_file"]))


def fresh_database() -> Database:
    """A database with an empty journal, migrated."""
    return shared_server().database(like=_MIGRATED)


def empty_database() -> Database:
    """A database that holds nothing."""
    return shared_server().database()


def _account() -> str:
    """The account the server runs as: it refuses to be root's."""
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def _as_account(*options: str) -> list[str]:
    become = [f"--reuid={_account()}", f"--regid={_account()}", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *become, *options, "--"]


def _program(name: str) -> str:
    """A program of the newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    assert found, f"{name} is not installed (sh tests/services.sh installs it)"
    return str(found[-1])
