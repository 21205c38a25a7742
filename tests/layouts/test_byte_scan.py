"""Searching large byte strings: the same as the obvious way, across the borders of blocks too."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import byte_scan
from contracts.byte_scan import (
    Canvas,
    column_of,
    count_angles,
    count_byte,
    count_controls,
    highest,
    offsets_after,
    offsets_of,
    pattern_offsets,
)

DATA = st.binary(max_size=40).map(lambda data: data.replace(b"\xef", b"\xef\x01") + b"end")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_scan, "_BLOCK_BYTES", 4)


@given(data=st.one_of(DATA, st.text(st.sampled_from("a<>\n\xef"), max_size=30).map(lambda text: text.encode("latin-1") + b"e")))
def test_counts_and_offsets_are_those_of_a_plain_loop(data: bytes) -> None:
    assert count_byte(data, 0x3C) == data.count(b"<")
    assert count_angles(data) == data.count(b"<") + data.count(b">")
    assert count_controls(data) == sum(byte < 0x20 for byte in data)
    assert highest(data) == max(data)
    assert offsets_of(data, 0x0A).tolist() == [at for at, byte in enumerate(data) if byte == 0x0A]
    pairs = list(pairwise(data))
    assert pattern_offsets(data, b"\xef\x01").tolist() == [at for at, pair in enumerate(pairs) if pair == (0xEF, 1)]
    expected = [at for at, (one, other) in enumerate(pairs) if one == 0xEF and not 5 <= other <= 0x61]
    assert offsets_after(data, 0xEF, 5, 0x61).tolist() == expected


@pytest.mark.parametrize("size", [0, 1, 30])
def test_a_canvas_becomes_bytes(size: int) -> None:
    canvas = Canvas(size)
    canvas.array()[:] = np.arange(size, dtype=np.uint8)
    assert canvas.finish() == bytes(range(size))


def test_columns_are_copied_by_row() -> None:
    source = np.arange(12, dtype=np.uint8).reshape(3, 4)
    target = np.zeros((3, 6), np.uint8)
    column_of(target, 1, 2)[...] = column_of(source, 2, 2)
    assert target.tolist() == [[0, 2, 3, 0, 0, 0], [0, 6, 7, 0, 0, 0], [0, 10, 11, 0, 0, 0]]
