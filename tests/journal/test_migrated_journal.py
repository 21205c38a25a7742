"""A journal that an earlier version wrote goes on: everything in it is there after the migration."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import create_engine

from bus.clock import ManualClock
from bus.journal.database import migrate
from bus.journal.journal import SqlJournal
from tests.journal.event_samples import event, publish

TENANT = "332020"


def test_entries_of_the_first_version_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    engine = create_engine(f"sqlite:///{path}")
    migrate(engine, "0001")
    engine.dispose()
    with sqlite3.connect(path) as old:
        old.executemany(
            "INSERT INTO journal_entries (tenant, sequence, kind, subject, facts, at_us) VALUES (?, ?, ?, ?, ?, ?)",
            [(TENANT, number, "noted", f"{TENANT}-m{number}", '{"n": 1}', number) for number in range(1, 101)],
        )
        old.execute("INSERT INTO counters (tenant, name, value) VALUES (?, 'entry', 100)", (TENANT,))
    old.close()
    journal = SqlJournal.open(path, ManualClock())
    found = journal.entries(TENANT)
    assert [(one.sequence, one.subject, one.facts) for one in found] == [(n, f"{TENANT}-m{n}", {"n": 1}) for n in range(1, 101)]
    publish(journal, event(1))
    assert [one.sequence for one in journal.entries(TENANT, after=100)] == [101, 102]
    assert [one.sequence for one in journal.entries(TENANT, subject=f"{TENANT}-m7")] == [7]
    journal.close()
