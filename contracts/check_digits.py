"""Check digits: the four methods a contract may name, for one value and for many at once.

Owns: the arithmetic. Whether a wrong digit rejects or only warns is the contract's (宛名番号 numbered before the standard keep their
old numbers, so theirs only warns).

- `individual_number` 個人番号, 12 digits, check digit last: 11 - (sum mod 11), 0 when the remainder is 0 or 1.
- `corporate_number` 法人番号, 13 digits, check digit first: 9 - (sum mod 9).
- `local_government_code` 団体コード, 6 digits, check digit last: last digit of 11 - (sum mod 11).
- `modulus11_w2_7` 宛名番号 and 世帯番号, 2 digits or more, check digit last, weights 2 to 7 from the right: 11 - (sum mod 11), 0 when
  the remainder is 0. The standard is silent on remainder 1; here it gives 0, too.
"""

from __future__ import annotations

from functools import lru_cache, partial
from operator import mul
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.model import CheckDigit

Digits = npt.NDArray[np.uint8]
"""One row per value, one column per digit, each 0 to 9."""
Mask = npt.NDArray[np.bool_]

WIDTHS: Final[dict[CheckDigit, int | None]] = {
    "individual_number": 12,
    "corporate_number": 13,
    "local_government_code": 6,
    "modulus11_w2_7": None,
}
"""Digits a number of each method has; None: any number from 2."""
_NUMBERS: Final = bytes(48) + bytes(range(10)) + bytes(198)
"""For `bytes.translate`: each ASCII digit becomes its number."""


@lru_cache(maxsize=32)
def _weights(method: CheckDigit, width: int) -> tuple[int, ...]:
    """Weight of each digit from the left, 0 for the check digit itself."""
    if method == "individual_number":
        return (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 0)
    if method == "corporate_number":
        return (0, *((2, 1) * 6))
    if method == "local_government_code":
        return (6, 5, 4, 3, 2, 0)
    return (*[2 + index % 6 for index in range(width - 1)][::-1], 0)


def _fits(method: CheckDigit, width: int) -> bool:
    return width >= 2 if WIDTHS[method] is None else width == WIDTHS[method]


def valid(method: CheckDigit, value: str) -> bool:
    """Whether `value` is all digits, as many as the method has, and its check digit is right."""
    if not (value.isascii() and value.isdigit() and _fits(method, len(value))):
        return False
    total: int = sum(map(mul, value.encode().translate(_NUMBERS), _weights(method, len(value))))
    if method == "corporate_number":
        return int(value[0]) == 9 - total % 9
    rest = total % 11
    if method == "local_government_code":
        return int(value[-1]) == (11 - rest) % 10
    return int(value[-1]) == (0 if rest <= 1 else 11 - rest)


def valid_rows(method: CheckDigit, digits: Digits) -> Mask:
    """`valid` for values of one width that are known to be all digits."""
    rows, width = digits.shape
    if not _fits(method, width):
        return np.zeros(rows, np.bool_)
    weights = _weights(method, width)
    total: npt.NDArray[np.uint32] = np.zeros(rows, np.uint32 if width > 1000 else np.uint16)
    for index, weight in enumerate(weights):
        if weight:
            total += digits[:, index] * np.uint8(weight)
    if method == "corporate_number":
        return np.asarray(digits[:, 0] == 9 - total % 9)
    rest = total % 11
    if method == "local_government_code":
        return np.asarray(digits[:, -1] == (11 - rest) % 10)
    return np.asarray(digits[:, -1] == np.where(rest <= 1, 0, 11 - rest))


def expression(method: CheckDigit, text: pl.Expr) -> pl.Expr:
    """`valid` for a column; false for an absent value."""
    return text.map_batches(partial(_valid_series, method), return_dtype=pl.Boolean, is_elementwise=True)


def _valid_series(method: CheckDigit, values: pl.Series) -> pl.Series:
    result = np.zeros(len(values), np.bool_)
    lengths = values.str.len_bytes()
    candidates = values.str.contains(r"\A[0-9]+\z")
    for width in lengths.filter(candidates).unique().to_list():
        rows = np.flatnonzero(((lengths == width) & candidates).to_numpy())
        joined: Any = values.gather(rows).str.join("").cast(pl.Binary).item()
        result[rows] = valid_rows(method, np.frombuffer(joined, np.uint8).reshape(len(rows), width) - np.uint8(48))
    return pl.Series(values.name, result)
