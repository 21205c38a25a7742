"""What a batch worker runs: a picklable object that may ask its parent.

`ask(question)` puts a question to the parent and blocks for the answer. Rows never travel over the pipe: tasks carry names and places,
results carry counts and paths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Ask = Callable[[object], Any]


class Task(Protocol):
    """Work for one process. Raises what went wrong; the parent sees the same exception."""

    def __call__(self, ask: Ask) -> object:
        """Do the work and return a small picklable result."""
        ...


class AskRefused(Exception):
    """The parent gives no answer: the attempt this task belongs to was given up."""
