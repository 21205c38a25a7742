"""What a database under the journal gives: engines whose transactions begin the right way.

Owns: the words between `bus.journal.database` and the modules of each database. A transaction is marked by execution options; the
listeners that each database's module puts on its engines begin it accordingly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Engine

Synchronous = Literal["FULL", "OFF"]
"""`OFF` gives up durability: only for the test that shows that the durability test can fail."""

WRITES: Final = "renkei_writes"
"""Execution option of a transaction that writes: no other one, of this process or another, goes on beside it."""
MIGRATES: Final = "renkei_migrates"
"""Execution option of the transaction that changes the schema: it may take minutes."""


@dataclass(frozen=True, slots=True)
class Engines:
    """`writes` for transactions that write, `reads` for those that only read; one engine may be both."""

    writes: Engine
    reads: Engine
    turn_seconds: float = -1
    """how long a thread waits for its process's turn to write before it is told to try again; -1: as long as it takes"""
    committed: Callable[[], None] = lambda: None
    """called after each commit, in the writer's turn"""
    ended: Callable[[], None] = lambda: None
    """called once the engines are not used any more"""

    def dispose(self) -> None:
        """Close every connection."""
        self.ended()
        self.writes.dispose()
        self.reads.dispose()
