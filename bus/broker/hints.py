"""Hints: "there may be work". The journal is the truth; a hint only saves a wait.

Owns: the port between whoever commits a delivery and whoever claims it. Hints are published after the commit, hold delivery ids and
nothing else, may come twice, late, out of order or never: a worker claims in the journal first, and a sweep of the journal finds what
no hint told of. Losing every hint loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Hints(Protocol):
    """A place where delivery ids are dropped and waited for."""

    def publish(self, delivery_ids: Iterable[str]) -> None:
        """Tell that these deliveries may be claimable. Never blocks, never fails; callable from any thread."""
        ...

    async def wait(self, *, timeout_seconds: float) -> frozenset[str]:
        """The ids published since the last call, as soon as there are any; empty after `timeout_seconds` or when closed."""
        ...

    def close(self) -> None:
        """Wake every waiter; later hints are dropped."""
        ...
