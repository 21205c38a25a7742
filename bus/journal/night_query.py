"""What the night at a glance is read from: every batch of every tenant in one look.

Owns: two statements whose number does not grow with the tenants; Prometheus asks them of every node several times a minute. What is asked
for goes to the database as one JSON value, because a statement that spells out thousands of values takes longer to write than to answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import CTE, JSON, and_, bindparam, column, distinct, func, select

from bus.journal.tables import counters, deliveries, entries, messages
from bus.journal.transaction import JournalRole
from bus.message import DeliveryState, MessageState

_MOVING: Final = (DeliveryState.DUE, DeliveryState.CLAIMED, DeliveryState.READY_TO_PUBLISH)
_BATCH: Final = (messages.c.tenant, messages.c.interface, messages.c.business_date)
_ELEMENTS: Final = {"sqlite": func.json_each, "postgresql": func.json_array_elements}
"""What makes one row, in the column `value`, of each element of a JSON list."""


class SqlNightJournal(JournalRole):
    """`bus.ports.NightJournal` in SQL."""

    def first_entries(self) -> Mapping[str, int]:
        """When each tenant's first entry was appended (`at_us`)."""
        first = select(entries.c.at_us).where(entries.c.tenant == counters.c.tenant).order_by(entries.c.sequence).limit(1)
        known = select(counters.c.tenant, first.scalar_subquery()).where(counters.c.name == "entry")
        with self._database.read() as connection:
            return {tenant: int(at_us) for tenant, at_us in connection.execute(known)}

    def batches_done(self, wanted: Collection[tuple[str, str, str]]) -> Mapping[tuple[str, str, str], bool]:
        """Of these (tenant, interface, business date), those of which a file was accepted; True: and none of its deliveries waits or moves
        any more. What an operator had sent again later is not of the batch."""
        own = and_(
            deliveries.c.tenant == messages.c.tenant,
            deliveries.c.message == messages.c.serial,
            deliveries.c.created_at_us == messages.c.accepted_at_us,
            deliveries.c.state.in_(_MOVING),
        )
        with self._database.read() as connection:
            asked = _asked(wanted, connection.dialect.name)
            same = and_(*(key == asked.c[key.name] for key in _BATCH))
            found = (
                select(*_BATCH, func.count(distinct(deliveries.c.serial)))
                .select_from(asked.join(messages, same).outerjoin(deliveries, own))
                .where(messages.c.state == MessageState.ACCEPTED)
                .group_by(*_BATCH)
            )
            return {(tenant, interface, day): not moving for tenant, interface, day, moving in connection.execute(found)}


def _asked(wanted: Collection[tuple[str, str, str]], dialect: str) -> CTE:
    """What is asked for, as rows."""
    elements = _ELEMENTS[dialect](bindparam("asked", [list(batch) for batch in wanted], type_=JSON))
    value = elements.table_valued(column("value", JSON)).c.value
    return select(*(value[place].as_string().label(key.name) for place, key in enumerate(_BATCH))).cte("asked")
