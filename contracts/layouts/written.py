"""What every writer does with a frame first: the written text of each column, and the rows that cannot be written.

Owns: refusing rows for what stands in a value (`date_form`, `unrepresentable`, `private_use`, `control_character`). Widths and quotes
are each writer's own. The examination of characters is exact and costs time; writers ask for it only when the bytes they made look wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.characters import Encoding, codes_of, rule_of
from contracts.layouts.columns import BoundColumn
from contracts.layouts.refusals import of_rows
from contracts.layouts.text_forms import written_dates
from contracts.violations import no_violations

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Refused:
    """Rows of a frame that break one rule, and their violations."""

    rows: Flags
    violations: pl.DataFrame

    @staticmethod
    def of(frame: pl.DataFrame, rows: Flags, field_name: str, rule: str, value: pl.Series) -> Refused:
        """`rows` of `frame` break `rule` in `field_name`."""
        return Refused(rows, of_rows(frame, pl.Series(rows), field_name, rule, value))


def written_columns(bound: Sequence[BoundColumn], frame: pl.DataFrame) -> tuple[list[pl.Series], list[Refused]]:
    """The text of each column for each row, unpadded, and violations of `date_form` (those rows are still in the columns)."""
    columns: list[pl.Series] = []
    refused: list[Refused] = []
    for column in bound:
        if column.field is None:
            columns.append(pl.Series("", [column.constant], pl.String).new_from_index(0, frame.height))
            continue
        source = frame.get_column(column.name)
        text, lost = written_dates(column, source)
        columns.append(text)
        if lost is not None:
            refused.append(Refused.of(frame, lost.to_numpy(), column.name, "date_form", source))
    return columns, refused


def examine(
    bound: Sequence[BoundColumn], columns: Sequence[pl.Series], frame: pl.DataFrame, encoding: Encoding, *, newlines: bool
) -> list[Refused]:
    """Which rows hold characters that may not be written; `newlines`: CR LF and LF may stand in a value."""
    refused: list[Refused] = []
    for column, text in zip(bound, columns, strict=True):
        rows = _suspected_rows(text, encoding)
        broken = {row: rule for row in rows.tolist() if (rule := _rule_for(text[row], encoding, newlines=newlines))}
        for rule in dict.fromkeys(broken.values()):
            hits = np.zeros(len(text), np.bool_)
            hits[[row for row, its_rule in broken.items() if its_rule == rule]] = True
            refused.append(Refused.of(frame, hits, column.name, rule, text))
    return refused


def _suspected_rows(text: pl.Series, encoding: Encoding) -> npt.NDArray[np.int64]:
    """Rows that may hold such characters: those with control characters, private use, or nothing to represent them."""
    # a value's own line feeds must not count as the ends of rows: they become another character the rule also asks about
    plain = text.str.replace_all("\n", "\r", literal=True)
    joined = str(plain.str.join("\n").item()) if len(plain) else ""
    units = np.frombuffer(joined.encode("utf-16-le", "surrogatepass"), "<u2")
    strange = (units < 0x20) | ((units >= 0x7F) & (units < 0xA0)) | ((units >= 0xD800) & (units < 0xF900)) | (units >= 0xFDD0)
    if encoding == "cp932":
        strange |= codes_of(joined) == 0
    ends = units == 0x0A
    strange &= ~ends
    at = np.flatnonzero(strange)
    return np.unique(np.searchsorted(np.flatnonzero(ends), at))


def _rule_for(value: str, encoding: Encoding, *, newlines: bool) -> str | None:
    """The first rule a value breaks in `encoding`, or None."""
    for at, character in enumerate(value):
        rule = rule_of(character)
        if rule == "control_character" and newlines and (character == "\n" or value[at : at + 2] == "\r\n"):
            continue
        if rule:
            return "unrepresentable" if rule == "undecodable" else rule
    return "unrepresentable" if encoding == "cp932" and not codes_of(value).all() else None


def good_rows(height: int, refused: Sequence[Refused]) -> pl.Series:
    """True for each row that nothing refuses."""
    bad = np.zeros(height, np.bool_)
    for each in refused:
        bad |= each.rows
    return pl.Series(~bad)


def as_one(refused: Sequence[Refused]) -> pl.DataFrame:
    """All violations in the order of the records."""
    return pl.concat([no_violations(), *(each.violations for each in refused)]).sort("ordinal", maintain_order=True)
