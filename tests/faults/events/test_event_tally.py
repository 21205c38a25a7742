"""The verdict of a fault run can be bad: each kind of wrong is counted."""

from __future__ import annotations

from pathlib import Path

from tests.faults.events.store import Inbox, taken, tally

EXPECTED = {"1-1", "1-2", "2-1", "3-1"}


def test_each_kind_of_wrong_is_counted(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.db")
    inbox.take([("d1", "1-2"), ("d1", "1-2")])
    inbox.take([("d2", "1-1"), ("d1", "1-2"), ("d3", "2-1"), ("d4", "2-1"), ("d5", "9-9")])
    found = tally("hooked", tmp_path / "inbox.db", EXPECTED)
    assert taken(tmp_path / "inbox.db") == 5
    assert (found.lost, found.raw_duplicates, found.duplicated_in_effect, found.out_of_order) == (1, 2, 2, 1)
    assert not found.good


def test_raw_duplicates_alone_are_no_harm(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.db")
    inbox.take([("d1", "1-1"), ("d2", "2-1"), ("d1", "1-1"), ("d3", "1-2"), ("d4", "3-1"), ("d2", "2-1")])
    found = tally("hooked", tmp_path / "inbox.db", EXPECTED)
    assert found.good
    assert found.raw_duplicates == 2
