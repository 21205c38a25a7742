"""A share that does not answer: more subscribers hang than there are slots, and everybody else has their files."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest

from adapters.files.sink import FilesSink
from bus import delivery_dispatch
from monitoring.log import set_up_log
from tests.node.small_city import csv, interface, people, running_city, subscription, until, write_city

SLOTS = 8
HANGING = [f"hangs_{number}" for number in range(SLOTS + 1)]


def test_targets_that_hang_hold_up_nobody_and_go_on_when_they_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces = [interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")]
    write_city(tmp_path, interfaces, [subscription(name, "people") for name in (*HANGING, "tax")])
    answers, opened = threading.Event(), FilesSink.open

    def opening(sink: FilesSink, delivery: str, fence: int, names: Any, marker: str | None) -> Any:
        if str(names[0]).startswith("hangs"):
            answers.wait()
        return opened(sink, delivery, fence, names, marker)

    monkeypatch.setattr(FilesSink, "open", opening)
    monkeypatch.setattr(delivery_dispatch, "SLOW_SECONDS", 0.3)
    stream = io.StringIO()
    set_up_log(stream=stream)
    try:
        with running_city(tmp_path) as city:
            try:
                message = city.send("people", "PEOPLE_20260401_001.csv", csv(people(5))).message
                until((tmp_path / "out" / "tax" / "tax_20260401_001.csv").exists)
                assert not list((tmp_path / "out").glob("hangs_*/*.csv"))
            finally:
                answers.set()
            states = {delivery.state for delivery in city.deliveries(message)}
            assert states == {"delivered"}
            assert len(list((tmp_path / "out").glob("hangs_*/*.csv"))) == len(HANGING)
    finally:
        set_up_log()
    assert stream.getvalue().count("RNK4047W") >= SLOTS
