"""The order of deliveries: who stands first of its ordering key, and from when it may be claimed.

Owns: `claimable_at_us` and `armed_at_us`. At any moment exactly one unfinished delivery of a (tenant, subscription, ordering key) is
the head; only a head is ever armed, so a claim looks at heads only, however long the queues behind them are.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, exists, func, insert, select, update

from bus.journal.rows import AnyRow, delivery_of, key_of
from bus.journal.tables import deliveries, turns
from bus.journal.transaction import EntryKind, Transaction
from bus.message import Delivery, DeliveryState, NewDelivery
from contracts.totals import Totals


def add_delivery(transaction: Transaction, message_id: str, new: NewDelivery, *, copy: int, kind: EntryKind, by: str = "") -> Delivery:
    """Make a delivery with the next number of its subscription, due now, armed when nothing unfinished stands before it."""
    tenant, message = key_of(message_id, "m")
    connection, now_us = transaction.connection, transaction.now_us
    serial = transaction.next(tenant, "delivery")
    waits = connection.scalar(select(exists().where(*_unfinished(tenant, new.subscription, new.ordering_key))))
    nothing = Totals().as_json()
    values: dict[str, Any] = {
        "tenant": tenant,
        "serial": serial,
        "message": message,
        "copy": copy,
        "number": transaction.next(tenant, f"subscription:{new.subscription}"),
        "state": DeliveryState.DUE.value,
        "attempts": 0,
        "fence": 0,
        "due_at_us": now_us,
        "claimable_at_us": None if waits else now_us,
        "armed_at_us": None if waits else now_us,
        "taken_in": nothing,
        "out": nothing,
        "filtered": nothing,
        "refused": nothing,
        "bytes_out": 0,
        "publication": {},
        "last_error": "",
        "created_at_us": now_us,
    }
    values |= {name: getattr(new, name) for name in NewDelivery.__slots__}
    row = connection.execute(insert(deliveries).values(**values).returning(*deliveries.c)).one()
    _take_part(transaction, tenant)
    delivery = delivery_of(row)
    facts: dict[str, object] = {"message": message_id, "subscription": new.subscription, "number": delivery.number}
    transaction.append(tenant, kind, delivery.id, facts | ({"by": by} if by else {}))
    return delivery


def change(transaction: Transaction, row: AnyRow, **values: object) -> None:
    """Change one delivery's row."""
    own = (deliveries.c.tenant == row.tenant) & (deliveries.c.serial == row.serial)
    transaction.connection.execute(update(deliveries).where(own).values(**values))


def finish(transaction: Transaction, row: AnyRow, state: DeliveryState, **values: object) -> None:
    """Finish a delivery, and arm the next one of its ordering key."""
    now_us = transaction.now_us
    released = {"owner": None, "lease_until_us": None, "claimable_at_us": None, "armed_at_us": None}
    change(transaction, row, state=state.value, finished_at_us=now_us, **released, **values)
    behind = _unfinished(row.tenant, row.subscription, row.ordering_key)
    head = select(func.min(deliveries.c.number)).where(*behind).scalar_subquery()
    due_at_us = case((deliveries.c.due_at_us <= now_us, deliveries.c.due_at_us), else_=now_us)
    transaction.connection.execute(
        update(deliveries)
        .where(*behind, deliveries.c.number == head, deliveries.c.claimable_at_us.is_(None))
        .values(claimable_at_us=due_at_us, armed_at_us=now_us)
    )


def _unfinished(tenant: str, subscription: str, ordering_key: str) -> tuple[Any, ...]:
    return (
        deliveries.c.tenant == tenant,
        deliveries.c.subscription == subscription,
        deliveries.c.ordering_key == ordering_key,
        deliveries.c.finished_at_us.is_(None),
    )


def _take_part(transaction: Transaction, tenant: str) -> None:
    """Give a tenant that never had a delivery its place in the round of claims."""
    if transaction.connection.scalar(select(turns.c.turn).where(turns.c.tenant == tenant)) is None:
        transaction.connection.execute(insert(turns).values(tenant=tenant, turn=0))
