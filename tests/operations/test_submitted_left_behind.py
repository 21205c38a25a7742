"""A file handed in is never forgotten: the next node takes in what a stopped one left, and whoever waits is told that it stopped."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from bus.errors import OperationRefused
from bus.message import ReceiptOutcome
from tests.node.small_city import BOUND_SECONDS, csv, interface, people, running_city, until, write_city


def test_a_submitted_file_that_a_stopped_node_left_is_taken_in_by_the_next(tmp_path: Path) -> None:
    write_city(tmp_path, [interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")], [])
    submitted = tmp_path / "var" / "submitted"
    whole, half = submitted / "332020.people_drop.x1", submitted / ".half-332020.people_drop.x2"
    for folder in (whole, half):
        folder.mkdir(parents=True)
    (whole / "PEOPLE_20260401_001.csv").write_bytes(csv(people(5)))
    (half / "PEOPLE_20260402_001.csv").write_bytes(csv(people(3)))
    with running_city(tmp_path) as city:
        (receipt,) = until(lambda: city.receipts("PEOPLE_20260401_001.csv"))
        assert receipt.outcome is ReceiptOutcome.ACCEPTED
        until(lambda: not list(submitted.iterdir()))
        assert city.receipts("PEOPLE_20260402_001.csv") == []


def test_whoever_waits_for_a_submitted_file_is_told_when_the_node_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_city(tmp_path, [interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")], [])
    mine = tmp_path / "PEOPLE_20260401_001.csv"
    mine.write_bytes(csv(people(5)))
    begun = threading.Event()

    async def never(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("bus.node.take_one", never)
    with running_city(tmp_path) as city:
        operations = city.node.parts.operations
        intake = operations.submit(str(mine))["intake"]
        assert begun.wait(BOUND_SECONDS)
        assert operations.intake_progress(intake)["finished"] is False
    with pytest.raises(OperationRefused, match="RNK7015E"):
        operations.intake_progress(intake)
