"""Waiting for several tasks of one piece of work."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


async def all_or_none(work: Sequence[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """All results in order. At the first failure the others are cancelled, awaited, and that failure is raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
