"""The journal's schema: migrated equals fresh, old and new programs, pragmas, and lists and claims that read through an index."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event, inspect, text

from bus.clock import ManualClock
from bus.errors import JournalError, JournalUnavailable
from bus.journal import migrations
from bus.journal.database import Database, _engines, migrate, open_database
from bus.journal.engines import Engines
from bus.journal.journal import SqlJournal
from bus.journal.tables import metadata
from bus.message import DeliveryState, JournalEntry, MessageState
from tests.services.postgres import empty_database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Makes engines as the journal does, each of an empty database."""
    made: list[Engine] = []

    def make() -> Engine:
        if request.param == "sqlite":
            address: tuple[str, Path | None] = (f"sqlite:///{tmp_path / f'{len(made)}.db'}", None)
        else:
            database = empty_database()
            address = (database.url, database.password_file)
        made.append(_engines(address[0], "FULL", address[1]).writes)
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def _schema(engine: Engine) -> dict[str, Any]:
    """Everything of a schema that matters, whatever the order of its columns."""
    looked = inspect(engine)
    found: dict[str, Any] = {}
    for table in sorted(set(looked.get_table_names()) - {"alembic_version"}):
        found[table] = {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in looked.get_columns(table)},
            "key": looked.get_pk_constraint(table),
            "foreign": sorted(looked.get_foreign_keys(table), key=lambda key: str(key["name"])),
            "unique": sorted(looked.get_unique_constraints(table), key=lambda one: str(one["name"])),
            "checks": sorted(looked.get_check_constraints(table), key=lambda one: str(one["name"])),
            "indexes": {
                i["name"]: (i["column_names"], i["unique"], str(i.get("dialect_options", {}).get(f"{engine.dialect.name}_where")))
                for i in looked.get_indexes(table)
            },
        }
    return found


def _revisions() -> list[str]:
    """All versions of the schema, oldest first."""
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    return [revision.revision for revision in script.walk_revisions()][::-1]


def test_a_schema_migrated_step_by_step_is_a_fresh_one(empty: Callable[[], Engine]) -> None:
    migrated, fresh = empty(), empty()
    assert len(_revisions()) >= 2
    for revision in _revisions():
        migrate(migrated, revision)
    metadata.create_all(fresh)
    found = _schema(migrated)
    assert len(found) == len(metadata.tables)
    assert found == _schema(fresh)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_a_migration_that_breaks_off_leaves_nothing(empty: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = empty()
    original = op.create_index

    def breaks_off(name: str, *rest: Any, **more: Any) -> None:
        if name == "ix_receipts_message":
            raise KeyboardInterrupt
        original(name, *rest, **more)

    with monkeypatch.context() as broken:
        broken.setattr(op, "create_index", breaks_off)
        with pytest.raises(KeyboardInterrupt):
            migrate(engine)
    assert _schema(engine) == {}
    migrate(engine)
    assert len(_schema(engine)) == len(metadata.tables)


def test_a_journal_that_holds_something_is_migrated_with_it(empty: Callable[[], Engine]) -> None:
    """Rows that version 1 wrote are read by the newest."""
    engine = empty()
    migrate(engine, "0001")
    row = {"tenant": "332020", "sequence": 1, "kind": "viewed", "subject": "s", "facts": '{"records": 3}', "at_us": 5}
    with engine.connect() as connection, connection.begin():
        connection.execute(text("INSERT INTO counters (tenant, name, value) VALUES ('332020', 'entry', 1)"))
        columns = ", ".join(row)
        connection.execute(text(f"INSERT INTO journal_entries ({columns}) VALUES (:{', :'.join(row)})"), row)
    migrate(engine)
    journal = SqlJournal(Database(Engines(engine, engine)), ManualClock())
    assert journal.entries("332020") == (JournalEntry("332020", 1, "viewed", "s", {"records": 3}, 5),)
    assert journal.note("332020", "viewed", "s", {}).sequence == 2


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
    monkeypatch.setattr(database._engines.reads.pool, "_timeout", 0.01)
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
    engine = journal._database._engines.reads

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
