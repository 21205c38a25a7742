"""The order of deliveries: who stands first of its ordering key, and from when it may be claimed.

Owns: `claimable_at_us` and `armed_at_us`. At any moment exactly one unfinished delivery of a (tenant, subscription, ordering key) is
the head; only a head is ever armed, so a claim looks at heads only, however long the queues behind them are. A head that waits for a
support-measure flag (`flagging` 2) is armed only while no flag (1) of the same person is unfinished at the same system.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, bindparam, case, exists, func, insert, literal_column, or_, select, update

from bus.journal.rows import AnyRow, delivery_of, key_of
from bus.journal.tables import deliveries, turns
from bus.journal.transaction import EntryKind, Transaction
from bus.message import Delivery, DeliveryState, NewDelivery
from contracts.totals import Totals

FLAGS: Final = 1
"""`flagging` of a delivery that carries a support-measure flag."""
WAITS: Final = 2
"""`flagging` of a delivery that waits for the flags of its person."""
_FLAGGING: Final = (deliveries.c.flagging > literal_column("0"), deliveries.c.finished_at_us.is_(None))
"""Of the index over flagging deliveries."""
_FLAG: Final = (deliveries.c.flagging == literal_column(str(FLAGS)), *_FLAGGING)


def add_delivery(transaction: Transaction, message_id: str, new: NewDelivery, *, copy: int, kind: EntryKind, by: str = "") -> Delivery:
    """Make a delivery with the next number of its subscription, due now, armed when nothing unfinished stands before it."""
    tenant, message = key_of(message_id, "m")
    connection, now_us = transaction.connection, transaction.now_us
    serial = transaction.next(tenant, "delivery")
    waits = connection.scalar(select(exists().where(*_unfinished(tenant, new.subscription, new.ordering_key))))
    waits = waits or (new.flagging == WAITS and flagged(transaction, tenant, new.system, new.ordering_key))
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
    if new.flagging == FLAGS:
        hold_back(transaction, [(tenant, new.system, new.ordering_key)])
    _take_part(transaction, tenant)
    delivery = delivery_of(row)
    facts: dict[str, object] = {"message": message_id, "subscription": new.subscription, "number": delivery.number}
    transaction.append(tenant, kind, delivery.id, facts | ({"by": by} if by else {}))
    return delivery


def change(transaction: Transaction, row: AnyRow, **values: object) -> None:
    """Change one delivery's row."""
    own = (deliveries.c.tenant == row.tenant) & (deliveries.c.serial == row.serial)
    transaction.connection.execute(update(deliveries).where(own).values(**values))


def arm(transaction: Transaction, row: AnyRow, due_at_us: int) -> dict[str, object]:
    """The values that make a head claimable from `due_at_us` on, or let it wait for the flags of its person."""
    waits = row.flagging == WAITS and flagged(transaction, row.tenant, row.system, row.ordering_key)
    armed = {"claimable_at_us": None, "armed_at_us": None} if waits else {"claimable_at_us": due_at_us, "armed_at_us": transaction.now_us}
    return {"due_at_us": due_at_us, **armed}


def finish(transaction: Transaction, row: AnyRow, state: DeliveryState, **values: object) -> None:
    """Finish a delivery, and arm the next one of its ordering key."""
    now_us = transaction.now_us
    released = {"owner": None, "lease_until_us": None, "claimable_at_us": None, "armed_at_us": None}
    change(transaction, row, state=state.value, finished_at_us=now_us, **released, **values)
    arm_next(transaction, [row])


def arm_next(transaction: Transaction, finished: Sequence[AnyRow]) -> None:
    """Arm what stood behind finished deliveries: the next of each ordering key, and what waited for a flag that was the last."""
    connection, now_us = transaction.connection, transaction.now_us
    waited = _waited(connection, finished)
    behind = [{"of_tenant": tenant, "of_subscription": name, "of_key": key, "now_us": now_us} for tenant, name, key in waited]
    if behind:
        connection.execute(_ARM_NEXT, behind)
    flags = {(row.tenant, row.system, row.ordering_key) for row in finished if row.flagging == FLAGS}
    if flags:
        connection.execute(_ARM_WAITING, [{"of_tenant": t, "of_system": s, "of_key": k, "now_us": now_us} for t, s, k in sorted(flags)])


def _waited(connection: Connection, finished: Sequence[AnyRow]) -> list[tuple[str, str, str]]:
    """The ordering keys behind which anything waits: of most, nothing does."""
    keys: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in finished:
        keys[row.tenant, row.subscription].add(row.ordering_key)
    return [
        (tenant, subscription, key)
        for (tenant, subscription), own in sorted(keys.items())
        for key in connection.scalars(_BEHIND, {"of_tenant": tenant, "of_subscription": subscription, "of_keys": sorted(own)}).all()
    ]


def flagged(transaction: Transaction, tenant: str, system: str, ordering_key: str) -> bool:
    """Whether a support-measure flag of that person is unfinished at the system."""
    own = (deliveries.c.tenant == tenant, deliveries.c.system == system, deliveries.c.ordering_key == ordering_key, *_FLAG)
    return bool(transaction.connection.scalar(select(exists().where(*own))))


def hold_back(transaction: Transaction, people: Sequence[tuple[str, str, str]]) -> None:
    """Let what waits for flags wait, at each (tenant, system, ordering key): what is being sent goes on, nothing more is claimed."""
    held = [{"of_tenant": tenant, "of_system": system, "of_key": key} for tenant, system, key in people]
    transaction.connection.execute(_HOLD_BACK, held)


def _head(of: Any) -> Any:
    """The first unfinished number of the ordering key of `of`."""
    other = deliveries.alias("other")
    same = (other.c.tenant == of.tenant, other.c.subscription == of.subscription, other.c.ordering_key == of.ordering_key)
    return select(func.min(other.c.number)).where(*same, other.c.finished_at_us.is_(None)).correlate(deliveries).scalar_subquery()


def _no_flag() -> Any:
    flag = deliveries.alias("flag")
    same = (flag.c.tenant == deliveries.c.tenant, flag.c.system == deliveries.c.system, flag.c.ordering_key == deliveries.c.ordering_key)
    own = flag.c.flagging
    unfinished = (own == literal_column(str(FLAGS)), own > literal_column("0"), flag.c.finished_at_us.is_(None))
    return ~exists().where(*same, *unfinished).correlate(deliveries)


def _armed_now() -> Any:
    now_us = bindparam("now_us", type_=BigInteger)
    due_at_us = case((deliveries.c.due_at_us <= now_us, deliveries.c.due_at_us), else_=now_us)
    not_given_up = deliveries.c.state != DeliveryState.QUARANTINED.value
    idle = (deliveries.c.finished_at_us.is_(None), deliveries.c.claimable_at_us.is_(None), not_given_up)
    head = deliveries.c.number == _head(deliveries.c)
    return update(deliveries).where(*idle, head).values(claimable_at_us=due_at_us, armed_at_us=now_us)


_BEHIND: Final = (
    select(deliveries.c.ordering_key)
    .where(
        deliveries.c.tenant == bindparam("of_tenant"),
        deliveries.c.subscription == bindparam("of_subscription"),
        deliveries.c.ordering_key.in_(bindparam("of_keys", expanding=True)),
        deliveries.c.finished_at_us.is_(None),
        deliveries.c.claimable_at_us.is_(None),
    )
    .distinct()
)
_ARM_NEXT: Final = _armed_now().where(
    deliveries.c.tenant == bindparam("of_tenant"),
    deliveries.c.subscription == bindparam("of_subscription"),
    deliveries.c.ordering_key == bindparam("of_key"),
    or_(deliveries.c.flagging != WAITS, _no_flag()),
)
_PERSON: Final = (
    deliveries.c.tenant == bindparam("of_tenant"),
    deliveries.c.system == bindparam("of_system"),
    deliveries.c.ordering_key == bindparam("of_key"),
    deliveries.c.flagging == literal_column(str(WAITS)),
    *_FLAGGING,
)
_ARM_WAITING: Final = _armed_now().where(*_PERSON, _no_flag())
_HOLD_BACK: Final = (
    update(deliveries)
    .where(*_PERSON, deliveries.c.state == DeliveryState.DUE.value)
    .values(claimable_at_us=None, armed_at_us=None)
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
