"""The journal: the only truth about what came, what was made of it, and what left.

Owns: nothing of its own; it puts the roles together over one database. Whoever needs less takes a port of `bus.ports`.
"""

from __future__ import annotations

from pathlib import Path

from bus.journal.accept import SqlAcceptJournal
from bus.journal.database import open_database
from bus.journal.deliver import SqlDeliverJournal
from bus.journal.engines import Synchronous
from bus.journal.event_routes import SqlEventRoutes
from bus.journal.events import SqlEventJournal
from bus.journal.expiry import SqlExpiryJournal
from bus.journal.leases import SqlLeaseJournal
from bus.journal.night_query import SqlNightJournal
from bus.journal.operate import SqlOperateJournal
from bus.journal.query import SqlQueryJournal
from bus.ports import Clock


class SqlJournal(
    SqlAcceptJournal,
    SqlDeliverJournal,
    SqlEventJournal,
    SqlEventRoutes,
    SqlExpiryJournal,
    SqlLeaseJournal,
    SqlNightJournal,
    SqlOperateJournal,
    SqlQueryJournal,
):
    """The roles over one SQL database. Safe to use from several threads of one process."""

    @staticmethod
    def open(url_or_path: str | Path, clock: Clock, *, synchronous: Synchronous = "FULL", password_file: Path | None = None) -> SqlJournal:
        """Open the journal, making or migrating its database. A path means an SQLite file.

        An address `postgresql+psycopg://user@host:port/database` means PostgreSQL; its password stands in `password_file`.
        `synchronous="OFF"` gives up durability: only for the test that shows that the durability test can fail.

        Raises:
            JournalUnavailable: the database cannot be opened, written or migrated.
            JournalError: it was written by a newer version of the bus, or it is none that can keep a journal.
        """
        return SqlJournal(open_database(url_or_path, synchronous=synchronous, password_file=password_file), clock)

    def close(self) -> None:
        """Close every connection. Closing twice is fine."""
        self._database.close()
