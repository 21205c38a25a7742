"""`renkei bench event-faults`: very many events, with kills and cuts all the while, on each back end. Nothing may be lost.

Owns: how long a run is, and what is printed. The run itself is `tests.faults.events.run`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Literal

from tests.backends import Backend
from tests.bench.machine import described
from tests.faults.events.run import Verdict, fault_run

EVENTS_A_ROUND: Final = 20_000
"""In each round a node is killed once at every step, and every kind of cut comes once."""
BackEnds = Literal["embedded", "services", "both"]


def run(*, events: int, back_ends: BackEnds = "both", seed: int = 1, as_json: bool = False) -> dict[str, Any]:
    """Run. Flat keys `<back end>_lost`, `_raw_duplicates`, `_duplicated_in_effect`, `_out_of_order_per_key` (of all subscriptions),
    `_kills`, `_recovered`, `_seconds`; `good`; and everything else under the name of each back end."""

    def tell(text: str) -> None:
        if not as_json:
            print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    wanted: list[Backend] = ["embedded", "services"] if back_ends == "both" else [back_ends]
    found: dict[str, Any] = {"events": events, "good": True}
    for backend in wanted:
        with tempfile.TemporaryDirectory(prefix="renkei-faults-", dir=os.environ.get("RENKEI_BENCH_FOLDER")) as folder:
            Path(folder).chmod(0o711)  # the services' accounts must come through
            rounds = max(1, round(events / EVENTS_A_ROUND))
            verdict = fault_run(Path(folder), backend, events=events, rounds=rounds, seed=seed, tell=tell)
        for line in verdict.lines():
            tell(line)
        found |= _flat(verdict)
        found["good"] = found["good"] and verdict.good
        found[backend] = _whole(verdict)
    return found | {"machine": described("sqlalchemy", "psycopg", "aio-pika", "httpx")}


def _flat(verdict: Verdict) -> dict[str, Any]:
    tallies = verdict.tallies
    figures = {
        "lost": sum(each.lost for each in tallies),
        "raw_duplicates": sum(each.raw_duplicates for each in tallies),
        "duplicated_in_effect": sum(each.duplicated_in_effect for each in tallies),
        "out_of_order_per_key": sum(each.out_of_order for each in tallies),
        "kills": verdict.kills,
        "recovered": verdict.recovered,
        "seconds": round(verdict.seconds, 1),
    }
    return {f"{verdict.backend}_{name}": value for name, value in figures.items()}


def _whole(verdict: Verdict) -> dict[str, Any]:
    tallies = {
        each.subscription: {
            "lost": each.lost,
            "raw_duplicates": each.raw_duplicates,
            "duplicated_in_effect": each.duplicated_in_effect,
            "out_of_order_per_key": each.out_of_order,
        }
        for each in verdict.tallies
    }
    asked = {name: value for name, value in verdict.publisher.items() if name != "unexpected"}
    return {"nodes": verdict.nodes, "subscriptions": tallies, "faults": verdict.faults, "publisher": asked, "wrong": verdict.wrong}
