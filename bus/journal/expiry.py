"""Expiry: deliveries of events that were not made before their time was over.

Owns: ending them as `expired` while nobody holds them: due ones, and those whose lease ran out. What is being sent, or lent to a
subscriber, is left to whoever holds it; what stands in quarantine is left to a person.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from sqlalchemy import BigInteger, and_, bindparam, literal_column, or_, select, update

from bus.event import Way
from bus.journal.ordering import arm_next
from bus.journal.rows import id_of
from bus.journal.tables import deliveries
from bus.journal.transaction import Change, EntryKind, JournalRole
from bus.message import DeliveryState

_NOW: Final[Any] = bindparam("now_us", type_=BigInteger)
_DUE: Final = deliveries.c.state == literal_column(f"'{DeliveryState.DUE.value}'")
_LAPSED: Final = and_(deliveries.c.state == literal_column(f"'{DeliveryState.CLAIMED.value}'"), deliveries.c.lease_until_us <= _NOW)
_COLUMNS: Final = tuple(
    deliveries.c[name] for name in ("tenant", "serial", "subscription", "system", "ordering_key", "flagging", "fence", "way", "attempts")
)
_OVER: Final = (
    select(*_COLUMNS)
    .where(
        deliveries.c.expires_at_us.is_not(None),
        deliveries.c.finished_at_us.is_(None),
        deliveries.c.expires_at_us <= _NOW,
        deliveries.c.way != literal_column(f"'{Way.FILE.value}'"),
        or_(_DUE, _LAPSED),
    )
    .order_by(deliveries.c.expires_at_us)
    .limit(bindparam("most", type_=BigInteger))
)
_EXPIRED: Final = (
    update(deliveries)
    .where(deliveries.c.tenant == bindparam("of_tenant"), deliveries.c.serial == bindparam("of_serial"))
    .values(
        state=literal_column(f"'{DeliveryState.EXPIRED.value}'"),
        fence=deliveries.c.fence + 1,
        finished_at_us=_NOW,
        last_error=literal_column("'expired'"),
        owner=None,
        lease_until_us=None,
        claimable_at_us=None,
        armed_at_us=None,
    )
)


class SqlExpiryJournal(JournalRole):
    """The part of the journal that ends what is not worth delivering any more."""

    def expire_due(self, limit: int) -> list[tuple[Way, str, str]]:
        """End up to `limit` deliveries whose time is over, longest over first, and let the next of their ordering keys go.

        Writes nothing when there are none. (Way, tenant, subscription) of each that was ended.

        Raises:
            JournalUnavailable: nothing was changed.
        """
        with self._database.read() as connection:
            if connection.execute(_OVER, {"now_us": self._clock.now_us(), "most": 1}).first() is None:
                return []
        with self._begin() as transaction:
            rows = transaction.connection.execute(_OVER, {"now_us": transaction.now_us, "most": limit}).all()
            if not rows:
                return []
            ended = [{"of_tenant": row.tenant, "of_serial": row.serial, "now_us": transaction.now_us} for row in rows]
            transaction.connection.execute(_EXPIRED, ended)
            arm_next(transaction, rows)
            changes: dict[str, list[Change]] = defaultdict(list)
            for row in rows:
                changes[row.tenant].append((EntryKind.EXPIRED, id_of(row.tenant, "d", row.serial), {"attempts": row.attempts}))
            transaction.append_many(changes)
            return [(Way(row.way), row.tenant, row.subscription) for row in rows]
