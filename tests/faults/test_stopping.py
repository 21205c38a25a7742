"""Stopping a node at any moment: it ends, whatever happens at the same instant."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest

from bus.adapter_ports import Arrival, Source
from bus.intake_watch import SourceWatch

KEY = ("332020", "drop")


class NothingComes:
    """A source that is asked, and has nothing."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def arrivals(self) -> Iterator[Arrival]:
        return iter(())

    def notes(self) -> list[Any]:
        return []

    def next_look_seconds(self) -> float | None:
        self.asked.set()
        return None


@pytest.mark.parametrize("turns", range(8))
async def test_a_watch_that_is_woken_as_it_is_stopped_stops(turns: int) -> None:
    source = NothingComes()
    watch = SourceWatch({}, cast("Any", None), cast("Any", None))
    watch._wake[KEY] = asyncio.Event()
    attending = asyncio.create_task(watch._attend(KEY, cast("Source", source)))
    await source.asked.wait()
    await asyncio.sleep(0)
    watch._wake[KEY].set()
    for _ in range(turns):
        await asyncio.sleep(0)
    attending.cancel()
    done, _ = await asyncio.wait({attending}, timeout=5)
    assert attending in done
