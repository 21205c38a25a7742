"""The journal's role for events: groups of accepts, settlements and claims, each group one durable transaction.

Owns: the order of steps in a group. Settling comes before claiming, so that the next of an ordering key can be claimed with the very
commit that finished the one before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, literal_column, select, update

from bus.errors import NotFound
from bus.event import ClaimedEvent, EventDraft, Lane, PoisonEvent, Way
from bus.event_ports import DeadLetter, Group, GroupDone
from bus.journal.claim import settle_clock
from bus.journal.event_accept import accept_events
from bus.journal.event_claim import claim_events, events_of
from bus.journal.event_rows import claimed_of, draft_of
from bus.journal.event_settle import settle_events
from bus.journal.quarantining import OPEN, add_quarantine
from bus.journal.rows import AnyRow, key_of, not_found, quarantine_of
from bus.journal.tables import deliveries, messages, quarantine
from bus.journal.transaction import JournalRole, Transaction
from bus.message import DeliveryState, NewQuarantine, Part, QuarantineEntry, QuarantineKind

_OWN: Final = (deliveries.c.tenant == bindparam("of_tenant"), deliveries.c.serial == bindparam("of_serial"))
_RENEW: Final = (
    update(deliveries)
    .where(*_OWN, deliveries.c.fence == bindparam("of_fence"), deliveries.c.state == literal_column("'claimed'"))
    .values(lease_until_us=bindparam("until_us"), claimable_at_us=bindparam("until_us"), armed_at_us=bindparam("now_us"))
)


class SqlEventJournal(JournalRole):
    """`bus.event_ports.EventJournal` in SQL."""

    def commit(self, group: Group, owner: str, *, lease_seconds: float) -> GroupDone:
        """Do the whole group in one transaction, or nothing of it. See the port."""
        with self._begin() as transaction:
            taken = accept_events(transaction, group.accept, owner, round(lease_seconds * 1_000_000)) if group.accept else []
            settled = settle_events(transaction, group.settle)
            claimed: Sequence[Sequence[ClaimedEvent]] = ()
            if group.claim:
                settle_clock(transaction, self._instants)
                claimed = claim_events(transaction, group.claim)
            return GroupDone(taken, settled, claimed)

    def waiting(self, *, way: str) -> Sequence[tuple[str, str]]:
        """(tenant, subscription) with a delivery of that way claimable now: jumps through the index from one to the next."""
        asked = Way(way)
        now_us = self._clock.now_us()
        found: list[tuple[str, str]] = []
        with self._database.read() as connection:
            tenant, subscription = "", ""
            while True:
                place = {"of_tenant": tenant, "after": subscription}
                row = connection.execute(_NEXT_SUBSCRIPTION[asked], place).one_or_none()
                if row is None:
                    row = connection.execute(_NEXT_TENANT[asked], {"after": tenant}).one_or_none()
                if row is None:
                    return found
                tenant, subscription = row.tenant, row.subscription
                due = {"of_tenant": tenant, "of_subscription": subscription, "now_us": now_us}
                if connection.execute(_ANY_DUE[asked], due).first() is not None:
                    found.append((tenant, subscription))

    def poison(self, poison: PoisonEvent) -> QuarantineEntry:
        """Put what cannot become a message into quarantine; the same bytes of the same queue twice are one entry as long as it is open."""
        facts = {"reason": poison.reason, "interface": poison.interface, "endpoint": poison.endpoint, "sha256": poison.part.sha256}
        with self._begin() as transaction:
            same = (quarantine.c.tenant == poison.tenant, quarantine.c.kind == QuarantineKind.POISON.value)
            open_ones = select(quarantine).where(*same, quarantine.c.subject == poison.subject, quarantine.c.state == OPEN)
            newest = quarantine.c.serial.desc()
            for row in transaction.connection.execute(open_ones.order_by(newest).limit(100)):
                if row.facts.get("sha256") == poison.part.sha256:
                    return quarantine_of(row)
            item = NewQuarantine(QuarantineKind.POISON, poison.subject, 1, facts, [poison.part])
            add_quarantine(transaction, poison.tenant, [item], message=None)
            own = select(quarantine).where(*same).order_by(newest).limit(1)
            return quarantine_of(transaction.connection.execute(own).one())

    def dead_letter(self, letter: DeadLetter, part: Part) -> QuarantineEntry:
        """Put what a receiver gave back after its delivery into quarantine, where it can be sent again; once as long as it is open.

        A letter whose delivery cannot be told, or is no longer known, stands there with its bytes alone.
        """
        facts: dict[str, object] = {"reason": letter.reason, "queue": letter.queue, "endpoint": letter.endpoint, "sha256": part.sha256}
        with self._begin() as transaction:
            row = _delivered(transaction, letter)
            item = NewQuarantine(QuarantineKind.DEAD_LETTER, letter.subscription, 1, facts, [part])
            message, delivery = (None, None) if row is None else (row.message, row.serial)
            same = (quarantine.c.tenant == letter.tenant, quarantine.c.kind == QuarantineKind.DEAD_LETTER.value, quarantine.c.state == OPEN)
            newest = select(quarantine).where(*same, quarantine.c.delivery == delivery).order_by(quarantine.c.serial.desc()).limit(100)
            for known in transaction.connection.execute(newest):
                if known.facts.get("sha256") == part.sha256:
                    return quarantine_of(known)
            add_quarantine(transaction, letter.tenant, [item], message=message, delivery=delivery)
            return quarantine_of(transaction.connection.execute(newest.limit(1)).one())

    def renew_events(self, claims: Sequence[tuple[str, int]], *, lease_seconds: float) -> Sequence[bool]:
        """Prolong the leases of (delivery, fence); False where the claim has ended."""
        answers = []
        with self._begin() as transaction:
            until_us = transaction.now_us + round(lease_seconds * 1_000_000)
            for delivery, fence in claims:
                tenant, serial = key_of(delivery, "d")
                own = {"of_tenant": tenant, "of_serial": serial, "of_fence": fence, "until_us": until_us, "now_us": transaction.now_us}
                answers.append(transaction.connection.execute(_RENEW, own).rowcount == 1)
        return answers

    def event(self, message_id: str) -> EventDraft:
        """One event with its body.

        Raises:
            NotFound: no such message, or it is no event.
        """
        tenant, serial = key_of(message_id, "m")
        own = select(messages).where(messages.c.tenant == tenant, messages.c.serial == serial, messages.c.event_id.is_not(None))
        with self._database.read() as connection:
            row = connection.execute(own).one_or_none()
        if row is None:
            raise not_found(message_id, "m")
        return draft_of(row)

    def reply_to(self, message_id: str, *, interface: str | None = None) -> EventDraft | None:
        """The first message accepted as a reply to that one; `interface`: of those that came on it."""
        tenant, serial = key_of(message_id, "m")
        own = [messages.c.tenant == tenant, messages.c.in_reply_to == serial, messages.c.in_reply_to.is_not(None)]
        if interface is not None:
            own.append(messages.c.interface == interface)
        with self._database.read() as connection:
            row = connection.execute(select(messages).where(*own).order_by(messages.c.serial).limit(1)).one_or_none()
        return None if row is None else draft_of(row)

    def sent_after(self, tenant: str, subscription: str, number: int, *, limit: int) -> Sequence[ClaimedEvent]:
        """Delivered events of a subscription with a number above `number`, in order. See the port."""
        own = (deliveries.c.tenant == tenant, deliveries.c.subscription == subscription, deliveries.c.number > number)
        with_content = (deliveries.c.state == DeliveryState.DELIVERED.value, deliveries.c.way != Way.FILE.value, deliveries.c.fence > 0)
        sent = select(deliveries).where(*own, *with_content).order_by(deliveries.c.number).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(sent).all()
            drafts = events_of(connection, rows)
        return [
            claimed_of(row, fence=row.fence, attempts=row.attempts, lease_until_us=0, event=drafts[row.tenant, row.message])
            for row in rows
        ]


def _delivered(transaction: Transaction, letter: DeadLetter) -> AnyRow | None:
    """The delivery a letter names, if there is one of that subscription."""
    try:
        tenant, serial = key_of(letter.delivery, "d")
    except NotFound:
        return None
    own = (deliveries.c.tenant == tenant, deliveries.c.serial == serial, deliveries.c.subscription == letter.subscription)
    if tenant != letter.tenant:
        return None
    return transaction.connection.execute(select(deliveries).where(*own)).one_or_none()


def _armed(way: Way) -> tuple[Any, ...]:
    return (deliveries.c.claimable_at_us.is_not(None), deliveries.c.way == literal_column(f"'{way.value}'"))


_PLACE: Final = (deliveries.c.tenant, deliveries.c.subscription)


def _next_subscription(way: Way) -> Any:
    own = (deliveries.c.tenant == bindparam("of_tenant"), deliveries.c.subscription > bindparam("after"))
    return select(*_PLACE).where(*_armed(way), *own).order_by(*_PLACE).limit(1)


def _next_tenant(way: Way) -> Any:
    return select(*_PLACE).where(*_armed(way), deliveries.c.tenant > bindparam("after")).order_by(*_PLACE).limit(1)


def _any_due(way: Way) -> Any:
    own = (deliveries.c.tenant == bindparam("of_tenant"), deliveries.c.subscription == bindparam("of_subscription"))
    due = deliveries.c.claimable_at_us <= bindparam("now_us", type_=BigInteger)
    one: Any = select(literal_column("1")).where(*_armed(way), *own, due)
    lanes: list[Any] = [one.where(deliveries.c.lane == literal_column(str(int(lane)))) for lane in Lane]
    return lanes[0].union_all(*lanes[1:]).limit(1)


_NEXT_SUBSCRIPTION: Final = {way: _next_subscription(way) for way in (Way.PUSH, Way.PULL)}
_NEXT_TENANT: Final = {way: _next_tenant(way) for way in (Way.PUSH, Way.PULL)}
_ANY_DUE: Final = {way: _any_due(way) for way in (Way.PUSH, Way.PULL)}
