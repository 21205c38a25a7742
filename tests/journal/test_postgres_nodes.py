"""Several nodes on one PostgreSQL: they take turns to write, and none can hold up the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from journal_samples import accept, accepted, identity, new_delivery, new_message, publish, received

from bus.clock import ManualClock, SystemClock
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState, ReceiptOutcome
from tests.services.postgres import Database, empty_database, fresh_database

ROOT = Path(__file__).resolve().parents[2]
NODES = 2
THREADS = 3


@pytest.fixture
def database() -> Database:
    return fresh_database()


@pytest.fixture
def nodes(database: Database) -> Iterator[list[SqlJournal]]:
    clock = ManualClock()
    made = [SqlJournal.open(database.url, clock, password_file=database.password_file) for _ in range(NODES)]
    yield made
    for journal in made:
        journal.close()


@contextmanager
def _workers() -> Iterator[tuple[ThreadPoolExecutor, Barrier]]:
    with ThreadPoolExecutor(NODES * THREADS) as pool:
        yield pool, Barrier(NODES * THREADS)


def test_no_delivery_is_claimed_by_two_nodes(nodes: list[SqlJournal]) -> None:
    for sequence in range(1, 13):
        new = [new_delivery(name, key=str(sequence % 4)) for name in ("welfare", "tax", "school")]
        accepted(nodes[sequence % NODES], identity(tenant=f"33202{sequence % 3}", sequence=sequence), *new)

    def work(number: int) -> list[tuple[str, str, str, int]]:
        journal, mine = nodes[number % NODES], []
        start.wait()
        while sum(one.count for one in journal.backlog()):
            for one in journal.claim(f"worker{number}", lease_seconds=600, limit=2):
                assert publish(journal, one) is DeliveryState.DELIVERED
                mine.append(one.id)
        return mine

    with _workers() as (pool, start):
        found = Counter(one for mine in pool.map(work, range(NODES * THREADS)) for one in mine)
    assert len(found) == 36
    assert set(found.values()) == {1}
    assert {one.fence for one in nodes[0].deliveries()} == {1}


def test_numbers_and_entries_have_no_gaps(nodes: list[SqlJournal]) -> None:
    """Two nodes accept for one subscription at once; some of what they begin is undone."""

    def work(number: int) -> None:
        journal = nodes[number % NODES]
        start.wait()
        for turn in range(4):
            message = received(journal, identity(sequence=number * 100 + turn))
            with pytest.raises(ZeroDivisionError):
                _undone(journal)
            accept(journal, message, [new_delivery()])

    with _workers() as (pool, start):
        list(pool.map(work, range(NODES * THREADS)))
    made = NODES * THREADS * 4
    assert sorted(one.number for one in nodes[0].deliveries()) == list(range(1, made + 1))
    entries = nodes[1].entries("332020", limit=10_000)
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert not [entry for entry in entries if entry.subject == "never"]


def _undone(journal: SqlJournal) -> None:
    with journal._begin() as transaction:
        transaction.next("332020", "delivery")
        transaction.append("332020", "viewed", "never", {})
        raise ZeroDivisionError


def test_one_file_that_reaches_two_nodes_is_one_message(nodes: list[SqlJournal]) -> None:
    def work(number: int) -> tuple[str, ReceiptOutcome]:
        start.wait()
        begun = nodes[number % NODES].begin(new_message())
        return begun.message.id, begun.outcome

    with _workers() as (pool, start):
        assert set(pool.map(work, range(NODES * THREADS))) == {("332020-m1", ReceiptOutcome.RECEIVING)}


def test_what_one_node_was_told_the_other_sees(nodes: list[SqlJournal]) -> None:
    for turn in range(1, 30):
        nodes[turn % NODES].note("332020", "viewed", str(turn), {})
        assert nodes[(turn + 1) % NODES].entries("332020", after=turn - 1)[0].subject == str(turn)


def test_a_reader_sees_one_moment_and_waits_for_no_writer(nodes: list[SqlJournal]) -> None:
    first, second = nodes
    first.note("332020", "viewed", "before", {})
    with first._begin() as transaction:
        transaction.append("332020", "viewed", "during", {})
        assert [entry.subject for entry in second.entries("332020")] == ["before"]
        with second._database.read() as connection:
            count = "SELECT count(*) FROM journal_entries"
            assert connection.exec_driver_sql(count).scalar() == 1
            transaction.connection.commit()
            assert connection.exec_driver_sql(count).scalar() == 1, "still the moment it began"
    assert len(second.entries("332020")) == 2


def test_nodes_that_start_at_once_migrate_once() -> None:
    database = empty_database()

    def start_node(_: int) -> int:
        start.wait()
        journal = SqlJournal.open(database.url, ManualClock(), password_file=database.password_file)
        made = journal.note("332020", "viewed", "s", {}).sequence
        journal.close()
        return made

    with _workers() as (pool, start):
        assert sorted(pool.map(start_node, range(NODES * THREADS))) == list(range(1, NODES * THREADS + 1))


def test_a_node_stopped_in_mid_transaction_frees_the_others(database: Database, tmp_path: Path) -> None:
    journal = SqlJournal.open(database.url, SystemClock(), password_file=database.password_file)
    told = tmp_path / "told"
    command = [sys.executable, str(Path(__file__).with_name("stopped_writer.py")), database.url, str(database.password_file), str(told)]
    stopped = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        _, status = os.waitpid(stopped.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        began = time.monotonic()
        assert journal.note("332020", "viewed", "the other", {}).sequence == 1
        assert 0.5 < time.monotonic() - began < 15
        stopped.send_signal(signal.SIGCONT)
        assert stopped.wait(30) == 0
    finally:
        stopped.kill()
        stopped.wait()
    assert told.read_text("ascii") == "RNK3001E 2", "its own transaction was undone; it goes on without a restart"
    assert [entry.subject for entry in journal.entries("332020")] == ["the other", "after"]
    journal.close()
