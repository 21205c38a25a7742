"""Who waits at the other end of a connection, and whether it is still there.

Owns: one answer to "may I go on for this caller?": not once it has hung up, nor once the node is ending. What waits on a caller's behalf
is woken when it leaves, so that a long wait ends at once and nothing is claimed for nobody.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class Caller:
    """One caller. Used from the event loop only."""

    def __init__(self) -> None:
        self.gone = False
        self._wakes: list[Callable[[], None]] = []

    def leave(self) -> None:
        """It is gone: wake what waits for it. Leaving twice is fine."""
        self.gone = True
        for wake in self._wakes:
            wake()

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake` when the caller leaves, or at once when it has; only within the context."""
        self._wakes.append(wake)
        if self.gone:
            wake()
        try:
            yield
        finally:
            self._wakes.remove(wake)


class Callers:
    """Every caller of this node that something may wait for; `close` sends them away, and later ones with them."""

    def __init__(self) -> None:
        self._here: set[Caller] = set()
        self._closed = False

    @contextlib.contextmanager
    def one(self) -> Iterator[Caller]:
        """A caller, for as long as its request lasts."""
        caller = Caller()
        caller.gone = self._closed
        self._here.add(caller)
        try:
            yield caller
        finally:
            self._here.discard(caller)

    def close(self) -> None:
        """The node ends: no caller is waited for any longer."""
        self._closed = True
        for caller in tuple(self._here):
            caller.leave()
