"""The nouns of the bus: identity, message, chunk, delivery, quarantine entry, receipt, and their states.

Plain frozen data without behaviour, shared by the journal, the batch core and operations. `docs/states.md` draws the states.
All times are UTC microseconds since 1970 (`*_us`), all dates ISO text. Ids carry their tenant: `332020-m17`, `332020-d45`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from contracts.totals import Totals


class MessageState(StrEnum):
    """Life of a message."""

    RECEIVING = "receiving"
    """identity fixed; chunks are being journalled and validated"""
    ACCEPTED = "accepted"
    """durable, validated, routed: every subscription has its delivery"""
    HELD = "held"
    """durable and validated, but a person must decide (a revision of a file already accepted)"""
    REFUSED = "refused"
    """refused whole; the original is kept and stands in quarantine"""


class ChunkState(StrEnum):
    """Life of a chunk, of a message or of a delivery."""

    PLANNED = "planned"
    DONE = "done"


class DeliveryState(StrEnum):
    """Life of a delivery."""

    DUE = "due"
    """to be claimed when `due_at_us` has come and no earlier delivery of its ordering key is unfinished"""
    CLAIMED = "claimed"
    """one worker holds it, under a lease and a fencing number"""
    READY_TO_PUBLISH = "ready_to_publish"
    """every byte is durable under temporary names and counted; only renames remain"""
    DELIVERED = "delivered"
    DELIVERED_WITH_REFUSALS = "delivered_with_refusals"
    """published without the records that this subscriber's layout cannot hold; those stand in quarantine"""
    QUARANTINED = "quarantined"
    """given up; a person releases or skips it"""
    SKIPPED = "skipped"
    EXPIRED = "expired"
    """not delivered before its message expired"""


FINISHED = (DeliveryState.DELIVERED, DeliveryState.DELIVERED_WITH_REFUSALS, DeliveryState.SKIPPED, DeliveryState.EXPIRED)
"""States that let the next delivery of the ordering key go."""


class QuarantineKind(StrEnum):
    """Why something stands in quarantine."""

    REJECTED_RECORDS = "rejected_records"
    """records of an accepted message that break their contract"""
    REFUSED_RECORDS = "refused_records"
    """records one subscriber's layout cannot hold"""
    REFUSED_FILE = "refused_file"
    HELD_REVISION = "held_revision"
    GIVEN_UP = "given_up"
    """a delivery that used up its attempts"""
    POISON = "poison"
    """came over AMQP and cannot become a message: its raw bytes are kept"""
    DEAD_LETTER = "dead_letter"
    """delivered over AMQP, and given back: the application refused it, let it go too often, or did not fetch it in time"""


class ReceiptOutcome(StrEnum):
    """What became of something that arrived."""

    RECEIVING = "receiving"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    HELD = "held"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a file itself. The hash is evidence, not identity: an empty file may be the same every night."""

    tenant: str
    interface: str
    business_date: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Versions:
    """What a message was read with, so that it can be read the same way for ever."""

    contract: str
    contract_digest: str
    layout: str
    config_digest: str
    characters: str


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What intake knows when a file's identity is fixed."""

    identity: Identity
    source_system: str
    endpoint: str
    kind: str
    """`full` or `differential`"""
    versions: Versions
    file_name: str
    bytes: int
    sha256: str
    records: int
    declared: Mapping[str, str]
    chunks: Sequence[PlannedChunk]


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """One chunk of an incoming file, as cut. See `contracts.layouts.ports.Cut`."""

    index: int
    first_ordinal: int
    first_line: int
    first_byte: int
    length: int
    records: int


@dataclass(frozen=True, slots=True)
class Part:
    """One immutable sealed payload part and how to prove it. `sha256` is of the plain bytes."""

    kind: str
    """`original` (the file as it came), `rejects` (JSON lines), `refusals` (JSON lines of one delivery)"""
    index: int
    path: str
    """relative to the payload directory"""
    bytes: int
    sealed_bytes: int
    sha256: str
    seal: str
    """how it is sealed: `identity` until keys exist"""
    last: bool


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """How often a rule was broken, without any value."""

    field: str
    rule: str
    severity: str
    count: int


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """What a batch worker found in one chunk. Counts and paths only, never rows."""

    index: int
    good: Totals
    rejected: Totals
    broken: Sequence[BrokenRule]
    parts: Sequence[Part]
    keys_path: str
    prepared_path: str
    unreadable: int = 0
    """rejected records whose bytes could not be read into fields, so that they add nothing to any sum"""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the journal holds it."""

    id: str
    identity: Identity
    revision: int
    state: MessageState
    source_system: str
    endpoint: str
    kind: str
    versions: Versions
    file_name: str
    bytes: int
    sha256: str
    records: int
    declared: Mapping[str, str]
    good: Totals
    rejected: Totals
    broken: Sequence[BrokenRule]
    corrects: str | None
    reason: str
    """message id and facts of a refusal or hold as JSON; empty otherwise"""
    received_at_us: int
    accepted_at_us: int | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk with its state; `done` is filled when the state is DONE."""

    plan: PlannedChunk
    state: ChunkState
    done: ChunkDone | None


@dataclass(frozen=True, slots=True)
class Begun:
    """The journal's answer to a new file: the message, and what it is.

    `outcome`: RECEIVING (new, or resumed after a crash: then `chunks` has DONE ones), DUPLICATE (same identity and content: nothing
    to do), HELD is decided later: `revision_of` names the earlier message when the content differs."""

    message: Message
    outcome: ReceiptOutcome
    chunks: Sequence[Chunk]
    revision_of: str | None


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One delivery to be made in the accepting transaction. `files` are final names, fixed now and for ever."""

    subscription: str
    system: str
    endpoint: str
    contract: str
    layout: str
    translation: str | None
    ordering_key: str
    file_name: str
    marker_name: str | None
    config_digest: str
    way: str = "file"
    """who claims it: see `bus.event.Way`"""
    lane: int = 1
    flagging: int = 0
    """1: a support-measure flag, 2: waits for the flags of its person, 0: neither"""
    expires_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class NewQuarantine:
    """Something that a person must see. `facts` holds counts and ids only; records stand in `parts`."""

    kind: QuarantineKind
    subject: str
    records: int
    facts: Mapping[str, object]
    parts: Sequence[Part] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as the journal holds it. `fence` grows with each claim; `attempts` counts failed ones."""

    id: str
    tenant: str
    message: str
    subscription: str
    system: str
    endpoint: str
    contract: str
    layout: str
    translation: str | None
    ordering_key: str
    number: int
    """assigned in the accepting transaction; orders a subscription"""
    state: DeliveryState
    file_name: str
    marker_name: str | None
    attempts: int
    fence: int
    due_at_us: int
    lease_until_us: int | None
    taken_in: Totals
    out: Totals
    filtered: Totals
    refused: Totals
    bytes_out: int
    publication: Mapping[str, object]
    """the sink's plan for publishing (temporary and final names, lengths, hashes); empty before READY_TO_PUBLISH"""
    last_error: str
    created_at_us: int
    finished_at_us: int | None


@dataclass(frozen=True, slots=True)
class DeliveryChunkDone:
    """One chunk written to one sink: its place in the output, and what is in it."""

    index: int
    offset: int
    length: int
    hash: str
    """xxh3_128 of the rendered bytes, hex"""
    out: Totals
    filtered: Totals
    refused: Totals
    broken: Sequence[BrokenRule] = ()
    parts: Sequence[Part] = ()


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """Something that waits for a person."""

    id: str
    tenant: str
    kind: QuarantineKind
    message: str
    delivery: str | None
    subject: str
    records: int
    facts: Mapping[str, object]
    parts: Sequence[Part]
    state: str
    """`open`, `released` or `skipped`"""
    created_at_us: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """One arrival: what came, where, and what became of it."""

    id: str
    tenant: str
    endpoint: str
    interface: str
    file_name: str
    bytes: int
    sha256: str
    outcome: ReceiptOutcome
    message: str | None
    reason: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Unfinished deliveries of one subscription in one state, and the creation time of the oldest."""

    tenant: str
    subscription: str
    state: DeliveryState
    count: int
    oldest_created_at_us: int


@dataclass(frozen=True, slots=True)
class Lease:
    """One node's right to do what only one may do (watch a folder, run a schedule), until it lapses. `fence` grows with each owner."""

    name: str
    owner: str
    fence: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something that stands at a source and was not taken, and why: said once as long as it lasts."""

    name: str
    message_id: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One change, appended in the same transaction as the change itself. Sequence numbers of a tenant have no gaps."""

    tenant: str
    sequence: int
    kind: str
    subject: str
    facts: Mapping[str, object] = field(default_factory=dict)
    at_us: int = 0
