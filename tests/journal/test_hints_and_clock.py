"""Hints in one process, and the clocks."""

from __future__ import annotations

import asyncio
import threading
import time

from bus.broker.embedded import EmbeddedHints
from bus.broker.hints import Hints
from bus.clock import ManualClock, SystemClock


async def test_what_is_published_is_waited_for_once() -> None:
    hints: Hints = EmbeddedHints()
    hints.publish(["332020-d1", "332020-d2", "332020-d1"])
    assert await hints.wait(timeout_seconds=60) == {"332020-d1", "332020-d2"}
    assert await hints.wait(timeout_seconds=0) == frozenset()


async def test_a_hint_of_another_thread_wakes_who_waits() -> None:
    hints = EmbeddedHints()
    waiting = asyncio.create_task(hints.wait(timeout_seconds=60))
    await asyncio.sleep(0)  # the task reaches its wait
    thread = threading.Thread(target=hints.publish, args=(["332020-d1"],))
    thread.start()
    assert await asyncio.wait_for(waiting, 5) == {"332020-d1"}
    thread.join()


async def test_no_hint_is_no_failure() -> None:
    assert await EmbeddedHints().wait(timeout_seconds=0.001) == frozenset()


async def test_a_waiter_that_is_cancelled_takes_nothing_with_it() -> None:
    hints = EmbeddedHints()
    waiting = asyncio.create_task(hints.wait(timeout_seconds=60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    hints.publish(["332020-d1"])
    assert await hints.wait(timeout_seconds=0) == {"332020-d1"}


async def test_closing_wakes_every_waiter_and_drops_what_comes_later() -> None:
    hints = EmbeddedHints()
    waiting = [asyncio.create_task(hints.wait(timeout_seconds=60)) for _ in range(3)]
    await asyncio.sleep(0)
    hints.close()
    assert await asyncio.gather(*waiting) == [frozenset()] * 3
    hints.publish(["332020-d1"])
    assert await hints.wait(timeout_seconds=60) == frozenset()


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


def test_the_system_clock_tells_utc_microseconds() -> None:
    before = time.time()
    now = SystemClock().now_us() / 1_000_000
    assert before - 0.001 <= now <= time.time() + 0.001


def test_a_manual_clock_moves_by_hand_in_both_directions() -> None:
    clock = ManualClock(10_000_000)
    assert clock.advance(1.5) == clock.now_us() == 11_500_000
    assert clock.advance(-11) == 500_000
    clock.set_us(7)
    assert clock.now_us() == 7
