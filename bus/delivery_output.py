"""What one attempt of a delivery writes: its file, or its documents, under temporary names, durable and counted again.

Owns: writing, sealing and recounting one output. Knows nothing of states and due times (`bus.delivery` does).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Protocol, cast

import xxhash

from bus.adapter_ports import OpenSink, Publication, RandomAccess, Sink
from bus.batch.gather import all_or_none
from bus.batch.pool import WorkerPool
from bus.batch.recipe import WriteRecipe, writing
from bus.batch.recount import Recount, same_totals
from bus.batch.render import RenderChunk, RenderDocuments, StoredChunk, Written
from bus.direct_io import read_at, write_at
from bus.errors import TotalsDisagree
from bus.message import Delivery, DeliveryChunkDone
from bus.routing import document_name
from bus.steps import reached
from contracts.layouts.model import XmlLayout
from contracts.layouts.ports import Facts
from contracts.totals import Totals


class LocalSink(OpenSink, RandomAccess, Protocol):
    """An open sink whose temporary files several processes can write. The only kind there is so far."""


@dataclass(frozen=True, slots=True)
class Output:
    """What was written. `files` are the temporary files, `names` their final names, `file_of[i]` tells in which one `written[i]`
    stands, `frames` holds each file's opening and closing with the offset of the closing."""

    opened: LocalSink
    names: Sequence[str]
    files: Sequence[Path]
    written: Sequence[Written]
    file_of: Sequence[int]
    frames: Sequence[tuple[bytes, bytes, int]]

    def total(self, what: str) -> Totals:
        """The sum over everything written of `taken_in`, `out`, `filtered` or `refused`."""
        if what == "taken_in":
            return added(written.taken_in for written in self.written)
        return added(getattr(written.done, what) for written in self.written)

    def publication(self, publication: Publication) -> dict[str, object]:
        """The publication for the journal, with where the bytes stand until they are published and how to know them again."""
        return {
            **publication.as_json(),
            "temporary": [str(path) for path in self.files],
            "file_of": list(self.file_of),
            "frames": [[len(opening), end, _hash(opening + closing)] for opening, closing, end in self.frames],
        }

    def marker(self) -> bytes:
        """What the completion marker says."""
        return marker_of(self.names, self.file_of, [written.done for written in self.written])


def added(parts: Iterable[Totals]) -> Totals:
    """Totals added up."""
    return sum(parts, Totals())


def marker_of(names: Sequence[str], file_of: Sequence[int], done: Sequence[DeliveryChunkDone]) -> bytes:
    """What a completion marker says: each file's name and its number of records, a line each."""
    records = [0] * len(names)
    for chunk, file in zip(done, file_of, strict=True):
        records[file] += chunk.out.records
    return "".join(f"{name},{count}\r\n" for name, count in zip(names, records, strict=True)).encode()


async def write_output(
    pool: WorkerPool, delivery: Delivery, sink: Sink, recipe: WriteRecipe, chunks: Sequence[StoredChunk], facts: Facts
) -> Output:
    """Write all chunks. On any failure, cancellation included, what was written is removed.

    Raises:
        TransportError: the sink. OSError: a worker's writing. Exception: whatever a worker met.
    """
    per_document = recipe.layout.records_per_document if isinstance(recipe.layout, XmlLayout) else 0
    names = [delivery.file_name]
    if per_document:
        most = max(1, ceil(sum(chunk.good_records for chunk in chunks) / per_document))
        names = [document_name(delivery.file_name, number + 1) for number in range(most)]
    opened = cast("LocalSink", await asyncio.to_thread(sink.open, delivery.id, delivery.fence, names, delivery.marker_name))
    try:
        if per_document:
            return await _write_documents(pool, delivery, opened, RenderDocuments(delivery.id, chunks, recipe, per_document, facts))
        return await _write_file(pool, delivery, opened, recipe, chunks, facts)
    except BaseException:
        await asyncio.to_thread(opened.abort)
        raise


class _Offsets:
    """Hands out places in the file in order of chunk, whoever asks first; the same place again when a chunk's worker was lost."""

    def __init__(self, start: int) -> None:
        self.end = start
        self._given: list[tuple[int, int]] = []
        self._turns = asyncio.Condition()

    async def answer(self, question: object) -> int:
        _, index, length = cast("tuple[str, int, int]", question)
        async with self._turns:
            await self._turns.wait_for(lambda: len(self._given) >= index)
            if len(self._given) == index:
                self._given.append((self.end, length))
                self.end += length
                self._turns.notify_all()
            offset, given = self._given[index]
            if given != length:
                raise ValueError(f"chunk {index} was {given} bytes long before, not {length}")
            return offset


async def _write_file(
    pool: WorkerPool, delivery: Delivery, opened: LocalSink, recipe: WriteRecipe, chunks: Sequence[StoredChunk], facts: Facts
) -> Output:
    writer = writing(recipe).writer
    path = opened.local_path()
    offsets = _Offsets(len(writer.opening(facts, Totals())))
    tasks = [RenderChunk(delivery.id, chunk, recipe, path) for chunk in chunks]
    written: list[Written] = await all_or_none(
        [
            pool.run(f"delivery {delivery.id}", task, offsets.answer, about=f"{delivery.message} {task.chunk.plan.index}")
            for task in tasks
        ]
    )
    out = added(part.done.out for part in written)
    opening, closing = writer.opening(facts, out), writer.closing(facts, out)
    await asyncio.to_thread(_write_frame, path, opening, closing, offsets.end)
    return Output(opened, [delivery.file_name], [path], written, [0] * len(written), [(opening, closing, offsets.end)])


async def _write_documents(pool: WorkerPool, delivery: Delivery, opened: LocalSink, task: RenderDocuments) -> Output:
    begun: dict[int, Path] = {}

    async def answer(question: object) -> str:
        _, index = cast("tuple[str, int]", question)
        if index not in begun:  # a task whose worker was lost asks again
            begun[index] = await asyncio.to_thread(opened.local_path, index)
        return str(begun[index])

    written: list[Written] = await pool.run(f"delivery {delivery.id}", task, answer)
    writer = writing(task.recipe).writer
    frames = [
        (writer.opening(task.facts, part.done.out), writer.closing(task.facts, part.done.out), part.done.offset + part.done.length)
        for part in written
    ]
    names = [document_name(delivery.file_name, number + 1) for number in begun]
    return Output(opened, names, list(begun.values()), written, list(range(len(written))), frames)


def _write_frame(path: Path, opening: bytes, closing: bytes, end: int) -> None:
    write_at(path, opening, 0)
    write_at(path, closing, end)


async def seal_and_recount(pool: WorkerPool, delivery: Delivery, recipe: WriteRecipe, output: Output, marker: bytes | None) -> Publication:
    """Make the bytes durable and count them again meanwhile.

    Raises:
        TotalsDisagree: the bytes in the files are not those rendered, or hold other records or sums. Everything is removed then.
        TransportError: the sink could not make them durable.
    """
    reached("before_recount")

    async def recount(position: int) -> None:
        done, path = output.written[position].done, output.files[output.file_of[position]]
        await pool.run(f"delivery {delivery.id}", Recount(delivery.id, path, done, recipe))

    sealing = asyncio.ensure_future(asyncio.to_thread(output.opened.seal, marker))
    counts = [recount(position) for position in range(len(output.written))]
    try:
        await all_or_none([*counts, asyncio.to_thread(_check_frames, delivery, output)])
        return await asyncio.shield(sealing)
    except BaseException:
        await asyncio.gather(sealing, return_exceptions=True)  # a thread cannot be stopped, and would go on making files
        await asyncio.to_thread(output.opened.abort)
        raise


def _check_frames(delivery: Delivery, output: Output) -> None:
    """What stands before, after and beyond the records is exactly what was written there."""
    for path, (opening, closing, end) in zip(output.files, output.frames, strict=True):
        whole = read_at(path, 0, len(opening)) == opening and read_at(path, end, len(closing) + 1) == closing
        if not whole:
            raise TotalsDisagree("RNK4005E", delivery=delivery.id, chunk="-", offset=0, length=end + len(closing))


def check_delivery_totals(delivery: Delivery, accepted: int, output: Output) -> None:
    """Raises TotalsDisagree unless accepted = taken in and taken in = out + filtered + refused, in records and every carried sum."""
    taken_in, out = output.total("taken_in"), output.total("out")
    carried = Totals(out.records, {name: value for name, value in out.sums.items() if name in taken_in.sums})
    rest = output.total("filtered") + output.total("refused")
    if taken_in.records != accepted or not same_totals(taken_in, carried + rest):
        raise TotalsDisagree(
            "RNK4008E",
            delivery=delivery.id,
            accepted=accepted,
            taken_in=taken_in.as_json(),
            out=out.as_json(),
            filtered=output.total("filtered").as_json(),
            refused=output.total("refused").as_json(),
        )


def check_unpublished(delivery: Delivery, publication: Mapping[str, object], chunks: Sequence[DeliveryChunkDone]) -> None:
    """After a restart: what still waits under temporary names is what was counted, to the last byte. What was published before is gone.

    Raises:
        TotalsDisagree: it is not.
    """
    files = [Path(file) for file in cast("list[str]", publication["temporary"])]
    file_of = cast("list[int]", publication["file_of"])
    for done, file in zip(chunks, file_of, strict=True):
        if files[file].exists() and _hash(read_at(files[file], done.offset, done.length)) != done.hash:
            raise TotalsDisagree("RNK4005E", delivery=delivery.id, chunk=done.index, offset=done.offset, length=done.length)
    for path, (opening, end, known) in zip(files, cast("list[tuple[int, int, str]]", publication["frames"]), strict=True):
        if path.exists() and _hash(read_at(path, 0, opening) + read_at(path, end, max(0, path.stat().st_size - end))) != known:
            raise TotalsDisagree("RNK4005E", delivery=delivery.id, chunk="-", offset=0, length=path.stat().st_size)
    renames = Publication.of_json(publication).renames
    names = [name for _, name in renames[: len(files)]]
    for temporary, _ in renames[len(files) :]:  # the marker, if there is one
        path = files[0].parent / temporary
        if path.exists() and path.read_bytes() != marker_of(names, file_of, chunks):
            raise TotalsDisagree("RNK4005E", delivery=delivery.id, chunk="-", offset=0, length=path.stat().st_size)


def nothing_published(publication: Mapping[str, object]) -> bool:
    """Whether every data file still waits under its temporary name; the marker is published after them."""
    return all(Path(file).exists() for file in cast("list[str]", publication["temporary"]))


def _hash(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)
