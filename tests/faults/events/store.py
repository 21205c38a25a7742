"""What a receiver of events keeps: an inbox of its own that knows each idempotency key once, and what the events did in effect.

The file outlives a kill -9 of its process (SQLite, write-ahead log). What was seen first stands first.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS inbox (place INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, event TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counted (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO counted VALUES ('came', 0);
"""


class Inbox:
    """The receiver's store, for the process that writes it."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA busy_timeout=10000;" + _TABLES)

    def take(self, came: Sequence[tuple[str, str]]) -> None:
        """Take (idempotency key, event id) in, in this order and all together; what came before changes nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR IGNORE INTO inbox (key, event) VALUES (?, ?)", came)
        self._connection.execute("UPDATE counted SET number = number + ? WHERE name = 'came'", (len(came),))
        self._connection.execute("COMMIT")


@dataclass(frozen=True)
class Tally:
    """What one receiver's store says when all is over."""

    subscription: str
    lost: int
    raw_duplicates: int
    """came again with a key that was known"""
    duplicated_in_effect: int
    """events that took effect more than once, or that nobody published"""
    out_of_order: int
    """events that took effect after a later one of the same person"""

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated_in_effect or self.out_of_order)

    def __str__(self) -> str:
        return (
            f"{self.subscription:8} lost {self.lost}  raw duplicates {self.raw_duplicates}  "
            f"duplicated in effect {self.duplicated_in_effect}  out of order per key {self.out_of_order}"
        )


def _asked(file: Path, question: str) -> list[tuple[str]]:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10) as connection:
        found = connection.execute(question).fetchall()
    connection.close()
    return found


def taken(file: Path) -> int:
    """How many different ones came so far."""
    return int(_asked(file, "SELECT coalesce(max(place), 0) FROM inbox")[0][0]) if file.exists() else 0


def tally(subscription: str, file: Path, expected: set[str]) -> Tally:
    """Compare what took effect with what was to."""
    events = [event for (event,) in _asked(file, "SELECT event FROM inbox ORDER BY place")]
    came = int(_asked(file, "SELECT number FROM counted WHERE name = 'came'")[0][0])
    times = Counter(events)
    again = sum(count - 1 for count in times.values()) + len(times.keys() - expected)
    newest: dict[str, int] = {}
    late = 0
    for event in events:
        person, _, serial = event.partition("-")
        late += int(serial) < newest.get(person, 0)
        newest[person] = max(int(serial), newest.get(person, 0))
    return Tally(subscription, len(expected - times.keys()), came - len(events), again, late)
