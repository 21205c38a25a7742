"""202 means on disk: the order of system calls of a node that takes one event. The same check must fail when the journal does not sync."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backends import embedded
from tests.faults.events.town import FETCHED, TENANT, write_town
from tests.faults.trace import Trace, check_order, traced


@dataclass
class OneEvent:
    """What was traced."""

    site: Path
    trace: Trace

    def check(self) -> None:
        """The journal's commit, with the message and its delivery in it, is synced before the first byte of the answer is written."""
        wal = str(self.site / "var" / "journal.db-wal")
        (answered,) = self.trace.find(lambda call: "HTTP/1.1 202" in call.said and call.name in ("write", "writev", "sendto", "sendmsg"))
        for entry in (f"accepted{TENANT}-m1", f"routed{TENANT}-d1"):
            committed = self.trace.writes(wal, entry)
            assert committed, f"the journal never held {entry}"
            check_order(committed[0], answered)
            self.trace.check_synced(wal, after=committed[0], before=answered)


def one_event(folder: Path, synchronous: str) -> OneEvent:
    with embedded():  # PostgreSQL syncs in processes of its own
        site = write_town(folder / "site", {}, pulled=[FETCHED])
    program = ["-m", "tests.faults.events.one_event_node", str(site), synchronous]
    return OneEvent(site, traced(program, folder / "calls"))


@pytest.mark.slow
def test_an_event_is_on_disk_before_its_publisher_is_told(tmp_path: Path) -> None:
    one_event(tmp_path, "FULL").check()


@pytest.mark.slow
def test_without_syncing_the_journal_it_is_found_wanting(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"journal\.db-wal is not synced"):
        one_event(tmp_path, "OFF").check()
