"""What stands in quarantine, written in the transaction that puts it there.

Owns: the rows of `quarantine`. An entry that is open already (same message, delivery, kind and subject) is not made twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select, update

from bus.journal.rows import AnyRow, id_of, part_list, quarantine_of
from bus.journal.tables import quarantine
from bus.journal.transaction import EntryKind, Transaction
from bus.message import NewQuarantine, QuarantineEntry

OPEN = "open"


def add_quarantine(
    transaction: Transaction, tenant: str, items: Sequence[NewQuarantine], *, message: int | None, delivery: int | None = None
) -> None:
    """Put `items` into quarantine, each with an entry."""
    for item in items:
        place = (quarantine.c.tenant == tenant, quarantine.c.message == message, quarantine.c.delivery == delivery)
        same = (*place, quarantine.c.kind == item.kind.value, quarantine.c.subject == item.subject, quarantine.c.state == OPEN)
        if message is not None and transaction.connection.scalar(select(quarantine.c.serial).where(*same)) is not None:
            continue
        serial = transaction.next(tenant, "quarantine")
        row = {
            "tenant": tenant,
            "serial": serial,
            "kind": item.kind.value,
            "message": message,
            "delivery": delivery,
            "subject": item.subject,
            "records": item.records,
            "facts": dict(item.facts),
            "parts": part_list(item.parts),
            "state": OPEN,
            "created_at_us": transaction.now_us,
        }
        transaction.connection.execute(insert(quarantine).values(**row))
        facts: dict[str, object] = {"kind": item.kind.value, "records": item.records}
        if message is not None:
            facts["message"] = id_of(tenant, "m", message)
        if delivery is not None:
            facts["delivery"] = id_of(tenant, "d", delivery)
        transaction.append(tenant, EntryKind.QUARANTINED, id_of(tenant, "q", serial), facts)


def close_quarantine(transaction: Transaction, row: AnyRow, kind: EntryKind, *, by: str) -> QuarantineEntry:
    """Close an open entry as `released` or `skipped`."""
    own = (quarantine.c.tenant == row.tenant, quarantine.c.serial == row.serial)
    closed = update(quarantine).where(*own).values(state=kind.value).returning(*quarantine.c)
    entry = quarantine_of(transaction.connection.execute(closed).one())
    transaction.append(row.tenant, kind, entry.id, {"kind": entry.kind.value, "records": entry.records, "by": by})
    return entry
