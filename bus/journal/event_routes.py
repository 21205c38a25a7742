"""Where unfinished deliveries of events stand, and leading them another way when the configuration has changed.

Owns: `endpoint` and `way` of a delivery after it was made. Its number, its key and its place in the order stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select, update

from bus.event import Standing, Way
from bus.journal.tables import deliveries
from bus.journal.transaction import EntryKind, JournalRole

_UNFINISHED: Final = (deliveries.c.finished_at_us.is_(None), deliveries.c.way != Way.FILE.value)
_PLACE: Final = (deliveries.c.tenant, deliveries.c.subscription, deliveries.c.endpoint, deliveries.c.way)


class SqlEventRoutes(JournalRole):
    """The part of the journal that knows which way deliveries of events are to leave."""

    def standing(self) -> Sequence[Standing]:
        """Every subscription with unfinished deliveries of events, once for each endpoint and way they are to leave by. Reads them all.

        Raises:
            JournalUnavailable.
        """
        found = select(*_PLACE, func.count().label("many")).where(*_UNFINISHED).group_by(*_PLACE).order_by(*_PLACE)
        with self._database.read() as connection:
            return [Standing(row.tenant, row.subscription, row.endpoint, Way(row.way), row.many) for row in connection.execute(found)]

    def lead(self, standing: Standing, endpoint: str, way: Way, *, limit: int) -> int:
        """Let up to `limit` of them leave by that endpoint and way; returns how many. Who holds one settles it as it would have.

        Raises:
            JournalUnavailable: nothing was changed.
        """
        own = (
            deliveries.c.tenant == standing.tenant,
            deliveries.c.subscription == standing.subscription,
            deliveries.c.endpoint == standing.endpoint,
            deliveries.c.way == standing.way.value,
            deliveries.c.finished_at_us.is_(None),
        )
        some = select(deliveries.c.serial).where(*own).limit(limit)
        led = update(deliveries).where(deliveries.c.tenant == standing.tenant, deliveries.c.serial.in_(some))
        with self._begin() as transaction:
            changed = transaction.connection.execute(led.values(endpoint=endpoint, way=way.value)).rowcount
            if changed:
                facts = {"from_endpoint": standing.endpoint, "from_way": standing.way.value, "endpoint": endpoint, "way": way.value}
                transaction.append(standing.tenant, EntryKind.LED, standing.subscription, {**facts, "deliveries": changed})
            return changed
