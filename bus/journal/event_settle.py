"""How attempts to deliver events ended: delivered, due again, given up, expired - many at once, in one transaction.

Owns: the end of a claim. A settlement with an old fence, or of a claim that has ended, changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, literal_column, null, select, update

from bus.event import Settlement
from bus.journal.bulk import Bulk
from bus.journal.ordering import arm, arm_next, change
from bus.journal.quarantining import add_quarantine
from bus.journal.rows import AnyRow, key_of
from bus.journal.tables import deliveries
from bus.journal.transaction import Change, EntryKind, Transaction
from bus.message import DeliveryState, NewQuarantine, QuarantineKind

_ONE: Final[Any] = literal_column("""'{"records": 1, "sums": {}}'""")
_KINDS: Final = {
    DeliveryState.DELIVERED: EntryKind.DELIVERED,
    DeliveryState.DUE: EntryKind.ATTEMPT_FAILED,
    DeliveryState.QUARANTINED: EntryKind.GIVEN_UP,
    DeliveryState.EXPIRED: EntryKind.EXPIRED,
}
_COLUMNS: Final = tuple(
    deliveries.c[name]
    for name in (
        "tenant", "serial", "message", "subscription", "system", "ordering_key", "state", "fence", "owner", "attempts",
        "flagging", "number",
    )
)
_HELD: Final = select(*_COLUMNS).where(
    deliveries.c.tenant == bindparam("of_tenant"), deliveries.c.serial.in_(bindparam("of_serials", expanding=True))
)
_OWN: Final = (deliveries.c.tenant == bindparam("of_tenant"), deliveries.c.serial == bindparam("of_serial"))
_ENDED: Final = {"owner": null(), "lease_until_us": null(), "claimable_at_us": null(), "armed_at_us": null()}
_FINISHED: Final = update(deliveries).where(*_OWN).values(finished_at_us=bindparam("now_us", type_=BigInteger), **_ENDED)
_DELIVERED: Final = Bulk(_FINISHED.values(state=literal_column("'delivered'"), taken_in=_ONE, out=_ONE))
_FILTERED: Final = Bulk(_FINISHED.values(state=literal_column("'delivered'"), taken_in=_ONE, filtered=_ONE))
_EXPIRED: Final = Bulk(_FINISHED.values(state=literal_column("'expired'"), last_error=literal_column("'expired'")))


def settle_events(transaction: Transaction, settlements: Sequence[Settlement]) -> list[DeliveryState | None]:
    """Book how they ended. None: its claim had ended, nothing was changed."""
    if not settlements:
        return []
    held = _rows(transaction, settlements)
    answers: list[DeliveryState | None] = []
    ended: dict[str, DeliveryState] = {}
    """by these settlements"""
    finished: dict[DeliveryState, list[tuple[AnyRow, Settlement]]] = defaultdict(list)
    changes: dict[str, list[Change]] = defaultdict(list)
    for settlement in settlements:
        row = held.get(settlement.delivery)
        if row is None or row.fence != settlement.fence or row.owner is None or row.state != DeliveryState.CLAIMED:
            answers.append(_as_before(row, settlement))  # a stale one does not stand in the way of the claim that holds
            continue
        if settlement.delivery in ended:
            answers.append(settlement.state if ended[settlement.delivery] is settlement.state is DeliveryState.DELIVERED else None)
            continue
        ended[settlement.delivery] = settlement.state
        answers.append(settlement.state)
        changes[row.tenant].append((_kind(settlement), settlement.delivery, _facts(row, settlement)))
        if settlement.state in (DeliveryState.DELIVERED, DeliveryState.EXPIRED):
            finished[settlement.state].append((row, settlement))
        else:
            _not_delivered(transaction, row, settlement)
    _finish(transaction, finished)
    transaction.append_many(changes)
    return answers


def _as_before(row: AnyRow | None, settlement: Settlement) -> DeliveryState | None:
    """The same settlement twice under one claim is one."""
    if row is not None and row.fence == settlement.fence and row.state == settlement.state == DeliveryState.DELIVERED:
        return DeliveryState.DELIVERED
    return None


def _rows(transaction: Transaction, settlements: Sequence[Settlement]) -> dict[str, AnyRow]:
    serials: dict[str, list[int]] = defaultdict(list)
    names: dict[tuple[str, int], str] = {}
    for settlement in settlements:
        tenant, serial = key_of(settlement.delivery, "d")
        serials[tenant].append(serial)
        names[tenant, serial] = settlement.delivery
    return {
        names[row.tenant, row.serial]: row
        for tenant, own in serials.items()
        for row in transaction.connection.execute(_HELD, {"of_tenant": tenant, "of_serials": own})
    }


def _kind(settlement: Settlement) -> EntryKind:
    """What the entry says: handed back without an attempt is no failed one."""
    handed_back = settlement.state is DeliveryState.DUE and not settlement.counts_attempt
    return EntryKind.UNCLAIMED if handed_back else _KINDS[settlement.state]


def _facts(row: AnyRow, settlement: Settlement) -> dict[str, object]:
    if settlement.state is DeliveryState.DELIVERED:
        return {"filtered": 1} if settlement.filtered else {"out": 1}
    facts: dict[str, object] = {"attempts": row.attempts + settlement.counts_attempt, "error": settlement.error}
    if settlement.state is DeliveryState.DUE:
        facts["due_at_us"] = settlement.due_at_us
    return facts


def _not_delivered(transaction: Transaction, row: AnyRow, settlement: Settlement) -> None:
    ended: dict[str, Any] = {"owner": None, "lease_until_us": None, "attempts": row.attempts + settlement.counts_attempt}
    if settlement.error:
        ended["last_error"] = settlement.error
    if settlement.state is DeliveryState.DUE:
        change(transaction, row, state=DeliveryState.DUE.value, **ended, **arm(transaction, row, settlement.due_at_us))
        return
    give_up(transaction, row, ended, _facts(row, settlement))


def give_up(transaction: Transaction, row: AnyRow, ended: dict[str, Any], facts: dict[str, object]) -> None:
    """Into quarantine; it stays the head of its ordering key and holds it, until a person releases or skips it."""
    change(transaction, row, state=DeliveryState.QUARANTINED.value, claimable_at_us=None, armed_at_us=None, **ended)
    entry = NewQuarantine(QuarantineKind.GIVEN_UP, row.subscription, 1, facts)
    add_quarantine(transaction, row.tenant, [entry], message=row.message, delivery=row.serial)


def _finish(transaction: Transaction, finished: dict[DeliveryState, list[tuple[AnyRow, Settlement]]]) -> None:
    connection = transaction.connection
    delivered = finished.get(DeliveryState.DELIVERED, [])
    for bulk, own in (
        (_DELIVERED, [row for row, settlement in delivered if not settlement.filtered]),
        (_FILTERED, [row for row, settlement in delivered if settlement.filtered]),
        (_EXPIRED, [row for row, _ in finished.get(DeliveryState.EXPIRED, [])]),
    ):
        bulk.run(connection, [{"of_tenant": row.tenant, "of_serial": row.serial, "now_us": transaction.now_us} for row in own])
    rows = [row for own in finished.values() for row, _ in own]
    if rows:
        arm_next(transaction, rows)
