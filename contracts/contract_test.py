"""Testing a file against a contract, the way a partner system does before it is connected: read, check, say every mistake by its place.

Owns: the way through one file and what is counted. Nothing is journalled or delivered. Values leave this module masked only.
Writing the result as a spreadsheet is in `contracts.report`. Memory is bounded by the chunk, by some 20 bytes per record for the keys,
and by the number of findings kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import polars as pl

from contracts.frame_totals import totals_of
from contracts.frame_validator import FrameValidator
from contracts.key_uniqueness import KeySeen
from contracts.layouts.build import cutter_for, reader_for
from contracts.layouts.model import Layout
from contracts.layouts.ports import Cut, FilePlan, Reader
from contracts.masking import mask_for
from contracts.model import Contract
from contracts.totals import Totals
from contracts.violations import BYTE, LINE, ORDINAL, VIOLATIONS, no_violations

CHUNK_BYTES: Final = 8 * 1024 * 1024
MOST_FINDINGS: Final = 100_000
"""Findings kept for the report. All are counted."""

Progress = Callable[[int, int], None]
"""Told (records done, records of the file) after each chunk."""
Broken = Mapping[tuple[str, str, str], int]
"""(field, rule, severity) to the number of records that break it."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A total the file declares and the one that was counted."""

    total: str
    declared: str
    counted: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """What a test of one file found. good + rejected = records; `warned` records are good ones that break a rule which only warns.

    `broken` counts every finding, the most frequent first. `findings` holds rows like `contracts.violations.VIOLATIONS` by record, their
    values masked; `omitted` more were found but not kept. `totals` sums all records that could be read, as the sender's trailer does;
    `compared` is False when declared sums were not compared because some records could not be read.
    """

    contract: Contract
    layout: Layout
    file: Path
    plan: FilePlan
    good: int
    rejected: int
    warned: int
    totals: Totals
    broken: Broken
    findings: pl.DataFrame
    omitted: int
    disagreements: tuple[Disagreement, ...]
    compared: bool

    @property
    def records(self) -> int:
        """Data records of the file."""
        return self.plan.records

    @property
    def passed(self) -> bool:
        """No record is rejected and every declared total agrees. Warnings do not count."""
        return self.rejected == 0 and not self.disagreements


def test_file(  # the name people look for; pytest sees only the modules below tests/
    path: Path,
    contract: Contract,
    layout: Layout,
    progress: Progress | None = None,  # noqa: PT028 - not a pytest function
) -> TestResult:
    """Read and check a whole file: every record against the contract, the key over all records, the totals it declares.

    Raises:
        FileUnreadable: the file as a whole is not of this layout (see `Cutter.plan`).
        OSError: the file cannot be opened or read.
    """
    run = _Run(path, contract, layout, CHUNK_BYTES)
    run.check_records(progress)
    run.check_key()
    return run.result()


class _Run:
    """One pass over one file, and a second one over chunks that may hold repeated keys."""

    def __init__(self, path: Path, contract: Contract, layout: Layout, chunk_bytes: int) -> None:
        self._path = path
        self._contract = contract
        self._layout = layout
        self._plan = cutter_for(layout, contract).plan(str(path), chunk_bytes)
        self._reader: Reader = reader_for(layout, contract)
        self._validator = FrameValidator(contract)
        self._keys = KeySeen(contract.key)
        self._totals = Totals()
        self._rejected = 0
        self._unreadable = 0
        self._warned = pl.Series(ORDINAL, [], dtype=pl.UInt64)
        self._broken: Counter[tuple[str, str, str]] = Counter()
        self._kept: list[pl.DataFrame] = []
        self._kept_rows = 0

    def check_records(self, progress: Progress | None) -> None:
        done = 0
        for cut, raw in self._chunks():
            self._check_chunk(cut, raw)
            done += cut.records
            if progress:
                progress(done, self._plan.records)

    def check_key(self) -> None:
        """Reject every good record whose key stands in an earlier good record already."""
        suspects = self._keys.suspected_chunks()
        if not suspects:
            return
        columns = [*self._contract.key, *(place for place in (ORDINAL, LINE, BYTE) if place not in self._contract.key)]
        frames = [
            self._keys.suspected_in(self._reader.read(raw, cut.place).frame.select(columns))
            for cut, raw in self._chunks(suspects)
        ]
        repeated = self._keys.repeated(pl.concat(frames))
        violations = repeated.select(
            pl.col(ORDINAL).alias("ordinal"),
            pl.col(LINE).alias("line"),
            pl.col(BYTE).alias("byte"),
            pl.lit(self._contract.key[0]).alias("field"),
            pl.lit("duplicate_key").alias("rule"),
            pl.lit("reject").alias("severity"),
            pl.col(self._contract.key[0]).alias("value"),
        )
        self._rejected += violations.height
        self._warned = self._warned.filter(~self._warned.is_in(violations["ordinal"].implode()))
        self._note(violations)

    def result(self) -> TestResult:
        findings = pl.concat(self._kept) if self._kept else no_violations()
        sums_declared = any(name.startswith("sum.") for name in self._plan.declared)
        return TestResult(
            contract=self._contract,
            layout=self._layout,
            file=self._path,
            plan=self._plan,
            good=self._plan.records - self._rejected,
            rejected=self._rejected,
            warned=self._warned.len(),
            totals=Totals(self._plan.records, self._totals.sums),
            broken=dict(sorted(self._broken.items(), key=lambda item: (-item[1], item[0]))),
            findings=findings.sort("ordinal", maintain_order=True),
            omitted=self._broken.total() - self._kept_rows,
            disagreements=tuple(self._disagreements()),
            compared=not (sums_declared and self._unreadable),
        )

    def _chunks(self, wanted: set[int] | None = None) -> Iterator[tuple[Cut, bytes]]:
        with self._path.open("rb") as file:
            for cut in self._plan.cuts:
                if wanted is None or cut.index in wanted:
                    file.seek(cut.place.first_byte)
                    yield cut, file.read(cut.length)

    def _check_chunk(self, cut: Cut, raw: bytes) -> None:
        chunk = self._reader.read(raw, cut.place)
        found = self._validator.check(chunk.frame)
        good = chunk.frame.filter(found.good)
        warnings = found.violations.filter(pl.col("severity") == "warn")["ordinal"]
        self._warned.append(good[ORDINAL].filter(good[ORDINAL].is_in(warnings.implode())))
        self._unreadable += cut.records - chunk.frame.height
        self._rejected += cut.records - good.height
        self._totals = self._totals + totals_of(chunk.frame, self._contract)
        self._keys.add(good, cut.index)
        self._note(chunk.unreadable)
        self._note(found.violations, lambda kept: self._at_field(kept, chunk.frame, raw, cut.place.first_byte))

    def _note(self, violations: pl.DataFrame, place: Callable[[pl.DataFrame], pl.DataFrame] | None = None) -> None:
        """Count all of them, keep masked as many as there is room for, first records first."""
        for name, rule, severity, count in violations.group_by("field", "rule", "severity").len().iter_rows():
            self._broken[name, rule, severity] += count
        kept = violations.sort("ordinal", maintain_order=True).head(MOST_FINDINGS - self._kept_rows)
        if place is not None:
            kept = place(kept)
        masked = [mask_for(self._contract, name, value) for name, value in kept.select("field", "value").iter_rows()]
        self._kept.append(kept.with_columns(pl.Series("value", masked, dtype=pl.String)).cast(VIOLATIONS))
        self._kept_rows += kept.height

    def _at_field(self, violations: pl.DataFrame, frame: pl.DataFrame, raw: bytes, first_byte: int) -> pl.DataFrame:
        """The byte of each violation moved from the beginning of its record to its field."""
        starts = [*frame[BYTE].to_list(), first_byte + len(raw)]
        following = frame[BYTE].search_sorted(violations["byte"], side="right")
        places = [
            byte + (self._reader.locate(raw[byte - first_byte : starts[after] - first_byte], name) if name else 0)
            for byte, after, name in zip(violations["byte"], following, violations["field"], strict=True)
        ]
        return violations.with_columns(pl.Series("byte", places, dtype=pl.UInt64))

    def _disagreements(self) -> Iterator[Disagreement]:
        counted = {"count": Decimal(self._plan.records)}
        if not self._unreadable:
            counted |= {f"sum.{name}": total for name, total in self._totals.sums.items()}
        for total, declared in self._plan.declared.items():
            if total in counted and _number(declared) != counted[total]:
                yield Disagreement(total, declared, str(counted[total]))


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip() or "0")
    except InvalidOperation:
        return None
