"""Labelled steps: places in the work where a fault test may stop a process, or wait for it to arrive.

Owns: the closed list of labels and what the two environment variables mean. The engine calls `reached`; nothing else does. Both
variables are read once, when the process starts (spawned workers inherit them), so that a step costs one comparison without them.

- `RENKEI_STOP_AT="label[:n]=kill|kill-parent|kill-group|exit"`: at the n-th time (default 1) this process reaches `label`, it kills
  itself, its parent, or its whole process group with SIGKILL, or leaves at once with `EXIT_CODE`. Every process counts for itself.
- `RENKEI_STOP_AT=@FILE`: the same rule stands in FILE, looked for at every step. Whoever stops removes it first, so that one process
  stops once, however many are started after it; a test may put a new rule there while the node runs, and counting begins anew.
- `RENKEI_STEP_LOG=FILE`: the label is appended to FILE as one line, before any stop, so that a test waits on a fact, not on time.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

Label = Literal[
    "before_claim",
    "mid_read",
    "after_chunk_commit",
    "before_fan_out",
    "mid_write",
    "before_recount",
    "before_rename",
    "after_rename",
    "before_accept",
    "after_accept",
    "before_group_commit",
    "after_group_commit",
    "event_before_send",
    "event_after_send",
    "event_before_settle",
]
LABELS: Final[tuple[str, ...]] = get_args(Label)
"""before_claim: a complete file is about to be claimed from its source · mid_read: a chunk's bytes are read, nothing of it is
journalled · after_chunk_commit: the journal holds a chunk · before_accept, after_accept: around the accepting transaction ·
before_fan_out: accepted, and the source not yet told · mid_write: a chunk of a delivery is written, the next
is not · before_recount: all is written, nothing counted again ·
before_rename: the journal says ready to publish · after_rename: published, and the journal does not know yet ·
before_group_commit, after_group_commit: around the transaction of a group of events; nobody has been answered yet ·
event_before_send: an event is claimed and rendered · event_after_send: its receiver has it · event_before_settle: how the attempt ended,
well or not, is known here and not to the journal."""
EXIT_CODE: Final = 70

_RULE: Final = re.compile(r"(?P<label>[a-z_]+)(?::(?P<times>[1-9][0-9]*))?=(?P<deed>kill|kill-parent|kill-group|exit)")


@dataclass(slots=True)
class _Stop:
    label: str
    times: int
    deed: str


@dataclass(slots=True)
class _Plan:
    stop: _Stop | None
    log: str | None
    file: Path | None = None
    rule: tuple[int, str] | None = None
    """the file's time and text when it was last read"""
    seen: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """steps are reached in several threads; one that had looked at the file before must not forget what another found there"""

    def note(self, label: str) -> None:
        with self.lock:
            self._note(label)

    def _note(self, label: str) -> None:
        if self.file is not None:
            self._look(self.file)
        self.seen[label] = self.seen.get(label, 0) + 1
        if self.log is not None:
            _append(self.log, label)
        if self.stop is not None and self.stop.label == label and self.stop.times == self.seen[label] and self._is_first():
            _end(self.stop.deed)

    def _look(self, file: Path) -> None:
        try:
            rule = (file.stat().st_mtime_ns, file.read_text("ascii").strip())
        except FileNotFoundError:
            rule = None
        if rule != self.rule:
            self.rule, self.stop = rule, _stop_of(rule[1]) if rule else None
            self.seen.clear()

    def _is_first(self) -> bool:
        """Whether no other process took the rule of the file."""
        if self.file is not None:
            try:
                self.file.unlink()
            except FileNotFoundError:
                return False
        return True


_plan: _Plan | None = None


def reached(label: Label) -> None:
    """Say that this process has reached `label`. Does nothing unless a fault test asked for it.

    Raises:
        ValueError: a label that is not in the list, while a test is listening.
    """
    if _plan is None:
        return
    if label not in LABELS:
        raise ValueError(f"no such step: {label}")
    _plan.note(label)


def read_environment() -> None:
    """Read the two variables again and count from nothing; called at import, and by tests that set them later.

    Raises:
        ValueError: RENKEI_STOP_AT is not of the form above, or names no known label.
    """
    global _plan  # noqa: PLW0603 - one process has one plan, fixed when it starts
    stop, log = os.environ.get("RENKEI_STOP_AT"), os.environ.get("RENKEI_STEP_LOG")
    if not (stop or log):
        _plan = None
    elif stop and stop.startswith("@"):
        _plan = _Plan(None, log, Path(stop[1:]))
    else:
        _plan = _Plan(_stop_of(stop) if stop else None, log)


def _stop_of(text: str) -> _Stop:
    rule = _RULE.fullmatch(text)
    if rule is None or rule["label"] not in LABELS:
        raise ValueError(f"RENKEI_STOP_AT={text!r}: want label[:n]=kill|kill-parent|kill-group|exit, label one of {', '.join(LABELS)}")
    return _Stop(rule["label"], int(rule["times"] or 1), rule["deed"])


def _append(file: str, label: str) -> None:
    # One write with O_APPEND: lines of several processes never mix.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{label}\n".encode())
    finally:
        os.close(descriptor)


def _end(deed: str) -> None:
    if deed == "exit":
        os._exit(EXIT_CODE)
    elif deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "kill-parent":
        os.kill(os.getppid(), signal.SIGKILL)
    else:
        os.killpg(os.getpgrp(), signal.SIGKILL)


read_environment()
