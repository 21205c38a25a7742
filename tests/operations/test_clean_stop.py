"""SIGTERM in the middle of the work: the node ends by itself, normally and soon, and the next start finishes what was begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bus.message import ChunkState, MessageState
from tests.backends import own_file, site_journal
from tests.node.small_city import BOUND_SECONDS, LABELS, csv, interface, people, running_city, subscription, until, write_city

COUNT = 2500
"""Records: about 90 chunks, so that a stop finds work in the middle."""
SUBSCRIBERS = [f"tax_{number}" for number in range(5)]
"""They take turns, so that all of them are in the middle at the same time."""
FILE = "PEOPLE_20260401_001.csv"


@pytest.mark.parametrize(("label", "times"), [("after_chunk_commit", 3), ("mid_write", 2)])
def test_a_node_told_to_end_in_the_middle_leaves_work_that_the_next_one_finishes(tmp_path: Path, label: str, times: int) -> None:
    write_city(
        tmp_path,
        [interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")],
        [subscription(name, "people", marker="{name}.end") for name in SUBSCRIBERS],
    )
    drop = tmp_path / "drop" / "people"
    drop.mkdir(parents=True)
    (drop / FILE).write_bytes(csv(people(COUNT)))
    (drop / f"{FILE}.end").touch()
    steps = tmp_path / "steps"
    steps.touch()
    node = subprocess.Popen(
        [sys.executable, "-m", "bus.cli.app", "--site", str(tmp_path), "up"],
        env=os.environ | {"RENKEI_STEP_LOG": str(steps)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: steps.read_text("ascii").split().count(label) >= times, label)
        node.send_signal(signal.SIGTERM)
        assert node.wait(BOUND_SECONDS) == 0
    finally:
        node.kill()
        node.wait()
    assert not own_file(tmp_path, "node.sock").exists()
    assert len(list((tmp_path / "out").rglob("*.csv"))) < len(SUBSCRIBERS)
    journal = site_journal(tmp_path)
    (message,) = journal.messages()
    done = [chunk for chunk in journal.chunks(message.id) if chunk.state is ChunkState.DONE]
    journal.close()
    assert len(done) >= times if label == "after_chunk_commit" else message.state is MessageState.ACCEPTED
    with running_city(tmp_path) as city:
        receipt = until(lambda: city.receipts(FILE))[0]
        for delivery in city.deliveries(receipt.message):
            assert (receipt.outcome, delivery.state, delivery.out.records) == ("accepted", "delivered", COUNT)
            expected = {delivery.file_name, delivery.marker_name}
            assert city.out(delivery.subscription).keys() == expected
            assert city.out(delivery.subscription)[delivery.file_name] == csv(people(COUNT), encoding="utf-8", titles=LABELS)
        assert len(city.journal.messages()) == len(city.receipts(FILE)) == 1
        entries = [entry for entry in city.journal.entries("332020", subject=message.id) if entry.kind == "chunk_done"]
        assert len(entries) == len(city.journal.chunks(message.id)) > 50
        assert not list((tmp_path / "out").rglob(".*"))


HANGING = """
import sys, threading
from pathlib import Path
import bus.node
from adapters.files.sink import FilesSink
bus.node.STOP_SECONDS = 0.5
def hang(*_):
    Path(sys.argv[2]).touch()
    threading.Event().wait()
FilesSink.open = hang
bus.node.serve(Path(sys.argv[1]))
"""


def test_a_target_that_hangs_does_not_keep_a_node_from_ending(tmp_path: Path) -> None:
    write_city(
        tmp_path,
        [interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")],
        [subscription("tax", "people")],
    )
    drop = tmp_path / "drop" / "people"
    drop.mkdir(parents=True)
    (drop / FILE).write_bytes(csv(people(5)))
    (drop / f"{FILE}.end").touch()
    hangs = tmp_path / "hangs"
    node = subprocess.Popen([sys.executable, "-c", HANGING, str(tmp_path), str(hangs)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(hangs.exists)
        node.send_signal(signal.SIGTERM)
        assert node.wait(BOUND_SECONDS / 3) == 0
    finally:
        node.kill()
        node.wait()
    with running_city(tmp_path):
        until((tmp_path / "out" / "tax" / "tax_20260401_001.csv").exists)
