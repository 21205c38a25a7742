"""The journal's schema: migrated equals fresh, old and new programs, pragmas, and lists and claims that read through an index."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, inspect

from bus.clock import ManualClock
from bus.errors import JournalError, JournalUnavailable
from bus.journal.database import open_database
from bus.journal.journal import SqlJournal
from bus.journal.tables import metadata
from bus.message import DeliveryState, MessageState


def _schema(url: str) -> dict[str, Any]:
    """Everything of a schema that matters, whatever the order of its columns."""
    engine = create_engine(url)
    looked = inspect(engine)
    found: dict[str, Any] = {}
    for table in sorted(set(looked.get_table_names()) - {"alembic_version"}):
        found[table] = {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in looked.get_columns(table)},
            "key": looked.get_pk_constraint(table),
            "foreign": sorted(looked.get_foreign_keys(table), key=lambda key: str(key["name"])),
            "unique": sorted(looked.get_unique_constraints(table), key=lambda one: str(one["name"])),
            "indexes": {
                i["name"]: (i["column_names"], i["unique"], str(i.get("dialect_options", {}).get("sqlite_where")))
                for i in looked.get_indexes(table)
            },
        }
    engine.dispose()
    return found


def test_a_migrated_schema_is_a_fresh_one(tmp_path: Path) -> None:
    open_database(tmp_path / "migrated.db").close()
    fresh = create_engine(f"sqlite:///{tmp_path / 'fresh.db'}")
    metadata.create_all(fresh)
    fresh.dispose()
    migrated = _schema(f"sqlite:///{tmp_path / 'migrated.db'}")
    assert len(migrated) == len(metadata.tables)
    assert migrated == _schema(f"sqlite:///{tmp_path / 'fresh.db'}")


def test_a_journal_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    open_database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(JournalError) as caught:
        open_database(path)
    assert caught.value.message_id == "RNK3002E"


def test_what_is_no_database_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is a letter, not a database" * 200)
    with pytest.raises(JournalUnavailable) as caught:
        SqlJournal.open(path, ManualClock())
    assert caught.value.message_id == "RNK3001E"


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(JournalUnavailable):
        SqlJournal.open(tmp_path / "file" / "journal.db", ManualClock())


def test_more_readers_than_there_is_room_for_are_told_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_database(tmp_path / "journal.db")
    monkeypatch.setattr(database._engine.pool, "_timeout", 0.01)
    with contextlib.ExitStack() as readers, pytest.raises(JournalUnavailable) as caught:
        all(readers.enter_context(database.read()) for _ in range(100))
    assert caught.value.message_id == "RNK3001E"
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    database.close()


def test_a_commit_is_on_disk_and_keys_are_checked(tmp_path: Path) -> None:
    database = open_database(tmp_path / "var" / "journal.db")
    with database.read() as connection:
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")}
    database.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "var" / "journal.db").stat().st_mode & 0o777 == 0o600


def test_claims_and_lists_read_through_an_index(tmp_path: Path) -> None:
    """A scan or a sort would cost seconds with a million deliveries: no statement may do either."""
    journal = SqlJournal.open(tmp_path / "journal.db", ManualClock())
    asked: list[tuple[str, Any]] = []
    engine = journal._database._engine

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    journal.claim("worker", lease_seconds=1, limit=10)
    journal.unclaim("worker")
    journal.deliveries()
    journal.deliveries(tenant="332020")
    journal.deliveries(subscription="welfare")
    journal.deliveries(tenant="332020", subscription="welfare")
    journal.deliveries(state=DeliveryState.QUARANTINED)
    journal.deliveries(tenant="332020", state=DeliveryState.QUARANTINED)
    journal.messages()
    journal.messages(tenant="332020")
    journal.messages(state=MessageState.HELD)
    journal.quarantine()
    journal.quarantine(tenant="332020")
    journal.receipts()
    journal.receipts(tenant="332020")
    journal.entries("332020", subject="332020-d1")
    journal.backlog()
    journal.open_quarantine()
    event.remove(engine, "before_cursor_execute", note)
    with journal._database.read() as connection:
        for statement, parameters in asked:
            if not statement.startswith(("SELECT", "UPDATE")):
                continue
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            ends_early = "LIMIT" in statement or "GROUP BY" in statement
            bad = [step for step in plan if "TEMP B-TREE" in step or (step.startswith("SCAN") and not ("INDEX" in step and ends_early))]
            assert not bad, f"{bad} in {statement}"
    journal.close()
