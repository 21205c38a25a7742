"""What one run of the command carries: language, site folder, where to write, how to wait.

Owns: `Session`, handed to every command as the context's object. Tests make their own, with an Operations of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from pathlib import Path

import typer
from rich.console import Console

from bus.cli.link import Operations, in_process, open_operations, time_zone
from contracts.messages import Language

WIDE_COLUMNS = 400
"""Width when nobody looks at a terminal: a log or a pipe must get every value whole."""


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = WIDE_COLUMNS
    return console


@dataclass(frozen=True)
class Session:
    """One run. `opens` gives the operations of a site, `in_process` tells whether they are this process's own, for want of a running
    node; `pause` waits that many seconds between two looks."""

    language: Language
    folder: Path
    out: Console = field(default_factory=lambda: _console(stderr=False))
    err: Console = field(default_factory=lambda: _console(stderr=True))
    opens: Callable[[Path, Language], AbstractContextManager[Operations]] = open_operations
    in_process: Callable[[Operations], bool] = in_process
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    def operations(self) -> AbstractContextManager[Operations]:
        """The operations of the site, closed on leaving.

        Raises:
            NothingThere: no site in the folder. NodeBusy, JournalUnavailable, SiteInvalid: as the node says.
        """
        return self.opens(self.folder, self.language)

    @cached_property
    def zone(self) -> tzinfo | None:
        """The time zone of the site; None, the machine's, where there is no readable site."""
        return time_zone(self.folder)


def session_of(context: typer.Context) -> Session:
    """The run that a command belongs to."""
    session = context.find_object(Session)
    assert session is not None  # noqa: S101 - main always passes one
    return session
