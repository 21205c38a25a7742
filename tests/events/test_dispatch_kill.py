"""kill -9 of a sending process at each labelled step: nothing is lost, nothing comes twice in effect, the order per key holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bus.steps import LABELS
from tests.architecture.modules import ROOT
from tests.backends import backend, journal_database
from tests.events.sending_process import KEYS

COUNT = 30
STEPS = [label for label in LABELS if label in ("event_before_send", "event_after_send", "event_before_settle")]


def journal_at(folder: Path) -> list[str]:
    """The journal of this run's back end, and its password."""
    if backend() == "embedded":
        return [str(folder / "journal.db")]
    database = journal_database(folder)
    return [database.url, str(database.password_file)]


def process(folder: Path, **environment: str) -> int:
    """Run the sending process to its end; how it ended."""
    command = [sys.executable, "-m", "tests.events.sending_process", str(folder), str(COUNT), *journal_at(folder)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, timeout=60, check=False, stderr=subprocess.PIPE)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


@pytest.mark.slow
@pytest.mark.parametrize("label", STEPS)
def test_killed_and_started_again(label: str, tmp_path: Path) -> None:
    assert process(tmp_path, RENKEI_STOP_AT=f"{label}:11=kill") == -signal.SIGKILL
    assert process(tmp_path) == 0
    lines = [line.split() for line in (tmp_path / "received").read_text().splitlines()]
    in_effect = list({delivery: (event, key) for delivery, event, key in lines}.values())  # the first of each takes effect
    assert sorted(event for event, _ in in_effect) == sorted(f"e{number}" for number in range(COUNT))
    for key in (f"k{number}" for number in range(KEYS)):
        order = [int(event[1:]) for event, own in in_effect if own == key]
        assert order == sorted(order)
    assert len(lines) - len(in_effect) <= 4  # at most what was on its way when it was killed


def test_every_step_of_sending_is_tried() -> None:
    assert len(STEPS) == 3
