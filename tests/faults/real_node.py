"""A real node in a process group of its own, started and killed by a test, with the rule that may stop it in a file."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import psutil

REPOSITORY: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 60.0


class RealNode:
    """`renkei up` for one site. It may be started again and again; `command` replaces it with another program."""

    def __init__(self, site: Path, command: Sequence[str] = ()) -> None:
        self.site = site
        self.rule = site / "rule"
        self.log = site / "node.log"
        self._command = [sys.executable, *(command or ("-m", "bus.cli.app", "--site", str(site), "up"))]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; a node that runs already is left alone."""
        if self._process is not None and self._process.poll() is None:
            return
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RENKEI_")}
        environment |= {"RENKEI_STOP_AT": f"@{self.rule}", "RENKEI_LANG": "en"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop_at(self, rule: str) -> None:
        """Have the first process that comes there stop, once."""
        unfinished = self.rule.with_suffix(".new")
        unfinished.write_text(rule, "ascii")
        unfinished.rename(self.rule)

    def died(self) -> int:
        """Wait until it is dead; returns its exit status (negative: the signal)."""
        process = self.process
        if process.poll() is not None:
            return process.returncode
        waiting = select.poll()
        descriptor = os.pidfd_open(process.pid)
        try:
            waiting.register(descriptor, select.POLLIN)
            assert waiting.poll(PATIENCE_SECONDS * 1000), f"the node did not die; {self.told()}"
        finally:
            os.close(descriptor)
        return process.wait()

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """End it and whatever is left of its group; returns its exit status."""
        status = 0
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(number)
            status = self.died()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return status

    def orphans(self) -> list[int]:
        """Living processes of the group of the node that was started last."""
        group = self.process.pid
        return [process.pid for process in psutil.process_iter() if _lives_in(process, group)]

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    def told(self) -> str:
        """The last lines of its log."""
        return "the node's log:\n" + "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-20:])


def _lives_in(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def until(condition: Callable[[], bool], what: str, told: Callable[[], str] = str) -> None:
    """Wait until `condition` holds, looking often; fail when it never does."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends, f"waited in vain until {what}; {told()}"
        time.sleep(0.02)
