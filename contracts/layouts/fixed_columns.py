"""Columns of text as rows of bytes of fixed width, padded: the inner work of the fixed-length writer.

Owns: three ways to the same result. `ascii_rows`: values and padding are ASCII. `wide_rows`: pure two-byte text by 16-bit units, many
columns at once; anything else byte by byte, column by column.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.characters import Codes, Encoding, codes_of, encode, encode_codes, strange_in_utf8
from contracts.layouts.columns import BoundColumn

Bytes = npt.NDArray[np.uint8]
Lengths = npt.NDArray[np.int64]
Column = tuple[BoundColumn, pl.Series]

_BETWEEN: Final = "\x1f"
_BLANK: Final = 0x20


class CannotWrite(Exception):
    """Some value has a character that may not be written, or is wider than its column; which one is for others to find."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns side by side as rows of bytes: each column with its offset in `table`."""

    table: Bytes
    places: list[tuple[BoundColumn, int]]


def ascii_rows(columns: Sequence[Column]) -> Rows:
    """Pad and lay out columns of ASCII text.

    Raises:
        CannotWrite: a control character, or a value too wide.
    """
    padded = [_padded(column, text).alias(f"c{index}") for index, (column, text) in enumerate(columns)]
    widths = [column.width for column, _ in columns]
    data = np.frombuffer(_joined(padded), np.uint8)
    height, stride = len(padded[0]), sum(widths) + len(widths)
    # each value is at least as wide as its column, so the right number of bytes means that all are exactly as wide
    if len(data) != height * stride or np.count_nonzero(data < 0x20) != height * len(widths) or (data == 0x7F).any():
        raise CannotWrite
    offsets = np.cumsum([0, *(width + 1 for width in widths[:-1])]).tolist()
    return Rows(data.reshape(height, stride), [(column, offset) for (column, _), offset in zip(columns, offsets, strict=True)])


def _padded(column: BoundColumn, text: pl.Series) -> pl.Series:
    if bool((text.str.len_bytes() == column.width).all()):
        return text
    if column.column.justify == "left":
        return text.str.pad_end(column.width, column.pad)
    return text.str.zfill(column.width) if column.pad == "0" else text.str.pad_start(column.width, column.pad)


def _joined(columns: Sequence[pl.Series]) -> bytes:
    """All values in record order, each followed by one control byte."""
    target = io.BytesIO()
    pl.DataFrame(columns).write_csv(
        target, include_header=False, separator=_BETWEEN, line_terminator="\n", quote_style="never", batch_size=16_384
    )
    return target.getvalue()


def wide_rows(columns: Sequence[Column], encoding: Encoding) -> list[Rows]:
    """Pad and lay out columns of any text.

    Raises:
        CannotWrite: a character that may not be written, or a value too wide.
    """
    if encoding == "cp932":
        names = [text.alias(f"c{index}") for index, (_, text) in enumerate(columns)]
        codes = codes_of(_joined(names).decode("utf-8"))
        ends = np.flatnonzero(codes < 0x100)
        if len(ends) == len(columns) * len(names[0]):
            if (codes[ends] >= 0x20).any() or not codes[ends].all():
                raise CannotWrite
            return [_two_byte_rows(columns, codes, ends)]
    return [_any_rows(column, text, encoding) for column, text in columns]


def _two_byte_rows(columns: Sequence[Column], codes: Codes, ends: Lengths) -> Rows:
    """Columns in which every character has two bytes; `ends`: where each value ends in `codes`."""
    lengths = np.diff(ends, prepend=-1).reshape(-1, len(columns)) - 1
    halves = np.array([column.width // 2 for column, _ in columns])
    if (lengths > halves).any():
        raise CannotWrite
    # one unit more than the halves for a column of odd width: half of it is the blank at the far end from the value
    units = [column.width // 2 + column.width % 2 for column, _ in columns]
    table = np.empty((len(lengths), sum(units)), ">u2")
    mask = np.zeros((len(lengths), sum(units)), np.bool_)
    places: list[tuple[BoundColumn, int]] = []
    at = 0
    for index, (column, _) in enumerate(columns):
        half, odd, left = column.width // 2, column.width % 2, column.column.justify == "left"
        first = at if left else at + odd
        here = slice(first, first + half)
        if odd:
            table[:, at : at + units[index]] = _BLANK << 8 | _BLANK
        pad = encode(column.pad, "cp932")
        table[:, here] = int.from_bytes(pad * (2 // len(pad)), "big")
        position = np.arange(half, dtype=np.int32)
        length = lengths[:, index, None].astype(np.int32)
        mask[:, here] = position < length if left else position >= half - length
        places.append((column, 2 * at if left else 2 * at + odd))
        at += units[index]
    table[mask] = codes[codes >= 0x100]
    return Rows(table.view(np.uint8).reshape(len(lengths), -1), places)


def _any_rows(column: BoundColumn, text: pl.Series, encoding: Encoding) -> Rows:
    """One column of whatever mixture, by bytes."""
    utf8 = _joined([text.alias("c")])
    if encoding == "utf-8":
        if strange_in_utf8(utf8):
            raise CannotWrite
        raw = utf8
    else:
        codes = codes_of(utf8.decode("utf-8"))
        if not codes.all():
            raise CannotWrite
        raw = encode_codes(codes)
    stream = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(stream < 0x20)
    lengths = np.diff(ends, prepend=-1) - 1
    if len(ends) != len(text) or (lengths > column.width).any() or (stream == 0x7F).any():
        raise CannotWrite
    table = _padding(column, column.width - lengths, encoding)
    position = np.arange(column.width)
    left = column.column.justify == "left"
    mask = position < lengths[:, None] if left else position >= (column.width - lengths)[:, None]
    table[mask] = stream[stream >= 0x20]
    return Rows(table, [(column, 0)])


def _padding(column: BoundColumn, free: Lengths, encoding: Encoding) -> Bytes:
    """Rows of padding: whole padding characters in the free bytes, blanks in what is left over at the far end from the value."""
    pad = np.frombuffer(encode(column.pad, encoding), np.uint8)
    position = np.arange(column.width) - (column.width - free)[:, None] if column.column.justify == "left" else None
    if position is None:
        position = np.broadcast_to(np.arange(column.width), (len(free), column.width)) - (free % len(pad))[:, None]
        return np.where(position < 0, np.uint8(_BLANK), pad[position % len(pad)])
    whole = (free - free % len(pad))[:, None]
    return np.where(position >= whole, np.uint8(_BLANK), pad[position % len(pad)])
