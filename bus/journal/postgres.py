"""The journal on PostgreSQL (14 or newer): one database, several nodes.

Owns: sessions, time limits, and the one writer. The first statement of a write transaction takes an advisory lock that is held until its
end; at READ COMMITTED every statement after it sees all that was committed before. So a write transaction means what it means on SQLite.
Reading transactions are REPEATABLE READ, read only, and take no lock.

Nothing waits for ever. A node that stops in the middle of a write transaction loses its session, and the lock with it, after
`IDLE_SECONDS`; a statement ends after `WRITE_SECONDS` or `READ_SECONDS`; others wait `LOCK_SECONDS` for their turn. The server looks for
clients that are gone, and a client that hears nothing from its server a little longer than the server may take drops the connection, even
when everything between them still answers for it. Every connection is tried before it is used, so after a restart of the server or a cut
the next call works again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.abc import RV, PQGen
from sqlalchemy import URL, Connection, create_engine, event

from bus.errors import JournalError, JournalUnavailable
from bus.journal.engines import MIGRATES, WRITES, Engines, Synchronous
from bus.secret_files import read_secret

IDLE_SECONDS: Final = 5
"""a write transaction whose node says nothing for so long is undone"""
WRITE_SECONDS: Final = 10
"""a statement of a write transaction"""
LOCK_SECONDS: Final = 13
"""the wait for one's turn: longer than whoever holds it may be silent, or busy with one statement"""
READ_SECONDS: Final = 30
MIGRATION_SECONDS: Final = 3600
"""a change of the schema, and the wait for that of another node"""
CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 5
"""how much later than the server's own limit an answer may come; and how long an unused connection may take to prove itself"""

_LOCK: Final = 0x52_45_4E_4B_45_49
"""The advisory lock of those who write a journal. It is held per database: two journals do not share one."""
_READERS: Final = (5, 10)
"""connections that are kept, and those that are made besides when all are in use"""


class _Session(psycopg.Connection[Any]):
    """A connection that waits for its server only so long."""

    answer_seconds: float = ANSWER_SECONDS

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for an answer; a connection whose answer does not come in time is closed, and so never used again."""
        # Only the proof of an unused connection runs outside a transaction.
        limit = ANSWER_SECONDS if self.autocommit else self.answer_seconds
        try:
            return super().wait(gen, interval, limit if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 - the driver has no public name for what its own `wait` raises
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer from the database within {limit:g} s") from None


def postgres_engines(url: URL, synchronous: Synchronous, password_file: Path | None) -> Engines:
    """Engines for a PostgreSQL database. Connections are made when they are needed, none here.

    With `synchronous="OFF"` commits do not wait for the disk, and a server that never does is taken.
    """
    open_session = _opener(url, password_file)
    writes = create_engine(
        url,
        creator=lambda: open_session(_writing(synchronous), LOCK_SECONDS + ANSWER_SECONDS),
        isolation_level="READ COMMITTED",
        pool_size=1,
        max_overflow=1,
        pool_pre_ping=True,
    )
    event.listen(writes, "begin", _on_begin)
    event.listen(writes, "after_cursor_execute", _after_many)
    if synchronous == "FULL":
        event.listen(writes, "connect", _must_keep_what_it_confirms)
    size, more = _READERS
    reads = create_engine(
        url,
        creator=lambda: open_session(_reading(), READ_SECONDS + ANSWER_SECONDS),
        isolation_level="REPEATABLE READ",
        pool_size=size,
        max_overflow=more,
        pool_pre_ping=True,
    )
    return Engines(writes, reads, turn_seconds=LOCK_SECONDS + WRITE_SECONDS)


def _opener(url: URL, password_file: Path | None) -> Callable[[dict[str, str], float], _Session]:
    """How a connection is made: the address as the driver takes it, the password as it stands in its file now."""
    _, given = url.get_dialect()().create_connect_args(url)
    session_options = str(given.pop("options", ""))
    patience = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": (LOCK_SECONDS + ANSWER_SECONDS) * 1000}
    patience |= {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
    known = {"application_name": "renkei", "client_encoding": "utf8", "target_session_attrs": "primary", **patience, **given}

    def open_session(settings: dict[str, str], answer_seconds: float) -> _Session:
        options = " ".join([session_options, *(f"-c {name}={value}" for name, value in settings.items())])
        secret = {} if password_file is None else {"password": _password(password_file)}
        session = _Session.connect(**{**known, **secret, "options": options})
        session.answer_seconds = answer_seconds
        return session

    return open_session


def _watched() -> dict[str, str]:
    """Settings by which the server notices a client that is gone."""
    keepalives = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3"}
    return {"client_connection_check_interval": "2s", "tcp_user_timeout": "10s", **keepalives}


def _writing(synchronous: Synchronous) -> dict[str, str]:
    limits = {"idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s", "lock_timeout": f"{LOCK_SECONDS}s"}
    limits["statement_timeout"] = f"{LOCK_SECONDS + 1}s"  # of the statement that waits for the lock; it shortens it for those after it
    return {"synchronous_commit": "on" if synchronous == "FULL" else "off", **limits, **_watched()}


def _reading() -> dict[str, str]:
    limits = {"statement_timeout": f"{READ_SECONDS}s", "idle_in_transaction_session_timeout": f"{READ_SECONDS}s"}
    return {"default_transaction_read_only": "on", **limits, **_watched()}


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get(WRITES, False):
        return
    migrates = options.get(MIGRATES, False)
    session = connection.connection.driver_connection
    if isinstance(session, _Session):
        session.answer_seconds = (MIGRATION_SECONDS if migrates else LOCK_SECONDS) + ANSWER_SECONDS
    if migrates:  # whoever wants to write meanwhile is told to try again
        _local(connection, statement_timeout=MIGRATION_SECONDS, lock_timeout=MIGRATION_SECONDS, idle_in_transaction_session_timeout=60)
    limit = MIGRATION_SECONDS if migrates else WRITE_SECONDS
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK}), set_config('statement_timeout', '{limit}s', true)")


def _after_many(_connection: Connection, cursor: psycopg.Cursor[Any], _sql: str, _given: object, _context: object, many: bool) -> None:
    """Have the server count the silence of this transaction again. The driver sends many rows in a pipeline and ends it with a flush
    request after the last sync; by that the server believes the next statement is on its way, and would wait for it for ever."""
    if many:
        cursor.connection.execute("SELECT 1")


def _local(connection: Connection, **limits: int) -> None:
    """Time limits in seconds for the rest of the transaction."""
    connection.exec_driver_sql("SELECT " + ", ".join(f"set_config('{name}', '{limit}s', true)" for name, limit in limits.items()))


def _must_keep_what_it_confirms(session: psycopg.Connection[Any], _record: object) -> None:
    """Refuse a server whose commits are not on disk, or that cannot hold every character."""
    encoding = session.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise JournalError("RNK3102E", setting="server_encoding", value=encoding, wanted="UTF8")
    with session.cursor() as cursor:
        cursor.execute("SHOW fsync")
        row = cursor.fetchone()
    session.rollback()
    if row != ("on",):
        raise JournalError("RNK3102E", setting="fsync", value=row[0] if row else None, wanted="on")


def _password(file: Path) -> str:
    try:
        return read_secret(file)
    except OSError as error:
        raise JournalUnavailable("RNK3103E", path=str(file), reason=error.strerror or str(error)) from None
