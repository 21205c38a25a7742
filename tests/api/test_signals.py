"""Signals wake exactly those who watch, from any thread, and none is lost between looking and waiting."""

from __future__ import annotations

import asyncio
import threading

from bus.events.signals import Signals

KEY = ("pull", "332020", "welfare")


async def test_a_signal_wakes_everybody_on_its_key_and_nobody_else() -> None:
    signals = Signals()
    with signals.watching(KEY) as one, signals.watching(KEY) as two, signals.watching(("pull", "332020", "tax")) as other:
        signals.notify(KEY)
        assert await one.wait(5)
        assert await two.wait(5)
        assert not await other.wait(0)


async def test_a_signal_between_looking_and_waiting_is_kept_and_several_count_as_one() -> None:
    signals = Signals()
    with signals.watching(KEY) as watch:
        signals.notify(KEY)
        signals.notify(KEY)
        assert await watch.wait(5)
        assert not await watch.wait(0)


async def test_a_signal_comes_from_another_thread() -> None:
    signals = Signals()
    waiting = asyncio.create_task(signals.wait(KEY, 30))
    await asyncio.sleep(0)
    thread = threading.Thread(target=lambda: [signals.notify(KEY) for _ in range(1000)])
    thread.start()
    assert await waiting
    thread.join()


async def test_nothing_is_remembered_of_those_who_left() -> None:
    signals = Signals()
    assert not await signals.wait(KEY, 0)
    signals.notify(KEY)
    assert not await signals.wait(KEY, 0)
    assert not signals._watches


def test_a_watch_of_a_loop_that_ended_harms_nobody() -> None:
    signals = Signals()

    async def watch() -> None:
        signals.watching(KEY).__enter__()

    asyncio.run(watch())
    signals.notify(KEY)
