"""The database under the journal: transactions, migrations, and errors in the bus's words.

Owns: what a transaction promises, whatever the database (`bus.journal.sqlite`, `bus.journal.postgres`). A commit that returned is on disk.
Writers take turns: one at a time in this process, and one at a time of all nodes on one database. Each sees everything that was committed
before its turn began. Readers see one moment and wait for nobody.

A commit whose answer is lost (the connection broke between the commit and its answer) may or may not have taken place. The caller sees
JournalUnavailable with RNK3101E in place of RNK3001E. It may do as after any JournalUnavailable: call again. What was done is found
done: an identity, a chunk, an acceptance, a publication, an end is recorded once however often it is told; what was claimed unknowingly
comes free when its lease runs out or with `unclaim`; sending again is refused while the first copy is unfinished. Only a receipt or a
note, which change nothing else, may then stand twice.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from bus.errors import JournalError, JournalUnavailable
from bus.journal.engines import MIGRATES, WRITES, Engines, Synchronous
from bus.journal.postgres import postgres_engines
from bus.journal.sqlite import sqlite_engines

_IDLE_TOO_LONG: Final = "25P03"
"""PostgreSQL's word for a session it ended before it was asked to commit"""


class Database:
    """An open database with the journal's schema. Safe to use from several threads."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._writer = threading.Lock()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: committed, and on disk, when the block ends; undone when it raises.

        Raises:
            JournalUnavailable: it could not be begun or committed; nothing was changed. With RNK3101E: the answer to the commit was
                lost, see above.
            JournalError: a constraint refused it; nothing was changed.
        """
        asked = False
        with self._turn(), _translated():
            try:
                with self._engines.writes.connect() as connection, connection.execution_options(**{WRITES: True}).begin():
                    yield connection
                    asked = True
                self._engines.committed()
            except DBAPIError as error:
                if asked and error.connection_invalidated and getattr(error.orig, "sqlstate", None) != _IDLE_TOO_LONG:
                    raise JournalUnavailable("RNK3101E", reason=_reason(error)) from error
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One reading transaction: everything in the block is seen as of one moment.

        Raises:
            JournalUnavailable: the database cannot be read.
        """
        with _translated(), self._engines.reads.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close every connection. Closing twice is fine."""
        self._engines.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """This process's turn to write."""
        if not self._writer.acquire(timeout=self._engines.turn_seconds):
            raise JournalUnavailable("RNK3001E", reason=f"no turn to write within {self._engines.turn_seconds:g} s")
        try:
            yield
        finally:
            self._writer.release()


def open_database(url_or_path: str | Path, *, synchronous: Synchronous = "FULL", password_file: Path | None = None) -> Database:
    """Open, make or migrate a database. A path means an SQLite file (made with mode 0600, its folder with 0700).

    A PostgreSQL address is `postgresql+psycopg://user@host:port/database`; the password stands in `password_file` and nowhere else. The
    database exists, in UTF-8, and belongs to the user. `synchronous="OFF"` gives up durability: only for the test that shows that the
    durability test can fail.

    Raises:
        JournalUnavailable: it cannot be opened or migrated, or its password not be read.
        JournalError: it was written by a newer version; the address is none or holds a password; the server does not keep what it
            confirms.
    """
    try:
        engines = _engines(url_or_path, synchronous, password_file)
    except OSError as error:
        raise JournalUnavailable("RNK3001E", reason=str(error)) from error
    try:
        with _translated():
            migrate(engines.writes)
    except BaseException:
        engines.dispose()
        raise
    return Database(engines)


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`, in one transaction. Nodes that start at once do so one after the other.

    Raises:
        JournalError: the schema is newer than this program.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection, connection.execution_options(**{WRITES: True, MIGRATES: True}).begin():
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except CommandError as error:
            raise JournalError("RNK3002E", reason=str(error)) from error


def _engines(url_or_path: str | Path, synchronous: Synchronous, password_file: Path | None) -> Engines:
    text = str(url_or_path)
    try:
        url = make_url(text if "://" in text else f"sqlite:///{text}")
    except (ArgumentError, ValueError):
        raise JournalError("RNK3105E") from None  # neither text nor cause: it may hold a password
    if url.get_backend_name() == "sqlite":
        return sqlite_engines(url, synchronous)
    if url.get_backend_name() != "postgresql":
        raise JournalError("RNK3105E")
    if url.password is not None or "password" in url.query:
        raise JournalError("RNK3104E")
    return postgres_engines(url.set(drivername="postgresql+psycopg"), synchronous, password_file)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver raises into the bus's errors. Statements and their parameters never become part of a text."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        raise JournalError("RNK3003E", reason=_reason(error)) from error
    except (DBAPIError, NoConnectionFree) as error:
        raise JournalUnavailable("RNK3001E", reason=_reason(error)) from error


def _reason(error: DBAPIError | NoConnectionFree) -> str:
    """What the database says, in one line. PostgreSQL's further lines are left out: they quote rows."""
    said: object = error.orig if isinstance(error, DBAPIError) else error
    primary = getattr(getattr(said, "diag", None), "message_primary", None)
    if isinstance(error, DataError):
        return f"{type(said).__name__} {getattr(said, 'sqlstate', None) or ''}".strip()  # its words quote the value
    return " ".join(str(primary or said).split())
