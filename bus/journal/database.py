"""The database under the journal: engine, pragmas, transactions, migrations.

Owns: everything that differs between databases. SQLite runs in WAL with `synchronous=FULL`, so that a commit that returned is on disk;
one writer at a time, held by a lock here and by `BEGIN IMMEDIATE` there. Readers see the last commit and wait for nobody.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from bus.durable import sync
from bus.errors import JournalError, JournalUnavailable

Synchronous = Literal["FULL", "OFF"]

_WRITES: Final = "renkei_writes"
_BUSY_SECONDS: Final = 10


class Database:
    """An open database with the journal's schema. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = threading.Lock()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: committed, and on disk, when the block ends; undone when it raises.

        Raises:
            JournalUnavailable: it could not be begun or committed; nothing was changed.
            JournalError: a constraint refused it; nothing was changed.
        """
        with self._writer, _translated(), self._engine.connect() as connection, connection.execution_options(**{_WRITES: True}).begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One reading transaction: everything in the block is seen as of one moment.

        Raises:
            JournalUnavailable: the database cannot be read.
        """
        with _translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close every connection. Closing twice is fine."""
        self._engine.dispose()


def open_database(url_or_path: str | Path, *, synchronous: Synchronous = "FULL") -> Database:
    """Open, make or migrate a database. A path means an SQLite file (made with mode 0600, its folder with 0700).

    `synchronous="OFF"` gives up durability: only for the test that shows that the durability test can fail.

    Raises:
        JournalUnavailable: it cannot be opened or migrated.
        JournalError: it was written by a newer version.
    """
    url = str(url_or_path) if "://" in str(url_or_path) else f"sqlite:///{url_or_path}"
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            _make_file(make_url(url).database)
            event.listen(engine, "connect", partial(_on_connect, synchronous))
            event.listen(engine, "begin", _on_begin)
        migrate(engine)
    except (DBAPIError, OSError) as error:
        raise JournalUnavailable("RNK3001E", reason=_reason(error)) from error
    return Database(engine)


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`, in one transaction.

    Raises:
        JournalError: the schema is newer than this program.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection, connection.execution_options(**{_WRITES: True}).begin():
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except CommandError as error:
            raise JournalError("RNK3002E", reason=str(error)) from error


def _make_file(name: str | None) -> None:
    if not name or name == ":memory:" or Path(name).exists():
        return
    Path(name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    sync(Path(name).parent)


def _on_connect(synchronous: Synchronous, connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _on_begin, and nowhere else
    for pragma in (
        f"busy_timeout={_BUSY_SECONDS * 1000}",
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        "trusted_schema=OFF",
        "temp_store=MEMORY",
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver raises into the bus's errors. Statements and their parameters never become part of a text."""
    try:
        yield
    except IntegrityError as error:
        raise JournalError("RNK3003E", reason=_reason(error)) from error
    except (DBAPIError, NoConnectionFree) as error:
        raise JournalUnavailable("RNK3001E", reason=_reason(error)) from error


def _reason(error: DBAPIError | NoConnectionFree | OSError) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error)
