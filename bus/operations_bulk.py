"""Releasing many deliveries at once: what one outage of a receiver has brought into quarantine.

Owns: operations that take longer than an operator should wait for. One is begun and answered with its id at once; a thread then releases a
hundred entries at a time, each hundred one transaction. Should the node stop in between, what is left still stands in quarantine, and is
released by asking again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Protocol

from bus.errors import OperationRefused, told_of
from bus.message import JournalEntry, QuarantineEntry
from contracts.errors import RenkeiError

AT_ONCE: Final = 100
REMEMBERED: Final = 1000


class BulkJournal(Protocol):
    """What it needs of the journal."""

    def given_up(self, tenant: str, subscription: str, *, after: int, limit: int) -> Sequence[QuarantineEntry]:
        """Open entries of given-up deliveries of a subscription, oldest first, with a serial above `after`."""
        ...

    def release_all(self, quarantine_ids: Sequence[str], *, by: str) -> Sequence[str]:
        """Release those that are open still, in one transaction; the ids of their deliveries."""
        ...

    def note(self, tenant: str, kind: str, subject: str, facts: dict[str, object]) -> JournalEntry:
        """Append an entry."""
        ...


@dataclass(slots=True)
class _Progress:
    released: int = 0
    finished: bool = False
    error: str = ""


@dataclass(slots=True)
class BulkReleases:
    """The bulk releases of one node. Progress is kept in memory only: the journal holds what became of each entry."""

    journal: BulkJournal
    released: Callable[[Iterable[str]], None]
    """told of the deliveries that are due again"""
    _known: dict[str, _Progress] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: count(1))

    def start(self, tenant: str, subscription: str, by: str) -> str:
        """Begin to release everything of a subscription that was given up until now. Returns the operation's id."""
        operation = f"{tenant}-o{next(self._numbers)}"
        while len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        progress = self._known[operation] = _Progress()
        work = (operation, tenant, subscription, by, progress)
        threading.Thread(target=self._run, args=work, name=f"renkei-{operation}", daemon=True).start()
        return operation

    def progress(self, operation: str) -> dict[str, object]:
        """`{"operation", "released", "finished", "error"}`.

        Raises:
            OperationRefused: no such operation of this node since it started.
        """
        found = self._known.get(operation)
        if found is None:
            raise OperationRefused("RNK6095E", operation=operation)
        return {"operation": operation, "released": found.released, "finished": found.finished, "error": found.error}

    def _run(self, operation: str, tenant: str, subscription: str, by: str, progress: _Progress) -> None:
        try:
            self._release(tenant, subscription, by, progress)
            facts: dict[str, object] = {"subscription": subscription, "released": progress.released, "by": by}
            self.journal.note(tenant, "released_together", operation, facts)
        except RenkeiError as error:
            progress.error = told_of(error)
        finally:
            progress.finished = True

    def _release(self, tenant: str, subscription: str, by: str, progress: _Progress) -> None:
        after = 0
        while entries := self.journal.given_up(tenant, subscription, after=after, limit=AT_ONCE):
            deliveries = self.journal.release_all([entry.id for entry in entries], by=by)
            progress.released += len(deliveries)
            self.released(deliveries)
            after = int(entries[-1].id.rpartition("-q")[2])

