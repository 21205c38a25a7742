"""From the columns of a layout as they were read to a frame of the contract's fields in canonical text.

Owns: constants that must match, text forms per column, fields the layout does not have (absent), the order of columns. Shared by the
CSV and the fixed-length reader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.layouts.columns import BoundColumn
from contracts.layouts.refusals import Refusals
from contracts.layouts.text_forms import canonical
from contracts.model import Contract

Indices = npt.NDArray[np.int64]
Locate = Callable[[int, int], int]
"""(record index in the chunk, column index) to the offset of that column within the record."""


def canonical_columns(
    bound: Sequence[BoundColumn],
    contract: Contract,
    read: Sequence[pl.Series],
    records: Indices,
    refusals: Refusals,
    locate: Locate,
) -> pl.DataFrame:
    """The records as a frame; those that break `constant` or `date_form` are noted in `refusals` and left out.

    `read[i]` is the text of column i for each of `records` (indices in the chunk). The frame's `_record` column holds those indices.
    """
    by_name: dict[str, pl.Series] = {}
    before = len(refusals.rows)
    for column, text in zip(bound, read, strict=True):
        if column.field is None:
            hits, rule = _not_constant(column, text), "constant"
        else:
            by_name[column.name], hits = canonical(column, text)
            rule = "date_form"
        if hits is not None:
            for row in np.flatnonzero(hits.to_numpy()).tolist():
                record = int(records[row])
                refusals.add(record, rule, field_name=column.name, offset=locate(record, column.index), value=text[row])
    absent = pl.Series("", [""], pl.String).new_from_index(0, len(records))
    columns = [by_name[name].alias(name) if name in by_name else absent.alias(name) for name in contract.names]
    frame = pl.DataFrame([*columns, pl.Series("_record", records)])
    if len(refusals.rows) == before:
        return frame
    return frame.filter(~pl.Series(np.isin(records, sorted(refusals.records))))


def _not_constant(column: BoundColumn, text: pl.Series) -> pl.Series | None:
    expected, found = column.constant, text
    if column.width:
        found = text.str.strip_chars_end(" ") if column.column.justify == "left" else text.str.strip_chars_start(" ")
    hits = found != expected
    return hits if hits.any() else None
