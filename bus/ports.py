"""The ports towards the journal: small Protocols by role, with the clock and the store of payload parts that stand beside it.

Owns: what the engine may ask of them; `bus.journal` and `bus.payloads` implement it, the node wires it. The ports towards the systems are
in `bus.adapter_ports`. All here is synchronous and may be called from several threads; the engine calls it through `asyncio.to_thread`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bus.message import (
    Backlog,
    Begun,
    Chunk,
    ChunkDone,
    Delivery,
    DeliveryChunkDone,
    DeliveryState,
    JournalEntry,
    Lease,
    Message,
    MessageState,
    NewDelivery,
    NewMessage,
    NewQuarantine,
    Part,
    QuarantineEntry,
    Receipt,
    ReceiptOutcome,
)
from contracts.totals import Totals


class Clock(Protocol):
    """Time, injected so that tests can move it."""

    def now_us(self) -> int:
        """UTC microseconds since 1970."""
        ...


# --- journal, by role


class AcceptJournal(Protocol):
    """What intake writes. Each call is one durable transaction with its journal entries in it."""

    def begin(self, new: NewMessage) -> Begun:
        """Fix the identity of a file, or find that it is known.

        The same identity and sha256 as a message not refused: DUPLICATE when that one is accepted or held, RECEIVING (resumed, with the
        chunks already done) when it is unfinished. Other content, or only refused ones before: a new message of the next revision.
        """
        ...

    def chunk_done(self, message_id: str, done: ChunkDone) -> None:
        """Record a chunk as durable and validated; doing it twice with the same facts changes nothing."""
        ...

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
        """Accept and route in one transaction. Numbers order each subscription. Twice = the same deliveries again."""
        ...

    def hold(self, message_id: str, *, good: Totals, rejected: Totals, quarantine: Sequence[NewQuarantine], reason: str) -> None:
        """Keep the message, durable and validated, until a person decides."""
        ...

    def refuse(self, message_id: str, *, quarantine: Sequence[NewQuarantine], reason: str) -> None:
        """Refuse the message whole; its original is kept."""
        ...

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
        """Record an arrival and what became of it, also for what never became a message. Its entry keeps `claim`, the claimed file."""
        ...

    def note(self, tenant: str, kind: str, subject: str, facts: Mapping[str, object]) -> JournalEntry:
        """Append an entry for something that changed no other table (configuration loaded, viewed)."""
        ...

    def note_all(self, kind: str, notes: Sequence[tuple[str, str, Mapping[str, object]]]) -> None:
        """Append an entry for each (tenant, subject, facts), all in one transaction."""
        ...


class DeliverJournal(Protocol):
    """What delivery writes. Every call after `claim` carries the claimed delivery and is refused with StaleClaim when its fence is old."""

    def claim(self, owner: str, *, lease_seconds: float, limit: int) -> Sequence[Delivery]:
        """Take up to `limit` due deliveries: due by the clock (or lease run out), and head of their (subscription, ordering key).

        Tenants take turns, so that none waits behind another's flood. The same delivery is never handed out twice under one fence.
        READY_TO_PUBLISH ones of a lapsed lease are handed out again in that state.
        """
        ...

    def renew(self, claimed: Delivery, *, lease_seconds: float) -> None:
        """Prolong the lease."""
        ...

    def chunks_written(self, claimed: Delivery, chunks: Sequence[DeliveryChunkDone]) -> None:
        """Record chunks as written (not yet published). Replaces an earlier record of the same index."""
        ...

    def ready_to_publish(self, claimed: Delivery, publication: Mapping[str, object], bytes_out: int) -> None:
        """Fix that all bytes are durable and counted, and how they will be published."""
        ...

    def delivered(
        self, claimed: Delivery, *, taken_in: Totals, out: Totals, filtered: Totals, refused: Totals, quarantine: Sequence[NewQuarantine]
    ) -> DeliveryState:
        """Finish: DELIVERED, or DELIVERED_WITH_REFUSALS when `refused.records` > 0."""
        ...

    def failed(self, claimed: Delivery, *, error: str, due_at_us: int | None, unpublished: bool = False) -> DeliveryState:
        """Count a failed attempt: due again at `due_at_us`, or given up (None). `unpublished` voids a publication that began nowhere."""
        ...

    def unclaim(self, owner: str) -> int:
        """Free every lease of `owner` (a node that starts knows its former self is gone). Returns how many."""
        ...


class LeaseJournal(Protocol):
    """What only one of several nodes may do at a time. The fence of a lease grows with every change of its owner."""

    def take_lease(self, name: str, owner: str, *, seconds: float) -> Lease | None:
        """Take a lease, or prolong one's own (same fence); None while another holds it. A lapsed one goes to who asks first.

        Raises:
            ValueError: there is no name, no owner, or no time. JournalUnavailable: nothing was changed.
        """
        ...

    def give_up_leases(self, owner: str) -> int:
        """Let go of everything `owner` holds; also its own next lease has a new fence. Returns how many."""
        ...

    def holds(self, lease: Lease) -> bool:
        """Whether the lease still is its owner's, under this fence, and has not lapsed."""
        ...


class OperateJournal(Protocol):
    """What operators change."""

    def release(self, quarantine_id: str, *, by: str) -> QuarantineEntry:
        """Release: a given-up delivery becomes due again; a held revision is left for the caller to accept."""
        ...

    def skip(self, quarantine_id: str, *, by: str) -> QuarantineEntry:
        """Give a given-up delivery up for good, so that later ones may go."""
        ...

    def resend(self, message_id: str, new: NewDelivery, *, by: str) -> Delivery:
        """Make one more delivery of an accepted message to one subscription."""
        ...


class QueryJournal(Protocol):
    """What is read. Filters left None match everything; newest first unless said otherwise."""

    def message(self, message_id: str) -> Message:
        """The message, or NotFound."""
        ...

    def chunks(self, message_id: str) -> Sequence[Chunk]:
        """In order of index."""
        ...

    def messages(
        self,
        *,
        tenant: str | None = None,
        interface: str | None = None,
        business_date: str | None = None,
        state: MessageState | None = None,
        limit: int = 100,
    ) -> Sequence[Message]:
        """Messages that match."""
        ...

    def delivery(self, delivery_id: str) -> Delivery:
        """The delivery, or NotFound."""
        ...

    def delivery_chunks(self, delivery_id: str) -> Sequence[DeliveryChunkDone]:
        """The chunks last recorded as written, in order of index."""
        ...

    def deliveries(
        self,
        *,
        tenant: str | None = None,
        subscription: str | None = None,
        message: str | None = None,
        state: DeliveryState | None = None,
        limit: int = 100,
    ) -> Sequence[Delivery]:
        """Deliveries that match."""
        ...

    def quarantine(
        self,
        *,
        tenant: str | None = None,
        kind: str | None = None,
        message: str | None = None,
        state: str | None = "open",
        limit: int = 100,
    ) -> Sequence[QuarantineEntry]:
        """Entries that match; `state` None means open and closed ones."""
        ...

    def quarantine_entry(self, quarantine_id: str) -> QuarantineEntry:
        """The entry, or NotFound."""
        ...

    def receipts(self, *, tenant: str | None = None, message: str | None = None, limit: int = 100) -> Sequence[Receipt]:
        """What arrived."""
        ...

    def last_receipts(self) -> Mapping[tuple[str, str, ReceiptOutcome], int]:
        """When something of that outcome last arrived (`at_us`), per (tenant, interface, outcome)."""
        ...

    def entries(self, tenant: str, *, after: int = 0, subject: str | None = None, limit: int = 1000) -> Sequence[JournalEntry]:
        """Oldest first; `subject` matches the subject itself."""
        ...

    def backlog(self) -> Sequence[Backlog]:
        """Deliveries not finished, per tenant, subscription and state."""
        ...

    def open_quarantine(self) -> Mapping[tuple[str, str], int]:
        """Open quarantine records per (tenant, kind)."""
        ...


class NightJournal(Protocol):
    """What the night at a glance is read from. Each call asks the database once, however many tenants there are."""

    def first_entries(self) -> Mapping[str, int]:
        """When each tenant's first entry was appended (`at_us`)."""
        ...

    def batches_done(self, wanted: Collection[tuple[str, str, str]]) -> Mapping[tuple[str, str, str], bool]:
        """Of these (tenant, interface, business date), those of which a file was accepted; True: and none of its deliveries waits or moves
        any more."""
        ...


@dataclass(frozen=True, slots=True)
class Binding:
    """What a sealed part belongs to; a part opened under another binding does not open."""

    tenant: str
    message: str
    kind: str
    index: int
    last: bool


class Seal(Protocol):
    """Seals and opens parts: compress, then encrypt. `identity` until keys exist."""

    @property
    def name(self) -> str:
        """Recorded on every part."""
        ...

    def seal(self, plain: bytes, binding: Binding) -> bytes:
        """The sealed bytes."""
        ...

    def open(self, sealed: bytes, binding: Binding) -> bytes:
        """The plain bytes; JournalError when the binding is another."""
        ...


class PayloadStore(Protocol):
    """Immutable parts by claim check. A part is durable (file and folder synced) when `put` returns."""

    def put(self, plain: bytes, binding: Binding) -> Part:
        """Write a part. Writing the same part again (after a crash) replaces it atomically."""
        ...

    def get(self, part: Part, tenant: str, message: str) -> bytes:
        """The plain bytes, proven against the part's sha256.

        Raises:
            JournalError: missing, damaged, or not bound to this tenant and message.
        """
        ...
