"""Keeping a connection: what is told, and that it ends when it is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

import bus.rabbitmq
from bus.rabbitmq import Connection, keep, told_trouble


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus.rabbitmq, "FIRST_PAUSE_SECONDS", 0.001)


async def nothing(_connection: Connection) -> None:
    """There is nothing to end."""


async def test_an_outage_is_told_once_and_its_end_too() -> None:
    told: list[str] = []
    dialled = 0

    async def dial() -> Connection:
        nonlocal dialled
        dialled += 1
        if dialled in (1, 2, 3, 5):
            raise OSError(111, "Connection refused")
        return cast("Connection", None)

    async def converse(_connection: Connection, up: Callable[[], None]) -> None:
        up()
        if dialled < 6:
            raise TimeoutError

    await keep(dial, converse, lost=lambda error: told.append(told_trouble(error)), back=lambda: told.append("back"), done_with=nothing)
    assert told == ["Connection refused", "back", "no answer in time", "back"]


async def test_what_is_no_trouble_is_raised() -> None:
    async def dial() -> Connection:
        raise KeyError("a fault of ours")

    async def converse(_connection: Connection, _up: Callable[[], None]) -> None: ...

    with pytest.raises(KeyError):
        await keep(dial, converse, lost=print, back=print, done_with=nothing)


async def test_a_cancellation_that_the_library_forgets_still_ends_it() -> None:
    begun = asyncio.Event()

    async def dial() -> Connection:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return cast("Connection", None)  # as asyncio.wait_for may in Python 3.11
        raise AssertionError

    async def converse(_connection: Connection, _up: Callable[[], None]) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(keep(dial, converse, lost=print, back=print, done_with=nothing))
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait((task,), timeout=10)
    assert done
    assert task.cancelled()
