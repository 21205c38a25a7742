"""`renkei bench batch`: the nightly batch as a whole process, side by side with its floor and with the peer programs.

One round is: write as many zero bytes as the batch wrote to three files and sync them (the floor), then the batch itself, each a fresh
process in a fresh folder. The ratio is taken per round and the median reported, so that the machine's drift falls out. The peers, which
take ten times as long, run once. All of them read the same file and must find the same good and rejected records.

Memory decides much of it: a virtual machine may give free memory back to its host after a second or two, and touching it again costs more
than writing it. So each process starts from rest, a pause after the last one, as a nightly batch does; otherwise the floor would use the
memory that the batch has just let go, and the batch never. What both take without the pause, one right after another, is reported too
(`_warm`).
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.timing import Run, spread
from tests.bench.timing import run as timed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUSINESS_DATE = "20261120"
PANDAS_MOST_RECORDS = 1_500_000
"""pandas needs some 4 GB per million records; beyond this it is left out (and said so)."""
REST_SECONDS = 5.0
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Round:
    """The floor and the batch from rest, then both again right after one another."""

    floor: Run
    ours: Run
    warm_floor: Run
    warm_ours: Run

    @property
    def found(self) -> dict[str, Any]:
        """What the batch printed of itself."""
        result: dict[str, Any] = json.loads(self.ours.output.splitlines()[0])
        return result


def run(*, records: int, rounds: int, as_json: bool) -> dict[str, Any]:
    """Measure. Keys: `ratio_to_write_floor`, `ratio_to_write_floor_warm`, `speedup_vs_row_pydantic`, `speedup_vs_pandas` (None when left
    out),
    `peak_rss_bytes_per_process`, and under `raw` every figure behind them."""

    def tell(text: str) -> None:
        if not as_json:
            print(text, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="renkei-bench-", dir=os.environ.get("RENKEI_BENCH_FOLDER")) as folder:
        bench = Bench(Path(folder), records, tell)
        measured = [bench.round(number, rounds) for number in range(rounds)]
        peers = {"row_pydantic": bench.peer("perrow_pydantic.py", "row")}
        if records <= PANDAS_MOST_RECORDS:
            peers["pandas"] = bench.peer("pandas_script.py")
        return _result(records, measured, peers, bench)


class Bench:
    """One input file and what is run over it."""

    def __init__(self, folder: Path, records: int, tell: Tell) -> None:
        self.folder = folder
        self.tell = tell
        tell(f"making {records:,} records")
        prefix = folder / "input"
        self._peer_run([str(HERE / "peers" / "generate.py"), str(records), str(prefix)])
        prefix.with_suffix(".fix").unlink()
        self.input = prefix.with_suffix(".csv").rename(folder / f"JUMIN_{BUSINESS_DATE}.csv")
        self.input_bytes = self.input.stat().st_size
        # A first batch, not counted: it tells the bytes that the floor has to write, and warms what every later one finds warm.
        self.output_bytes = [bytes_ for _, _, bytes_ in _found(self.ours())["deliveries"].values()]

    def round(self, number: int, rounds: int) -> Round:
        """The floor, then the batch, from rest; then the floor twice and the batch without a pause (the first floor only warms)."""
        floor, ours = self._rested(self.floor), self._rested(self.ours)
        self.floor()
        result = Round(floor, ours, self.floor(), self.ours())
        told = [f"{one.wall_seconds:.2f} s" for one in (result.floor, result.ours, result.warm_floor, result.warm_ours)]
        self.tell(f"round {number + 1}/{rounds}: floor {told[0]}, batch {told[1]}; warm: floor {told[2]}, batch {told[3]}")
        return result

    def _rested(self, measure: Callable[[], Run]) -> Run:
        """Measure after a pause in which the machine comes to rest."""
        time.sleep(REST_SECONDS)
        return measure()

    def floor(self) -> Run:
        """Write zeros."""
        with self._fresh("floor") as folder:
            command = [sys.executable, str(HERE / "write_floor.py"), str(folder), *map(str, self.output_bytes)]
            return timed(command, folder=self.folder)

    def ours(self) -> Run:
        """The batch, from the start of the process to its end."""
        with self._fresh("ours") as folder:
            shutil.copytree(HERE / "site", folder, dirs_exist_ok=True)
            command = [sys.executable, "-m", "tests.bench.whole_batch", str(folder), str(self.input)]
            return timed(command, folder=self.folder, environment={"PYTHONPATH": str(ROOT)})

    def peer(self, program: str, *arguments: str) -> Run:
        """A peer program, once."""
        with self._fresh("peer") as folder:
            command = [str(HERE / "peers" / program), str(self.input), str(folder), *arguments]
            result = self._rested(lambda: self._peer_run(command))
        self.tell(f"{program}: {result.wall_seconds:.1f} s")
        return result

    def _peer_run(self, command: list[str]) -> Run:
        return timed([sys.executable, *command], folder=self.folder, environment={"PYTHONDONTWRITEBYTECODE": "1"})

    @contextmanager
    def _fresh(self, name: str) -> Iterator[Path]:
        folder = self.folder / name
        folder.mkdir()
        yield folder
        shutil.rmtree(folder)


def _found(ours: Run) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(ours.output.splitlines()[0])
    return result


def _peer_counts(peer: Run) -> tuple[int, int] | None:
    """Good and bad records, as the peers print them."""
    told = re.search(r"good (\d+) bad (\d+)", peer.output)
    return (int(told[1]), int(told[2])) if told else None


def _result(records: int, measured: list[Round], peers: dict[str, Run], bench: Bench) -> dict[str, Any]:
    ours = [one.ours.wall_seconds for one in measured]
    floors = [one.floor.wall_seconds for one in measured]
    ratios = [one.ours.wall_seconds / one.floor.wall_seconds for one in measured]
    warm_ratios = [one.warm_ours.wall_seconds / one.warm_floor.wall_seconds for one in measured]
    found = measured[-1].found
    peaks = {
        "node": max(one.found["peak_rss_bytes_node"] for one in measured),
        "worker": max(one.found["peak_rss_bytes_worker"] for one in measured),
    }
    median = statistics.median(ours)
    speedups = {f"speedup_vs_{name}": round(peer.wall_seconds / median, 2) for name, peer in peers.items()}
    counts = {name: _peer_counts(peer) for name, peer in peers.items()}
    agreed = all(count == (found["good"], found["rejected"]) for count in counts.values())
    return {
        "records": records,
        "ratio_to_write_floor": round(statistics.median(ratios), 2),
        "ratio_to_write_floor_warm": round(statistics.median(warm_ratios), 2),
        "speedup_vs_row_pydantic": None,
        "speedup_vs_pandas": None,
        **speedups,
        "peak_rss_bytes_per_process": max(peaks.values()),
        "records_per_second": round(records / median),
        "good": found["good"],
        "rejected": found["rejected"],
        "peers_agree": agreed,
        "spread": {
            "ratio_to_write_floor": spread(ratios),
            "ratio_to_write_floor_warm": spread(warm_ratios),
            "batch_seconds": spread(ours),
            "floor_seconds": spread(floors),
        },
        "raw": {
            "batch_seconds": [round(value, 3) for value in ours],
            "floor_seconds": [round(value, 3) for value in floors],
            "batch_seconds_warm": [round(one.warm_ours.wall_seconds, 3) for one in measured],
            "floor_seconds_warm": [round(one.warm_floor.wall_seconds, 3) for one in measured],
            "ready_to_published_seconds": [one.found["ready_to_published_seconds"] for one in measured],
            "batch_cpu_seconds": [round(one.ours.cpu_seconds, 2) for one in measured],
            "peer_seconds": {name: round(peer.wall_seconds, 2) for name, peer in peers.items()},
            "peer_cpu_seconds": {name: round(peer.cpu_seconds, 2) for name, peer in peers.items()},
            "peer_peak_rss_bytes": {name: peer.peak_rss_bytes for name, peer in peers.items()},
            "peer_good_bad": counts,
            "peak_rss_bytes": peaks,
            "input_bytes": bench.input_bytes,
            "output_bytes": bench.output_bytes,
        },
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("polars", "numpy", "pydantic", "pandas", "xxhash", "sqlalchemy")},
    }
