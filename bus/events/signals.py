"""Wake-ups inside one process: something happened, whoever waits for it may look.

Owns: who waits for what. A signal is a hint and holds no truth: the journal does, and another node may have changed it, so whoever waits
looks again after a while. Nothing is remembered for those who come later; a watch begun before looking misses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

Key = tuple[str, ...]
"""("pull" | "push", tenant, subscription) or ("reply", message id)."""


class Watch:
    """One waiter's place. Signals that come while it is open are kept until `wait` takes them; several count as one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._rung = asyncio.Event()
        self._calling = False

    def wake(self) -> None:
        """End the current or the next `wait`. From any thread; harmless after the loop has ended."""
        if self._loop is _running_loop():
            self._rung.set()
        elif not self._calling:
            self._calling = True  # one call on its way is enough, however many signals come
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._called)

    def _called(self) -> None:
        self._calling = False
        self._rung.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for a signal. False: none came in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class Signals:
    """Wake-ups by key. `notify` may be called from any thread and costs one look into a dict when nobody waits."""

    def __init__(self) -> None:
        self._watches: dict[Key, tuple[Watch, ...]] = {}
        self._lock = threading.Lock()

    def notify(self, key: Key) -> None:
        """Wake everybody who watches `key`."""
        for watch in self._watches.get(key, ()):
            watch.wake()

    @contextlib.contextmanager
    def watching(self, key: Key) -> Iterator[Watch]:
        """A watch on `key` for as long as the context lasts. To be used in an event loop: begin it, look, then wait, and look again."""
        watch = Watch(asyncio.get_running_loop())
        with self._lock:
            self._watches[key] = (*self._watches.get(key, ()), watch)
        try:
            yield watch
        finally:
            with self._lock:
                left = tuple(other for other in self._watches[key] if other is not watch)
                if left:
                    self._watches[key] = left
                else:
                    del self._watches[key]

    async def wait(self, key: Key, timeout_seconds: float) -> bool:
        """Wait for the next signal of `key`. False: none came in time."""
        with self.watching(key) as watch:
            return await watch.wait(timeout_seconds)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
