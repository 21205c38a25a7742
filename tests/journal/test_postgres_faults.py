"""PostgreSQL in trouble: restarted, killed, cut off, stalled, misconfigured. Nothing confirmed is lost, and no node needs a restart."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from journal_samples import new_message

from bus.clock import ManualClock
from bus.errors import JournalError, JournalUnavailable
from bus.journal import postgres
from bus.journal.journal import SqlJournal
from bus.message import ReceiptOutcome
from tests.proxy import TcpProxy
from tests.services.postgres import ROLE, Database, PostgresServer, fresh_database, private_server

BOUND_SECONDS = 30.0
Open = Callable[..., SqlJournal]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_server() as made:
        yield made


@pytest.fixture
def open_journal() -> Iterator[Open]:
    opened: list[SqlJournal] = []

    def open_(database: Database, *, port: int | None = None) -> SqlJournal:
        url = database.url if port is None else database.url.replace(f":{database.url.split(':')[-1].split('/')[0]}/", f":{port}/")
        opened.append(SqlJournal.open(url, ManualClock(), password_file=database.password_file))
        return opened[-1]

    yield open_
    for journal in opened:
        journal.close()


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    port = int(fresh_database().url.split(":")[-1].split("/")[0])
    with TcpProxy("127.0.0.1", port) as made:
        yield made


def _subjects(journal: SqlJournal) -> list[str]:
    return [entry.subject for entry in journal.entries("332020", limit=100_000)]


def _note(journal: SqlJournal, subject: str) -> None:
    journal.note("332020", "viewed", subject, {})


def test_a_restarted_server_is_used_again(server: PostgresServer, open_journal: Open) -> None:
    journal = open_journal(server.server.database())
    _note(journal, "before")
    _subjects(journal)
    server.restart()
    assert _subjects(journal) == ["before"]
    _note(journal, "after")
    server.stop()
    for call in (lambda: _note(journal, "never"), lambda: _subjects(journal)):
        with pytest.raises(JournalUnavailable) as caught:
            call()
        assert caught.value.message_id == "RNK3001E"
    server.start()
    assert _subjects(journal) == ["before", "after"]
    _note(journal, "again")
    assert [entry.sequence for entry in journal.entries("332020")] == [1, 2, 3]


def test_what_was_confirmed_outlives_a_killed_server(server: PostgresServer, open_journal: Open) -> None:
    database = server.server.database()
    journals = [open_journal(database) for _ in range(2)]
    confirmed: list[str] = []
    enough = threading.Event()

    def write(number: int) -> None:
        for turn in range(100_000):
            subject = f"{number}-{turn}"
            try:
                _note(journals[number], subject)
            except JournalUnavailable:
                return
            confirmed.append(subject)
            if len(confirmed) > 50:
                enough.set()

    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(write, number) for number in range(2)]
        assert enough.wait(BOUND_SECONDS)
        server.kill()
        for one in writing:
            one.result(BOUND_SECONDS)
    server.start()
    found = _subjects(journals[0])
    assert set(confirmed) <= set(found)
    assert len(found) - len(confirmed) <= 2, "at most one more of each: its answer was lost"
    assert [entry.sequence for entry in journals[1].entries("332020", limit=100_000)] == list(range(1, len(found) + 1))


def test_a_cut_in_mid_transaction_changes_nothing(proxy: TcpProxy, open_journal: Open) -> None:
    journal = open_journal(fresh_database(), port=proxy.port)
    with pytest.raises(JournalUnavailable) as caught:
        _cut_within(journal, proxy)
    assert caught.value.message_id == "RNK3001E"
    assert _subjects(journal) == []
    proxy.cut()
    _note(journal, "after")
    proxy.cut(reset=False)
    assert _subjects(journal) == ["after"]


def _cut_within(journal: SqlJournal, proxy: TcpProxy) -> None:
    with journal._begin() as transaction:
        transaction.append("332020", "viewed", "never", {})
        proxy.cut()
        transaction.append("332020", "viewed", "never", {})


def test_a_commit_whose_answer_is_lost_is_told_apart_and_found_done(proxy: TcpProxy, open_journal: Open) -> None:
    database = fresh_database()
    journal, direct = open_journal(database, port=proxy.port), open_journal(database)
    original = journal._database.write
    stalled = threading.Event()

    def begin() -> None:
        with original() as connection:
            connection.exec_driver_sql("INSERT INTO turns (tenant, turn) VALUES ('332020', 1)")
            proxy.stall(sending=False, receiving=True)
            stalled.set()

    def turns() -> int:
        with direct._database.read() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM turns").scalar_one())

    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(begin)
        assert stalled.wait(BOUND_SECONDS)
        ends = time.monotonic() + BOUND_SECONDS
        while not turns():
            assert time.monotonic() < ends
        proxy.cut()
        with pytest.raises(JournalUnavailable) as caught:
            lost.result(BOUND_SECONDS)
    assert caught.value.message_id == "RNK3101E"
    proxy.go_on()
    assert turns() == 1


def test_what_is_told_again_after_a_lost_answer_is_done_once(proxy: TcpProxy, open_journal: Open) -> None:
    """A call is cut off at every few bytes of its way, and repeated."""
    journal = open_journal(fresh_database(), port=proxy.port)
    outcomes, lost = [], 0
    with ThreadPoolExecutor(1) as pool:
        for step in range(100, 9000, 150):
            before = proxy.sent
            call = pool.submit(journal.begin, new_message())
            while not call.done() and proxy.sent < before + step:
                time.sleep(0.0002)
            proxy.cut()
            try:
                outcomes.append(call.result(BOUND_SECONDS))
            except JournalUnavailable:
                lost += 1
    assert lost > 10
    assert {(begun.message.id, begun.outcome) for begun in outcomes} == {("332020-m1", ReceiptOutcome.RECEIVING)}
    assert [entry.kind for entry in journal.entries("332020")] == ["begun"]


def test_a_stalled_line_ends_and_is_used_again(proxy: TcpProxy, open_journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every socket still answers, only nothing comes: neither the system nor the server would end the wait."""
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 2)
    journal = open_journal(fresh_database(), port=proxy.port)
    _note(journal, "before")
    _subjects(journal)
    proxy.stall()
    began = time.monotonic()
    for call in (lambda: _note(journal, "never"), lambda: _subjects(journal)):
        with pytest.raises(JournalUnavailable):
            call()
    assert time.monotonic() - began < 10
    proxy.cut()
    proxy.go_on()
    assert _subjects(journal) == ["before"]
    _note(journal, "after")


def test_a_transaction_that_stalls_ends(proxy: TcpProxy, open_journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(postgres, "LOCK_SECONDS", 1)
    database = fresh_database()
    journal, other = open_journal(database, port=proxy.port), open_journal(database)
    with pytest.raises(JournalUnavailable) as caught:
        _stall_within(journal, proxy)
    assert caught.value.message_id == "RNK3001E"
    assert "no answer" in str(caught.value)
    proxy.cut()
    assert _subjects(other) == []
    _note(other, "at once")


def _stall_within(journal: SqlJournal, proxy: TcpProxy) -> None:
    with journal._begin() as transaction:
        transaction.append("332020", "viewed", "never", {})
        proxy.stall()
        transaction.append("332020", "viewed", "never", {})


def test_a_server_that_does_not_sync_is_refused(server: PostgresServer, open_journal: Open) -> None:
    database = server.server.database()
    server.restart(fsync="off")
    with pytest.raises(JournalError) as caught:
        open_journal(database)
    assert (caught.value.message_id, caught.value.facts["setting"]) == ("RNK3102E", "fsync")
    careless = SqlJournal.open(database.url, ManualClock(), synchronous="OFF", password_file=database.password_file)
    _note(careless, "s")
    server.restart()
    careless.close()
    running = open_journal(database)
    server.restart(fsync="off")
    with pytest.raises(JournalError):
        _note(running, "the node was there first")
    server.restart()
    _note(running, "again")


def test_a_database_that_cannot_hold_every_character_is_refused(server: PostgresServer, open_journal: Open) -> None:
    with pytest.raises(JournalError) as caught:
        open_journal(server.server.database(encoding="LATIN1"))
    assert (caught.value.message_id, caught.value.facts["value"]) == ("RNK3102E", "LATIN1")


def test_sessions_are_durable_and_limited_whatever_the_server_says(server: PostgresServer, open_journal: Open) -> None:
    server.restart(synchronous_commit="off", default_transaction_isolation="serializable", statement_timeout="0")
    journal = open_journal(server.server.database())
    shown = "SELECT current_setting('synchronous_commit'), current_setting('transaction_isolation'), current_setting('statement_timeout'), "
    shown += (
        "current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout'), current_setting('transaction_read_only')"
    )
    with journal._begin() as transaction:
        writes = tuple(transaction.connection.exec_driver_sql(shown).one())
    with journal._database.read() as connection:
        reads = tuple(connection.exec_driver_sql(shown).one())
    assert writes == ("on", "read committed", "10s", "5s", "13s", "off")
    assert (reads[1:4], reads[5]) == (("repeatable read", "30s", "30s"), "on")
    server.restart()


def test_a_password_is_read_anew_and_told_nowhere(
    server: PostgresServer, open_journal: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = server.server.database()
    own = Database(made.url, tmp_path / "password")
    own.password_file.write_text("wrong-Passw0rd\n", "ascii")
    with pytest.raises(JournalUnavailable) as refused:
        open_journal(own)
    right = made.password_file.read_text("ascii")
    own.password_file.write_text(f"{right}\n", "ascii")
    journal = open_journal(own)
    _note(journal, "before")
    with server.server.admin() as connection:
        connection.execute(f"ALTER ROLE {ROLE} PASSWORD 'new-Passw0rd'")
    server.restart()
    own.password_file.write_text("new-Passw0rd", "ascii")
    _note(journal, "after")
    own.password_file.unlink()
    server.restart()
    with pytest.raises(JournalUnavailable) as missing:
        _note(journal, "never")
    assert missing.value.message_id == "RNK3103E"
    with server.server.admin() as connection:
        connection.execute(f"ALTER ROLE {ROLE} PASSWORD '{right}'")
    told = (
        caplog.text
        + "".join("".join(traceback.format_exception(one.value)) for one in (refused, missing))
        + repr(journal._database._engines)
    )
    assert "password authentication failed" in told
    assert not [secret for secret in (right, "wrong-Passw0rd", "new-Passw0rd") if secret in told]


@pytest.mark.parametrize(
    ("url", "message_id"),
    [
        ("postgresql+psycopg://renkei:Passw0rd@127.0.0.1:1/x", "RNK3104E"),
        ("postgresql+psycopg://renkei@127.0.0.1:1/x?password=Passw0rd", "RNK3104E"),
        ("postgresql://renkei:Passw0rd@127.0.0.1:port/x", "RNK3105E"),
        ("mysql://renkei:Passw0rd@127.0.0.1/x", "RNK3105E"),
        ("postgresql+nothing://renkei@127.0.0.1/x", "RNK3001E"),
        ("://Passw0rd", "RNK3105E"),
    ],
)
def test_an_address_that_is_none_is_refused_without_a_word_of_it(url: str, message_id: str) -> None:
    with pytest.raises(JournalError) as caught:
        SqlJournal.open(url, ManualClock())
    assert caught.value.message_id == message_id
    assert "Passw0rd" not in "".join(traceback.format_exception(caught.value)).replace(url, "")


def test_what_the_database_refuses_is_told_without_its_value(open_journal: Open) -> None:
    journal = open_journal(fresh_database())
    with pytest.raises(JournalError) as caught:
        _note(journal, "secret\x00name")
    assert (type(caught.value), caught.value.message_id) == (JournalError, "RNK3003E")
    assert "secret" not in str(caught.value)
    with pytest.raises(JournalError) as caught:
        _twice(journal)
    assert "duplicate key" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert _subjects(journal) == []


def _twice(journal: SqlJournal) -> None:
    with journal._begin() as transaction:
        for _ in range(2):
            transaction.connection.exec_driver_sql("INSERT INTO turns (tenant, turn) VALUES ('secret', 1)")
