"""How long a text is, counted as its contract says; never in bytes.

Owns: the two ways of counting. `code_points`: every Unicode code point is one, a variation selector too. `utf16_units`: as languages
with 16-bit characters count, so a character outside the basic plane is two.
"""

from __future__ import annotations

import polars as pl

from contracts.model import Counting


def count(text: str, counting: Counting) -> int:
    """Length of one text."""
    if counting == "code_points":
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)


def count_expression(text: pl.Expr, counting: Counting) -> pl.Expr:
    """Length of each text of a column."""
    characters = text.str.len_chars()
    if counting == "code_points":
        return characters
    return characters + text.str.count_matches(r"[\x{10000}-\x{10FFFF}]")
