"""Control totals of a frame: records counted and the contract's control sums, exact.

Owns: adding up. A value that is absent or not of its field's type adds nothing; nothing ever overflows or is rounded.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

import polars as pl

from contracts.comparing import comparable
from contracts.model import Contract, ContractField
from contracts.totals import Totals

_EXACT: Final = Context(prec=60)


def totals_of(frame: pl.DataFrame, contract: Contract) -> Totals:
    """The number of rows, and the sum of each field in `control_sums`.

    Raises:
        ValueError: a summed field has more digits than can be added exactly (`contracts.contract_check` finds this earlier).
    """
    if not contract.control_sums:
        return Totals(frame.height)
    fields = [contract.field(name) for name in contract.control_sums]
    sums = frame.select([_sum(field) for field in fields]).row(0)
    return Totals(frame.height, {field.name: _decimal(total, field) for field, total in zip(fields, sums, strict=True)})


def _sum(field: ContractField) -> pl.Expr:
    """Sum of the field's smallest units: 18 digits by 2^63 rows fit into 128 bits."""
    key, fraction = comparable(field).key, _fraction(field)
    units = key if fraction == 0 else (key * 10**fraction).cast(pl.Int128)
    return units.cast(pl.Int128).sum().alias(field.name)


def _fraction(field: ContractField) -> int:
    return field.digits[1] if field.digits else 0


def _decimal(units: int | None, field: ContractField) -> Decimal:
    return Decimal(units or 0).scaleb(-_fraction(field), _EXACT)
