"""A batch worker as its node sees it: a process, the pipe to it, and what is known of what it does.

Owns: how a worker is started and ended, and the environment it runs in. What it is given to do is `bus.batch.pool`'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

WORKER_ENVIRONMENT: Final = {
    "POLARS_MAX_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(256 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(512 * 1024 * 1024),
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:10000,muzzy_decay_ms:10000",
}
"""One thread per process: the processes share the cores. Freed memory is kept for the next chunk instead of going back to the kernel and
being faulted in again, which cost a fifth of the time. Whoever sets one of these for the node overrides it."""
END_SECONDS: Final = 1.0
"""How long a killed worker is waited for. One that hangs in the system goes when that lets it go."""


@dataclass(slots=True)
class Worker:
    """One worker process and what it is at."""

    process: subprocess.Popen[bytes]
    connection: Connection
    at_hand: str = ""
    """what its latest task was about"""
    group: str = ""
    """of the task it is at; empty when it is at none"""
    asks: bool = False
    """it waits for an answer"""
    replaced: bool = False
    """another has its place; it ends with its task"""
    _heard_seconds: float = 0.0

    def heard(self, *, asks: bool) -> None:
        """It was told something, or said something, now."""
        self._heard_seconds, self.asks = time.monotonic(), asks

    @property
    def silent_seconds(self) -> float:
        """How long it has been at its task without a word; 0 when it is at none."""
        return time.monotonic() - self._heard_seconds if self.group else 0.0

    async def speaks(self) -> None:
        """Wait until it says something, or its end can be seen."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        descriptor = self.connection.fileno()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        loop.add_reader(descriptor, wake)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)

    def end(self) -> None:
        """Kill it. Again changes nothing."""
        self.connection.close()
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)


def start_worker() -> Worker:
    """A new worker, which may take a moment until it reads its first task.

    Raises:
        OSError: the system gives no process now.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "bus.batch.worker", str(theirs.fileno()), str(os.getpid())],
                env=WORKER_ENVIRONMENT | dict(os.environ),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        except BaseException:
            ours.close()
            raise
    return Worker(process, Connection(ours.detach()))
