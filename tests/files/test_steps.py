"""Labelled steps stop exactly the process they are told to, exactly when they are told to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bus import steps


def in_child(work: Callable[[], object], **environment: str) -> int:
    """The wait status of a process that does `work` with these variables set."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.environ.update(environment)
            steps.read_environment()
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def walk() -> None:
    for label in ("before_claim", "mid_read", "mid_read", "mid_read", "after_accept"):
        steps.reached(label)  # type: ignore[arg-type]


def test_without_the_variables_nothing_happens() -> None:
    assert in_child(walk) == 0


def test_kill_is_a_kill_at_the_nth_time(tmp_path: Path) -> None:
    log = tmp_path / "steps"
    status = in_child(walk, RENKEI_STOP_AT="mid_read:2=kill", RENKEI_STEP_LOG=str(log))
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert log.read_text().splitlines() == ["before_claim", "mid_read", "mid_read"]


def test_a_rule_in_a_file_stops_one_process_once(tmp_path: Path) -> None:
    rule = tmp_path / "rule"
    rule.write_text("mid_read:2=kill\n")
    assert os.WTERMSIG(in_child(walk, RENKEI_STOP_AT=f"@{rule}")) == signal.SIGKILL
    assert not rule.exists()
    assert in_child(walk, RENKEI_STOP_AT=f"@{rule}") == 0


def test_a_new_rule_in_a_file_counts_anew(tmp_path: Path) -> None:
    log, rule = tmp_path / "steps", tmp_path / "rule"

    def walk_twice() -> None:
        walk()
        rule.write_text("mid_read=kill")
        walk()

    assert os.WTERMSIG(in_child(walk_twice, RENKEI_STOP_AT=f"@{rule}", RENKEI_STEP_LOG=str(log))) == signal.SIGKILL
    assert log.read_text().splitlines()[-2:] == ["before_claim", "mid_read"]


def test_exit_leaves_at_once(tmp_path: Path) -> None:
    assert os.waitstatus_to_exitcode(in_child(walk, RENKEI_STOP_AT="mid_read=exit")) == steps.EXIT_CODE


def test_kill_group_takes_everybody(tmp_path: Path) -> None:
    reading, writing = os.pipe()

    def parent_and_child() -> None:
        if os.fork() == 0:
            signal.pause()  # holds the pipe open until it is killed
        walk()

    status = in_child(parent_and_child, RENKEI_STOP_AT="after_accept=kill-group")
    os.close(writing)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert os.read(reading, 1) == b""  # only once every holder of the other end is gone
    os.close(reading)


def test_kill_parent_leaves_the_worker() -> None:
    reading, writing = os.pipe()

    def parent_of_worker() -> None:
        if os.fork() == 0:
            walk()
            os.write(writing, b"on")
            os._exit(0)
        signal.pause()

    status = in_child(parent_of_worker, RENKEI_STOP_AT="before_claim=kill-parent")
    os.close(writing)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert os.read(reading, 2) == b"on"
    os.close(reading)


@pytest.mark.parametrize("text", ["mid_read", "no_such_step=kill", "mid_read:0=kill", "mid_read=sing", "mid_read:x=kill"])
def test_a_stop_that_cannot_be_meant_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENKEI_STOP_AT", text)
    with pytest.raises(ValueError, match="RENKEI_STOP_AT"):
        steps.read_environment()


def test_an_unknown_label_is_an_error_when_somebody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENKEI_STEP_LOG", str(tmp_path / "log"))
    steps.read_environment()
    try:
        with pytest.raises(ValueError, match="no such step"):
            steps.reached("lunch")  # type: ignore[arg-type]
    finally:
        monkeypatch.undo()
        steps.read_environment()
