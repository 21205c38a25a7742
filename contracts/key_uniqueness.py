"""Whether a key stands twice in a file, exactly, in little memory.

Owns: a 64-bit hash and a chunk number per record, and the second look that tells a repeated key from two keys with one hash.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from contracts.violations import ORDINAL


class KeySeen:
    """The keys of one file, added chunk by chunk. First `add` every chunk; then ask which chunks to read again; then compare texts."""

    def __init__(self, key: Sequence[str]) -> None:
        self._key = list(key)
        self._parts: list[pl.DataFrame] = []
        self._suspects: pl.DataFrame | None = None

    def add(self, records: pl.DataFrame, chunk: int) -> None:
        """Remember the keys of the chunk's records that count (rejected ones do not)."""
        self._parts.append(
            records.select(pl.struct(self._key).hash().alias("hash"), pl.col(ORDINAL), pl.lit(chunk, dtype=pl.UInt32).alias("chunk"))
        )

    def suspected_chunks(self) -> set[int]:
        """Numbers of the chunks that hold records whose hash stands more than once; empty when every key is unique."""
        if not self._parts:
            return set()
        self._suspects = pl.concat(self._parts).filter(pl.col("hash").is_duplicated())
        return set(self._suspects["chunk"].to_list())

    def suspected_in(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Those rows of a chunk, read again, whose hash stands more than once."""
        assert self._suspects is not None  # noqa: S101 - asked after suspected_chunks
        return frame.join(self._suspects.select(ORDINAL), on=ORDINAL, how="semi")

    def repeated(self, suspected: pl.DataFrame) -> pl.DataFrame:
        """The rows whose key stands in an earlier row already, in file order."""
        return suspected.sort(ORDINAL).filter(~pl.struct(self._key).is_first_distinct())
