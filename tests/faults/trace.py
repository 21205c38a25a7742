"""System calls of a program and its processes, in the order in which they began and ended (strace)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.real_node import REPOSITORY

TRACED: Final = "write,pwrite64,writev,pwritev,sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat"
_LINE: Final = re.compile(r"(?P<process>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)")
_FILE: Final = re.compile(r"\d+<([^>]*)>")
_TEXT: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SYNCS: Final = ("fsync", "fdatasync")


@dataclass
class Call:
    """One call. `began` and `ended` are places in the trace; a call that never ended, or failed, is left out of a trace."""

    name: str
    said: str
    began: int
    ended: int

    @property
    def file(self) -> str:
        """The path behind its descriptor."""
        found = _FILE.match(self.said)
        return found[1] if found else ""

    @property
    def paths(self) -> list[str]:
        """The paths it names, in order."""
        return _TEXT.findall(self.said)


class Trace:
    """The successful calls of one run."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.calls = sorted(_calls(lines), key=lambda call: call.began)

    def find(self, what: Callable[[Call], bool]) -> list[Call]:
        """The calls that fit, in order."""
        return [call for call in self.calls if what(call)]

    def writes(self, file: str, holding: str = "") -> list[Call]:
        """Writes to `file` whose bytes hold a text."""
        return self.find(lambda call: "write" in call.name and call.file == file and holding in call.said)

    def renames(self, target: Callable[[str], bool]) -> list[tuple[Call, str, str]]:
        """Renames whose target fits, as (call, source, target)."""
        found = [(call, call.paths[0], call.paths[1]) for call in self.find(lambda call: call.name.startswith("rename"))]
        return [rename for rename in found if target(rename[2])]

    def check_synced(self, file: str, after: Call, before: Call) -> None:
        """`file` was synced wholly between the end of one call and the beginning of another."""
        between = self.find(
            lambda call: call.name in _SYNCS and call.file == file and call.began > after.ended and call.ended < before.began
        )
        assert between, f"{file} is not synced between {_short(after)} and {_short(before)}"


def check_order(first: Call, second: Call) -> None:
    """The first call ended before the second began."""
    assert first.ended < second.began, f"{_short(first)} is not over before {_short(second)}"


def traced(program: Sequence[str], output: Path) -> Trace:
    """Run a Python program under strace; it must end with 0."""
    strace = ["strace", "-f", "-y", "-s", "6000", "--seccomp-bpf", "-e", f"trace={TRACED}", "-e", "signal=none", "-o", str(output)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([*strace, sys.executable, *program], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return Trace(output.read_text("ascii", "backslashreplace").splitlines())


def _calls(lines: Sequence[str]) -> Iterator[Call]:
    begun: dict[str, Call] = {}
    for place, text in enumerate(lines):
        line = _LINE.match(text)
        if line is None:
            continue
        if line["resumed"]:
            call = begun.pop(line["process"])
            call.said += line["rest"]
            call.ended = place
        else:
            call = Call(line["call"], line["rest"], place, place)
            if line["rest"].endswith("<unfinished ...>"):
                begun[line["process"]] = call
                continue
        if not re.search(r"= -1 [A-Z]+ \(.*\)$|= \?$", call.said):
            yield call


def _short(call: Call) -> str:
    return f"{call.name}({call.said[:150]}"
