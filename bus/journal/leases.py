"""Who of several nodes may do what only one may do: watch a folder, run a schedule.

Owns: `leases`. A lease lapses by the clock and is then taken by whoever asks first. Its fence grows with every change of owner, so
that what a former owner still does can be told from what its successor does. Taking, prolonging and giving up append no journal entry:
they move a time limit and no message, and belong to no tenant.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import insert, select, update

from bus.journal.tables import leases
from bus.journal.transaction import JournalRole
from bus.message import Lease

_NOBODY: Final = ""


class SqlLeaseJournal(JournalRole):
    """`bus.ports.LeaseJournal` in SQL."""

    def take_lease(self, name: str, owner: str, *, seconds: float) -> Lease | None:
        """Take a lease, or prolong one's own; None while another holds it. All who ask for one name ask for the same time.

        One's own keeps its fence, lapsed or not; from another it is taken once it has lapsed, with the next fence. When the clock has
        jumped back, a lease that ends later than one taken now could is counted anew from now, and so lapses after `seconds` at most.

        Raises:
            ValueError: there is no name, no owner, or no time.
        """
        if not (name and owner and seconds > 0):
            raise ValueError("a lease has a name, an owner and a positive time")
        with self._begin() as transaction:
            now_us = transaction.now_us
            until_us = now_us + round(seconds * 1_000_000)
            row = transaction.connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
            if row is None:
                taken = Lease(name, owner, 1, until_us)
                transaction.connection.execute(insert(leases).values(name=name, owner=owner, fence=1, until_us=until_us))
                return taken
            values: dict[str, Any] = {"until_us": until_us}
            free = row.owner == owner or row.until_us <= now_us
            if free and row.owner != owner:
                values |= {"owner": owner, "fence": row.fence + 1}
            if free or row.until_us > until_us:
                transaction.connection.execute(update(leases).where(leases.c.name == name).values(**values))
            return Lease(name, owner, values.get("fence", row.fence), until_us) if free else None

    def give_up_leases(self, owner: str) -> int:
        """Let go of everything `owner` holds, for others to take at once; also its own next lease has a new fence. Returns how many.

        A node says so when it stops, and when it starts: its former self is gone.
        """
        with self._begin() as transaction:
            own = update(leases).where(leases.c.owner == owner).values(owner=_NOBODY, until_us=0)
            return len(transaction.connection.execute(own.returning(leases.c.name)).all())

    def holds(self, lease: Lease) -> bool:
        """Whether the lease still is its owner's, under this fence, and has not lapsed."""
        own = (leases.c.name == lease.name, leases.c.owner == lease.owner, leases.c.fence == lease.fence)
        with self._database.read() as connection:
            until_us = connection.scalar(select(leases.c.until_us).where(*own))
        return until_us is not None and until_us > self._clock.now_us()
