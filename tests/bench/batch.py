"""`renkei bench batch`: the nightly batch side by side with its floor and with the peer programs.

One round is: write as many zero bytes as the batch wrote to three files and sync them (the floor), then the batch, each a fresh process
in a fresh folder. The batch is what a node that runs all night does: its seconds are those from the drop of the complete file to the last
publication, everything synced and counted. What the start of node and workers takes is told beside it (`start_seconds`), and the ratios
with it included too (`whole_process`). Ratios are taken per round and the median reported, so that the machine's drift falls out. The
peers, which take many times as long, run once, as whole processes. All read the same file and must find the same good and rejected
records.

Memory decides much of it: a virtual machine may give free memory back to its host after a second or two, and touching it again costs more
than writing it. So each measurement starts from rest, a pause in which nothing runs, as a nightly batch does. A floor without the pause
(`floor_seconds_warm`) is several times faster on such a machine; the ratio to it is reported as well (`ratio_to_write_floor_warm`).
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
    """The floor from rest, the floor again without a pause, and the batch from rest."""

    floor: Run
    warm_floor: Run
    ours: Run

    @property
    def found(self) -> dict[str, Any]:
        """What the batch printed of itself."""
        return _found(self.ours)

    @property
    def seconds(self) -> float:
        """From the drop of the file to the last publication."""
        return float(self.found["drop_to_published_seconds"])

    @property
    def whole_seconds(self) -> float:
        """The same with the start of node and workers."""
        return self.seconds + float(self.found["start_seconds"])


def run(*, records: int, rounds: int, as_json: bool) -> dict[str, Any]:
    """Measure. Keys: `ratio_to_write_floor`, `ratio_to_write_floor_warm`, `speedup_vs_row_pydantic`, `speedup_vs_pandas` (None when left
    out),
    `peak_rss_bytes_per_process`, `whole_process` (the same with the node's start), and under `raw` every figure behind them."""

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
        """The floor from rest, again without a pause, and the batch from rest."""
        time.sleep(REST_SECONDS)
        result = Round(self.floor(), self.floor(), self.ours())
        told = f"floor {result.floor.wall_seconds:.2f} s (warm {result.warm_floor.wall_seconds:.2f} s)"
        self.tell(f"round {number + 1}/{rounds}: {told}, batch {result.seconds:.2f} s, with its start {result.whole_seconds:.2f} s")
        return result

    def floor(self) -> Run:
        """Write zeros."""
        with self._fresh("floor") as folder:
            command = [sys.executable, str(HERE / "write_floor.py"), str(folder), *map(str, self.output_bytes)]
            return timed(command, folder=self.folder)

    def ours(self) -> Run:
        """The batch; it rests between the node's start and the drop of the file."""
        with self._fresh("ours") as folder:
            shutil.copytree(HERE / "site", folder, dirs_exist_ok=True)
            command = [sys.executable, "-m", "tests.bench.whole_batch", str(folder), str(self.input), str(REST_SECONDS)]
            return timed(command, folder=self.folder, environment={"PYTHONPATH": str(ROOT)})

    def peer(self, program: str, *arguments: str) -> Run:
        """A peer program, once."""
        with self._fresh("peer") as folder:
            command = [str(HERE / "peers" / program), str(self.input), str(folder), *arguments]
            time.sleep(REST_SECONDS)
            result = self._peer_run(command)
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


def _ratios(ours: list[float], floors: list[float]) -> list[float]:
    """Round by round."""
    return [one / floor for one, floor in zip(ours, floors, strict=True)]


def _result(records: int, measured: list[Round], peers: dict[str, Run], bench: Bench) -> dict[str, Any]:
    ours, whole = [one.seconds for one in measured], [one.whole_seconds for one in measured]
    floors, warm_floors = [one.floor.wall_seconds for one in measured], [one.warm_floor.wall_seconds for one in measured]
    ratios = _ratios(ours, floors)
    found = measured[-1].found
    peaks = {
        "node": max(one.found["peak_rss_bytes_node"] for one in measured),
        "worker": max(one.found["peak_rss_bytes_worker"] for one in measured),
    }
    median, whole_median = statistics.median(ours), statistics.median(whole)
    speedups = {f"speedup_vs_{name}": round(peer.wall_seconds / median, 2) for name, peer in peers.items()}
    whole_speedups = {f"speedup_vs_{name}": round(peer.wall_seconds / whole_median, 2) for name, peer in peers.items()}
    counts = {name: _peer_counts(peer) for name, peer in peers.items()}
    agreed = all(count == (found["good"], found["rejected"]) for count in counts.values())
    return {
        "records": records,
        "ratio_to_write_floor": round(statistics.median(ratios), 2),
        "ratio_to_write_floor_warm": round(statistics.median(_ratios(ours, warm_floors)), 2),
        "speedup_vs_row_pydantic": None,
        "speedup_vs_pandas": None,
        **speedups,
        "whole_process": {"ratio_to_write_floor": round(statistics.median(_ratios(whole, floors)), 2), **whole_speedups},
        "peak_rss_bytes_per_process": max(peaks.values()),
        "records_per_second": round(records / median),
        "good": found["good"],
        "rejected": found["rejected"],
        "peers_agree": agreed,
        "spread": {
            "ratio_to_write_floor": spread(ratios),
            "batch_seconds": spread(ours),
            "floor_seconds": spread(floors),
        },
        "raw": {
            "batch_seconds": [round(value, 3) for value in ours],
            "floor_seconds": [round(value, 3) for value in floors],
            "floor_seconds_warm": [round(value, 3) for value in warm_floors],
            "start_seconds": [one.found["start_seconds"] for one in measured],
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
