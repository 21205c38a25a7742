"""Which rows of a column might break a rule of their field, found by looking at the column's bytes with a few vector operations.

Owns: speed without saying what a rule means. A scout may name a row that breaks nothing, never leave out one that breaks something;
the rows it names are put to the exact expressions. Columns of one value throughout are judged by that value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.check_digits import valid_rows
from contracts.column_bytes import ColumnBytes, Rows, unique_ascending
from contracts.comparing import comparable, kind_of, literal
from contracts.field_rules import open_values
from contracts.model import Contract, ContractField
from contracts.patterns import read_pattern
from contracts.type_scouts import not_of_type

FEW_ROWS: Final = 16
NONE: Final[Rows] = np.empty(0, np.int64)
_MOST_COMPARED: Final = 24
Look = Callable[[ColumnBytes], Rows]


class Scout:
    """Names the rows of one field's column that might break one of its rules; every row it does not name breaks none."""

    def __init__(self, field: ContractField, contract: Contract) -> None:
        """Plan for one field.

        Raises:
            ValueError: a pattern or limit of the field cannot be used.
        """
        self.field = field
        self.utf16 = contract.counting == "utf16_units"
        self._looks = list(self._plan(contract))

    def suspects(self, column: pl.Series) -> Rows:
        """Row numbers, ascending; all rows when they are few."""
        rows = len(column)
        if rows < FEW_ROWS:
            return np.arange(rows, dtype=np.int64)
        found = self._look(column.head(1)) if _one_value(column) else None
        if found is not None:
            return np.arange(rows, dtype=np.int64) if len(found) else NONE
        return self._look(column)

    def _look(self, column: pl.Series) -> Rows:
        seen = ColumnBytes(column)
        parts = []
        if self.field.required and seen.absent:
            parts.append(np.flatnonzero(seen.lengths == 0))
        if seen.longest:
            parts += [part for look in self._looks if len(part := look(seen))]
        if len(parts) < 2:
            return parts[0] if parts else NONE
        return unique_ascending(np.sort(np.concatenate(parts)))

    def _plan(self, contract: Contract) -> Iterator[Look]:
        field = self.field
        if field.length is not None:
            yield self._exact_length(field.length) if field.exact else self._greatest_length(field.length)
        yield not_of_type(field)
        if field.codes is not None:
            yield _codes(list(contract.code_tables[field.codes].values))
        if field.pattern is not None:
            yield _pattern(field.pattern)
        if field.minimum is not None or field.maximum is not None:
            yield _range(field)
        if field.check_digit is not None:
            method = field.check_digit

            def check_digit(seen: ColumnBytes) -> Rows:
                if not seen.within(0x30, 0x39) or not seen.uniform():
                    return seen.present
                found = [first + np.flatnonzero(~valid_rows(method, lines - np.uint8(0x30))) for first, lines in seen.row_blocks()]
                return seen.present[np.concatenate(found)]

            yield check_digit

    def _greatest_length(self, length: int) -> Look:
        def too_long(seen: ColumnBytes) -> Rows:
            if seen.longest <= length:
                return NONE
            return np.flatnonzero(seen.lengths > length * self._least_bytes(seen))

        return too_long

    def _exact_length(self, length: int) -> Look:
        def other_length(seen: ColumnBytes) -> Rows:
            least = self._least_bytes(seen)
            if (least == 1 and seen.highest_byte >= 0x80) or (least == 3 and seen.highest_byte >= 0xF0):
                return seen.present
            if seen.longest == length * least and not seen.absent and seen.uniform():
                return NONE
            return np.flatnonzero((seen.lengths != length * least) & (seen.lengths != 0))

        return other_length

    def _least_bytes(self, seen: ColumnBytes) -> int:
        """A number of bytes that each character (as it is counted) has at least: 3 for the usual full-width text, else 1."""
        if seen.lowest_byte < 0x80 or (self.utf16 and seen.highest_byte >= 0xF0):
            return 1
        two_byte_leads = (seen.data >= 0xC0) & (seen.data < 0xE0)
        return 1 if two_byte_leads.any() else 3


def _one_value(column: pl.Series) -> bool:
    """Whether all rows are the same; a few are compared first, so that the answer no costs next to nothing."""
    rows = len(column)
    first = column[0]
    if any(column[rows * part // 8 - 1] != first for part in range(1, 9)):
        return False
    return bool((column == first).all())


def _codes(codes: list[str]) -> Look:
    """Values of one byte or two are compared with each code; anything longer, or a long list, is looked up."""
    encoded = [code.encode() for code in codes]

    def looked_up(seen: ColumnBytes) -> Rows:
        unknown = seen.column.to_frame("value").select((pl.col("value") != "") & ~pl.col("value").is_in(codes))
        return unknown.to_series().arg_true().to_numpy().astype(np.int64)

    def compared(seen: ColumnBytes) -> Rows:
        width = seen.longest
        if width > 2 or not seen.uniform():
            return looked_up(seen)
        values = seen.data.view(np.uint8 if width == 1 else np.uint16)
        known = np.zeros(len(values), np.bool_)
        for code in encoded:
            if len(code) == width:
                known |= values == int.from_bytes(code, "little")
        return NONE if known.all() else seen.present[~known]

    return compared if len(codes) <= _MOST_COMPARED else looked_up


def _pattern(text: str) -> Look:
    """A pattern that is one class of ASCII characters is checked on the bytes; any other by the engine."""
    pattern = read_pattern(text)
    anchored = pattern.polars()
    one_class = pattern.one_ascii_class()

    def by_engine(seen: ColumnBytes) -> Rows:
        broken = seen.column.to_frame("value").select(~pl.col("value").str.contains(anchored) & (pl.col("value") != ""))
        return broken.to_series().arg_true().to_numpy().astype(np.int64)

    if one_class is None:
        return by_engine
    allowed, least, most = one_class
    refused = np.ones(256, np.bool_)
    refused[list(allowed)] = False
    lowest, highest = min(allowed), max(allowed)
    without_gaps = len(allowed) == highest - lowest + 1

    def by_class(seen: ColumnBytes) -> Rows:
        if least > 1 or seen.longest > most:
            wrong: npt.NDArray[np.bool_] = (seen.lengths > most) | ((seen.lengths < least) & (seen.lengths != 0))
            lengths = np.flatnonzero(wrong)
        else:
            lengths = NONE
        if without_gaps and seen.within(lowest, highest):
            return lengths
        others = seen.rows_at(np.flatnonzero(refused[seen.data]))
        return unique_ascending(np.sort(np.concatenate([lengths, others])))

    return by_class


def _range(field: ContractField) -> Look:
    """Values beyond a limit, by the engine; it need not look at their form, for a row too many does no harm."""
    outside = pl.lit(value=False)
    key = comparable(field, trusted=True).key
    if field.minimum is not None:
        outside |= key < literal(field, field.minimum)
    if field.maximum is not None:
        outside |= key > literal(field, field.maximum)
    column = pl.col(field.name)
    outside = outside.fill_null(value=kind_of(field) == "number") & (column != "") & ~column.is_in(list(open_values(field)))

    def beyond(seen: ColumnBytes) -> Rows:
        rows = seen.column.alias(field.name).to_frame().select(outside.alias("outside"))
        return rows.to_series().arg_true().to_numpy().astype(np.int64)

    return beyond
