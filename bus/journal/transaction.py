"""One write transaction of the journal: its instant, the numbers it gives out, the entries it appends.

Owns: the counters and `journal_entries`. Whoever changes the journal does it through a `Transaction` and appends what changed, so that
the change and its entry are committed together or not at all. The sequence of a tenant has no gaps, because a number that is not
committed is given out again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from typing import Final

from sqlalchemy import BigInteger, Connection, bindparam, insert, update

from bus.journal.bulk import Bulk, json_text
from bus.journal.database import Database
from bus.journal.tables import counters, entries
from bus.message import JournalEntry
from bus.ports import Clock


class EntryKind(StrEnum):
    """What the journal itself appends. `note` adds other kinds; it cannot use these."""

    BEGUN = "begun"
    BEGUN_AGAIN = "begun_again"
    """an unfinished message starts over: it was cut or configured otherwise before"""
    CHUNK_DONE = "chunk_done"
    ACCEPTED = "accepted"
    HELD = "held"
    REFUSED = "refused"
    RECEIVED = "received"
    """a receipt"""
    ROUTED = "routed"
    CLAIMED = "claimed"
    UNCLAIMED = "unclaimed"
    CHUNKS_WRITTEN = "chunks_written"
    READY_TO_PUBLISH = "ready_to_publish"
    DELIVERED = "delivered"
    DELIVERED_WITH_REFUSALS = "delivered_with_refusals"
    ATTEMPT_FAILED = "attempt_failed"
    GIVEN_UP = "given_up"
    QUARANTINED = "quarantined"
    RELEASED = "released"
    SKIPPED = "skipped"
    SENT_AGAIN = "sent_again"
    CLOCK_WENT_BACK = "clock_went_back"
    EXPIRED = "expired"
    """a delivery that was not made before its message expired"""
    LED = "led"
    """unfinished deliveries of a subscription leave by another endpoint or way than they were made for"""


Change = tuple[EntryKind, str, Mapping[str, object]]
"""Kind, subject and facts of an entry."""
_COUNT: Final = (
    update(counters)
    .where(counters.c.tenant == bindparam("of_tenant"), counters.c.name == bindparam("of_name"))
    .values(value=counters.c.value + bindparam("many", type_=BigInteger))
    .returning(counters.c.value)
)
_ENTRIES: Final = Bulk(insert(entries), "tenant sequence kind subject facts at_us")


class Transaction:
    """A write transaction at one instant. Use only inside `begin`."""

    def __init__(self, connection: Connection, now_us: int) -> None:
        self.connection = connection
        self.now_us = now_us

    def next(self, tenant: str, counter: str, *, many: int = 1) -> int:
        """The next number of a tenant's counter, from 1; the first of `many` that are given out together."""
        last = self.connection.scalar(_COUNT, {"of_tenant": tenant, "of_name": counter, "many": many})
        if last is None:
            last = many
            self.connection.execute(insert(counters).values(tenant=tenant, name=counter, value=last))
        return int(last) - many + 1

    def append(self, tenant: str, kind: str, subject: str, facts: Mapping[str, object]) -> JournalEntry:
        """Append an entry. `facts` hold JSON values: ids, counts and ordinals, never a personal identifier."""
        return self.append_all(tenant, [(kind, subject, facts)])[0]

    def append_all(self, tenant: str, changes: Sequence[tuple[str, str, Mapping[str, object]]]) -> list[JournalEntry]:
        """Append an entry for each (kind, subject, facts), in order."""
        first = self.next(tenant, "entry", many=len(changes))
        made = [
            JournalEntry(tenant, first + place, str(kind), subject, dict(facts), self.now_us)
            for place, (kind, subject, facts) in enumerate(changes)
        ]
        self.connection.execute(insert(entries), [asdict(entry) for entry in made])
        return made

    def append_many(self, changes: Mapping[str, Sequence[Change]]) -> None:
        """Append entries of several tenants, in order; the quick way when there are many, without giving them back."""
        made: list[dict[str, object]] = []
        for tenant, own in changes.items():
            first = self.next(tenant, "entry", many=len(own)) if own else 0
            made += [
                {
                    "tenant": tenant,
                    "sequence": first + place,
                    "kind": kind.value,
                    "subject": subject,
                    "facts": json_text(facts),
                    "at_us": self.now_us,
                }
                for place, (kind, subject, facts) in enumerate(own)
            ]
        _ENTRIES.run(self.connection, made)


class Instants:
    """What a process has seen of the clock: whether it may have jumped back since waits and leases were counted."""

    def __init__(self) -> None:
        self._latest_us = 0
        self.unsettled = True
        """so from the start, too: nobody knows what the clock was before"""

    def saw(self, now_us: int) -> None:
        """Note an instant."""
        if now_us < self._latest_us:
            self.unsettled = True
        self._latest_us = now_us


class JournalRole:
    """What each role of the journal stands on: the database and the clock."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._instants = Instants()

    @contextmanager
    def _begin(self) -> Iterator[Transaction]:
        with self._database.write() as connection:
            now_us = self._clock.now_us()
            self._instants.saw(now_us)
            yield Transaction(connection, now_us)
