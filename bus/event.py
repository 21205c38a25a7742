"""The nouns of events: messages of one record, published and subscribed to in seconds.

Plain frozen data, beside `bus.message`: an event is a message like any other, with CloudEvents attributes (CloudEvents 1.0.2, section
"Context Attributes"), one record, and its body kept inline in the journal. All times are UTC microseconds (`*_us`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Literal

from bus.message import DeliveryState, Part, Versions


class Lane(IntEnum):
    """How urgent a delivery is: a lower lane of a subscription goes first."""

    URGENT = 0
    """support-measure flags and what an interface declares urgent"""
    NORMAL = 1
    BULK = 2


class Way(StrEnum):
    """How a delivery leaves: who claims it."""

    FILE = "file"
    """written by the batch core and published by a sink"""
    PUSH = "push"
    """sent by the event dispatcher: webhook, AMQP"""
    PULL = "pull"
    """fetched by the subscriber: pull, server-sent events"""


Form = Literal["binary", "structured"]
"""How the body stands in the journal: `binary`, the data alone; `structured`, the whole CloudEvent in JSON, as it came."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """CloudEvents context attributes. `time` and `subject` may be empty; `extensions` have lower-case alphanumeric names."""

    id: str
    source: str
    type: str
    time: str = ""
    subject: str = ""
    datacontenttype: str = "application/json"
    dataschema: str = ""
    extensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """One delivery to be made in the accepting transaction: what routing knows of the subscription, made once per configuration."""

    subscription: str
    system: str
    endpoint: str
    contract: str
    translation: str | None
    way: Way
    lane: Lane
    filtered: bool
    """the subscription's filter leaves this record out: its delivery is finished at once, and counted"""
    flags: bool
    """a support-measure flag: deliveries of address interfaces for the same person wait behind it at the same system"""
    waits: bool
    """an address delivery: it waits for the flags of its person at the same system"""
    hand_over: bool = False
    """claim it in the accepting transaction for the accepting node, if it is the head of its key"""
    expires_seconds: float | None = None
    """how long it is worth making, by its subscription; the event's own time counts too, whichever is over first"""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What intake knows of an event when it is to be accepted."""

    tenant: str
    interface: str
    source_system: str
    endpoint: str
    versions: Versions
    business_date: str
    attributes: Attributes
    form: Form
    body: bytes
    """as it came; empty when `part` holds it"""
    content: str
    """sha256 (hex) over what makes it the same event when it comes again: record, type, subject, what it replies to"""
    ordering_key: str
    """keyed hash of the contract's ordering key; empty: an order of its own"""
    deliveries: Sequence[EventDelivery]
    expires_at_us: int | None = None
    in_reply_to: str | None = None
    """id of the request message this answers"""
    part: Part | None = None
    """claim check of a body too long for the journal"""


class EventOutcome(StrEnum):
    """What became of a published event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """the same (tenant, source, id) and content is in the journal: the same answer as the first time"""
    CONFLICT = "conflict"
    """the same (tenant, source, id) with other content"""


@dataclass(frozen=True, slots=True)
class EventTaken:
    """The journal's answer. `deliveries` are (subscription, delivery id) of an accepted event; `handed_over` those claimed at once."""

    message: str
    outcome: EventOutcome
    deliveries: Sequence[tuple[str, str]] = ()
    handed_over: Sequence[ClaimedEvent] = ()


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event as the journal holds it: attributes and body, with what is needed to read it again."""

    message: str
    interface: str
    contract: str
    contract_digest: str
    attributes: Attributes
    form: Form
    body: bytes
    part: Part | None
    expires_at_us: int | None
    in_reply_to: str | None
    accepted_at_us: int


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """A claimed delivery of an event, with the event itself. `id` is the idempotency key that its receiver sees."""

    id: str
    tenant: str
    subscription: str
    endpoint: str
    translation: str | None
    number: int
    fence: int
    attempts: int
    """failed ones before this"""
    lease_until_us: int
    event: EventDraft


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one attempt ended. `state`: DELIVERED; DUE (try again at `due_at_us`); QUARANTINED (given up); EXPIRED. Carries the fence of
    its claim. `counts_attempt` False: the attempt was never made (no room, breaker open). `filtered`: DELIVERED with nothing sent, because
    the translation leaves the record out; its totals count it as filtered."""

    delivery: str
    fence: int
    state: DeliveryState
    error: str = ""
    due_at_us: int = 0
    counts_attempt: bool = True
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Up to `limit` deliveries of one subscription are wanted, under a lease of `lease_seconds` for `owner`.

    A delivery whose last lease ran out counts one failed attempt more; with `most_attempts` it is given up when they are used up.
    """

    tenant: str
    subscription: str
    limit: int
    owner: str
    lease_seconds: float
    way: Way = Way.PUSH
    most_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Unfinished deliveries of one subscription that are to leave by the same endpoint and way."""

    tenant: str
    subscription: str
    endpoint: str
    way: Way
    count: int


@dataclass(frozen=True, slots=True)
class PoisonEvent:
    """What came over AMQP and cannot become a message: kept with its raw bytes in quarantine."""

    tenant: str
    interface: str
    endpoint: str
    subject: str
    """a name a person can look for: the queue and the sender's event id, if it can be read"""
    reason: str
    """message id and facts as JSON, without any value"""
    part: Part


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """What a sink sends. `delivery` is the idempotency key; `attributes` carry the extensions `renkeimessage`, `renkeidelivery`,
    `renkeinumber` and, for a request or reply, `renkeiexpires`, `inreplyto`. `data` is one JSON object in UTF-8."""

    tenant: str
    subscription: str
    endpoint: str
    delivery: str
    attempt: int
    """1 is the first"""
    attributes: Attributes
    data: bytes
