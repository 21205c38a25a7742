"""A file handed in is never forgotten: the next node takes in what a stopped one left, and whoever waits is told that it stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from bus.adapter_ports import Arrival
from bus.batch.recipes import Recipes
from bus.errors import OperationRefused
from bus.intake import Taken
from bus.intake_submitted import Progress, Submissions
from bus.message import ReceiptOutcome
from tests.backends import own_file
from tests.node.small_city import BOUND_SECONDS, csv, interface, people, running_city, until, write_city


def test_a_submitted_file_that_a_stopped_node_left_is_taken_in_by_the_next(tmp_path: Path) -> None:
    write_city(tmp_path, [interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")], [])
    submitted = own_file(tmp_path, "submitted")
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


class _Handed:
    """Submissions to one drop, whose intake never ends."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Submissions, "_destination", lambda *_: ("332020", "people_drop"))
        self.folder = folder / "submitted"
        self.begun: dict[str, Progress] = {}
        self.file = folder / "PEOPLE_20260401_001.csv"
        self.file.write_bytes(csv(people(5)))
        self.submissions = self.again()

    def again(self) -> Submissions:
        """Those of a node that starts."""

        def start(arrival: Arrival, progress: Progress) -> None:
            self.begun[arrival.path.parent.name] = progress

        return Submissions(cast("Recipes", None), self.folder, start)


def test_two_files_handed_in_at_the_same_time_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = _Handed(tmp_path, monkeypatch)
    copy, both = shutil.copyfile, threading.Barrier(2)

    def slowly(*paths: Path) -> None:
        copy(*paths)
        both.wait(BOUND_SECONDS)

    monkeypatch.setattr(shutil, "copyfile", slowly)
    with ThreadPoolExecutor() as threads:
        one, other = threads.map(lambda _: handed.submissions.submit(handed.file, None, None), range(2))
    assert handed.submissions.progress(one) is not handed.submissions.progress(other)


def test_whoever_waits_is_answered_by_the_next_node_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = _Handed(tmp_path, monkeypatch)
    intake = handed.submissions.submit(handed.file, None, None)
    handed.begun.clear()
    restarted = handed.again()
    restarted.resume()
    assert list(handed.begun.values()) == [restarted.progress(intake)]


def test_a_copy_is_whole_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power failure might leave half a file that looks like a whole one."""
    handed = _Handed(tmp_path, monkeypatch)
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.name, path.parent.name.startswith(".half-")))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    handed.submissions.submit(handed.file, None, None)
    assert synced[0] == (handed.file.name, True)
    assert synced[-1] == ("submitted", False)


def test_a_file_that_changes_while_it_is_copied_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = _Handed(tmp_path, monkeypatch)
    copy = shutil.copyfile

    def growing(source: Path, target: Path) -> None:
        copy(source, target)
        with source.open("ab") as file:
            file.write(csv(people(1, first=6), titles=""))

    monkeypatch.setattr(shutil, "copyfile", growing)
    with pytest.raises(OperationRefused, match="RNK4018E"):
        handed.submissions.submit(handed.file, None, None)
    assert (handed.begun, list(handed.folder.iterdir())) == ({}, [])


def test_what_ended_long_ago_is_forgotten_and_what_goes_on_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.intake_submitted.REMEMBERED", 2)
    handed = _Handed(tmp_path, monkeypatch)
    ids = []
    for number in range(4):
        ids.append(handed.submissions.submit(handed.file, None, None))
        if number != 1:
            handed.submissions.progress(ids[-1]).taken = cast("Taken", number)
    assert handed.submissions.progress(ids[1]).taken is None
    assert handed.submissions.progress(ids[3]).taken is not None
    with pytest.raises(OperationRefused, match="RNK6087E"):
        handed.submissions.progress(ids[0])
