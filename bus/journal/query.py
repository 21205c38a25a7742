"""What is read from the journal.

Owns: lists and look-ups. Every list is read through an index, newest first, and is as of one moment. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, func, literal_column, select

from bus.journal.rows import (
    Letter,
    chunk_of,
    delivery_chunk_of,
    delivery_of,
    entry_of,
    key_of,
    message_of,
    not_found,
    quarantine_of,
    receipt_of,
)
from bus.journal.tables import chunks, deliveries, delivery_chunks, entries, messages, quarantine, receipts
from bus.journal.transaction import JournalRole
from bus.message import (
    Backlog,
    Chunk,
    Delivery,
    DeliveryChunkDone,
    DeliveryState,
    JournalEntry,
    Message,
    MessageState,
    QuarantineEntry,
    Receipt,
    ReceiptOutcome,
)


class SqlQueryJournal(JournalRole):
    """`bus.ports.QueryJournal` in SQL. Look-ups raise NotFound; lists are empty."""

    def message(self, message_id: str) -> Message:
        """One message."""
        return message_of(self._one(messages, message_id, "m"))

    def chunks(self, message_id: str) -> Sequence[Chunk]:
        """The chunks of a message, in order of index."""
        tenant, serial = key_of(message_id, "m")
        own = select(chunks).where(chunks.c.tenant == tenant, chunks.c.message == serial).order_by(chunks.c.position)
        return tuple(chunk_of(row) for row in self._all(own))

    def messages(
        self,
        *,
        tenant: str | None = None,
        interface: str | None = None,
        business_date: str | None = None,
        state: MessageState | None = None,
        limit: int = 100,
    ) -> Sequence[Message]:
        """Messages, newest first."""
        wanted = {"tenant": tenant, "interface": interface, "business_date": business_date, "state": state}
        return tuple(message_of(row) for row in self._all(_newest(messages, wanted, limit)))

    def delivery(self, delivery_id: str) -> Delivery:
        """One delivery."""
        return delivery_of(self._one(deliveries, delivery_id, "d"))

    def delivery_chunks(self, delivery_id: str) -> Sequence[DeliveryChunkDone]:
        """What is written of a delivery, in order of index."""
        tenant, serial = key_of(delivery_id, "d")
        own = (delivery_chunks.c.tenant == tenant, delivery_chunks.c.delivery == serial)
        return tuple(delivery_chunk_of(row) for row in self._all(select(delivery_chunks).where(*own).order_by(delivery_chunks.c.position)))

    def deliveries(
        self,
        *,
        tenant: str | None = None,
        subscription: str | None = None,
        message: str | None = None,
        state: DeliveryState | None = None,
        limit: int = 100,
    ) -> Sequence[Delivery]:
        """Deliveries, newest first."""
        wanted: dict[str, object] = {"tenant": tenant, "subscription": subscription, "state": state}
        if not _of_message(wanted, message):
            return ()
        rows = self._all(_of_one_message(deliveries, wanted) if message is not None else _newest(deliveries, wanted, limit))
        found = [delivery_of(row) for row in rows]
        return tuple(found if message is None else sorted(found, key=lambda one: -key_of(one.id, "d")[1])[:limit])

    def quarantine(
        self,
        *,
        tenant: str | None = None,
        kind: str | None = None,
        message: str | None = None,
        state: str | None = "open",
        limit: int = 100,
    ) -> Sequence[QuarantineEntry]:
        """Entries of the quarantine, newest first."""
        wanted: dict[str, object] = {"tenant": tenant, "kind": kind, "state": state}
        if not _of_message(wanted, message):
            return ()
        return tuple(quarantine_of(row) for row in self._all(_newest(quarantine, wanted, limit)))

    def quarantine_entry(self, quarantine_id: str) -> QuarantineEntry:
        """One entry of the quarantine."""
        return quarantine_of(self._one(quarantine, quarantine_id, "q"))

    def receipts(self, *, tenant: str | None = None, message: str | None = None, limit: int = 100) -> Sequence[Receipt]:
        """Arrivals, newest first."""
        wanted: dict[str, object] = {"tenant": tenant}
        if not _of_message(wanted, message):
            return ()
        return tuple(receipt_of(row) for row in self._all(_newest(receipts, wanted, limit)))

    def last_receipts(self) -> Mapping[tuple[str, str, ReceiptOutcome], int]:
        """When something of that outcome last arrived, per (tenant, interface, outcome). Reads all receipts: for a node's start."""
        group = (receipts.c.tenant, receipts.c.interface, receipts.c.outcome)
        rows = self._all(select(*group, func.max(receipts.c.at_us)).group_by(*group))
        return {(tenant, interface, ReceiptOutcome(outcome)): at_us for tenant, interface, outcome, at_us in rows}

    def entries(self, tenant: str, *, after: int = 0, subject: str | None = None, limit: int = 1000) -> Sequence[JournalEntry]:
        """Journal entries with a sequence above `after`, oldest first; `subject` matches the subject itself."""
        own = select(entries).where(entries.c.tenant == tenant, entries.c.sequence > after)
        if subject is not None:
            own = own.where(entries.c.subject == subject)
        return tuple(entry_of(row) for row in self._all(own.order_by(entries.c.sequence).limit(limit)))

    def backlog(self) -> Sequence[Backlog]:
        """Deliveries not finished, per tenant, subscription and state."""
        group = (deliveries.c.tenant, deliveries.c.subscription, deliveries.c.state)
        counted = select(*group, func.count(), func.min(deliveries.c.created_at_us)).where(deliveries.c.finished_at_us.is_(None))
        rows = self._all(counted.group_by(*group).order_by(*group))
        return tuple(Backlog(tenant, name, DeliveryState(state), count, oldest) for tenant, name, state, count, oldest in rows)

    def open_quarantine(self) -> Mapping[tuple[str, str], int]:
        """Open quarantine records per (tenant, kind)."""
        group = (quarantine.c.tenant, quarantine.c.kind)
        counted = select(*group, func.sum(quarantine.c.records)).where(quarantine.c.state == "open").group_by(*group).order_by(*group)
        return {(tenant, kind): int(records) for tenant, kind, records in self._all(counted)}

    def _all(self, statement: Select[Any]) -> Sequence[Any]:
        with self._database.read() as connection:
            return connection.execute(statement).all()

    def _one(self, table: Table, id_: str, letter: Letter) -> Any:
        tenant, serial = key_of(id_, letter)
        found = self._all(select(table).where(table.c.tenant == tenant, table.c.serial == serial))
        if not found:
            raise not_found(id_, letter)
        return found[0]


_CAME: Final = {messages: "received_at_us", deliveries: "created_at_us", quarantine: "created_at_us", receipts: "at_us"}
"""When a row of a table came."""
_COMMON: Final = {messages: ("accepted",), deliveries: ("delivered", "due")}
"""States that nearly all rows have: the index over states leaves them out."""


def _newest(table: Table, wanted: Mapping[str, object], limit: int) -> Select[Any]:
    """The rows that have every wanted value, newest first: those of one tenant or subscription by number, those of one
    interface by business date, so that its own index serves."""
    chosen: list[ColumnElement[bool]] = [table.c[name] == value for name, value in wanted.items() if value is not None]
    if wanted.get("state") not in {None, *_COMMON.get(table, ())}:
        # tells the planner that the index over states has them all
        chosen += [table.c.state != literal_column(f"'{state}'") for state in _COMMON.get(table, ())]
    newest: tuple[Any, ...] = (table.c[_CAME[table]].desc(), table.c.serial.desc())
    if wanted.get("tenant") is not None and table in _COMMON:
        newest = (table.c.serial.desc(),)
        if wanted.get("interface") is not None:
            newest = (table.c.business_date.desc(), table.c.sequence.desc(), table.c.revision.desc())
        if wanted.get("subscription") is not None:
            newest = (table.c.number.desc(),)
    shown = [column for column in table.c if column.name != "body"]
    return select(*shown).where(*chosen).order_by(*newest).limit(limit)


def _of_one_message(table: Table, wanted: Mapping[str, object]) -> Select[Any]:
    """The rows of one message, which are few: in no order, so that nothing but their own index is read."""
    return select(table).where(*(table.c[name] == value for name, value in wanted.items() if value is not None))


def _of_message(wanted: dict[str, object], message: str | None) -> bool:
    """Ask for one message's rows. False when another tenant is asked for: then there are none."""
    if message is None:
        return True
    tenant, serial = key_of(message, "m")
    if wanted["tenant"] not in {None, tenant}:
        return False
    wanted |= {"tenant": tenant, "message": serial}
    return True
