"""Messages and deliveries for the journal's tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bus.message import (
    BrokenRule,
    ChunkDone,
    Delivery,
    DeliveryChunkDone,
    DeliveryState,
    Identity,
    Message,
    NewDelivery,
    NewMessage,
    NewQuarantine,
    Part,
    PlannedChunk,
    QuarantineKind,
    Versions,
)
from bus.ports import AcceptJournal, DeliverJournal, OperateJournal, QueryJournal
from contracts.totals import Totals


class Journal(AcceptJournal, DeliverJournal, OperateJournal, QueryJournal, Protocol):
    """All roles of a journal."""


VERSIONS = Versions("resident@1.0", "digest", "mainframe_csv", "config", "1")
RECORDS = 10
PUBLICATION = {"renames": [["a.tmp", "a.xml"]], "bytes": 100}


def identity(*, tenant: str = "332020", date: str = "2026-11-19", sequence: int = 1) -> Identity:
    return Identity(tenant, "jumin", date, sequence)


def new_message(
    who: Identity | None = None, *, content: str = "aa", records: int = RECORDS, chunks: int = 2, versions: Versions = VERSIONS
) -> NewMessage:
    share = records // chunks if chunks else 0
    plans = [PlannedChunk(i, i * share + 1, i * share + 1, i * 100, 100, share) for i in range(chunks)]
    name = "JUMIN_20261119_001.csv"
    return NewMessage(who or identity(), "001", "jumin_in", "full", versions, name, 200, content * 32, records, {"count": "10"}, plans)


def chunk(index: int, *, records: int = RECORDS // 2) -> ChunkDone:
    part = Part("original", index, f"332020/m/original-{index:06d}", 100, 100, "ab" * 32, "identity", index == 1)
    broken = BrokenRule("birth_date", "type", "reject", 1)
    return ChunkDone(index, Totals(records - 1), Totals(1), [broken], [part], f"keys-{index}", f"prepared-{index}")


def new_delivery(subscription: str = "welfare", *, key: str = "jumin", layout: str = "xml") -> NewDelivery:
    return NewDelivery(subscription, "002", "welfare_out", "resident@1.0", layout, None, key, "a.xml", "a.xml.end", "config")


def rejects(records: int = 2) -> NewQuarantine:
    return NewQuarantine(QuarantineKind.REJECTED_RECORDS, "JUMIN_20261119_001.csv", records, {"broken": 2})


def received(journal: Journal, who: Identity | None = None, *, content: str = "aa") -> Message:
    """A message whose chunks are done."""
    message = journal.begin(new_message(who, content=content)).message
    for index in range(2):
        journal.chunk_done(message.id, chunk(index))
    return message


def accept(journal: Journal, message: Message, deliveries: Sequence[NewDelivery]) -> Sequence[Delivery]:
    return journal.accept(message.id, good=Totals(8), rejected=Totals(2), quarantine=[rejects()], deliveries=deliveries)


def accepted(journal: Journal, who: Identity | None = None, *deliveries: NewDelivery) -> Sequence[Delivery]:
    """Deliveries of a message that is accepted."""
    return accept(journal, received(journal, who), deliveries or [new_delivery()])


def claim_one(journal: Journal, *, owner: str = "worker", lease_seconds: float = 60) -> Delivery:
    (claimed,) = journal.claim(owner, lease_seconds=lease_seconds, limit=1)
    return claimed


def written(index: int = 0) -> DeliveryChunkDone:
    return DeliveryChunkDone(index, index * 100, 100, f"hash-{index}", Totals(4), Totals(), Totals())


def publish(journal: Journal, claimed: Delivery, *, refused: int = 0) -> DeliveryState:
    if claimed.state is not DeliveryState.READY_TO_PUBLISH:
        journal.ready_to_publish(claimed, PUBLICATION, 100)
    return end(journal, claimed, refused=refused)


def end(journal: Journal, claimed: Delivery, *, refused: int = 0) -> DeliveryState:
    refusals = [NewQuarantine(QuarantineKind.REFUSED_RECORDS, claimed.subscription, refused, {})] if refused else []
    return journal.delivered(
        claimed, taken_in=Totals(8), out=Totals(7 - refused), filtered=Totals(1), refused=Totals(refused), quarantine=refusals
    )
