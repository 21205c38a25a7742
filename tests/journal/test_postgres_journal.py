"""The journal on PostgreSQL keeps the laws that it keeps on SQLite."""

from __future__ import annotations

from pathlib import Path

from journal_laws import JournalLaws

from bus.clock import ManualClock
from bus.journal.journal import SqlJournal
from tests.backends import journal_database


class TestPostgresJournal(JournalLaws):
    """PostgreSQL, as a node opens it."""

    def open_journal(self, folder: Path, clock: ManualClock) -> SqlJournal:
        database = journal_database(folder)
        return SqlJournal.open(database.url, clock, password_file=database.password_file)
