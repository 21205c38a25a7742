"""Rows to dataclasses and back, and ids to keys and back.

Owns: the text of ids (`332020-m17`: tenant, a letter for the kind, serial) and the JSON inside columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import Row

from bus.errors import NotFound
from bus.message import (
    BrokenRule,
    Chunk,
    ChunkDone,
    ChunkState,
    Delivery,
    DeliveryChunkDone,
    DeliveryState,
    Identity,
    JournalEntry,
    Message,
    MessageState,
    Part,
    PlannedChunk,
    QuarantineEntry,
    QuarantineKind,
    Receipt,
    ReceiptOutcome,
    Versions,
)
from contracts.totals import Totals

Letter = Literal["m", "d", "q", "r"]
AnyRow = Row[Any]

_NOUNS: Final = {"m": "message", "d": "delivery", "q": "quarantine entry", "r": "receipt"}


def id_of(tenant: str, letter: Letter, serial: int) -> str:
    """The id that people see."""
    return f"{tenant}-{letter}{serial}"


def key_of(id_: str, letter: Letter) -> tuple[str, int]:
    """Tenant and serial of an id.

    Raises:
        NotFound: not an id of this kind.
    """
    tenant, _, rest = id_.rpartition("-")
    if not (tenant and rest.startswith(letter) and rest[1:].isascii() and rest[1:].isdigit()) or len(rest) > 18:
        raise not_found(id_, letter)
    return tenant, int(rest[1:])


def not_found(id_: str, letter: Letter) -> NotFound:
    """The error for an id that leads nowhere."""
    return NotFound("RNK3004E", what=_NOUNS[letter], id=id_)


def broken_rules(broken: Sequence[BrokenRule]) -> list[dict[str, object]]:
    """Broken rules as JSON."""
    return [asdict(rule) for rule in broken]


def part_list(parts: Sequence[Part]) -> list[dict[str, object]]:
    """The manifest of parts as JSON."""
    return [asdict(part) for part in parts]


def chunk_found(done: ChunkDone) -> dict[str, object]:
    """What a batch worker found, as JSON."""
    return {
        "good": done.good.as_json(),
        "rejected": done.rejected.as_json(),
        "broken": broken_rules(done.broken),
        "parts": part_list(done.parts),
        "keys_path": done.keys_path,
        "prepared_path": done.prepared_path,
        "unreadable": done.unreadable,
    }


def delivery_chunk_found(done: DeliveryChunkDone) -> dict[str, object]:
    """What stands in a written chunk, as JSON."""
    return {
        "out": done.out.as_json(),
        "filtered": done.filtered.as_json(),
        "refused": done.refused.as_json(),
        "broken": broken_rules(done.broken),
        "parts": part_list(done.parts),
    }


def same_totals(left: Totals, right: Totals) -> bool:
    """Whether two totals agree; a sum that one does not name is zero there."""
    difference = left - right
    return difference.records == 0 and all(value == Decimal(0) for value in difference.sums.values())


def message_of(row: AnyRow) -> Message:
    """A row of `messages`."""
    return Message(
        id=id_of(row.tenant, "m", row.serial),
        identity=Identity(row.tenant, row.interface, row.business_date, row.sequence),
        revision=row.revision,
        state=MessageState(row.state),
        source_system=row.source_system,
        endpoint=row.endpoint,
        kind=row.kind,
        versions=Versions(row.contract, row.contract_digest, row.layout, row.config_digest, row.characters),
        file_name=row.file_name,
        bytes=row.bytes,
        sha256=row.sha256,
        records=row.records,
        declared=row.declared,
        good=Totals.of_json(row.good),
        rejected=Totals.of_json(row.rejected),
        broken=_broken(row.broken),
        corrects=None if row.corrects is None else id_of(row.tenant, "m", row.corrects),
        reason=row.reason,
        received_at_us=row.received_at_us,
        accepted_at_us=row.accepted_at_us,
    )


def chunk_of(row: AnyRow) -> Chunk:
    """A row of `chunks`."""
    plan = PlannedChunk(row.position, row.first_ordinal, row.first_line, row.first_byte, row.length, row.records)
    state = ChunkState(row.state)
    if state is not ChunkState.DONE:
        return Chunk(plan, state, None)
    found = row.done
    done = ChunkDone(
        index=row.position,
        good=Totals.of_json(found["good"]),
        rejected=Totals.of_json(found["rejected"]),
        broken=_broken(found["broken"]),
        parts=_parts(found["parts"]),
        keys_path=found["keys_path"],
        prepared_path=found["prepared_path"],
        unreadable=found.get("unreadable", 0),
    )
    return Chunk(plan, state, done)


def delivery_of(row: AnyRow) -> Delivery:
    """A row of `deliveries`."""
    return Delivery(
        id=id_of(row.tenant, "d", row.serial),
        tenant=row.tenant,
        message=id_of(row.tenant, "m", row.message),
        subscription=row.subscription,
        system=row.system,
        endpoint=row.endpoint,
        contract=row.contract,
        layout=row.layout,
        translation=row.translation,
        ordering_key=row.ordering_key,
        number=row.number,
        state=DeliveryState(row.state),
        file_name=row.file_name,
        marker_name=row.marker_name,
        attempts=row.attempts,
        fence=row.fence,
        due_at_us=row.due_at_us,
        lease_until_us=row.lease_until_us,
        taken_in=Totals.of_json(row.taken_in),
        out=Totals.of_json(row.out),
        filtered=Totals.of_json(row.filtered),
        refused=Totals.of_json(row.refused),
        bytes_out=row.bytes_out,
        publication=row.publication,
        last_error=row.last_error,
        created_at_us=row.created_at_us,
        finished_at_us=row.finished_at_us,
    )


def delivery_chunk_of(row: AnyRow) -> DeliveryChunkDone:
    """A row of `delivery_chunks`."""
    found = row.found
    return DeliveryChunkDone(
        index=row.position,
        offset=row.offset,
        length=row.length,
        hash=row.hash,
        out=Totals.of_json(found["out"]),
        filtered=Totals.of_json(found["filtered"]),
        refused=Totals.of_json(found["refused"]),
        broken=_broken(found["broken"]),
        parts=_parts(found["parts"]),
    )


def quarantine_of(row: AnyRow) -> QuarantineEntry:
    """A row of `quarantine`."""
    return QuarantineEntry(
        id=id_of(row.tenant, "q", row.serial),
        tenant=row.tenant,
        kind=QuarantineKind(row.kind),
        message="" if row.message is None else id_of(row.tenant, "m", row.message),
        delivery=None if row.delivery is None else id_of(row.tenant, "d", row.delivery),
        subject=row.subject,
        records=row.records,
        facts=row.facts,
        parts=_parts(row.parts),
        state=row.state,
        created_at_us=row.created_at_us,
    )


def receipt_of(row: AnyRow) -> Receipt:
    """A row of `receipts`."""
    return Receipt(
        id=id_of(row.tenant, "r", row.serial),
        tenant=row.tenant,
        endpoint=row.endpoint,
        interface=row.interface,
        file_name=row.file_name,
        bytes=row.bytes,
        sha256=row.sha256,
        outcome=ReceiptOutcome(row.outcome),
        message=None if row.message is None else id_of(row.tenant, "m", row.message),
        reason=row.reason,
        at_us=row.at_us,
    )


def entry_of(row: AnyRow) -> JournalEntry:
    """A row of `journal_entries`."""
    return JournalEntry(row.tenant, row.sequence, row.kind, row.subject, row.facts, row.at_us)


def _broken(found: Sequence[Mapping[str, Any]]) -> tuple[BrokenRule, ...]:
    return tuple(BrokenRule(**rule) for rule in found)


def _parts(found: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    return tuple(Part(**part) for part in found)
