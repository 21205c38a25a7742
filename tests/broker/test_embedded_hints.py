"""Hints in one process."""

from __future__ import annotations

import asyncio

from hint_laws import HintLaws

from bus.broker.embedded import EmbeddedHints
from bus.broker.hints import Hints


class TestEmbeddedHints(HintLaws):
    """Both ends are the same object."""

    def nodes(self) -> tuple[Hints, Hints]:
        hints = EmbeddedHints()
        return hints, hints


async def test_what_was_taken_is_gone() -> None:
    hints = EmbeddedHints()
    hints.publish(["332020-d1"])
    assert await hints.wait(timeout_seconds=0) == {"332020-d1"}
    assert await hints.wait(timeout_seconds=0) == frozenset()


async def test_too_many_hints_are_dropped_not_kept() -> None:
    hints = EmbeddedHints(most=3)
    for number in range(10):
        hints.publish([f"332020-d{number}"])
    assert len(await hints.wait(timeout_seconds=0)) == 3
    hints.publish(["332020-d99"])
    assert await hints.wait(timeout_seconds=0) == {"332020-d99"}


def test_a_waiter_whose_loop_has_ended_stops_nobody() -> None:
    hints = EmbeddedHints()

    async def leave() -> None:
        task = asyncio.create_task(hints.wait(timeout_seconds=60))
        await asyncio.sleep(0)
        hints._waiters.update({asyncio.get_running_loop().create_future(): asyncio.get_running_loop()})
        task.cancel()

    asyncio.run(leave())
    hints.publish(["332020-d1"])
    assert asyncio.run(hints.wait(timeout_seconds=0)) == {"332020-d1"}
