"""What a reader and a writer of a text layout promise. Chunks are whole records; nothing here touches a file system.

Arrows: layouts know contracts; the batch core knows only these Protocols and `reader_for` / `writer_for` / `cutter_for`
(`contracts.layouts.registry`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from contracts.totals import Totals


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """Where a chunk begins in its file: ordinal of its first record (1-based), its line (1-based) and byte offset (0-based)."""

    first_ordinal: int
    first_line: int
    first_byte: int


@dataclass(frozen=True, slots=True)
class Cut:
    """One planned chunk: `length` bytes from `place.first_byte`, holding `records` records."""

    index: int
    place: ChunkPlace
    length: int
    records: int


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A file measured in one pass: its chunks, its content hash, and what its control records say.

    `declared` holds the trailer's or header's totals as found (keys `count`, `business_date` as ISO, `sequence`, `tenant`,
    `sum.<field>`); empty when the layout has no control records.
    """

    bytes: int
    sha256: str
    records: int
    cuts: tuple[Cut, ...]
    declared: Mapping[str, str]


class Cutter(Protocol):
    """Cuts a file into chunks of whole records."""

    def plan(self, path: str, chunk_bytes: int) -> FilePlan:
        """Read the file once, sequentially, in bounded memory.

        Raises:
            FileUnreadable: 0 bytes, missing or damaged header/trailer, a last record that is cut off, titles that are not the
                layout's, a byte order mark that is required or forbidden, a record length that cannot be.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReadChunk:
    """`frame`: every record whose bytes could be read, canonical text plus place columns. `unreadable`: a violations frame for the
    others (one or more rows each); their ordinals are missing in `frame`. readable + unreadable = records of the chunk."""

    frame: pl.DataFrame
    unreadable: pl.DataFrame
    records: int


class Reader(Protocol):
    """Reads chunks of one layout of one contract."""

    def read(self, raw: bytes, place: ChunkPlace) -> ReadChunk:
        """Decode strictly, split into fields, bring to canonical text. Never raises for bad content of a record."""
        ...

    def raw_records(self, raw: bytes, place: ChunkPlace, ordinals: Sequence[int]) -> Sequence[tuple[int, bytes]]:
        """For each ordinal of this chunk: the record's offset in the file and its bytes as they came, without its newline."""
        ...

    def locate(self, raw_record: bytes, field: str) -> int:
        """Offset of the field's first byte within its record's bytes; 0 when the record has no such column."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What header and trailer records may say besides totals. `business_date` is ISO."""

    tenant: str
    business_date: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """`data`: the bytes of the records that could be written. `totals`: of exactly those. `refused`: violations of the others, whose
    rows are left out whole (a character the encoding does not have, a value wider than its column)."""

    data: bytes
    totals: Totals
    refused: pl.DataFrame


class Writer(Protocol):
    """Writes chunks of one layout of one contract. The parts of a file are opening + chunks in order + closing."""

    def opening(self, facts: Facts, totals: Totals) -> bytes:
        """What stands before the first record. Its length depends on `facts` only, so that it can be written last."""
        ...

    def render(self, frame: pl.DataFrame) -> Rendered:
        """The bytes of the frame's records, in order. Deterministic: the same frame gives the same bytes."""
        ...

    def closing(self, facts: Facts, totals: Totals) -> bytes:
        """What stands after the last record."""
        ...

    def recount(self, data: bytes) -> Totals:
        """Count records and sums again from rendered bytes alone, by position or by name, not from anything remembered.

        Raises:
            FileUnreadable: the bytes do not hold whole records of this layout.
        """
        ...
