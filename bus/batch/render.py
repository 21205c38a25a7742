"""Writing one delivery, in workers: good records -> filter -> translation -> layout -> bytes at their place in the file.

Owns: the fan-out side of a chunk. Chunks of one delivery are rendered by several workers; the parent hands out offsets in order of
chunk, so that the file is the same whoever wrote it. Records that the subscriber's layout cannot hold are refused, with their reasons,
into a part of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import xxhash

from bus.batch.broken import counts, lines, merged
from bus.batch.ingest import validate_chunk
from bus.batch.prepared import read_prepared, write_prepared
from bus.batch.recipe import ReadRecipe, WriteRecipe, writing
from bus.batch.task import Ask
from bus.direct_io import write_at
from bus.message import DeliveryChunkDone, Part, PlannedChunk
from bus.ports import Binding, PayloadStore
from bus.steps import reached
from contracts.frame_totals import totals_of
from contracts.layouts.ports import Facts
from contracts.totals import Totals
from contracts.violations import ORDINAL


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk of an accepted message, to be read from the work folder or, when that is lost, from the journal's original."""

    tenant: str
    message_id: str
    plan: PlannedChunk
    original: Part
    good_records: int
    excluded: Sequence[int]
    """ordinals of good records that are duplicates over the whole file"""
    prepared: Path
    recipe: ReadRecipe
    payloads: PayloadStore

    def records(self) -> pl.DataFrame:
        """The chunk's records that are to be delivered."""
        frame = read_prepared(self.prepared, self.good_records)
        if frame is None:
            frame = self._again()
        return frame.filter(~pl.col(ORDINAL).is_in(list(self.excluded))) if self.excluded else frame

    def _again(self) -> pl.DataFrame:
        raw = self.payloads.get(self.original, self.tenant, self.message_id)
        good = validate_chunk(raw, self.plan, self.recipe).good
        self.prepared.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = self.prepared.with_suffix(f".{os.getpid()}.tmp")
        write_prepared(good, unfinished)
        unfinished.replace(self.prepared)
        return good


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of one chunk or document, and the totals of what was taken for it. All totals are in the words of the
    target contract; taken_in = out + filtered + refused."""

    done: DeliveryChunkDone
    taken_in: Totals


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A chunk after filter and translation."""

    frame: pl.DataFrame
    taken_in: Totals
    filtered: Totals
    refused_totals: Totals
    refused: pl.DataFrame | None


@dataclass(slots=True)
class _AtHand:
    """The chunk this worker had last, and what became of it under each selection: subscribers of one message share both."""

    chunk: tuple[str, int] | None = None
    frame: pl.DataFrame | None = None
    outgoing: dict[str, _Outgoing] = field(default_factory=dict)

    def records(self, chunk: StoredChunk) -> pl.DataFrame:
        if self.frame is None or self.chunk != (chunk.message_id, chunk.plan.index):
            self.chunk, self.frame, self.outgoing = None, None, {}  # let go of the old before the new is read
            self.frame = chunk.records()
            self.chunk = (chunk.message_id, chunk.plan.index)
        return self.frame


_at_hand = _AtHand()


def _outgoing(chunk: StoredChunk, recipe: WriteRecipe) -> _Outgoing:
    frame = _at_hand.records(chunk)
    if recipe.selection not in _at_hand.outgoing:
        _at_hand.outgoing[recipe.selection] = _select(frame, recipe)
    return _at_hand.outgoing[recipe.selection]


def _select(frame: pl.DataFrame, recipe: WriteRecipe) -> _Outgoing:
    tools = writing(recipe)
    if tools.translator is None:
        taken_in = totals_of(frame, recipe.source)
        if tools.keep is None:
            return _Outgoing(frame, taken_in, taken_in - taken_in, taken_in - taken_in, None)
        kept = frame.filter(tools.keep)
        return _Outgoing(kept, taken_in, taken_in - totals_of(kept, recipe.source), taken_in - taken_in, None)
    taken_in = tools.translator.totals(frame)
    kept = frame if tools.keep is None else frame.filter(tools.keep)
    translated = tools.translator.apply(kept)
    return _Outgoing(
        frame=translated.frame,
        taken_in=taken_in,
        filtered=taken_in - translated.taken_in + translated.filtered,
        refused_totals=translated.refused_totals,
        refused=translated.refused if translated.refused.height else None,
    )


@dataclass(frozen=True, slots=True)
class RenderChunk:
    """Render one chunk into the delivery's temporary file, at the offset that the parent answers to `("offset", index, length)`."""

    delivery_id: str
    chunk: StoredChunk
    recipe: WriteRecipe
    target: Path

    def __call__(self, ask: Ask) -> Written:
        """What was written, and where. OSError when the target cannot be written."""
        outgoing = _outgoing(self.chunk, self.recipe)
        rendered = writing(self.recipe).writer.render(outgoing.frame)
        offset = int(ask(("offset", self.chunk.plan.index, len(rendered.data))))
        write_at(self.target, rendered.data, offset)
        reached("mid_write")
        refused = _together(outgoing.refused, rendered.refused)
        done = DeliveryChunkDone(
            index=self.chunk.plan.index,
            offset=offset,
            length=len(rendered.data),
            hash=xxhash.xxh3_128_hexdigest(rendered.data),
            out=rendered.totals,
            filtered=outgoing.filtered,
            refused=_refused_totals(outgoing, rendered.totals, self.recipe),
            broken=counts(refused) if refused is not None else [],
            parts=_put_refusals(self.chunk, self.delivery_id, refused),
        )
        return Written(done, outgoing.taken_in)


def _refused_totals(outgoing: _Outgoing, out: Totals, recipe: WriteRecipe) -> Totals:
    """What the translation refused, and what the layout could not hold: only the sums that came in."""
    if outgoing.frame.height == out.records:
        return outgoing.refused_totals
    lost = totals_of(outgoing.frame, recipe.target) - out
    carried = {name: lost.sums[name] for name in outgoing.taken_in.sums}
    return outgoing.refused_totals + Totals(lost.records, carried)


def _together(first: pl.DataFrame | None, second: pl.DataFrame) -> pl.DataFrame | None:
    found = [frame for frame in (first, second) if frame is not None and frame.height]
    return pl.concat(found) if found else None


def _put_refusals(chunk: StoredChunk, delivery_id: str, refused: pl.DataFrame | None) -> list[Part]:
    if refused is None:
        return []
    binding = Binding(chunk.tenant, chunk.message_id, f"refusals-{delivery_id}", chunk.plan.index, last=False)
    return [chunk.payloads.put(lines(refused, None), binding)]


@dataclass(frozen=True, slots=True)
class RenderDocuments:
    """Write a delivery as documents of N records each, in one worker. The parent answers `("document", index)` with the path of a
    new temporary file. Each document is complete: opening, records, closing. At least one document is written, empty if need be."""

    delivery_id: str
    chunks: Sequence[StoredChunk]
    recipe: WriteRecipe
    records_per_document: int
    facts: Facts

    def __call__(self, ask: Ask) -> list[Written]:
        """One entry per document; what was taken in, filtered and refused stands with the first."""
        writer = writing(self.recipe).writer
        documents: list[DeliveryChunkDone] = []
        aside: list[Written] = []
        for index, frame in enumerate(_slices(self._frames(aside), self.records_per_document)):
            rendered = writer.render(frame)
            totals = rendered.totals
            opening = writer.opening(self.facts, totals)
            write_at(Path(str(ask(("document", index)))), opening + rendered.data + writer.closing(self.facts, totals), 0)
            reached("mid_write")
            digest = xxhash.xxh3_128_hexdigest(rendered.data)
            documents.append(DeliveryChunkDone(index, len(opening), len(rendered.data), digest, totals, Totals(), Totals()))
        return [_with_aside(documents[0], aside), *(Written(document, Totals()) for document in documents[1:])]

    def _frames(self, aside: list[Written]) -> Iterator[pl.DataFrame]:
        """The records that this layout can hold, chunk by chunk; what is known of the others goes to `aside`."""
        writer = writing(self.recipe).writer
        for chunk in self.chunks:
            outgoing = _outgoing(chunk, self.recipe)
            rendered = writer.render(outgoing.frame)
            refused = _together(outgoing.refused, rendered.refused)
            done = DeliveryChunkDone(
                index=chunk.plan.index,
                offset=0,
                length=0,
                hash="",
                out=Totals(),
                filtered=outgoing.filtered,
                refused=_refused_totals(outgoing, rendered.totals, self.recipe),
                broken=counts(refused) if refused is not None else [],
                parts=_put_refusals(chunk, self.delivery_id, refused),
            )
            aside.append(Written(done, outgoing.taken_in))
            lost = rendered.refused.get_column("ordinal").unique().to_list()
            yield outgoing.frame.filter(~pl.col(ORDINAL).is_in(lost)) if lost else outgoing.frame


def _slices(frames: Iterator[pl.DataFrame], records: int) -> Iterator[pl.DataFrame]:
    """The frames' rows again, `records` at a time; one empty frame when there are none."""
    rest: pl.DataFrame | None = None
    yielded = False
    for frame in frames:
        rest = frame if rest is None else pl.concat([rest, frame])
        while rest.height >= records:
            yield rest.head(records)
            yielded = True
            rest = rest.slice(records)
    if rest is not None and (rest.height or not yielded):
        yield rest


def _with_aside(first: DeliveryChunkDone, aside: Sequence[Written]) -> Written:
    done = replace(
        first,
        filtered=sum((chunk.done.filtered for chunk in aside), Totals()),
        refused=sum((chunk.done.refused for chunk in aside), Totals()),
        broken=merged([chunk.done.broken for chunk in aside]),
        parts=[part for chunk in aside for part in chunk.done.parts],
    )
    return Written(done, sum((chunk.taken_in for chunk in aside), Totals()))
