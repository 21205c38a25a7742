"""Who works on what: claims, leases, and what a jump of the clock does to them.

Owns: the choice of deliveries. Tenants take turns: each claim serves first the tenant whose last turn is longest ago, and one delivery of
each before a second of any, so that one tenant's flood delays another by one delivery at most. Within a tenant the longest due comes first.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, func, literal_column, select, update

from bus.event import Way
from bus.journal.ordering import arm, change
from bus.journal.rows import AnyRow, delivery_of, id_of
from bus.journal.tables import deliveries, delivery_chunks, turns
from bus.journal.transaction import EntryKind, Instants, Transaction
from bus.message import Delivery, DeliveryState

_SETTLED_AT_ONCE: Final = 500
_KEY: Final = (deliveries.c.tenant == bindparam("of_tenant"), deliveries.c.serial == bindparam("of_serial"))


def claim_due(transaction: Transaction, owner: str, *, lease_us: int, limit: int) -> list[Delivery]:
    """Claim up to `limit` heads that are claimable now, of deliveries that leave as files."""
    chosen = list(_in_turn(transaction, limit))
    if not chosen:
        return []
    claimed = [_claimed(delivery_of(row), transaction.now_us + lease_us) for row in chosen]
    _store(transaction, chosen, claimed, owner)
    for tenant in dict.fromkeys(row.tenant for row in chosen):
        own = [delivery for delivery in claimed if delivery.tenant == tenant]
        facts = [(EntryKind.CLAIMED, delivery.id, {"owner": owner, "fence": delivery.fence}) for delivery in own]
        transaction.append_all(tenant, facts)
    _serve(transaction, [row.tenant for row in chosen])
    return claimed


def settle_clock(transaction: Transaction, instants: Instants) -> None:
    """After the clock jumped back, count every wait and lease anew from now.

    What was armed "in the future" would otherwise wait as long as the clock jumped; so it waits once more at most as long as was meant.
    A few hundred at a time, so that no claim takes long; the claims that follow settle the rest.
    """
    if not instants.unsettled:
        return
    now_us = transaction.now_us
    rows: list[AnyRow] = []
    for way in Way:
        armed = (deliveries.c.claimable_at_us.is_not(None), deliveries.c.way == literal_column(f"'{way.value}'"))
        ahead = select(deliveries).where(*armed, deliveries.c.armed_at_us > now_us).limit(_SETTLED_AT_ONCE)
        rows += transaction.connection.execute(ahead).all()
    if not rows:
        instants.unsettled = False
        return
    shifted = []
    for row in rows:
        until_us = now_us + row.claimable_at_us - row.armed_at_us
        leased = row.lease_until_us is not None
        times = {"new_due": row.due_at_us, "new_lease": until_us} if leased else {"new_due": until_us, "new_lease": None}
        shifted.append({"of_tenant": row.tenant, "of_serial": row.serial, "new_until": until_us, **times})
    values: dict[str, Any] = {"claimable_at_us": bindparam("new_until"), "due_at_us": bindparam("new_due"), "armed_at_us": now_us}
    values["lease_until_us"] = bindparam("new_lease")
    transaction.connection.execute(update(deliveries).where(*_KEY).values(**values), shifted)
    for tenant, count in sorted(Counter(row.tenant for row in rows).items()):
        transaction.append(tenant, EntryKind.CLOCK_WENT_BACK, tenant, {"deliveries": count})


def free(transaction: Transaction, owner: str) -> int:
    """Give back everything `owner` holds, claimable at once; its claims are stale from here on."""
    held = transaction.connection.execute(select(deliveries).where(deliveries.c.owner == owner)).all()
    now_us = transaction.now_us
    for row in held:
        state = DeliveryState.DUE.value if row.state == DeliveryState.CLAIMED else row.state
        change(transaction, row, state=state, owner=None, lease_until_us=None, fence=row.fence + 1, **arm(transaction, row, now_us))
        transaction.append(row.tenant, EntryKind.UNCLAIMED, id_of(row.tenant, "d", row.serial), {"owner": owner})
    return len(held)


def _in_turn(transaction: Transaction, limit: int) -> Iterator[AnyRow]:
    """Claimable heads, one of each tenant in turn."""
    now_us = transaction.now_us
    due = (deliveries.c.claimable_at_us <= now_us, deliveries.c.way == literal_column("'file'"))
    waiting = exists().where(deliveries.c.tenant == turns.c.tenant, *due)
    served = select(turns.c.tenant).where(waiting).order_by(turns.c.turn, turns.c.tenant).limit(limit)
    queues: deque[Iterator[AnyRow]] = deque()
    for tenant in transaction.connection.scalars(served).all():
        own = (deliveries.c.tenant == tenant, *due)
        longest_due = select(deliveries).where(*own).order_by(deliveries.c.claimable_at_us, deliveries.c.serial).limit(limit)
        queues.append(iter(transaction.connection.execute(longest_due)))
    while queues and limit:
        rows = queues.popleft()
        row = next(rows, None)
        if row is not None:
            limit -= 1
            queues.append(rows)
            yield row


def _claimed(due: Delivery, until_us: int) -> Delivery:
    state = due.state if due.state is DeliveryState.READY_TO_PUBLISH else DeliveryState.CLAIMED
    return replace(due, state=state, fence=due.fence + 1, lease_until_us=until_us)


def _store(transaction: Transaction, rows: Sequence[AnyRow], claimed: Sequence[Delivery], owner: str) -> None:
    keys = [{"of_tenant": row.tenant, "of_serial": row.serial} for row in rows]
    leases = [
        {**key, "new_state": delivery.state.value, "new_fence": delivery.fence, "new_until": delivery.lease_until_us}
        for key, delivery in zip(keys, claimed, strict=True)
    ]
    values: dict[str, Any] = {"state": bindparam("new_state"), "fence": bindparam("new_fence"), "lease_until_us": bindparam("new_until")}
    values |= {"claimable_at_us": bindparam("new_until"), "armed_at_us": transaction.now_us, "owner": owner}
    transaction.connection.execute(update(deliveries).where(*_KEY).values(**values), leases)
    anew = [key for key, delivery in zip(keys, claimed, strict=True) if delivery.state is DeliveryState.CLAIMED]
    if anew:  # what an older fence wrote is gone
        written = (delivery_chunks.c.tenant == bindparam("of_tenant"), delivery_chunks.c.delivery == bindparam("of_serial"))
        transaction.connection.execute(delete(delivery_chunks).where(*written), anew)


def _serve(transaction: Transaction, tenants: Sequence[str]) -> None:
    last = list(dict.fromkeys(reversed(tenants)))  # each tenant at its last turn
    highest = transaction.connection.scalar(select(func.max(turns.c.turn))) or 0
    turn = [{"served": tenant, "new": highest + place} for place, tenant in enumerate(reversed(last), start=1)]
    transaction.connection.execute(update(turns).where(turns.c.tenant == bindparam("served")).values(turn=bindparam("new")), turn)
