"""The journal on SQLite keeps the laws."""

from __future__ import annotations

from pathlib import Path

from journal_laws import JournalLaws

from bus.clock import ManualClock
from bus.journal.journal import SqlJournal


class TestSqliteJournal(JournalLaws):
    """SQLite, as the node opens it."""

    def open_journal(self, folder: Path, clock: ManualClock) -> SqlJournal:
        return SqlJournal.open(folder / "journal.db", clock)
