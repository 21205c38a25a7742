"""Finding keys that stand twice in one file, over all its chunks.

Owns: uniqueness. One sort of 64-bit hashes finds candidates, the records themselves decide. The first record with a key stays, later ones
are rejected with `duplicate_key`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from bus.batch.broken import counts, lines, read_lines
from bus.batch.prepared import read_keys, read_prepared
from bus.batch.task import Ask
from bus.errors import TotalsDisagree
from bus.message import BrokenRule, ChunkDone, Part
from bus.ports import Binding, PayloadStore
from contracts.frame_totals import totals_of
from contracts.model import Contract
from contracts.totals import Totals
from contracts.violations import BYTE, LINE, ORDINAL, VIOLATIONS


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Records rejected because their key came before; `part` holds them."""

    totals: Totals
    broken: Sequence[BrokenRule]
    part: Part | None


@dataclass(frozen=True, slots=True)
class FindDuplicates:
    """Look for duplicate keys among the good records of all `chunks`; their rejects part has the index after the last chunk's."""

    tenant: str
    message_id: str
    chunks: Sequence[ChunkDone]
    contract: Contract
    payloads: PayloadStore

    def __call__(self, ask: Ask) -> Duplicates:  # noqa: ARG002 - every task is called with it
        """See `Duplicates`."""
        suspects = _suspects([read_keys(Path(chunk.keys_path)) for chunk in self.chunks])
        if not suspects:
            return Duplicates(Totals(), [], None)
        records = pl.concat([self._records(index, rows) for index, rows in suspects.items()])
        key = self.contract.key
        first = records.group_by(key).agg(pl.col(ORDINAL).min().alias("_first"))
        twice = records.join(first, on=key).filter(pl.col(ORDINAL) > pl.col("_first")).sort(ORDINAL)
        violations = _violations(twice, key)
        rejects = lines(violations, None)
        part = self._put(rejects) if rejects else None
        return Duplicates(totals_of(twice, self.contract), counts(violations), part)

    def _records(self, index: int, rows: npt.NDArray[np.int64]) -> pl.DataFrame:
        chunk = self.chunks[index]
        columns = list(dict.fromkeys([*self.contract.key, *self.contract.control_sums, ORDINAL, LINE, BYTE]))
        frame = read_prepared(Path(chunk.prepared_path), chunk.good.records, columns)
        if frame is None:
            raise TotalsDisagree("RNK4004E", chunk=index, path=chunk.prepared_path)
        return frame[rows].select(columns)

    def _put(self, rejects: bytes) -> Part:
        return self.payloads.put(rejects, Binding(self.tenant, self.message_id, "rejects", len(self.chunks), last=False))


def _suspects(keys: Sequence[npt.NDArray[np.uint64]]) -> dict[int, npt.NDArray[np.int64]]:
    """Rows whose hash stands more than once, per position in `keys`."""
    everything = np.concatenate(keys) if keys else np.empty(0, np.uint64)
    ordered = np.sort(everything)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return {}
    found = {index: np.flatnonzero(np.isin(chunk, repeated)) for index, chunk in enumerate(keys)}
    return {index: rows for index, rows in found.items() if len(rows)}


def _violations(twice: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    return twice.select(
        pl.col(ORDINAL).alias("ordinal"),
        pl.col(LINE).alias("line"),
        pl.col(BYTE).alias("byte"),
        pl.lit(key[0]).alias("field"),
        pl.lit("duplicate_key").alias("rule"),
        pl.lit("reject").alias("severity"),
        pl.concat_str(key, separator=" ").alias("value"),
    ).cast(dict(VIOLATIONS))  # type: ignore[arg-type]


def duplicates_of_part(part: bytes, chunks: Sequence[tuple[int, int, int]]) -> dict[int, list[int]]:
    """The ordinals that stand in `Duplicates.part`, per chunk index. `chunks`: (index, first ordinal, records) in order."""
    ordinals = [int(str(record["ordinal"])) for record in read_lines(part)]
    firsts = [first for _, first, _ in chunks]
    found: dict[int, list[int]] = {}
    for ordinal in ordinals:
        position = int(np.searchsorted(firsts, ordinal, side="right")) - 1
        found.setdefault(chunks[position][0], []).append(ordinal)
    return found
