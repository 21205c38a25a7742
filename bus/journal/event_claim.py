"""Claiming deliveries of events: lanes in order, then longest due, up to a limit per subscription.

Owns: the choice, the lease and the fence. Only heads of their ordering keys are armed (`bus.journal.ordering`), so however long the
queues behind them are, a claim reads as many rows as it takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, and_, bindparam, literal_column, select, union_all, update

from bus.event import ClaimedEvent, EventDraft, Lane, Wanted, Way
from bus.journal.bulk import Bulk
from bus.journal.event_rows import claimed_of, draft_of
from bus.journal.event_settle import give_up
from bus.journal.ordering import WAITS, arm, change
from bus.journal.rows import AnyRow, id_of
from bus.journal.tables import deliveries, messages
from bus.journal.transaction import Change, EntryKind, Transaction
from bus.message import DeliveryState

LEASE_RAN_OUT: Final = "lease ran out"
_COLUMNS: Final = tuple(
    deliveries.c[name]
    for name in (
        "tenant", "serial", "message", "subscription", "system", "endpoint", "translation", "ordering_key", "number", "state",
        "fence", "owner", "attempts", "flagging", "lane", "claimable_at_us",
    )
)
_CLAIMED: Final = Bulk(
    update(deliveries)
    .where(deliveries.c.tenant == bindparam("of_tenant"), deliveries.c.serial == bindparam("of_serial"))
    .values(
        state=literal_column("'claimed'"),
        owner=bindparam("new_owner"),
        fence=bindparam("new_fence"),
        attempts=bindparam("new_attempts"),
        lease_until_us=bindparam("until_us"),
        claimable_at_us=bindparam("until_us"),
        armed_at_us=bindparam("now_us"),
    )
)
_EVENT: Final = tuple(
    messages.c[name]
    for name in (
        "tenant", "serial", "interface", "contract", "contract_digest", "event_source", "event_id", "event", "form",
        "expires_at_us", "in_reply_to", "accepted_at_us", "body",
    )
)
_EVENTS: Final = select(*_EVENT).where(
    messages.c.tenant == bindparam("of_tenant"), messages.c.serial.in_(bindparam("of_serials", expanding=True))
)


def _due(way: Way) -> Any:
    """Due deliveries of a subscription, lane by lane: each lane is a range of the index of its own."""
    lanes = []
    for lane in Lane:
        armed = and_(deliveries.c.claimable_at_us.is_not(None), deliveries.c.way == literal_column(f"'{way.value}'"))
        own = (
            deliveries.c.tenant == bindparam("of_tenant"),
            deliveries.c.subscription == bindparam("of_subscription"),
            deliveries.c.lane == literal_column(str(int(lane))),
            deliveries.c.claimable_at_us <= bindparam("now_us", type_=BigInteger),
        )
        longest_due = select(*_COLUMNS).where(armed, *own).order_by(deliveries.c.claimable_at_us, deliveries.c.serial)
        lanes.append(select(longest_due.limit(bindparam("most", type_=BigInteger)).subquery()))
    return union_all(*lanes)


_DUE: Final = {way: _due(way) for way in (Way.PUSH, Way.PULL)}


def claim_events(transaction: Transaction, wanted: Sequence[Wanted]) -> list[list[ClaimedEvent]]:
    """Claim for each of `wanted`, in order. What is claimed for one is not there for the next."""
    chosen = [(one, _take(transaction, one)) for one in wanted]
    drafts = events_of(transaction.connection, [row for _, rows in chosen for row in rows])
    changes: dict[str, list[Change]] = defaultdict(list)
    answers = []
    for one, rows in chosen:
        until_us = _until_us(transaction, one)
        claimed = [
            claimed_of(row, fence=row.fence + 1, attempts=_attempts(row), lease_until_us=until_us, event=drafts[row.tenant, row.message])
            for row in rows
        ]
        if claimed:
            changes[one.tenant] += [(EntryKind.CLAIMED, claim.id, {"owner": one.owner, "fence": claim.fence}) for claim in claimed]
        answers.append(claimed)
    transaction.append_many(changes)
    return answers


def _take(transaction: Transaction, one: Wanted) -> list[AnyRow]:
    """Choose for one, and lease what was chosen."""
    rows = _choose(transaction, one)
    leases = [
        {
            "of_tenant": row.tenant,
            "of_serial": row.serial,
            "new_owner": one.owner,
            "new_fence": row.fence + 1,
            "new_attempts": _attempts(row),
            "until_us": _until_us(transaction, one),
            "now_us": transaction.now_us,
        }
        for row in rows
    ]
    _CLAIMED.run(transaction.connection, leases)
    return rows


def _until_us(transaction: Transaction, one: Wanted) -> int:
    return transaction.now_us + round(one.lease_seconds * 1_000_000)


def events_of(connection: Connection, rows: Sequence[AnyRow]) -> dict[tuple[str, int], EventDraft]:
    """The events of deliveries, by (tenant, serial of the message)."""
    serials: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        serials[row.tenant].add(row.message)
    return {
        (row.tenant, row.serial): draft_of(row)
        for tenant, own in serials.items()
        for row in connection.execute(_EVENTS, {"of_tenant": tenant, "of_serials": sorted(own)})
    }


def _choose(transaction: Transaction, one: Wanted) -> list[AnyRow]:
    if one.limit <= 0:
        return []
    given = {"of_tenant": one.tenant, "of_subscription": one.subscription, "now_us": transaction.now_us, "most": one.limit}
    kept: list[AnyRow] = []
    for row in transaction.connection.execute(_DUE[one.way], given).all():
        if one.most_attempts is not None and _attempts(row) >= one.most_attempts:
            _used_up(transaction, row)
        elif _held_back(transaction, row):
            continue
        elif len(kept) < one.limit:
            kept.append(row)
    return kept


def _attempts(row: AnyRow) -> int:
    """Failed ones, one more when the last claim was never settled: its lease ran out."""
    return int(row.attempts) + int(row.state == DeliveryState.CLAIMED)


def _held_back(transaction: Transaction, row: AnyRow) -> bool:
    """Whether it has to wait, after all: its last claim was never settled, and meanwhile a flag of its person has come. It waits for
    that flag like any other whose attempt failed."""
    if row.flagging != WAITS or row.state != DeliveryState.CLAIMED:
        return False
    armed = arm(transaction, row, transaction.now_us)
    if armed["claimable_at_us"] is not None:
        return False
    ended: dict[str, Any] = {"owner": None, "lease_until_us": None, "attempts": _attempts(row), "fence": row.fence + 1}
    change(transaction, row, state=DeliveryState.DUE.value, last_error=LEASE_RAN_OUT, **ended, **armed)
    facts: dict[str, object] = {"attempts": _attempts(row), "error": LEASE_RAN_OUT, "due_at_us": transaction.now_us}
    transaction.append(row.tenant, EntryKind.ATTEMPT_FAILED, id_of(row.tenant, "d", row.serial), facts)
    return True


def _used_up(transaction: Transaction, row: AnyRow) -> None:
    facts: dict[str, object] = {"attempts": _attempts(row), "error": LEASE_RAN_OUT}
    transaction.append(row.tenant, EntryKind.GIVEN_UP, id_of(row.tenant, "d", row.serial), facts)
    ended = {"owner": None, "lease_until_us": None, "attempts": _attempts(row), "fence": row.fence + 1, "last_error": LEASE_RAN_OUT}
    give_up(transaction, row, ended, facts)
