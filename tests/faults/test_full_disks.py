"""Full disks, each a real one: the node goes on, nothing is lost, and what waits goes on by itself once there is room."""

from __future__ import annotations

import contextlib
import re
from io import StringIO
from pathlib import Path

import pytest

from bus import delivery, delivery_dispatch
from bus.delivery_output import seal_and_recount
from bus.errors import JournalUnavailable
from bus.message import FINISHED, Delivery, DeliveryState
from bus.node import Node, running_node
from tests.backends import embedded
from tests.faults.conftest import Disks
from tests.faults.night_site import SUBSCRIPTIONS, drop, people, write_site
from tests.faults.real_node import until


def finished(node: Node, *names: str) -> bool:
    """Whether these deliveries (named by their file) are finished."""
    done = {one.file_name for one in node.parts.journal.deliveries() if one.state in FINISHED}
    return done >= set(names)


def of_night(sequence: int) -> tuple[str, str, str]:
    """The file names of a night's deliveries."""
    return f"{sequence:03}.csv", f"{sequence:03}.dat", f"{sequence:03}-{{document:02}}.xml"


def published(site: Path, sequence: int) -> dict[str, bytes]:
    """What a night published, by name without its number; markers name their file."""
    number = f"{sequence:03}"
    found = {}
    for path in (site / "out").rglob(f"{number}*"):
        data = path.read_bytes()
        without = data.replace(number.encode(), b"") if path.suffix == ".end" else data
        found[f"{path.parent.name}/{path.name.removeprefix(number)}"] = without
    return found


def check_whole(node: Node, sequence: int) -> None:
    """The night's files are those of the first, undisturbed one, and nothing is left over."""
    assert published(node.folder, sequence) == published(node.folder, 1)
    assert len(published(node.folder, 1)) == 9
    assert not list((node.folder / "out").rglob(".renkei-*"))
    until(lambda: not list((node.folder / "drop" / "claimed").iterdir()), "the sender is told")
    assert len(node.parts.journal.messages()) == sequence
    assert len(node.parts.journal.deliveries()) == sequence * len(SUBSCRIPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["var/payloads", "var/work", "journal"])
def test_a_full_disk_holds_a_file_up_and_loses_nothing(place: str, tmp_path: Path, disks: Disks, log_of_node: StringIO) -> None:
    with embedded() if place == "journal" else contextlib.nullcontext():
        site = write_site(tmp_path / "site")
    disk = disks.mount(site / place, "3m")
    drop(site, 1, people())
    with running_node(site, listen=False) as node:
        until(lambda: finished(node, *of_night(1)), "the first night is over")
        until(lambda: not list((site / "var" / "work").glob("*/*")), "its work files are removed, and give no room later")
        disk.fill()
        if place == "journal":
            _use_up_the_log(node)
        drop(site, 2, people())
        why = re.compile(r"PEOPLE_20261120_002.*(disk is full|No space left)")
        until(lambda: bool(why.search(log_of_node.getvalue())), "it is told why", log_of_node.getvalue)
        assert len(list((site / "drop" / "claimed").glob("*/PEOPLE*.csv"))) == 1
        assert not finished(node, of_night(2)[0])
        assert published(site, 2) == {}
        disk.free()
        until(lambda: finished(node, *of_night(2)), "the second night is over", log_of_node.getvalue)
        check_whole(node, 2)


def _use_up_the_log(node: Node) -> None:
    """The journal's write-ahead log is used again from its beginning: commits go on in a full disk until it must grow."""
    with contextlib.suppress(JournalUnavailable):
        while True:
            node.parts.journal.note("332020", "viewed", "332020", {"text": "x" * 3000})


@pytest.mark.slow
def test_a_journal_that_is_full_in_the_middle_of_a_delivery_goes_on_with_it(
    tmp_path: Path, disks: Disks, log_of_node: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_dispatch, "LEASE_SECONDS", 1.0)
    with embedded():
        site = write_site(tmp_path / "site")
    disk = disks.mount(site / "journal", "3m")
    once: list[str] = []

    async def filling(pool: object, claimed: Delivery, *rest: object) -> object:
        if claimed.file_name == "002.dat" and not once:
            once.append(claimed.id)
            disk.fill()
            _use_up_the_log(node)
        return await seal_and_recount(pool, claimed, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(delivery, "seal_and_recount", filling)
    drop(site, 1, people())
    with running_node(site, listen=False) as node:
        until(lambda: finished(node, *of_night(1)), "the first night is over")
        drop(site, 2, people())
        until(lambda: "RNK7011E" in log_of_node.getvalue(), "it is told that the journal is full", log_of_node.getvalue)
        disk.free()
        until(lambda: finished(node, *of_night(2)), "the second night is over", log_of_node.getvalue)
        check_whole(node, 2)


@pytest.mark.slow
def test_a_full_target_delays_no_other_subscriber(tmp_path: Path, disks: Disks, log_of_node: StringIO) -> None:
    site = write_site(tmp_path / "site")
    disk = disks.mount(site / "out" / "fixed", "1m")
    drop(site, 1, people())
    with running_node(site, listen=False) as node:
        until(lambda: finished(node, *of_night(1)), "the first night is over")
        disk.fill()
        for sequence in (2, 3):
            drop(site, sequence, people())
            csv, _, xml = of_night(sequence)
            until(lambda: finished(node, csv, xml), "the others have theirs", log_of_node.getvalue)  # noqa: B023 - asked at once
        second, third = (next(one for one in node.parts.journal.deliveries() if one.file_name == f"00{n}.dat") for n in (2, 3))
        assert (third.attempts, third.state) == (0, DeliveryState.DUE), "it waits behind the one before"
        until(lambda: node.parts.journal.delivery(second.id).attempts >= 1, "the full disk is met")
        assert "No space left" in node.parts.journal.delivery(second.id).last_error
        assert {path.name for path in disk.place.glob("00*")} == {"001.dat", "001.end"}
        disk.free()
        until(lambda: finished(node, "002.dat", "003.dat"), "the third one has its files too", log_of_node.getvalue)
        check_whole(node, 3)
        second, third = node.parts.journal.delivery(second.id), node.parts.journal.delivery(third.id)
        assert (second.finished_at_us or 0) < (third.finished_at_us or 0)
