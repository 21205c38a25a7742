"""Violations of single records, gathered while a chunk is read or written, and made into one frame.

Owns: the shape of what readers and writers refuse. Every violation here has severity `reject`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.layouts.ports import ChunkPlace
from contracts.violations import BYTE, LINE, ORDINAL, VIOLATIONS, no_violations

Indices = npt.NDArray[np.int64]


@dataclass(slots=True)
class Refusals:
    """Violations by record of one chunk. `record` is the 0-based index of the record within the chunk."""

    rows: list[tuple[int, int, str, str, str]] = field(default_factory=list)
    records: set[int] = field(default_factory=set)

    def add(self, record: int, rule: str, *, field_name: str = "", offset: int = 0, value: str = "") -> None:
        """Note one broken rule. `offset`: bytes from the record's first byte."""
        self.rows.append((record, offset, field_name, rule, value))
        self.records.add(record)

    def frame(self, place: ChunkPlace, lines: Indices, starts: Indices) -> pl.DataFrame:
        """All of them in file order. Per record of the chunk, `lines`: lines before its first one, `starts`: offset of its first byte."""
        if not self.rows:
            return no_violations()
        rows = sorted(self.rows, key=lambda row: row[:2])
        index = np.array([row[0] for row in rows], np.int64)
        return pl.DataFrame(
            {
                "ordinal": index + place.first_ordinal,
                "line": lines[index] + place.first_line,
                "byte": starts[index] + place.first_byte + np.array([row[1] for row in rows], np.int64),
                "field": [row[2] for row in rows],
                "rule": [row[3] for row in rows],
                "severity": ["reject"] * len(rows),
                "value": [row[4] for row in rows],
            },
            schema=VIOLATIONS,
        )


def of_rows(frame: pl.DataFrame, hits: pl.Series, field_name: str, rule: str, value: pl.Series | None = None) -> pl.DataFrame:
    """Violations of one rule by the rows of a frame of records where `hits` is true; places come from the frame (0 without them)."""
    places = [
        (frame.get_column(name) if name in frame.columns else pl.Series(name, [0]).new_from_index(0, frame.height)).cast(pl.UInt64)
        for name in (ORDINAL, LINE, BYTE)
    ]
    rows = pl.DataFrame([places[0].alias("ordinal"), places[1].alias("line"), places[2].alias("byte")]).with_columns(
        field=pl.lit(field_name),
        rule=pl.lit(rule),
        severity=pl.lit("reject"),
        value=value if value is not None else pl.lit(""),
    )
    return rows.filter(hits).select(VIOLATIONS.names())
