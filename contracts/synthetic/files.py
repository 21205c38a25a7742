"""Writes files of synthetic records: any number, the same bytes for the same arguments, with bad records planted where the manifest says.

Owns: which ordinals are bad, control records that agree with the data, and streaming by blocks, so that memory does not grow with the
file. What the people are like is in `residents`, what is done to bad records in `faults`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import polars as pl

from contracts.errors import ContractUnknown
from contracts.layouts.build import writer_for
from contracts.layouts.model import XmlLayout
from contracts.layouts.ports import Facts, Writer
from contracts.model import Contract
from contracts.registry import Registry
from contracts.synthetic.columns import Ints
from contracts.synthetic.faults import DUPLICATE, Damage, Expected, FileLayout, expected, kinds_for
from contracts.synthetic.residents import history_numbers, person_numbers, resident_block
from contracts.synthetic.taxes import tax_block
from contracts.synthetic.vocabulary import MUNICIPALITIES, Municipality
from contracts.totals import Totals
from contracts.violations import BYTE, LINE, ORDINAL

BLOCK_RECORDS: Final = 16_384
_BLOCKS: Final[Mapping[str, Callable[[np.random.Generator, Ints, Municipality, date], pl.DataFrame]]] = {
    "resident@1.0": resident_block,
    "resident-tax@1.0": tax_block,
}
GENERATED_CONTRACTS: Final = tuple(_BLOCKS)
"""Contracts that files can be generated for."""


@dataclass(frozen=True, slots=True)
class _Order:
    """The arguments of `generate`."""

    contract: str
    layout: str
    records: int
    seed: int
    tenant: str
    business_date: str
    sequence: int
    bad_share: float
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was written. `bad`: kind -> ordinals (1-based, ascending). `duplicate_of`: ordinal of a duplicate -> the record whose key it
    has. `expected`: kind -> the field and rule that a check must report."""

    contract: str
    layout: str
    records: int
    totals: Totals
    bad: dict[str, list[int]]
    duplicate_of: dict[int, int]
    expected: dict[str, Expected]

    def as_json(self) -> dict[str, object]:
        """Plain data for a file beside the generated one."""
        return {
            "contract": self.contract,
            "layout": self.layout,
            "records": self.records,
            "totals": self.totals.as_json(),
            "bad": self.bad,
            "duplicate_of": {str(ordinal): original for ordinal, original in self.duplicate_of.items()},
            "expected": {kind: {"field": found.field, "rule": found.rule} for kind, found in self.expected.items()},
        }


def generate(
    contract: str,
    layout: str,
    path: Path,
    *,
    records: int,
    seed: int = 1,
    tenant: str = "332020",
    business_date: str = "2026-11-20",
    sequence: int = 1,
    bad_share: float = 0.001,
    kinds: Sequence[str] | None = None,
    registry: Registry | None = None,
    progress: Callable[[int], None] | None = None,
) -> Manifest:
    """Write a synthetic file to `path`, whole or not at all. The same arguments give the same bytes.

    Args:
        tenant: 団体コード of one of the municipalities in `vocabulary`.
        business_date: ISO date that stands in control records; ages are reckoned on it.
        bad_share: share of bad records (0 to 1), their kinds taken in turn.
        kinds: kinds of bad records; all that the layout can hold when left out (see `faults.kinds_for`).
        progress: told how many records are written so far.

    Raises:
        ContractUnknown: no such contract or layout, or none that can be generated (XML, other contracts).
        ValueError: an unknown municipality or kind, or a number out of range.
        OSError: the file cannot be written.
    """
    order = _Order(contract, layout, records, seed, tenant, business_date, sequence, bad_share, tuple(kinds or ()))
    work = _Work(order, registry or Registry.load())
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            manifest = work.write(file, progress or (lambda _: None))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return manifest


class _Work:
    def __init__(self, order: _Order, registry: Registry) -> None:
        layout = registry.layout(order.contract, order.layout)
        if order.contract not in _BLOCKS or isinstance(layout, XmlLayout):
            raise ContractUnknown("RNK1450E", contract=order.contract, layout=order.layout, known=", ".join(GENERATED_CONTRACTS))
        if order.tenant not in MUNICIPALITIES:
            raise ValueError(f"tenant is one of: {', '.join(MUNICIPALITIES)}")
        if order.records < 0 or not 0 <= order.bad_share <= 1:
            raise ValueError("records is 0 or more, bad_share 0 to 1")
        self._order = order
        self._layout: FileLayout = layout
        self._contract: Contract = registry.contract(order.contract)
        self._writer: Writer = writer_for(layout, self._contract)
        self._damage = Damage(self._contract, layout)
        self._kinds = _chosen_kinds(order, layout)
        self._bad = _bad_ordinals(order, self._kinds)
        self._newline = {"crlf": b"\r\n", "none": b""}.get(layout.newline, b"\n")

    def write(self, file: BinaryIO, progress: Callable[[int], None]) -> Manifest:
        facts = Facts(self._order.tenant, self._order.business_date, self._order.sequence)
        opening = self._writer.opening(facts, Totals())
        file.write(opening)
        totals = Totals()
        for first in range(0, self._order.records, BLOCK_RECORDS):
            frame = self._block(first // BLOCK_RECORDS).head(self._order.records - first)
            rendered = self._writer.render(frame)
            if rendered.refused.height:
                raise ValueError(f"a synthetic record does not fit layout {self._order.layout}: {rendered.refused.row(0, named=True)}")
            file.write(self._damaged(rendered.data, first, frame.height))
            totals += rendered.totals
            progress(first + frame.height)
        file.write(self._writer.closing(facts, totals))
        file.seek(0)
        file.write(self._writer.opening(facts, totals))
        file.flush()
        os.fsync(file.fileno())
        return self._manifest(totals)

    def _block(self, number: int) -> pl.DataFrame:
        order = self._order
        rng = np.random.default_rng([order.seed, int(order.tenant), number])
        ordinals = np.arange(1, BLOCK_RECORDS + 1, dtype=np.int64) + number * BLOCK_RECORDS
        frame = _BLOCKS[order.contract](rng, ordinals, MUNICIPALITIES[order.tenant], date.fromisoformat(order.business_date))
        places = [pl.Series(name, ordinals).cast(pl.UInt64) for name in (ORDINAL, LINE, BYTE)]
        return frame.select(self._contract.names).with_columns(places)

    def _damaged(self, data: bytes, first: int, count: int) -> bytes:
        """The block's bytes with its bad records put in place of good ones."""
        here = [ordinal for ordinal in range(first + 1, first + count + 1) if ordinal in self._bad]
        if not here:
            return data
        records = self._split(data)
        for ordinal in here:
            kind, record = self._bad[ordinal], records[ordinal - first - 1]
            body = record[: len(record) - len(self._newline)]
            if kind == DUPLICATE:
                body = self._damage.with_key(body, self._key(_original(ordinal, self._bad)))
            else:
                body = self._damage.apply(kind, body)
            records[ordinal - first - 1] = body + (b"\n" if kind == "newline" else self._newline)
        return b"".join(records)

    def _split(self, data: bytes) -> list[bytes]:
        if self._newline:
            return [line + self._newline for line in data.split(self._newline)[:-1]]
        width = getattr(self._layout, "record_bytes", 1)
        return [data[start : start + width] for start in range(0, len(data), width)]

    def _key(self, ordinal: int) -> dict[str, str]:
        """The parts of a record's key that differ between records."""
        one = np.array([ordinal], dtype=np.int64)
        return {"atenabango": str(person_numbers(one)[0]), "rirekibango": str(history_numbers(one)[0])}

    def _manifest(self, totals: Totals) -> Manifest:
        bad: dict[str, list[int]] = {kind: [] for kind in self._kinds}
        for ordinal, kind in self._bad.items():
            bad[kind].append(ordinal)
        copies = {ordinal: _original(ordinal, self._bad) for ordinal in bad.get(DUPLICATE, [])}
        expectations = {kind: expected(self._order.contract, kind) for kind in self._kinds}
        return Manifest(self._order.contract, self._order.layout, self._order.records, totals, bad, copies, expectations)


def _chosen_kinds(order: _Order, layout: FileLayout) -> tuple[str, ...]:
    possible = kinds_for(order.contract, layout)
    unknown = [kind for kind in order.kinds if kind not in possible]
    if unknown:
        raise ValueError(f"layout {order.layout} has no bad records of kind {', '.join(unknown)}; it has {', '.join(possible)}")
    return order.kinds or possible


def _bad_ordinals(order: _Order, kinds: tuple[str, ...]) -> dict[int, str]:
    """Ordinal -> kind, ascending. The first record is never bad, so that a duplicate always finds an earlier good one."""
    count = min(round(order.records * order.bad_share), max(order.records - 1, 0))
    rng = np.random.default_rng([order.seed, 0xBAD])
    chosen = np.sort(rng.choice(order.records - 1, count, replace=False) + 2) if count else np.empty(0, dtype=np.int64)
    return {int(ordinal): kinds[index % len(kinds)] for index, ordinal in enumerate(chosen)}


def _original(ordinal: int, bad: Mapping[int, str]) -> int:
    """The record whose key a duplicate bears: a good one about half-way to the beginning of the file, so mostly in another chunk."""
    original = max(1, ordinal // 2)
    while original in bad:
        original -= 1
    return original
