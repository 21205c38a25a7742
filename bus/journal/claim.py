"""Who works on what: claims, leases, and what a jump of the clock does to them.

Owns: the choice of deliveries. Tenants take turns: each claim serves first the tenant whose last turn is longest ago, and one delivery of
each before a second of any, so that one tenant's flood delays another by one delivery at most. Within a tenant the longest due comes first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from sqlalchemy import Select, bindparam, delete, exists, func, select, update

from bus.journal.ordering import change
from bus.journal.rows import AnyRow, delivery_of, id_of
from bus.journal.tables import deliveries, delivery_chunks, turns
from bus.journal.transaction import EntryKind, Transaction
from bus.message import Delivery, DeliveryState


def claim_due(transaction: Transaction, owner: str, *, lease_us: int, limit: int) -> list[Delivery]:
    """Claim up to `limit` heads that are claimable now."""
    settle_clock(transaction)
    chosen = list(_in_turn(transaction, limit))
    for row in chosen:
        _take(transaction, row, owner, lease_us)
    _serve(transaction, [tenant for tenant, _ in chosen])
    return [delivery_of(_row(transaction, *key)) for key in chosen]


def settle_clock(transaction: Transaction) -> None:
    """After the clock jumped back, count every wait and lease anew from now.

    What was armed "in the future" would otherwise wait as long as the clock jumped; so it waits once more at most as long as was meant.
    """
    now_us = transaction.now_us
    ahead = (deliveries.c.claimable_at_us.is_not(None), deliveries.c.armed_at_us > now_us)
    if transaction.connection.scalar(select(deliveries.c.serial).where(*ahead).limit(1)) is None:
        return
    tenants = transaction.connection.scalars(select(deliveries.c.tenant).where(*ahead).distinct()).all()
    waits_until = deliveries.c.claimable_at_us - deliveries.c.armed_at_us + now_us
    leased = deliveries.c.lease_until_us.is_not(None)
    shifted = {"claimable_at_us": waits_until, "armed_at_us": now_us}
    transaction.connection.execute(update(deliveries).where(*ahead, leased).values(**shifted, lease_until_us=waits_until))
    transaction.connection.execute(update(deliveries).where(*ahead, ~leased).values(**shifted, due_at_us=waits_until))
    for tenant in sorted(tenants):
        transaction.append(tenant, EntryKind.CLOCK_WENT_BACK, tenant, {})


def free(transaction: Transaction, owner: str) -> int:
    """Give back everything `owner` holds, claimable at once; its claims are stale from here on."""
    held = transaction.connection.execute(select(deliveries).where(deliveries.c.owner == owner)).all()
    now_us = transaction.now_us
    for row in held:
        state = DeliveryState.DUE.value if row.state == DeliveryState.CLAIMED else row.state
        armed = {"due_at_us": now_us, "claimable_at_us": now_us, "armed_at_us": now_us}
        change(transaction, row, state=state, owner=None, lease_until_us=None, fence=row.fence + 1, **armed)
        transaction.append(row.tenant, EntryKind.UNCLAIMED, id_of(row.tenant, "d", row.serial), {"owner": owner})
    return len(held)


def _in_turn(transaction: Transaction, limit: int) -> Iterator[tuple[str, int]]:
    """Keys of claimable heads, one of each tenant in turn."""
    now_us = transaction.now_us
    waiting = exists().where(deliveries.c.tenant == turns.c.tenant, deliveries.c.claimable_at_us <= now_us)
    served = select(turns.c.tenant).where(waiting).order_by(turns.c.turn, turns.c.tenant).limit(limit)
    queues: deque[tuple[str, Iterator[int]]] = deque()
    for tenant in transaction.connection.scalars(served).all():
        queues.append((tenant, iter(transaction.connection.scalars(_claimable(tenant, now_us, limit)))))
    while queues and limit:
        tenant, serials = queues.popleft()
        serial = next(serials, None)
        if serial is not None:
            limit -= 1
            queues.append((tenant, serials))
            yield tenant, serial


def _claimable(tenant: str, now_us: int, limit: int) -> Select[tuple[int]]:
    own = (deliveries.c.tenant == tenant, deliveries.c.claimable_at_us <= now_us)
    return select(deliveries.c.serial).where(*own).order_by(deliveries.c.claimable_at_us, deliveries.c.serial).limit(limit)


def _take(transaction: Transaction, key: tuple[str, int], owner: str, lease_us: int) -> None:
    row = _row(transaction, *key)
    until_us = transaction.now_us + lease_us
    published = row.state == DeliveryState.READY_TO_PUBLISH
    state = row.state if published else DeliveryState.CLAIMED.value
    lease = {"lease_until_us": until_us, "claimable_at_us": until_us, "armed_at_us": transaction.now_us}
    change(transaction, row, state=state, owner=owner, fence=row.fence + 1, **lease)
    if not published:  # what an older fence wrote is gone
        own = (delivery_chunks.c.tenant == row.tenant, delivery_chunks.c.delivery == row.serial)
        transaction.connection.execute(delete(delivery_chunks).where(*own))
    transaction.append(row.tenant, EntryKind.CLAIMED, id_of(row.tenant, "d", row.serial), {"owner": owner, "fence": row.fence + 1})


def _serve(transaction: Transaction, tenants: list[str]) -> None:
    last = dict.fromkeys(reversed(tenants))  # each tenant at its last turn
    if not last:
        return
    highest = transaction.connection.scalar(select(func.max(turns.c.turn))) or 0
    turn = [{"served": tenant, "new": highest + place} for place, tenant in enumerate(reversed(last), start=1)]
    transaction.connection.execute(update(turns).where(turns.c.tenant == bindparam("served")).values(turn=bindparam("new")), turn)


def _row(transaction: Transaction, tenant: str, serial: int) -> AnyRow:
    own = (deliveries.c.tenant == tenant, deliveries.c.serial == serial)
    return transaction.connection.execute(select(deliveries).where(*own)).one()
