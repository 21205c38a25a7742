"""The log of SQLite is copied back beside the writers, begun anew before it grows long, and nothing is lost by it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bus.clock import ManualClock
from bus.journal import checkpoints
from bus.journal.checkpoints import Checkpoints
from bus.journal.journal import SqlJournal
from tests.journal.event_samples import event, publish


def test_the_log_stays_short_while_everybody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "COPY_BYTES", 256 * 1024)
    monkeypatch.setattr(checkpoints, "RESTART_BYTES", 512 * 1024)
    copied = threading.Event()
    copy = Checkpoints._copy

    def told(self: Checkpoints, connection: object) -> None:
        copy(self, connection)  # type: ignore[arg-type]
        copied.set()

    monkeypatch.setattr(Checkpoints, "_copy", told)
    path = tmp_path / "journal.db"
    journal = SqlJournal.open(path, ManualClock(), synchronous="OFF")
    sizes = []
    for first in range(0, 20_000, 100):
        publish(journal, *(event(number) for number in range(first, first + 100)))
        if first % 2000 == 1900:
            assert copied.wait(30)
            copied.clear()
        sizes.append(path.with_name("journal.db-wal").stat().st_size)
    written = path.stat().st_size + sizes[-1]
    assert max(sizes) < written / 2, "the log was begun anew many times"
    journal.close()
    again = SqlJournal.open(path, ManualClock())
    assert again.messages(limit=1)[0].id == "332020-m20000"
    assert again.backlog()[0].count == 20_000
    again.close()


def test_it_ends_with_its_journal(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # journals of other tests may be open in this process

    def own() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "renkei-checkpoints" and thread not in before]

    journal = SqlJournal.open(tmp_path / "journal.db", ManualClock())
    for number in range(checkpoints.LOOK_EVERY * 2):
        publish(journal, event(number))
    assert len(own()) == 1
    journal.close()
    journal.close()
    assert not own()
