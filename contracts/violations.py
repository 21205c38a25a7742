"""Broken rules, the same shape whoever found them: a reader of text, a validator of a record or a frame, a writer.

Frames of records carry, besides one String column per contract field (`""` = absent, never null), the place of each record:
`_ordinal` UInt64 (1-based number of the data record in the file), `_line` UInt64 (1-based physical line, or record number when the
layout has no newlines) and `_byte` UInt64 (offset of the record's first byte in the file).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

ORDINAL: Final = "_ordinal"
LINE: Final = "_line"
BYTE: Final = "_byte"
PLACE: Final = (ORDINAL, LINE, BYTE)

VIOLATIONS: Final = pl.Schema(
    {
        "ordinal": pl.UInt64,
        "line": pl.UInt64,
        "byte": pl.UInt64,
        "field": pl.String,
        "rule": pl.String,
        "severity": pl.String,
        "value": pl.String,
    }
)
"""One row per broken rule. `byte`: offset in the file of the field where known, else of the record. `field` is `""` for a rule about
the whole record. `rule` is an id of `contracts/messages/rules.yaml` without `rule.`, or the id of a cross rule. `value` is the value
as found, unmasked: whoever shows it masks it (`contracts.masking`)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that one record breaks, as the record validator reports it."""

    field: str
    rule: str
    severity: str


def no_violations() -> pl.DataFrame:
    """An empty violations frame."""
    return pl.DataFrame(schema=VIOLATIONS)
