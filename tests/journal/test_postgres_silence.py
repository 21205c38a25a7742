"""A node that falls silent in the middle of a write transaction holds up no other, whatever it did last."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Integer, bindparam, insert
from sqlalchemy.sql import table
from sqlalchemy.sql.expression import column

from bus.clock import SystemClock
from bus.errors import JournalUnavailable
from bus.journal import postgres
from bus.journal.journal import SqlJournal
from bus.journal.transaction import Transaction
from tests.services.postgres import fresh_database

NUMBERS = insert(table("numbers", column("number", Integer))).values(number=bindparam("number"))


def many(transaction: Transaction) -> None:
    transaction.connection.exec_driver_sql("CREATE TEMPORARY TABLE numbers (number integer)")
    transaction.connection.execute(NUMBERS, [{"number": number} for number in range(3)])


def one(transaction: Transaction) -> None:
    transaction.connection.exec_driver_sql("SELECT 1")


@pytest.mark.parametrize("last", [one, many])
def test_a_silent_writer_loses_its_turn(last: Callable[[Transaction], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "IDLE_SECONDS", 1)
    database = fresh_database()
    silent, other = (SqlJournal.open(database.url, SystemClock(), password_file=database.password_file) for _ in range(2))
    begun, noted = threading.Event(), threading.Event()

    def fall_silent() -> None:
        with silent._begin() as transaction:
            last(transaction)
            begun.set()
            assert noted.wait(30)

    def undone() -> None:
        with pytest.raises(JournalUnavailable):
            fall_silent()

    thread = threading.Thread(target=undone)
    thread.start()
    try:
        assert begun.wait(10)
        other.note("332020", "viewed", "the other goes on", {})
    finally:
        noted.set()
        thread.join()
        silent.close()
        other.close()
