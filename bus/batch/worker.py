"""A batch worker: one process that runs tasks for its node, one at a time, and dies with it.

Owns: the child's side of the pipe (what a task is: `bus.batch.task`). Started by
`bus.batch.worker_process` as `python -m bus.batch.worker FD PARENT`.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from bus.batch.task import AskRefused
from contracts import characters

PR_SET_PDEATHSIG = 1


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
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - any failure to pickle means the same
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def make_ready() -> None:
    """Load what tasks need before the first one comes: it takes longer than anything else at the start of a node."""
    for module in ("ingest", "render", "recount", "uniqueness"):
        importlib.import_module(f"bus.batch.{module}")
    characters.to_utf8(b"", "cp932")


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, so that no orphan goes on writing."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make_ready()
    serve(Connection(int(sys.argv[1])))
