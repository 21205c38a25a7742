"""Bringing SQLite's log back into its file, beside the writers and not in their way.

Owns: when the write-ahead log is copied back (SQLite documentation, "Write-Ahead Logging", section "Checkpointing"). Left to SQLite, the
commit that makes the log too long does the copying, and everybody who waits for it waits for that, too. Here a thread copies while others
commit. Only to begin the log anew from its start must it keep a writer waiting, for as long as the last few pages take.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Final

COPY_BYTES: Final = 16 * 1024 * 1024
"""From this length on the log is copied back."""
RESTART_BYTES: Final = 64 * 1024 * 1024
"""From this length on it is begun anew."""
LOOK_EVERY: Final = 16
"""commits"""
_PATIENCE_SECONDS: Final = 5.0


class Checkpoints:
    """Looks after the log of one file, from a thread of its own. Trouble is left to the next commit, which meets it too."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._log = file.with_name(f"{file.name}-wal")
        self._commits = 0
        self._look = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def committed(self) -> None:
        """A transaction was committed. Costs next to nothing."""
        self._commits += 1
        if self._commits % LOOK_EVERY == 0 and not self._closed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="renkei-checkpoints", daemon=True)
                self._thread.start()
            self._look.set()

    def close(self) -> None:
        """End the thread; what is copied right now is copied to its end. Closing twice is fine."""
        self._closed = True
        self._look.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while True:
                self._look.wait()
                self._look.clear()
                if self._closed:
                    return
                with contextlib.suppress(sqlite3.Error, OSError):
                    if self._log.stat().st_size < COPY_BYTES:
                        continue
                    if connection is None:
                        connection = sqlite3.connect(self._file, timeout=_PATIENCE_SECONDS, isolation_level=None)
                        connection.execute("PRAGMA synchronous=FULL")
                    self._copy(connection)
        finally:
            if connection is not None:
                connection.close()

    def _copy(self, connection: sqlite3.Connection) -> None:
        """Twice, because others write meanwhile: what is left for the restart, which keeps them waiting, is little then."""
        for _ in range(2):
            _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages * 4096 >= RESTART_BYTES and copied > 0:
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
