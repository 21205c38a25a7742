"""A batch worker: one process that runs tasks for its node, one at a time, and dies with it.

Owns: the child's side of the pipe. A task is a picklable object with `__call__(ask)`; `ask(question)` puts a question to the parent
and blocks for the answer. Rows never travel over the pipe: tasks carry names and places, results carry counts and paths.
Started by `bus.batch.pool` as `python -m bus.batch.worker FD`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Protocol

PR_SET_PDEATHSIG = 1

Ask = Callable[[object], Any]


class Task(Protocol):
    """Work for one process. Raises what went wrong; the parent sees the same exception."""

    def __call__(self, ask: Ask) -> object:
        """Do the work and return a small picklable result."""
        ...


class AskRefused(Exception):
    """The parent no longer wants an answer to be used: the attempt this task belongs to was given up."""


def serve(connection: Connection) -> None:
    """Run tasks until the parent closes the pipe."""

    def ask(question: object) -> Any:
        connection.send(("ask", question))
        kind, answer = connection.recv()
        if kind == "refuse":
            raise AskRefused(answer)
        return answer

    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            result = ("done", task(ask))
        except Exception as error:  # noqa: BLE001 - whatever a task raises is the parent's to judge; nothing is swallowed
            result = ("failed", _portable(error))
        connection.send(result)


def _portable(error: Exception) -> Exception:
    """The error itself, or its text when it would not survive the pipe."""
    import pickle  # noqa: PLC0415 - only on the way of failures

    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - any failure to pickle means the same
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, so that no orphan goes on writing."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])))
