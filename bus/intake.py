"""Intake: from a claimed file to an accepted message with its deliveries, or to a refusal that is seen.

Owns: the order of steps. A source is told "accepted" only after the journal's commit; a crash anywhere resumes from the chunks that the
journal already holds. Whatever is wrong with a file, the node goes on: the file is refused with a reason, set aside by its source, and
stands in quarantine. One file of an interface at a time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bus.adapter_ports import Arrival, Source
from bus.batch.broken import merged
from bus.batch.gather import all_or_none
from bus.batch.ingest import IngestChunk
from bus.batch.pool import WorkerLost, WorkerPool
from bus.batch.prepared import WorkFolder
from bus.batch.recipe import ReadRecipe
from bus.batch.recipes import Recipes
from bus.batch.uniqueness import Duplicates, FindDuplicates
from bus.broker.hints import Hints
from bus.errors import IntakeRefused, TotalsDisagree
from bus.intake_checks import check_counts, check_declared, check_policy
from bus.intake_identity import identity_of, interface_of, told
from bus.intake_receipts import (
    Decided,
    earlier_receipt,
    outcome_of_known,
    reason_of,
    refused_without_receipt,
    stumbling_refuses,
    write_receipt,
)
from bus.message import (
    Begun,
    Chunk,
    ChunkDone,
    ChunkState,
    Delivery,
    Message,
    NewMessage,
    NewQuarantine,
    Part,
    PlannedChunk,
    QuarantineKind,
    Receipt,
    ReceiptOutcome,
)
from bus.ports import AcceptJournal, PayloadStore, QueryJournal
from bus.routing import route
from bus.security.keyed_hash import KeyedHash
from bus.site import Interface
from bus.steps import reached
from contracts.errors import FileUnreadable, RenkeiError
from contracts.layouts.build import cutter_for
from contracts.layouts.ports import ChunkPlace, Cut, FilePlan
from contracts.totals import Totals

REFUSALS = (IntakeRefused, FileUnreadable, TotalsDisagree, WorkerLost)
"""Errors that mean the file is at fault; any other error leaves it claimed, to be taken again."""


class IntakeJournal(AcceptJournal, QueryJournal, Protocol):
    """What intake needs of the journal."""


class Observer(Protocol):
    """Who watches a file being taken in (progress bars, metrics)."""

    def stage(self, stage: str, seconds: float) -> None:
        """A stage ended after so long."""
        ...

    def progress(self, stage: str, done: int, total: int) -> None:
        """So many records of a stage are done."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an arrival. `message` is as it was when its identity was fixed; None for what never became one."""

    receipt: Receipt
    interface: str
    message: Message | None = None
    deliveries: Sequence[Delivery] = ()
    good: int = 0
    rejected: int = 0


@dataclass(slots=True)
class _Work:
    """One file on its way."""

    arrival: Arrival
    interface: Interface
    plan: FilePlan
    recipe: ReadRecipe
    begun: Begun
    observer: Observer
    look: tuple[int, int]
    """what the file looked like before it was read"""
    done: list[ChunkDone] = field(default_factory=list)
    duplicates: Duplicates | None = None


@dataclass(slots=True)
class Intake:
    """Takes files in. `take` may be called for several files at once; those of one interface wait for each other."""

    recipes: Recipes
    journal: IntakeJournal
    payloads: PayloadStore
    pool: WorkerPool
    work: WorkFolder
    hashes: KeyedHash
    hints: Hints
    chunk_bytes: int
    _locks: dict[tuple[str, str], asyncio.Lock] = field(default_factory=dict)

    async def take(self, arrival: Arrival, source: Source, observer: Observer) -> Taken:
        """Take one claimed file in, up to the acknowledgement of its source.

        Raises:
            JournalUnavailable, OSError: nothing was decided; the file stays claimed and may be taken again.
        """
        earlier = await asyncio.to_thread(earlier_receipt, self.journal, arrival)
        if earlier is not None:
            return await self._acknowledge(arrival, source, earlier)
        try:
            interface = interface_of(self.recipes.tenant(arrival.tenant), arrival.endpoint, arrival.name)
        except IntakeRefused as refusal:
            return await self._refuse_unread(arrival, source, refusal, interface="", sha256="")
        async with self._locks.setdefault((arrival.tenant, interface.id), asyncio.Lock()):
            return await self._take(arrival, source, interface, observer)

    async def _take(self, arrival: Arrival, source: Source, interface: Interface, observer: Observer) -> Taken:
        plan: FilePlan | None = None
        began = time.monotonic()
        look = await asyncio.to_thread(_look, arrival.path)
        try:
            recipe = self.recipes.read(interface)
            with stumbling_refuses(arrival):
                cutter = cutter_for(recipe.layout, recipe.contract)
                plan = await asyncio.to_thread(cutter.plan, str(arrival.path), self.chunk_bytes)
            if plan.bytes != arrival.bytes:
                raise IntakeRefused("RNK4018E", file=arrival.name, before=arrival.bytes, after=plan.bytes)
            new = self._new_message(arrival, interface, plan)
        except REFUSALS as refusal:
            return await self._refuse_unread(arrival, source, refusal, interface=interface.id, sha256=plan.sha256 if plan else "")
        observer.stage("cut", time.monotonic() - began)
        half_refused = await asyncio.to_thread(refused_without_receipt, self.journal, new)
        if half_refused is not None:
            return await self._tell_refused(arrival, source, half_refused, half_refused.reason)
        begun = await asyncio.to_thread(self.journal.begin, new)
        work = _Work(arrival, interface, plan, recipe, begun, observer, look)
        if begun.outcome is ReceiptOutcome.DUPLICATE:
            known = await asyncio.to_thread(outcome_of_known, self.journal, begun.message)
            taken = await self._finish(work, source, known)
            return replace(taken, good=begun.message.good.records, rejected=begun.message.rejected.records)
        try:
            with stumbling_refuses(arrival):
                return await self._process(work, source)
        except REFUSALS as refusal:
            return await self._refuse(work, source, refusal)

    def _new_message(self, arrival: Arrival, interface: Interface, plan: FilePlan) -> NewMessage:
        identity = identity_of(arrival.tenant, interface, arrival.name, plan.declared)
        endpoint = self.recipes.endpoint(arrival.tenant, interface.endpoint)
        return NewMessage(
            identity=identity,
            source_system=endpoint.system,
            endpoint=endpoint.id,
            kind=interface.kind,
            versions=self.recipes.versions(arrival.tenant, interface),
            file_name=arrival.name,
            bytes=plan.bytes,
            sha256=plan.sha256,
            records=plan.records,
            declared={name: told(name, value) for name, value in plan.declared.items()},
            chunks=_planned(plan),
        )

    async def _process(self, work: _Work, source: Source) -> Taken:
        done = work.done = await self._ingest(work)
        look = await asyncio.to_thread(_look, work.arrival.path)
        if look != work.look:
            raise IntakeRefused("RNK4018E", file=work.arrival.name, before=work.look[0], after=look[0])
        began = time.monotonic()
        duplicates = work.duplicates = await self._duplicates(work, done)
        work.observer.stage("unique", time.monotonic() - began)
        good = sum((chunk.good for chunk in done), Totals()) - duplicates.totals
        rejected = sum((chunk.rejected for chunk in done), Totals()) + duplicates.totals
        check_counts(work.plan.records, good, rejected)
        check_declared(work.arrival.name, work.plan.declared, good + rejected, sum(chunk.unreadable for chunk in done))
        check_policy(work.arrival.name, work.interface, good, rejected)
        facts, parts = _broken(work)
        quarantine = [NewQuarantine(QuarantineKind.REJECTED_RECORDS, work.arrival.name, rejected.records, facts, parts)]
        quarantine = quarantine if rejected.records else []
        began = time.monotonic()
        taken = await self._accept(work, source, good, rejected, quarantine)
        work.observer.stage("accept", time.monotonic() - began)
        return taken

    async def _ingest(self, work: _Work) -> list[ChunkDone]:
        """Every chunk journalled and validated; those that an earlier run did are taken as they are, if their files still stand."""
        began = time.monotonic()
        message = work.begun.message
        folder = self.work.message(message.id)
        counted = 0

        async def one(chunk: Chunk) -> ChunkDone:
            nonlocal counted
            done = chunk.done if chunk.state is ChunkState.DONE and _still_there(chunk.done) else None
            if done is None:
                task = IngestChunk(
                    tenant=work.arrival.tenant,
                    message_id=message.id,
                    path=work.arrival.path,
                    plan=chunk.plan,
                    last=chunk.plan.index == len(work.begun.chunks) - 1,
                    recipe=work.recipe,
                    payloads=self.payloads,
                    folder=folder,
                    key_seed=self.hashes.seed(work.arrival.tenant),
                )
                done = await self.pool.run(f"intake {message.id}", task)
                await asyncio.to_thread(self.journal.chunk_done, message.id, done)
                reached("after_chunk_commit")
            counted += chunk.plan.records
            work.observer.progress("check", counted, work.plan.records)
            return done

        chunks = await all_or_none([one(chunk) for chunk in work.begun.chunks])
        work.observer.stage("check", time.monotonic() - began)
        return chunks

    async def _duplicates(self, work: _Work, done: Sequence[ChunkDone]) -> Duplicates:
        message = work.begun.message
        task = FindDuplicates(work.arrival.tenant, message.id, done, work.recipe.contract, self.payloads)
        found: Duplicates = await self.pool.run(f"intake {message.id}", task)
        return found

    async def _accept(
        self, work: _Work, source: Source, good: Totals, rejected: Totals, quarantine: Sequence[NewQuarantine]
    ) -> Taken:
        message = work.begun.message
        if work.begun.revision_of is not None and work.interface.on_revision == "hold":
            reason = reason_of(IntakeRefused("RNK4019W", file=work.arrival.name, earlier=work.begun.revision_of))
            held = NewQuarantine(QuarantineKind.HELD_REVISION, work.arrival.name, good.records, {"earlier": work.begun.revision_of})
            await asyncio.to_thread(
                self.journal.hold, message.id, good=good, rejected=rejected, quarantine=[*quarantine, held], reason=reason
            )
            return replace(await self._finish(work, source, ReceiptOutcome.HELD, reason), good=good.records, rejected=rejected.records)
        loaded = self.recipes.tenant(work.arrival.tenant)
        new = route(loaded, work.interface, message.identity, revision=message.revision, records=good.records)
        reached("before_accept")
        deliveries = await asyncio.to_thread(
            self.journal.accept,
            message.id,
            good=good,
            rejected=rejected,
            quarantine=quarantine,
            deliveries=new,
            corrects=work.begun.revision_of,
        )
        reached("after_accept")
        self.hints.publish(delivery.id for delivery in deliveries)
        reached("before_fan_out")
        taken = await self._finish(work, source, ReceiptOutcome.ACCEPTED)
        return replace(taken, deliveries=deliveries, good=good.records, rejected=rejected.records)

    async def _finish(self, work: _Work, source: Source, outcome: ReceiptOutcome, reason: str = "") -> Taken:
        receipt = await self._receipt(
            work.arrival, Decided(work.interface.id, outcome, work.plan.sha256, work.begun.message.id, reason)
        )
        await asyncio.to_thread(source.accepted, work.arrival)
        return Taken(receipt, work.interface.id, work.begun.message)

    async def _refuse(self, work: _Work, source: Source, refusal: RenkeiError) -> Taken:
        reason = reason_of(refusal)
        facts, parts = _broken(work)
        quarantine = NewQuarantine(QuarantineKind.REFUSED_FILE, work.arrival.name, work.plan.records, {"reason": reason, **facts}, parts)
        await asyncio.to_thread(self.journal.refuse, work.begun.message.id, quarantine=[quarantine], reason=reason)
        await asyncio.to_thread(self.work.forget, work.begun.message.id)
        return await self._tell_refused(work.arrival, source, work.begun.message, reason)

    async def _tell_refused(self, arrival: Arrival, source: Source, message: Message, reason: str) -> Taken:
        interface = message.identity.interface
        receipt = await self._receipt(arrival, Decided(interface, ReceiptOutcome.REFUSED, message.sha256, message.id, reason))
        await self._set_aside(arrival, source, receipt)
        return Taken(receipt, interface, message)

    async def _refuse_unread(self, arrival: Arrival, source: Source, refusal: RenkeiError, *, interface: str, sha256: str) -> Taken:
        """Refuse what never became a message: the file itself, set aside, is the evidence."""
        reason = reason_of(refusal)
        quarantine = NewQuarantine(QuarantineKind.REFUSED_FILE, arrival.name, 0, {"reason": reason})
        receipt = await self._receipt(arrival, Decided(interface, ReceiptOutcome.REFUSED, sha256, None, reason, [quarantine]))
        await self._set_aside(arrival, source, receipt)
        return Taken(receipt, interface)

    async def _receipt(self, arrival: Arrival, decided: Decided) -> Receipt:
        return await asyncio.to_thread(write_receipt, self.journal, arrival, decided)

    async def _acknowledge(self, arrival: Arrival, source: Source, receipt: Receipt) -> Taken:
        """Tell the source what an earlier run decided upon this claim and could not tell it any more."""
        if receipt.outcome is ReceiptOutcome.REFUSED:
            await self._set_aside(arrival, source, receipt)
        else:
            await asyncio.to_thread(source.accepted, arrival)
        return Taken(receipt, receipt.interface)

    async def _set_aside(self, arrival: Arrival, source: Source, receipt: Receipt) -> None:
        where = await asyncio.to_thread(source.refused, arrival, json.loads(receipt.reason))
        facts = {"file": arrival.name, "path": str(where), "receipt": receipt.id}
        await asyncio.to_thread(self.journal.note, arrival.tenant, "set_aside", receipt.message or receipt.id, facts)


def _look(path: Path) -> tuple[int, int]:
    """Size and time of a file, which do not change unless it is written to."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _planned(plan: FilePlan) -> list[PlannedChunk]:
    """The chunks as cut; a file without records has one chunk without any, so that its original is kept like any other."""
    cuts = plan.cuts or (Cut(0, ChunkPlace(1, 1, plan.bytes), 0, 0),)
    return [
        PlannedChunk(cut.index, cut.place.first_ordinal, cut.place.first_line, cut.place.first_byte, cut.length, cut.records)
        for cut in cuts
    ]


def _still_there(done: ChunkDone | None) -> bool:
    """Whether the work files of a chunk still stand; their content is checked where it is read."""
    return done is not None and Path(done.keys_path).exists() and Path(done.prepared_path).exists()


def _broken(work: _Work) -> tuple[Mapping[str, object], list[Part]]:
    """What is wrong with the file's records so far, as counts, and the parts that hold them."""
    duplicates = work.duplicates
    broken = merged([*(chunk.broken for chunk in work.done), duplicates.broken if duplicates else []])
    parts = [part for chunk in work.done for part in chunk.parts if part.kind == "rejects"]
    parts += [duplicates.part] if duplicates and duplicates.part else []
    return {"broken": [asdict(rule) for rule in broken]}, parts
