"""Many records checked against their contract at once: the batch side of validation.

Owns: finding every broken rule of every record of a chunk, fast. It reports exactly what `contracts.record_validator` reports for each
record (a property test holds the two together).

How: `contracts.scouts` looks at the bytes of each column and names the few rows that might break a rule; only those are put to the
exact expressions of `contracts.field_expressions`. Cross rules are one `select` over the whole chunk. Whatever is rare is slow, and
whatever is common is a handful of vector operations per column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.column_bytes import Rows
from contracts.field_expressions import FieldExpression, field_expressions
from contracts.field_rules import severity_of
from contracts.model import Contract, ContractField, CrossRule, fields_in
from contracts.rules import expression
from contracts.scouts import Scout
from contracts.violations import BYTE, LINE, ORDINAL, VIOLATIONS, no_violations

Mask = npt.NDArray[np.bool_]
_NO_ROWS: Final[Rows] = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Findings:
    """`good`: one truth per row, false where a rule of severity reject is broken. `violations`: a violations frame, in row order."""

    good: pl.Series
    violations: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Label:
    """What one kind of violation says of itself."""

    field: str
    rule: str
    severity: str


@dataclass(frozen=True, slots=True)
class _CrossCheck:
    rule: CrossRule
    fields: tuple[str, ...]
    broken: pl.Expr


class FrameValidator:
    """Checks frames of one contract; reusable, without state between frames."""

    def __init__(self, contract: Contract) -> None:
        """Compile the contract.

        Raises:
            ValueError: a pattern, limit or condition of the contract cannot be used (`contracts.contract_check` finds these earlier).
        """
        self.contract = contract
        self._fields = [_FieldCheck(field, contract) for field in contract.fields]
        trusted = frozenset(field.name for field in contract.fields if _form_is_certain(field))
        self._cross = [_cross_check(rule, contract, trusted) for rule in contract.rules]
        labels = [label for check in self._fields for label in check.labels]
        self._first_cross = len(labels)
        labels += [_Label(check.rule.field, check.rule.id, check.rule.severity) for check in self._cross]
        self._labels = pl.DataFrame(
            {
                "field": [label.field for label in labels],
                "rule": [label.rule for label in labels],
                "severity": [label.severity for label in labels],
            },
            schema={"field": pl.String, "rule": pl.String, "severity": pl.String},
        )

    def check(self, frame: pl.DataFrame) -> Findings:
        """Every broken rule of every row.

        Args:
            frame: one String column per contract field, without nulls, and the place columns (see `contracts.violations`); a frame
                without places is numbered from 1. Other columns are not looked at.

        Returns:
            Violations by row, within a row in the contract's order of fields, then cross rules.

        Raises:
            ColumnNotFoundError: of polars, when a field of the contract has no column.
        """
        rejected: dict[str, Rows] = {}
        found: list[tuple[int, Rows]] = []
        first_label = 0
        for check in self._fields:
            broken = check.check(frame.get_column(check.name))
            found.extend((first_label + index, rows) for index, rows in broken.by_rule)
            if len(broken.rejected):
                rejected[check.name] = broken.rejected
            first_label += len(check.labels)
        good = np.ones(frame.height, np.bool_)
        for rows in rejected.values():
            good[rows] = False
        for index, rows in self._cross_rules(frame, rejected):
            found.append((self._first_cross + index, rows))
            if self._cross[index].rule.severity == "reject":
                good[rows] = False
        return Findings(pl.Series("good", good), self._violations(frame, found))

    def _cross_rules(self, frame: pl.DataFrame, rejected: dict[str, Rows]) -> list[tuple[int, Rows]]:
        if not self._cross or not frame.height:
            return []
        results = frame.select([check.broken.alias(str(index)) for index, check in enumerate(self._cross)])
        found = []
        for index, (check, column) in enumerate(zip(self._cross, results.get_columns(), strict=True)):
            if not column.any():
                continue
            rows = column.arg_true().to_numpy().astype(np.int64)
            unclear = [rejected[name] for name in check.fields if name in rejected]
            if unclear:
                rows = np.setdiff1d(rows, np.concatenate(unclear))
            if len(rows):
                found.append((index, rows))
        return found

    def _violations(self, frame: pl.DataFrame, found: list[tuple[int, Rows]]) -> pl.DataFrame:
        if not found:
            return no_violations()
        fields = self._labels.get_column("field")
        label = np.concatenate([np.full(len(rows), index, np.uint32) for index, rows in found])
        row = np.concatenate([rows for _, rows in found])
        values = pl.concat([frame.get_column(fields[index]).gather(rows).alias("value") for index, rows in found], rechunk=True)
        order = np.lexsort((label, row))
        row, labels = row[order], self._labels[label[order]]
        return pl.DataFrame(
            [
                *(_place(frame, name, row).alias(title) for name, title in ((ORDINAL, "ordinal"), (LINE, "line"), (BYTE, "byte"))),
                *labels.get_columns(),
                values.gather(order),
            ],
        ).cast(VIOLATIONS)


def _place(frame: pl.DataFrame, name: str, rows: Rows) -> pl.Series:
    if name in frame.columns:
        return frame.get_column(name).gather(rows)
    return pl.Series(name, rows + 1 if name == ORDINAL else np.zeros(len(rows), np.uint64))


def _form_is_certain(field: ContractField) -> bool:
    """Whether a value of the field that is not rejected has the form of its type and fits its length."""
    return severity_of(field, "type") == severity_of(field, "length") == "reject"


def _cross_check(rule: CrossRule, contract: Contract, trusted: frozenset[str]) -> _CrossCheck:
    broken = ~expression(rule.then, contract, trusted=trusted)
    fields = {rule.field} | fields_in(rule.then)
    if rule.when is not None:
        broken = expression(rule.when, contract, trusted=trusted) & broken
        fields |= fields_in(rule.when)
    return _CrossCheck(rule, tuple(sorted(fields)), broken)


@dataclass(frozen=True, slots=True)
class _Broken:
    """Rows that break each rule of one field (by position in its labels), and all rows rejected for it."""

    by_rule: list[tuple[int, Rows]]
    rejected: Rows


_NOTHING: Final = _Broken([], _NO_ROWS)


class _FieldCheck:
    """One field's rules over a column."""

    def __init__(self, field: ContractField, contract: Contract) -> None:
        self.name = field.name
        self._rules: list[FieldExpression] = field_expressions(field, contract)
        self._scout = Scout(field, contract)
        self.labels = [_Label(field.name, rule.rule, rule.severity) for rule in self._rules]
        self._select = [rule.broken.alias(str(index)) for index, rule in enumerate(self._rules)]

    def check(self, column: pl.Series) -> _Broken:
        suspects = self._scout.suspects(column)
        if not len(suspects):
            return _NOTHING
        everything = len(suspects) == len(column)
        picked = column if everything else column.gather(suspects)
        results = picked.alias(self.name).to_frame().select(self._select)
        ended = np.zeros(len(suspects), np.bool_)
        by_rule: list[tuple[int, Rows]] = []
        for index, (rule, result) in enumerate(zip(self._rules, results.get_columns(), strict=True)):
            if not result.any():
                continue
            broken = result.to_numpy() & ~ended
            if not broken.any():
                continue
            by_rule.append((index, suspects[broken]))
            if rule.severity == "reject":
                ended |= broken
        return _Broken(by_rule, suspects[ended])
