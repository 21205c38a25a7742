"""Tasks for the tests of the worker pool; workers import them by this name."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from bus.batch.task import Ask
from bus.errors import Transient


@dataclass(frozen=True)
class Double:
    number: int

    def __call__(self, ask: Ask) -> int:
        return self.number * 2


@dataclass(frozen=True)
class Fail:
    def __call__(self, ask: Ask) -> None:
        raise Transient("RNK4030E", delivery="d", reason="here")


@dataclass(frozen=True)
class FailStrangely:
    def __call__(self, ask: Ask) -> None:
        class Unpicklable(Exception):
            pass

        raise Unpicklable("odd")


@dataclass(frozen=True)
class DieOnce:
    """Kills its worker until `mark` exists."""

    mark: Path
    index: int

    def __call__(self, ask: Ask) -> object:
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return ask(self.index)


@dataclass(frozen=True)
class Die:
    def __call__(self, ask: Ask) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class AskTurn:
    index: int

    def __call__(self, ask: Ask) -> object:
        return ask(self.index)


@dataclass(frozen=True)
class TellPids:
    """Names its parent and itself, for who wants to kill them."""

    def __call__(self, ask: Ask) -> tuple[int, int]:
        return os.getppid(), os.getpid()


@dataclass(frozen=True)
class Hang:
    """Says where it runs, then hangs until somebody writes into the pipe at `fifo`."""

    fifo: Path
    here: Path

    def __call__(self, ask: Ask) -> str:
        self.here.write_text(str(os.getpid()), "ascii")
        return self.fifo.read_text("ascii")
