"""Noticing that a caller hangs up while it waits for its answer.

Owns: the one task that listens to the connection of a request whose body was read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.types import Receive

from bus.events.callers import Caller, Callers


@contextlib.asynccontextmanager
async def present(callers: Callers, receive: Receive) -> AsyncIterator[Caller]:
    """The caller, for as long as its request lasts; it leaves when its connection ends or the node does."""
    with callers.one() as caller:
        listening = asyncio.create_task(_listen(caller, receive))
        try:
            yield caller
        finally:
            listening.cancel()


async def _listen(caller: Caller, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    caller.leave()
