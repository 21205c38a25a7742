"""Is this file new? The answer of the journal when a file's identity is known.

Owns: what makes a duplicate, a revision, and a message that is taken up again; the planned chunks of a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from bus.journal.rows import AnyRow, chunk_of, id_of, message_of
from bus.journal.tables import chunks, messages
from bus.journal.transaction import EntryKind, Transaction
from bus.message import Begun, Chunk, ChunkState, MessageState, NewMessage, ReceiptOutcome
from contracts.totals import Totals


def begin_message(transaction: Transaction, new: NewMessage) -> Begun:
    """Decide what `new` is, and make or take up its message."""
    known = _known(transaction, new)
    for row in known:
        if row.sha256 != new.sha256 or row.state == MessageState.REFUSED:
            continue
        if row.state == MessageState.RECEIVING:
            return _take_up(transaction, row, new, _other_content(known, new.sha256))
        return Begun(message_of(row), ReceiptOutcome.DUPLICATE, chunks_of(transaction, row), None)
    return _make(transaction, new, revision=max((row.revision for row in known), default=0) + 1, other=_other_content(known, new.sha256))


def chunks_of(transaction: Transaction, row: AnyRow) -> list[Chunk]:
    """The chunks of a message, in order."""
    own = select(chunks).where(chunks.c.tenant == row.tenant, chunks.c.message == row.serial).order_by(chunks.c.position)
    return [chunk_of(chunk) for chunk in transaction.connection.execute(own)]


def _known(transaction: Transaction, new: NewMessage) -> Sequence[AnyRow]:
    identity = new.identity
    same = (
        messages.c.tenant == identity.tenant,
        messages.c.interface == identity.interface,
        messages.c.business_date == identity.business_date,
        messages.c.sequence == identity.sequence,
    )
    return transaction.connection.execute(select(messages).where(*same).order_by(messages.c.revision.desc())).all()


def _other_content(known: Sequence[AnyRow], sha256: str) -> str | None:
    """The message that a file with another content revises: the newest accepted one, else the newest not refused."""
    others = [row for row in known if row.sha256 != sha256 and row.state != MessageState.REFUSED]
    others.sort(key=lambda row: (row.state != MessageState.ACCEPTED, -row.revision))
    return id_of(others[0].tenant, "m", others[0].serial) if others else None


def _make(transaction: Transaction, new: NewMessage, *, revision: int, other: str | None) -> Begun:
    tenant = new.identity.tenant
    nothing = Totals().as_json()
    row: dict[str, Any] = {
        "tenant": tenant,
        "serial": transaction.next(tenant, "message"),
        "interface": new.identity.interface,
        "business_date": new.identity.business_date,
        "sequence": new.identity.sequence,
        "revision": revision,
        "state": MessageState.RECEIVING.value,
        "good": nothing,
        "rejected": nothing,
        "broken": [],
        "reason": "",
        "received_at_us": transaction.now_us,
        "sha256": new.sha256,
        "bytes": new.bytes,
    }
    made = transaction.connection.execute(insert(messages).values(**row, **_described(new)).returning(*messages.c)).one()
    _plan(transaction, made, new)
    message = message_of(made)
    facts = {"interface": new.identity.interface, "business_date": new.identity.business_date, "sequence": new.identity.sequence}
    more = {"revision": revision, "records": new.records, "bytes": new.bytes, "sha256": new.sha256}
    transaction.append(tenant, EntryKind.BEGUN, message.id, facts | more)
    return Begun(message, ReceiptOutcome.RECEIVING, chunks_of(transaction, made), other)


def _take_up(transaction: Transaction, row: AnyRow, new: NewMessage, other: str | None) -> Begun:
    """Go on after a crash. What was done counts only if it was cut and configured the same way: no switch in mid-message."""
    found = chunks_of(transaction, row)
    plans = [chunk.plan for chunk in found]
    if plans == list(new.chunks) and message_of(row).versions == new.versions:
        return Begun(message_of(row), ReceiptOutcome.RECEIVING, found, other)
    own = (messages.c.tenant == row.tenant, messages.c.serial == row.serial)
    row = transaction.connection.execute(update(messages).where(*own).values(**_described(new)).returning(*messages.c)).one()
    transaction.connection.execute(delete(chunks).where(chunks.c.tenant == row.tenant, chunks.c.message == row.serial))
    _plan(transaction, row, new)
    message = message_of(row)
    transaction.append(row.tenant, EntryKind.BEGUN_AGAIN, message.id, {"chunks": len(new.chunks), "chunks_before": len(plans)})
    return Begun(message, ReceiptOutcome.RECEIVING, chunks_of(transaction, row), other)


def _described(new: NewMessage) -> dict[str, Any]:
    return {
        "source_system": new.source_system,
        "endpoint": new.endpoint,
        "kind": new.kind,
        "contract": new.versions.contract,
        "contract_digest": new.versions.contract_digest,
        "layout": new.versions.layout,
        "config_digest": new.versions.config_digest,
        "characters": new.versions.characters,
        "file_name": new.file_name,
        "records": new.records,
        "declared": dict(new.declared),
    }


def _plan(transaction: Transaction, row: AnyRow, new: NewMessage) -> None:
    planned = [
        {
            "tenant": row.tenant,
            "message": row.serial,
            "position": plan.index,
            "first_ordinal": plan.first_ordinal,
            "first_line": plan.first_line,
            "first_byte": plan.first_byte,
            "length": plan.length,
            "records": plan.records,
            "state": ChunkState.PLANNED.value,
            "done": {},
        }
        for plan in new.chunks
    ]
    if planned:
        transaction.connection.execute(insert(chunks), planned)
