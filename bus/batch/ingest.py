"""Taking in one chunk, in a worker: journal its bytes, read, validate, and leave what the next steps need.

Owns: what is kept of a chunk: its original bytes, put on disk while it is read and validated, its rejects, its prepared file and keys. The
chunk counts as done only when the parent has committed what `IngestChunk` returns. Running it again gives the same result and replaces the
same files.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bus.batch.broken import Raw, counts, lines
from bus.batch.prepared import keys_path, prepared_path, write_keys, write_prepared
from bus.batch.recipe import ReadRecipe, reading
from bus.batch.task import Ask
from bus.errors import IntakeRefused, TotalsDisagree
from bus.message import ChunkDone, Part, PlannedChunk
from bus.ports import Binding, PayloadStore
from bus.steps import reached
from contracts.frame_totals import totals_of
from contracts.layouts.ports import ChunkPlace
from contracts.totals import Totals


@dataclass(frozen=True, slots=True)
class ValidatedChunk:
    """A chunk read and validated: its good records, and every broken rule."""

    good: pl.DataFrame
    violations: pl.DataFrame
    rejected: Totals
    unreadable: int


@dataclass(frozen=True, slots=True)
class IngestChunk:
    """Take in one chunk of a claimed file. `last` tells whether it is the file's last."""

    tenant: str
    message_id: str
    path: Path
    plan: PlannedChunk
    last: bool
    recipe: ReadRecipe
    payloads: PayloadStore
    folder: Path
    key_seed: int

    def __call__(self, ask: Ask) -> ChunkDone:  # noqa: ARG002 - every task is called with it
        """See `bus.message.ChunkDone`."""
        raw = read_range(self.path, self.plan.first_byte, self.plan.length)
        reached("mid_read")
        prepared = prepared_path(self.folder, self.plan.index)
        keys = keys_path(self.folder, self.plan.index)
        with ThreadPoolExecutor(1) as beside:  # the disk and the processor work at the same time; both are done when this block ends
            original = beside.submit(self.payloads.put, raw, self._binding("original", last=self.last))
            chunk = validate_chunk(raw, self.plan, self.recipe)
            write_prepared(chunk.good, prepared)
            write_keys(chunk.good, self.recipe.contract.key, self.key_seed, keys)
            parts = [original.result(), *self._around(), *self._rejects(raw, chunk.violations)]
        return ChunkDone(
            index=self.plan.index,
            good=totals_of(chunk.good, self.recipe.contract),
            rejected=chunk.rejected,
            broken=counts(chunk.violations),
            parts=parts,
            keys_path=str(keys),
            prepared_path=str(prepared),
            unreadable=chunk.unreadable,
        )

    def _around(self) -> list[Part]:
        """What stands before the first record and behind the last (titles, header and trailer records): the original is kept whole."""
        begin, end = self.plan.first_byte, self.plan.first_byte + self.plan.length
        parts = []
        if self.plan.index == 0 and begin:
            parts.append(self.payloads.put(read_range(self.path, 0, begin), self._binding("original_head", last=False)))
        rest = self.path.stat().st_size - end
        if self.last and rest > 0:
            parts.append(self.payloads.put(read_range(self.path, end, rest), self._binding("original_tail", last=True)))
        return parts

    def _binding(self, kind: str, *, last: bool) -> Binding:
        return Binding(self.tenant, self.message_id, kind, self.plan.index, last)

    def _rejects(self, raw: bytes, violations: pl.DataFrame) -> list[Part]:
        reader = reading(self.recipe).reader

        def originals(ordinals: list[int]) -> Raw:
            return dict(zip(ordinals, reader.raw_records(raw, _place(self.plan), ordinals), strict=True))

        rejects = lines(violations, originals, reader.locate)  # type: ignore[arg-type]
        return [self.payloads.put(rejects, self._binding("rejects", last=False))] if rejects else []


def _place(plan: PlannedChunk) -> ChunkPlace:
    return ChunkPlace(plan.first_ordinal, plan.first_line, plan.first_byte)


def read_range(path: Path, offset: int, length: int) -> bytes:
    """`length` bytes of the file from `offset`.

    Raises:
        IntakeRefused: the file is shorter than it was when it was measured.
    """
    with path.open("rb", buffering=0) as file:
        raw = os.pread(file.fileno(), length, offset)
        while len(raw) < length:
            more = os.pread(file.fileno(), length - len(raw), offset + len(raw))
            if not more:
                raise IntakeRefused("RNK4002E", file=path.name, expected=offset + length, found=offset + len(raw))
            raw += more
    return raw


def validate_chunk(raw: bytes, plan: PlannedChunk, recipe: ReadRecipe) -> ValidatedChunk:
    """Read and validate a chunk's bytes. Deterministic: the same bytes and recipe give the same records.

    Raises:
        TotalsDisagree: good + rejected are not the records that the plan counted.
    """
    tools = reading(recipe)
    read = tools.reader.read(raw, _place(plan))
    findings = tools.validator.check(read.frame)
    good = read.frame.filter(findings.good)
    violations = pl.concat([read.unreadable, findings.violations]) if read.unreadable.height else findings.violations
    bad = totals_of(read.frame.filter(~findings.good), recipe.contract) if good.height < read.frame.height else Totals()
    unreadable = read.unreadable.get_column("ordinal").n_unique() if read.unreadable.height else 0
    rejected = Totals(bad.records + unreadable, bad.sums)
    if good.height + rejected.records != plan.records:
        raise TotalsDisagree(
            "RNK4003E", chunk=plan.index, expected=plan.records, good=good.height, rejected=rejected.records
        )
    return ValidatedChunk(good, violations, rejected, unreadable)
