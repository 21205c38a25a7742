"""What operators change: release, skip, send again.

Owns: what a person's decision does to the entry in quarantine and to what it is about. Each is one transaction with an entry that names
who decided. The same decision twice changes nothing; the opposite one is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, func, select

from bus.errors import OperationRefused
from bus.journal.accept import message_row, refuse_message
from bus.journal.ordering import add_delivery, arm, change, finish
from bus.journal.quarantining import OPEN, close_quarantine
from bus.journal.rows import AnyRow, id_of, key_of, not_found, quarantine_of
from bus.journal.tables import deliveries, messages, quarantine
from bus.journal.transaction import EntryKind, JournalRole, Transaction
from bus.message import Delivery, DeliveryState, MessageState, NewDelivery, QuarantineEntry, QuarantineKind


class SqlOperateJournal(JournalRole):
    """`bus.ports.OperateJournal` in SQL."""

    def release(self, quarantine_id: str, *, by: str) -> QuarantineEntry:
        """Release: a given-up delivery becomes due again, with all its attempts; a held revision is left for the caller to accept; what
        came back as a dead letter is sent once more, as a delivery of its own.

        Records are released by a message that corrects theirs: the entry can be released once such a message is accepted.

        Raises:
            NotFound: no such entry.
            OperationRefused: it was skipped; or it holds records that no accepted message corrects, or a refused file.
        """
        with self._begin() as transaction:
            row = _entry(transaction, quarantine_id)
            if row.state != OPEN:
                return _already(row, quarantine_id, EntryKind.RELEASED)
            if row.kind == QuarantineKind.GIVEN_UP:
                _make_due(transaction, row)
            elif row.kind == QuarantineKind.DEAD_LETTER and row.delivery is not None:
                _send_again(transaction, row, by)
            elif row.kind != QuarantineKind.HELD_REVISION and not _corrected(transaction, row):
                raise OperationRefused("RNK3012E", id=quarantine_id, kind=row.kind)
            return close_quarantine(transaction, row, EntryKind.RELEASED, by=by)

    def given_up(self, tenant: str, subscription: str, *, after: int, limit: int) -> Sequence[QuarantineEntry]:
        """Open entries of given-up deliveries of a subscription, oldest first, with a serial above `after`."""
        own = (quarantine.c.tenant == tenant, quarantine.c.serial > after, quarantine.c.state == OPEN)
        kind = (quarantine.c.kind == QuarantineKind.GIVEN_UP.value, quarantine.c.subject == subscription)
        with self._database.read() as connection:
            rows = connection.execute(select(quarantine).where(*own, *kind).order_by(quarantine.c.serial).limit(limit)).all()
        return [quarantine_of(row) for row in rows]

    def release_all(self, quarantine_ids: Sequence[str], *, by: str) -> Sequence[str]:
        """Release the given-up deliveries among these entries that are open still, in one transaction. Returns the deliveries' ids."""
        released = []
        with self._begin() as transaction:
            for quarantine_id in quarantine_ids:
                row = _entry(transaction, quarantine_id)
                if row.state == OPEN and row.kind == QuarantineKind.GIVEN_UP:
                    _make_due(transaction, row)
                    close_quarantine(transaction, row, EntryKind.RELEASED, by=by)
                    released.append(id_of(row.tenant, "d", row.delivery))
        return released

    def skip(self, quarantine_id: str, *, by: str) -> QuarantineEntry:
        """Give up for good: a given-up delivery is skipped, so that later ones may go; a held revision is refused.

        For records and refused files only the entry is closed: a person has seen them, and nothing more is to come.

        Raises:
            NotFound: no such entry. OperationRefused: it was released.
        """
        with self._begin() as transaction:
            row = _entry(transaction, quarantine_id)
            if row.state != OPEN:
                return _already(row, quarantine_id, EntryKind.SKIPPED)
            if row.kind == QuarantineKind.GIVEN_UP:
                delivery = _delivery(transaction, row)
                finish(transaction, delivery, DeliveryState.SKIPPED)
                transaction.append(row.tenant, EntryKind.SKIPPED, id_of(row.tenant, "d", delivery.serial), {"by": by})
            elif row.kind == QuarantineKind.HELD_REVISION:
                _refuse_held(transaction, row)
            return close_quarantine(transaction, row, EntryKind.SKIPPED, by=by)

    def resend(self, message_id: str, new: NewDelivery, *, by: str) -> Delivery:
        """Make one more delivery of an accepted message to one subscription, behind those that wait.

        Raises:
            NotFound: no such message.
            OperationRefused: it is not accepted, or an earlier delivery of it to this subscription is unfinished.
        """
        with self._begin() as transaction:
            row = message_row(transaction, message_id)
            if row.state != MessageState.ACCEPTED:
                raise OperationRefused("RNK3005E", id=message_id, state=row.state, wanted="resend")
            own = (deliveries.c.tenant == row.tenant, deliveries.c.message == row.serial, deliveries.c.subscription == new.subscription)
            unfinished = select(deliveries.c.serial).where(*own, deliveries.c.finished_at_us.is_(None)).limit(1)
            earlier = transaction.connection.scalar(unfinished)
            if earlier is not None:
                raise OperationRefused("RNK3013E", id=message_id, delivery=id_of(row.tenant, "d", earlier))
            copies = transaction.connection.scalar(select(func.max(deliveries.c.copy)).where(*own)) or 0
            return add_delivery(transaction, message_id, new, copy=copies + 1, kind=EntryKind.SENT_AGAIN, by=by)


def _entry(transaction: Transaction, quarantine_id: str) -> AnyRow:
    tenant, serial = key_of(quarantine_id, "q")
    own = (quarantine.c.tenant == tenant, quarantine.c.serial == serial)
    row = transaction.connection.execute(select(quarantine).where(*own)).one_or_none()
    if row is None:
        raise not_found(quarantine_id, "q")
    return row


def _already(row: AnyRow, quarantine_id: str, wanted: EntryKind) -> QuarantineEntry:
    if row.state != wanted:
        raise OperationRefused("RNK3011E", id=quarantine_id, state=row.state)
    return quarantine_of(row)


def _delivery(transaction: Transaction, entry: AnyRow) -> AnyRow:
    own = (deliveries.c.tenant == entry.tenant, deliveries.c.serial == entry.delivery)
    return transaction.connection.execute(select(deliveries).where(*own)).one()


def _make_due(transaction: Transaction, entry: AnyRow) -> None:
    """Due again; one whose publication was fixed goes on with that, never with new bytes."""
    delivery, now_us = _delivery(transaction, entry), transaction.now_us
    state = DeliveryState.READY_TO_PUBLISH if delivery.publication else DeliveryState.DUE
    change(transaction, delivery, state=state.value, attempts=0, **arm(transaction, delivery, now_us))
    transaction.append(delivery.tenant, EntryKind.RELEASED, id_of(delivery.tenant, "d", delivery.serial), {"state": state.value})


def _send_again(transaction: Transaction, entry: AnyRow, by: str) -> None:
    """One more delivery like the one whose event was given back."""
    row = _delivery(transaction, entry)
    new = NewDelivery(**{name: getattr(row, name) for name in NewDelivery.__slots__})
    message_id = id_of(row.tenant, "m", row.message)
    own = (deliveries.c.tenant == row.tenant, deliveries.c.message == row.message, deliveries.c.subscription == row.subscription)
    copies = transaction.connection.scalar(select(func.max(deliveries.c.copy)).where(*own)) or 0
    add_delivery(transaction, message_id, new, copy=copies + 1, kind=EntryKind.SENT_AGAIN, by=by)


def _corrected(transaction: Transaction, entry: AnyRow) -> bool:
    if entry.message is None:
        return False
    by = (messages.c.tenant == entry.tenant, messages.c.corrects == entry.message, messages.c.state == MessageState.ACCEPTED.value)
    return bool(transaction.connection.scalar(select(exists().where(*by))))


def _refuse_held(transaction: Transaction, entry: AnyRow) -> None:
    message_id = id_of(entry.tenant, "m", entry.message)
    row = message_row(transaction, message_id)
    if row.state == MessageState.HELD:
        refuse_message(transaction, row, message_id, row.reason)
