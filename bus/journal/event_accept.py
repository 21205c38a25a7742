"""Accepting events: who is new, who came before, and the deliveries of those that are new - many at once, in one transaction.

Owns: the identity of events, (tenant, source, event id). Everything that can be asked or written for all of them together is: a group of
sixty costs little more than one. Within a group events are taken in the order given; a second one with an identity of the same group is
a duplicate or a conflict like any other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, insert, literal_column, select

from bus.event import ClaimedEvent, EventDelivery, EventOutcome, EventTaken, NewEvent
from bus.journal.bulk import Bulk, json_text
from bus.journal.event_rows import draft_of_new, event_json
from bus.journal.ordering import FLAGS, WAITS, hold_back
from bus.journal.rows import id_of, key_of
from bus.journal.tables import deliveries, messages
from bus.journal.transaction import Change, EntryKind, Transaction
from bus.message import DeliveryState, MessageState

_NONE: Final[Any] = literal_column("""'{"records": 0, "sums": {}}'""")
_ONE: Final[Any] = literal_column("""'{"records": 1, "sums": {}}'""")


@dataclass(slots=True)
class _Rows:
    """What is to be written."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    filtered: list[dict[str, Any]] = field(default_factory=list)
    entries: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))


def accept_events(transaction: Transaction, events: Sequence[NewEvent], owner: str, lease_us: int) -> list[EventTaken]:
    """Accept what is new. The answers are in the order of `events`."""
    known = _known(transaction, events)
    fresh: dict[tuple[str, str, str], int] = {}
    places: list[tuple[NewEvent, tuple[str, str, str]]] = []
    for event in events:
        identity = (event.tenant, event.attributes.source, event.attributes.id)
        places.append((event, identity))
        if identity not in known and identity not in fresh:
            fresh[identity] = len(fresh)
    new = _first_of_each(places, fresh)
    taken = _write(transaction, new, owner, lease_us)
    answers: list[EventTaken] = []
    told: set[tuple[str, str, str]] = set()
    for event, identity in places:
        if identity in fresh and identity not in told:
            told.add(identity)
            answers.append(taken[identity])
        else:
            message, content = known[identity] if identity in known else (taken[identity].message, new[identity].content)
            outcome = EventOutcome.DUPLICATE if content == event.content else EventOutcome.CONFLICT
            answers.append(EventTaken(message, outcome))
    return answers


def _first_of_each(
    places: Iterable[tuple[NewEvent, tuple[str, str, str]]], fresh: dict[tuple[str, str, str], int]
) -> dict[tuple[str, str, str], NewEvent]:
    new: dict[tuple[str, str, str], NewEvent] = {}
    for event, identity in places:
        if identity in fresh:
            new.setdefault(identity, event)
    return new


def _known(transaction: Transaction, events: Sequence[NewEvent]) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Message id and content of the events that came before."""
    by_source: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in events:
        by_source[event.tenant, event.attributes.source].append(event.attributes.id)
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for (tenant, source), ids in by_source.items():
        given = {"of_tenant": tenant, "of_source": source, "of_ids": ids}
        for row in transaction.connection.execute(_SAME_EVENT, given):
            found[tenant, source, row.event_id] = (id_of(tenant, "m", row.serial), row.sha256)
    return found


_SAME_EVENT: Final = select(messages.c.event_id, messages.c.serial, messages.c.sha256).where(
    messages.c.tenant == bindparam("of_tenant"),
    messages.c.event_source == bindparam("of_source"),
    messages.c.event_id.in_(bindparam("of_ids", expanding=True)),  # IN alone: beside IS NOT NULL, SQLite would read the whole range
)


def _write(
    transaction: Transaction, new: dict[tuple[str, str, str], NewEvent], owner: str, lease_us: int
) -> dict[tuple[str, str, str], EventTaken]:
    """Write messages, deliveries and entries; the answer for each."""
    if not new:
        return {}
    numbers = _Numbers(transaction, new.values())
    order = _Order(transaction, new.values())
    rows = _Rows()
    taken: dict[tuple[str, str, str], EventTaken] = {}
    for identity, event in new.items():
        serial = numbers.message(event.tenant)
        message = id_of(event.tenant, "m", serial)
        rows.messages.append(_message(event, serial, transaction.now_us))
        facts: dict[str, object] = {"interface": event.interface, "records": 1, "bytes": len(event.body)}
        if event.in_reply_to:
            facts["in_reply_to"] = event.in_reply_to
        rows.entries[event.tenant].append((EntryKind.ACCEPTED, message, facts))
        made, handed = [], []
        for to in event.deliveries:
            row = _delivery(event, serial, to, numbers, transaction.now_us)
            delivery = id_of(event.tenant, "d", row["serial"])
            routed: dict[str, object] = {"message": message, "subscription": to.subscription, "number": row["number"]}
            if to.filtered:
                rows.filtered.append(row)
                routed["filtered"] = 1
            else:
                armed = order.stands_first(event, to, row["ordering_key"])
                claim = armed and to.hand_over
                _arm(row, transaction.now_us, armed, owner if claim else None, lease_us)
                rows.deliveries.append(row)
                if claim:
                    routed |= {"owner": owner, "fence": 1}
                    handed.append(_handed(event, serial, to, row, transaction.now_us + lease_us))
                made.append((to.subscription, delivery))
            rows.entries[event.tenant].append((EntryKind.ROUTED, delivery, routed))
        taken[identity] = EventTaken(message, EventOutcome.ACCEPTED, made, handed)
    _store(transaction, rows)
    order.hold_back()
    return taken


class _Numbers:
    """The numbers of everything in the group, drawn once per counter."""

    def __init__(self, transaction: Transaction, events: Iterable[NewEvent]) -> None:
        wanted: dict[tuple[str, str], int] = defaultdict(int)
        for event in events:
            wanted[event.tenant, "message"] += 1
            for to in event.deliveries:
                wanted[event.tenant, "delivery"] += 1
                wanted[event.tenant, f"subscription:{to.subscription}"] += 1
        self._next = {(tenant, counter): transaction.next(tenant, counter, many=many) for (tenant, counter), many in sorted(wanted.items())}

    def message(self, tenant: str) -> int:
        """The next serial of a message."""
        return self._draw(tenant, "message")

    def delivery(self, tenant: str) -> int:
        """The next serial of a delivery."""
        return self._draw(tenant, "delivery")

    def of(self, tenant: str, subscription: str) -> int:
        """The next number of a subscription."""
        return self._draw(tenant, f"subscription:{subscription}")

    def _draw(self, tenant: str, counter: str) -> int:
        number = self._next[tenant, counter]
        self._next[tenant, counter] = number + 1
        return number


class _Order:
    """Whether a new delivery stands first of its key: nothing unfinished before it, in the journal or in the group."""

    def __init__(self, transaction: Transaction, events: Iterable[NewEvent]) -> None:
        self._transaction = transaction
        keys: dict[tuple[str, str], set[str]] = defaultdict(set)
        people: dict[tuple[str, str], set[str]] = defaultdict(set)
        for event in events:
            for to in event.deliveries:
                if event.ordering_key and not to.filtered:
                    keys[event.tenant, to.subscription].add(event.ordering_key)
                    if to.waits:
                        people[event.tenant, to.system].add(event.ordering_key)
        self._taken = {(*place, key) for place, wanted in keys.items() for key in self._ask(_UNFINISHED, place, wanted)}
        self._flagged = {(*place, key) for place, wanted in people.items() for key in self._ask(_FLAGGED, place, wanted)}
        self._new_flags: set[tuple[str, str, str]] = set()

    def _ask(self, question: Any, place: tuple[str, str], keys: set[str]) -> Sequence[str]:
        given = {"of_tenant": place[0], "of_place": place[1], "of_keys": sorted(keys)}
        return self._transaction.connection.scalars(question, given).all()

    def stands_first(self, event: NewEvent, to: EventDelivery, key: str) -> bool:
        """Whether it may go now; from here on it stands before those that follow."""
        person = (event.tenant, to.system, key)
        if to.flags:
            self._new_flags.add(person)
            self._flagged.add(person)
        place = (event.tenant, to.subscription, key)
        if place in self._taken:
            return False
        if event.ordering_key:
            self._taken.add(place)
        return not (to.waits and person in self._flagged)

    def hold_back(self) -> None:
        """What waits for the new flags waits, also what was ready to go."""
        if self._new_flags:
            hold_back(self._transaction, sorted(self._new_flags))


def _among(column: Any) -> Any:
    return column.in_(bindparam("of_keys", expanding=True))


_UNFINISHED: Final = (
    select(deliveries.c.ordering_key)
    .where(
        deliveries.c.tenant == bindparam("of_tenant"),
        deliveries.c.subscription == bindparam("of_place"),
        _among(deliveries.c.ordering_key),
        deliveries.c.finished_at_us.is_(None),
    )
    .distinct()
)
_FLAGGED: Final = (
    select(deliveries.c.ordering_key)
    .where(
        deliveries.c.tenant == bindparam("of_tenant"),
        deliveries.c.system == bindparam("of_place"),
        _among(deliveries.c.ordering_key),
        deliveries.c.flagging == literal_column(str(FLAGS)),
        deliveries.c.flagging > literal_column("0"),
        deliveries.c.finished_at_us.is_(None),
    )
    .distinct()
)


def _message(event: NewEvent, serial: int, now_us: int) -> dict[str, Any]:
    versions = event.versions
    return {
        "tenant": event.tenant,
        "serial": serial,
        "interface": event.interface,
        "business_date": event.business_date,
        "sequence": serial,
        "source_system": event.source_system,
        "endpoint": event.endpoint,
        "contract": versions.contract,
        "contract_digest": versions.contract_digest,
        "config_digest": versions.config_digest,
        "characters": versions.characters,
        "file_name": event.attributes.id,
        "bytes": event.part.bytes if event.part is not None else len(event.body),
        "sha256": event.content,
        "received_at_us": now_us,
        "accepted_at_us": now_us,
        "event_source": event.attributes.source,
        "event_id": event.attributes.id,
        "event": json_text(event_json(event)),
        "form": event.form,
        "ordering_key": event.ordering_key,
        "expires_at_us": event.expires_at_us,
        "in_reply_to": None if event.in_reply_to is None else key_of(event.in_reply_to, "m")[1],
        "body": None if event.part is not None else event.body,
    }


def _delivery(event: NewEvent, serial: int, to: EventDelivery, numbers: _Numbers, now_us: int) -> dict[str, Any]:
    own = numbers.delivery(event.tenant)
    return {
        "tenant": event.tenant,
        "serial": own,
        "message": serial,
        "subscription": to.subscription,
        "system": to.system,
        "endpoint": to.endpoint,
        "contract": to.contract,
        "translation": to.translation,
        "ordering_key": event.ordering_key or id_of(event.tenant, "m", serial),
        "number": numbers.of(event.tenant, to.subscription),
        "config_digest": event.versions.config_digest,
        "due_at_us": now_us,
        "created_at_us": now_us,
        "way": to.way.value,
        "lane": int(to.lane),
        "flagging": FLAGS if to.flags else WAITS if to.waits else 0,
        "expires_at_us": _expires_at_us(event, to, now_us),
    }


def _expires_at_us(event: NewEvent, to: EventDelivery, now_us: int) -> int | None:
    if to.expires_seconds is None:
        return event.expires_at_us
    own_us = now_us + round(to.expires_seconds * 1_000_000)
    return own_us if event.expires_at_us is None else min(own_us, event.expires_at_us)


def _arm(row: dict[str, Any], now_us: int, armed: bool, owner: str | None, lease_us: int) -> None:
    until_us = now_us + lease_us if owner else None
    row["owner"] = owner
    row["fence"] = 1 if owner else 0
    row["state"] = DeliveryState.CLAIMED.value if owner else DeliveryState.DUE.value
    row["lease_until_us"] = until_us
    row["claimable_at_us"] = until_us or (now_us if armed else None)
    row["armed_at_us"] = now_us if armed else None


def _handed(event: NewEvent, serial: int, to: EventDelivery, row: dict[str, Any], until_us: int) -> ClaimedEvent:
    return ClaimedEvent(
        id=id_of(event.tenant, "d", row["serial"]),
        tenant=event.tenant,
        subscription=to.subscription,
        endpoint=to.endpoint,
        translation=to.translation,
        number=row["number"],
        fence=1,
        attempts=0,
        lease_until_us=until_us,
        event=draft_of_new(event, serial, row["created_at_us"]),
    )


def _text(value: str) -> Any:
    return literal_column(f"'{value}'")


_NEW_MESSAGES: Final = Bulk(
    insert(messages).values(
        revision=literal_column("1"),
        state=_text(MessageState.ACCEPTED.value),
        kind=_text("event"),
        layout=_text(""),
        records=literal_column("1"),
        declared=_text("{}"),
        good=_ONE,
        rejected=_NONE,
        broken=_text("[]"),
        reason=_text(""),
    ),
    "tenant serial interface business_date sequence source_system endpoint contract contract_digest config_digest characters file_name"
    " bytes sha256 received_at_us accepted_at_us event_source event_id event form ordering_key expires_at_us in_reply_to body",
)
_NEW_DELIVERIES: Final = insert(deliveries).values(
    copy=literal_column("0"),
    layout=_text(""),
    file_name=_text(""),
    attempts=literal_column("0"),
    bytes_out=literal_column("0"),
    publication=_text("{}"),
    last_error=_text(""),
    out=_NONE,
    refused=_NONE,
)
_ROUTED: Final = (
    "tenant serial message subscription system endpoint contract translation ordering_key number config_digest due_at_us created_at_us"
    " way lane flagging expires_at_us"
)
_DUE: Final = Bulk(
    _NEW_DELIVERIES.values(taken_in=_NONE, filtered=_NONE),
    f"{_ROUTED} owner fence state lease_until_us claimable_at_us armed_at_us",
)
_FILTERED: Final = Bulk(
    _NEW_DELIVERIES.values(taken_in=_ONE, filtered=_ONE, state=_text(DeliveryState.DELIVERED.value), fence=literal_column("0")),
    f"{_ROUTED} finished_at_us",
)


def _store(transaction: Transaction, rows: _Rows) -> None:
    connection = transaction.connection
    _NEW_MESSAGES.run(connection, rows.messages)
    _DUE.run(connection, rows.deliveries)
    _FILTERED.run(connection, [{**row, "finished_at_us": transaction.now_us} for row in rows.filtered])
    transaction.append_many(rows.entries)
