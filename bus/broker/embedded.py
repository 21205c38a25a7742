"""Hints inside one process: no service, no disk.

Owns: the set of ids that nobody has fetched yet. See `bus.broker.hints` for what a hint promises (nothing).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from itertools import islice


class EmbeddedHints:
    """Hints from any thread to coroutines of one or several event loops. Each hint goes to one waiter.

    At most `most` ids are held; further ones are dropped, which only means that a sweep of the journal finds their deliveries.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._ids: set[str] = set()
        self._waiters: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self._lock = threading.Lock()
        self._closed = False

    def publish(self, delivery_ids: Iterable[str]) -> None:
        """Tell that these deliveries may be claimable. Never blocks, never fails; callable from any thread."""
        with self._lock:
            if self._closed:
                return
            self._ids.update(islice(delivery_ids, self._most - len(self._ids)))
            if self._ids:
                self._wake()

    async def wait(self, *, timeout_seconds: float) -> frozenset[str]:
        """The ids published since the last call, as soon as there are any; empty after `timeout_seconds` or when closed."""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        with self._lock:
            if self._ids or self._closed:
                return self._take()
            self._waiters[woken] = loop
        try:
            await asyncio.wait([woken], timeout=timeout_seconds)
        finally:
            with self._lock:
                self._waiters.pop(woken, None)
        with self._lock:
            return self._take()

    def close(self) -> None:
        """Wake every waiter; later hints are dropped."""
        with self._lock:
            self._closed = True
            self._wake()

    def _take(self) -> frozenset[str]:
        taken = frozenset(self._ids)
        self._ids.clear()
        return taken

    def _wake(self) -> None:
        for waiter, loop in list(self._waiters.items()):
            del self._waiters[waiter]
            if not loop.is_closed():
                loop.call_soon_threadsafe(_finish, waiter)


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
