"""Timing whole processes: wall time, CPU time and peak memory as the operating system accounts them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One finished process. `output` is what it printed."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    output: str


def run(command: Sequence[str], *, folder: Path, environment: dict[str, str] | None = None) -> Run:
    """Run one command to its end; what it prints on standard error passes through only when it fails.

    Raises:
        RuntimeError: it ended with another code than 0.
    """
    os.sync()
    began = time.perf_counter()
    errors = folder / "stderr.txt"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=os.environ | (environment or {}))
        assert process.stdout is not None
        output = process.stdout.read().decode("utf-8", "replace")
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.stderr.write(errors.read_text("utf-8", "replace"))
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {output}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output + errors.read_text("utf-8", "replace"))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most, rounded to milliseconds."""
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}
