"""What intake writes: identity, chunks, and the accepting transaction.

Owns: the life of a message (see `docs/states.md`). A message that is RECEIVING can be taken up again after a crash; once it is accepted,
held or refused, saying so again changes nothing, and saying otherwise is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import insert, select, update

from bus.errors import OperationRefused, TotalsDisagree
from bus.journal.identities import begin_message, chunks_of
from bus.journal.ordering import add_delivery
from bus.journal.quarantining import add_quarantine
from bus.journal.rows import AnyRow, broken_rules, chunk_found, delivery_of, key_of, not_found, receipt_of
from bus.journal.tables import chunks, deliveries, messages, receipts
from bus.journal.transaction import EntryKind, JournalRole, Transaction
from bus.message import (
    Begun,
    BrokenRule,
    Chunk,
    ChunkDone,
    ChunkState,
    Delivery,
    JournalEntry,
    MessageState,
    NewDelivery,
    NewMessage,
    NewQuarantine,
    Receipt,
    ReceiptOutcome,
)
from contracts.totals import Totals


class SqlAcceptJournal(JournalRole):
    """`bus.ports.AcceptJournal` in SQL."""

    def begin(self, new: NewMessage) -> Begun:
        """Fix the identity of a file, or find that it is known. See the port.

        An unfinished message whose chunks were cut, or whose configuration was, otherwise starts over with none done.
        """
        with self._begin() as transaction:
            return begin_message(transaction, new)

    def chunk_done(self, message_id: str, done: ChunkDone) -> None:
        """Record a chunk as durable and validated; doing it twice with the same facts changes nothing.

        Raises:
            NotFound: no such message or chunk. OperationRefused: the message is not being received any more.
        """
        with self._begin() as transaction:
            row = message_row(transaction, message_id)
            own = (chunks.c.tenant == row.tenant, chunks.c.message == row.serial, chunks.c.position == done.index)
            chunk = transaction.connection.execute(select(chunks).where(*own)).one_or_none()
            if chunk is None:
                raise not_found(message_id, "m")
            found = chunk_found(done)
            if chunk.state == ChunkState.DONE and chunk.done == found:
                return
            _must_be(row, message_id, "chunk_done", MessageState.RECEIVING)
            transaction.connection.execute(update(chunks).where(*own).values(state=ChunkState.DONE.value, done=found))
            facts = {"chunk": done.index, "good": done.good.as_json(), "rejected": done.rejected.as_json()}
            transaction.append(row.tenant, EntryKind.CHUNK_DONE, message_id, facts)

    def accept(
        self,
        message_id: str,
        *,
        good: Totals,
        rejected: Totals,
        quarantine: Sequence[NewQuarantine],
        deliveries: Sequence[NewDelivery],
        corrects: str | None = None,
    ) -> Sequence[Delivery]:
        """Accept and route in one transaction. Numbers order each subscription. Twice = the same deliveries again.

        A held message may be accepted; who decided that is written by `release`, which closes its entry in quarantine.

        Raises:
            TotalsDisagree: good + rejected is not the number of records that came.
            OperationRefused: chunks are not done, the message was refused, or it corrects another tenant's message.
        """
        with self._begin() as transaction:
            row = message_row(transaction, message_id)
            if row.state == MessageState.ACCEPTED:
                return _routed(transaction, row)
            _must_be(row, message_id, "accept", MessageState.RECEIVING, MessageState.HELD)
            corrected = None if corrects is None else message_row(transaction, corrects)
            if corrected is not None and corrected.tenant != row.tenant:
                raise OperationRefused("RNK3005E", id=message_id, state=row.state, wanted="accept")
            facts = _settle(transaction, row, message_id, good, rejected)
            values = {"state": MessageState.ACCEPTED.value, "accepted_at_us": transaction.now_us, "reason": ""}
            _change(transaction, row, **values, corrects=None if corrected is None else corrected.serial)
            transaction.append(row.tenant, EntryKind.ACCEPTED, message_id, facts | ({"corrects": corrects} if corrects else {}))
            add_quarantine(transaction, row.tenant, quarantine, message=row.serial)
            return tuple(add_delivery(transaction, message_id, new, copy=0, kind=EntryKind.ROUTED) for new in deliveries)

    def hold(self, message_id: str, *, good: Totals, rejected: Totals, quarantine: Sequence[NewQuarantine], reason: str) -> None:
        """Keep the message, durable and validated, until a person decides. Twice changes nothing. Raises as `accept` does."""
        with self._begin() as transaction:
            row = message_row(transaction, message_id)
            if row.state == MessageState.HELD:
                return
            _must_be(row, message_id, "hold", MessageState.RECEIVING)
            facts = _settle(transaction, row, message_id, good, rejected)
            _change(transaction, row, state=MessageState.HELD.value, reason=reason)
            transaction.append(row.tenant, EntryKind.HELD, message_id, facts | {"reason": reason})
            add_quarantine(transaction, row.tenant, quarantine, message=row.serial)

    def refuse(self, message_id: str, *, quarantine: Sequence[NewQuarantine], reason: str) -> None:
        """Refuse the message whole; its original is kept. Twice changes nothing.

        Raises:
            OperationRefused: it is accepted already.
        """
        with self._begin() as transaction:
            row = message_row(transaction, message_id)
            if row.state == MessageState.REFUSED:
                return
            _must_be(row, message_id, "refuse", MessageState.RECEIVING, MessageState.HELD)
            refuse_message(transaction, row, message_id, reason)
            add_quarantine(transaction, row.tenant, quarantine, message=row.serial)

    def receipt(
        self,
        *,
        tenant: str,
        endpoint: str,
        interface: str,
        file_name: str,
        bytes_: int,
        sha256: str,
        outcome: ReceiptOutcome,
        message: str | None,
        reason: str = "",
        quarantine: Sequence[NewQuarantine] = (),
        claim: str = "",
    ) -> Receipt:
        """Record an arrival and what became of it, also for what never became a message. Its entry keeps `claim`, the claimed file.

        Raises:
            NotFound: `message` is named and is not one of this tenant.
        """
        with self._begin() as transaction:
            serial = None if message is None else message_row(transaction, message).serial
            if message is not None and key_of(message, "m")[0] != tenant:
                raise not_found(message, "m")
            row = {"tenant": tenant, "serial": transaction.next(tenant, "receipt"), "endpoint": endpoint, "interface": interface}
            row |= {"file_name": file_name, "bytes": bytes_, "sha256": sha256, "outcome": outcome.value, "message": serial}
            made = insert(receipts).values(**row, reason=reason, at_us=transaction.now_us).returning(*receipts.c)
            receipt = receipt_of(transaction.connection.execute(made).one())
            facts = {"endpoint": endpoint, "interface": interface, "outcome": outcome.value, "message": message, "bytes": bytes_}
            facts |= {"claim": claim} if claim else {}
            transaction.append(tenant, EntryKind.RECEIVED, receipt.id, facts)
            add_quarantine(transaction, tenant, quarantine, message=serial)
            return receipt

    def note(self, tenant: str, kind: str, subject: str, facts: Mapping[str, object]) -> JournalEntry:
        """Append an entry for something that changed no other table (configuration loaded, viewed).

        Raises:
            ValueError: `kind` is one of the journal's own (`EntryKind`): history cannot be made up.
        """
        _must_not_be_ours(kind)
        with self._begin() as transaction:
            return transaction.append(tenant, kind, subject, facts)

    def note_all(self, kind: str, notes: Sequence[tuple[str, str, Mapping[str, object]]]) -> None:
        """Append an entry for each (tenant, subject, facts), all in one transaction. Raises as `note` does."""
        _must_not_be_ours(kind)
        with self._begin() as transaction:
            for tenant, subject, facts in notes:
                transaction.append(tenant, kind, subject, facts)


def _must_not_be_ours(kind: str) -> None:
    if kind in set(EntryKind):
        raise ValueError(f"{kind} is an entry of the journal itself")


def message_row(transaction: Transaction, message_id: str) -> AnyRow:
    """The row of a message.

    Raises:
        NotFound: there is none.
    """
    tenant, serial = key_of(message_id, "m")
    row = transaction.connection.execute(select(messages).where(messages.c.tenant == tenant, messages.c.serial == serial)).one_or_none()
    if row is None:
        raise not_found(message_id, "m")
    return row


def refuse_message(transaction: Transaction, row: AnyRow, message_id: str, reason: str) -> None:
    """Change a message that is received or held to refused."""
    _change(transaction, row, state=MessageState.REFUSED.value, reason=reason)
    transaction.append(row.tenant, EntryKind.REFUSED, message_id, {"reason": reason})


def _must_be(row: AnyRow, message_id: str, wanted: str, *states: MessageState) -> None:
    if row.state not in states:
        raise OperationRefused("RNK3005E", id=message_id, state=row.state, wanted=wanted)


def _change(transaction: Transaction, row: AnyRow, **values: object) -> None:
    own = (messages.c.tenant == row.tenant, messages.c.serial == row.serial)
    transaction.connection.execute(update(messages).where(*own).values(**values))


def _settle(transaction: Transaction, row: AnyRow, message_id: str, good: Totals, rejected: Totals) -> dict[str, object]:
    """Guard and store what the whole file holds. Returns the facts for the entry."""
    found = chunks_of(transaction, row)
    open_chunks = [chunk.plan.index for chunk in found if chunk.state is not ChunkState.DONE]
    if open_chunks:
        raise OperationRefused("RNK3006E", id=message_id, chunks=len(open_chunks))
    if good.records + rejected.records != row.records:
        raise TotalsDisagree("RNK3007E", id=message_id, came=row.records, good=good.records, rejected=rejected.records)
    totals = {"good": good.as_json(), "rejected": rejected.as_json()}
    _change(transaction, row, broken=broken_rules(_broken(found)), **totals)
    return {**totals}


def _broken(found: Sequence[Chunk]) -> list[BrokenRule]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for chunk in found:
        for rule in chunk.done.broken if chunk.done else ():
            counts[rule.field, rule.rule, rule.severity] += rule.count
    return [BrokenRule(*key, count) for key, count in counts.items()]


def _routed(transaction: Transaction, row: AnyRow) -> tuple[Delivery, ...]:
    own = (deliveries.c.tenant == row.tenant, deliveries.c.message == row.serial, deliveries.c.copy == 0)
    found = select(deliveries).where(*own).order_by(deliveries.c.serial)
    return tuple(delivery_of(delivery) for delivery in transaction.connection.execute(found))
