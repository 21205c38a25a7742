"""Counting again from the bytes that were written, before anyone may see them.

Owns: the last check. The bytes are read back from the file; their hash must be that of what was rendered, and the records and sums
found in them, by the layout's own reading, must be the totals that were booked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xxhash

from bus.batch.recipe import WriteRecipe, writing
from bus.batch.task import Ask
from bus.direct_io import read_at
from bus.errors import TotalsDisagree
from bus.message import DeliveryChunkDone
from contracts.totals import Totals


@dataclass(frozen=True, slots=True)
class Recount:
    """Recount the records that `written` says stand in `path`."""

    delivery_id: str
    path: Path
    written: DeliveryChunkDone
    recipe: WriteRecipe

    def __call__(self, ask: Ask) -> Totals:  # noqa: ARG002 - every task is called with it
        """The totals found.

        Raises:
            TotalsDisagree: other bytes, other records or other sums than were rendered.
        """
        data = read_at(self.path, self.written.offset, self.written.length)
        place = {"delivery": self.delivery_id, "chunk": self.written.index, "offset": self.written.offset}
        if xxhash.xxh3_128_hexdigest(data) != self.written.hash:
            raise TotalsDisagree("RNK4005E", length=self.written.length, **place)
        found = writing(self.recipe).writer.recount(data)
        if not same_totals(found, self.written.out):
            raise TotalsDisagree("RNK4006E", expected=self.written.out.as_json(), found=found.as_json(), **place)
        return found


def same_totals(one: Totals, other: Totals) -> bool:
    """Equal in records and in every sum, a missing sum being zero."""
    difference = one - other
    return difference.records == 0 and not any(difference.sums.values())
