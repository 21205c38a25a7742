"""The journal on SQLite: one file, one process.

Owns: pragmas, and how a transaction begins there. WAL with `synchronous=FULL`, so that a commit that returned is on disk; one writer at a
time, held by a lock of `bus.journal.database` and by `BEGIN IMMEDIATE` here. Readers see the last commit and wait for nobody.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, create_engine, event

from bus.durable import sync
from bus.journal.checkpoints import Checkpoints
from bus.journal.engines import WRITES, Engines, Synchronous

_BUSY_SECONDS: Final = 10
_CHECKPOINT_PAGES: Final = 65_536
"""Of 4 KiB: should `bus.journal.checkpoints` be kept from its work, SQLite does it itself at this length of the log."""


def sqlite_engines(url: URL, synchronous: Synchronous) -> Engines:
    """Engines for an SQLite file; it is made with mode 0600, and its folder with 0700, when it is not there.

    Raises:
        OSError: it cannot be made.
    """
    _make_file(url.database)
    engine = create_engine(url)
    event.listen(engine, "connect", partial(_on_connect, synchronous))
    event.listen(engine, "begin", _on_begin)
    if not url.database or url.database == ":memory:":
        return Engines(engine, engine)
    checkpoints = Checkpoints(Path(url.database))
    return Engines(engine, engine, committed=checkpoints.committed, ended=checkpoints.close)


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
        f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        "trusted_schema=OFF",
        "temp_store=MEMORY",
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
