"""Rows of a column that might break a rule."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.model import Contract, ContractField

Rows = npt.NDArray[np.int64]


class Scout:
    """Names the rows of one field's column that might break one of its rules; every row it does not name breaks none."""

    def __init__(self, field: ContractField, contract: Contract) -> None:
        self.field = field
        self.counting = contract.counting

    def suspects(self, column: pl.Series) -> Rows:
        """Row numbers, ascending."""
        return np.arange(len(column), dtype=np.int64)
