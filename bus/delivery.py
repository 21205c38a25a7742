"""Delivery: from a claimed delivery to a published file, or to a due time, or to quarantine.

Owns: the order of steps that publishes a file once. Bytes under temporary names -> durable and counted again from what was written ->
journal says `ready_to_publish` -> renames -> journal says `delivered`. Each delivery stands alone: a failing one delays no other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from bus.adapter_ports import Publication, Sink
from bus.batch.broken import merged
from bus.batch.pool import WorkerPool
from bus.batch.prepared import WorkFolder, prepared_path
from bus.batch.recipes import Recipes
from bus.batch.render import StoredChunk
from bus.batch.uniqueness import duplicates_of_part
from bus.delivery_output import added, check_delivery_totals, check_unpublished, nothing_published, seal_and_recount, write_output
from bus.errors import (
    BusError,
    JournalUnavailable,
    OperationRefused,
    Permanent,
    SiteInvalid,
    StaleClaim,
    TotalsDisagree,
    Transient,
    told_of,
)
from bus.message import Chunk, Delivery, DeliveryChunkDone, DeliveryState, Message, NewQuarantine, Part, QuarantineKind
from bus.ports import Clock, DeliverJournal, PayloadStore, QueryJournal
from bus.retry import Backoff, within_attempt
from bus.steps import reached
from contracts.errors import RenkeiError
from contracts.layouts.ports import Facts
from contracts.totals import Totals

HOPELESS = (Permanent, SiteInvalid, OperationRefused)
"""Errors that trying again cannot mend: given up at once."""


class DeliveryJournal(DeliverJournal, QueryJournal, Protocol):
    """What delivery needs of the journal."""


class Sinks(Protocol):
    """Finds the sink of an endpoint."""

    def sink(self, tenant: str, endpoint: str) -> Sink:
        """The sink; SiteInvalid when it is not configured."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. `error` is set when it failed; totals and bytes are those published."""

    delivery: Delivery
    state: DeliveryState
    out: Totals = Totals()  # noqa: RUF009 - immutable
    filtered: Totals = Totals()  # noqa: RUF009
    refused: Totals = Totals()  # noqa: RUF009
    bytes_out: int = 0
    message: Message | None = None
    error: RenkeiError | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    """seconds that its stages took: `write` (bytes written, durable and counted again), `publish`"""


@dataclass(slots=True)
class Deliverer:
    """Carries claimed deliveries out. `deliver` may run for many deliveries at once."""

    recipes: Recipes
    journal: DeliveryJournal
    payloads: PayloadStore
    pool: WorkerPool
    work: WorkFolder
    sinks: Sinks
    clock: Clock

    async def deliver(self, claimed: Delivery) -> Outcome:
        """One attempt, its outcome booked in the journal.

        Raises:
            JournalUnavailable: the outcome could not be booked; the lease will run out and the delivery be taken up again.
        """
        try:
            return await self._carry(claimed)
        except StaleClaim as error:
            return Outcome(claimed, claimed.state, error=error)

    async def _carry(self, claimed: Delivery) -> Outcome:
        try:
            if claimed.state is DeliveryState.READY_TO_PUBLISH:
                return await self._publish_again(claimed)
            return await self._attempt(claimed)
        except (StaleClaim, JournalUnavailable):
            raise
        except RenkeiError as error:
            return await self._failed(claimed, error)
        except OSError as error:
            return await self._failed(claimed, Transient("RNK4030E", delivery=claimed.id, reason=error.strerror or str(error)))
        except Exception as error:  # noqa: BLE001 - whatever a worker met is booked with the delivery, where operators see it
            return await self._failed(claimed, BusError("RNK4031E", delivery=claimed.id, reason=told_of(error)))

    async def _attempt(self, claimed: Delivery) -> Outcome:
        message = await asyncio.to_thread(self.journal.message, claimed.message)
        subscription = self.recipes.subscription(claimed.tenant, claimed.subscription)
        recipe = self.recipes.write(claimed.tenant, message.versions.contract, subscription)
        chunks = await self._stored_chunks(message)
        sink = await asyncio.to_thread(self.sinks.sink, claimed.tenant, claimed.endpoint)
        facts = Facts(claimed.tenant, message.identity.business_date, message.identity.sequence)
        began = time.monotonic()
        output = await write_output(self.pool, claimed, sink, recipe, chunks, facts)
        done = [part.done for part in output.written]
        try:
            check_delivery_totals(claimed, message.good.records, output)
        except BaseException:
            await asyncio.to_thread(output.opened.abort)
            raise
        marker = output.marker() if claimed.marker_name else None
        publication = await seal_and_recount(self.pool, claimed, recipe, output, marker)
        written = time.monotonic() - began
        try:
            await asyncio.to_thread(self.journal.chunks_written, claimed, done)
            await asyncio.to_thread(self.journal.ready_to_publish, claimed, output.publication(publication), publication.bytes)
        except StaleClaim:
            await asyncio.to_thread(output.opened.abort)  # overtaken; never of use to whoever holds the delivery now
            raise
        stages = {"write": written, "publish": await self._publish(sink, publication)}
        return replace(await self._book(claimed, message, output.total("taken_in"), done, publication.bytes), stages=stages)

    async def _publish_again(self, claimed: Delivery) -> Outcome:
        """Go on where an earlier attempt, or the node, stopped: check what waits, rename what is left, book."""
        message = await asyncio.to_thread(self.journal.message, claimed.message)
        done = await asyncio.to_thread(self.journal.delivery_chunks, claimed.id)
        publication = Publication.of_json(claimed.publication)
        try:
            await asyncio.to_thread(check_unpublished, claimed, claimed.publication, done)
        except TotalsDisagree as error:
            if not await asyncio.to_thread(nothing_published, claimed.publication):
                raise Permanent("RNK4032E", delivery=claimed.id, file=claimed.file_name) from error
            return await self._failed(claimed, error, unpublished=True)
        sink = await asyncio.to_thread(self.sinks.sink, claimed.tenant, claimed.endpoint)
        await self._publish(sink, publication)
        parts = (chunk.out + chunk.filtered + chunk.refused for chunk in done)
        return await self._book(claimed, message, replace(added(parts), records=message.good.records), done, publication.bytes)

    async def _publish(self, sink: Sink, publication: Publication) -> float:
        """Publish; returns how many seconds it took."""
        began = time.monotonic()
        reached("before_rename")
        await asyncio.to_thread(within_attempt(), sink.publish, publication)
        reached("after_rename")
        return time.monotonic() - began

    async def _book(
        self, claimed: Delivery, message: Message, taken_in: Totals, done: Sequence[DeliveryChunkDone], bytes_out: int
    ) -> Outcome:
        out, filtered, refused = (added(getattr(chunk, what) for chunk in done) for what in ("out", "filtered", "refused"))
        out = Totals(out.records, {name: value for name, value in out.sums.items() if name in taken_in.sums})
        state = await asyncio.to_thread(
            self.journal.delivered,
            claimed,
            taken_in=taken_in,
            out=out,
            filtered=filtered,
            refused=refused,
            quarantine=_refused_records(claimed, done, refused),
        )
        return Outcome(claimed, state, out, filtered, refused, bytes_out, message)

    async def _failed(self, claimed: Delivery, error: RenkeiError, *, unpublished: bool = False) -> Outcome:
        loaded = self.recipes.site.tenants.get(claimed.tenant)
        configured = loaded.tenant.subscriptions if loaded is not None else []
        subscription = next((found for found in configured if found.id == claimed.subscription), None)
        due = None
        if subscription is not None and not isinstance(error, HOPELESS):
            due = Backoff(subscription.retry).due_us(claimed.attempts + 1, self.clock.now_us())
        state = await asyncio.to_thread(self.journal.failed, claimed, error=str(error), due_at_us=due, unpublished=unpublished)
        return Outcome(claimed, state, error=error)

    async def _stored_chunks(self, message: Message) -> list[StoredChunk]:
        interface = self.recipes.interface(message.identity.tenant, message.identity.interface)
        recipe = self.recipes.read_again(interface, message.versions)
        chunks = await asyncio.to_thread(self.journal.chunks, message.id)
        excluded = await self._duplicates(message, chunks)
        folder = self.work.message(message.id)
        return [
            StoredChunk(
                tenant=message.identity.tenant,
                message_id=message.id,
                plan=chunk.plan,
                original=_original(chunk),
                good_records=chunk.done.good.records if chunk.done else 0,
                excluded=excluded.get(chunk.plan.index, []),
                prepared=prepared_path(folder, chunk.plan.index),
                recipe=recipe,
                payloads=self.payloads,
            )
            for chunk in chunks
        ]

    async def _duplicates(self, message: Message, chunks: Sequence[Chunk]) -> dict[int, list[int]]:
        """Ordinals rejected for their key, from the rejects part that comes after the last chunk's."""
        kind = QuarantineKind.REJECTED_RECORDS.value
        entries = await asyncio.to_thread(self.journal.quarantine, message=message.id, kind=kind, state=None)
        parts = [part for entry in entries for part in entry.parts if part.kind == "rejects" and part.index == len(chunks)]
        if not parts:
            return {}
        raw = await asyncio.to_thread(self.payloads.get, parts[0], message.identity.tenant, message.id)
        places = [(chunk.plan.index, chunk.plan.first_ordinal, chunk.plan.records) for chunk in chunks]
        return duplicates_of_part(raw, places)


def _original(chunk: Chunk) -> Part:
    return next(part for part in (chunk.done.parts if chunk.done else ()) if part.kind == "original")


def _refused_records(claimed: Delivery, done: Sequence[DeliveryChunkDone], refused: Totals) -> list[NewQuarantine]:
    if not refused.records:
        return []
    facts = {"broken": [asdict(rule) for rule in merged([chunk.broken for chunk in done])]}
    parts = [part for chunk in done for part in chunk.parts]
    return [NewQuarantine(QuarantineKind.REFUSED_RECORDS, claimed.file_name, refused.records, facts, parts)]
