"""The laws that every journal keeps, whatever database it stands on.

A back end's test is a subclass with `open_journal`. The laws themselves stand by role in `accept_laws`, `deliver_laws`, `event_laws`,
`operate_laws`, `lease_laws`, `value_laws` and `concurrency_laws`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accept_laws import AcceptLaws
from concurrency_laws import ConcurrencyLaws
from deliver_laws import DeliverLaws
from event_laws import EventLaws
from lease_laws import LeaseLaws
from operate_laws import OperateLaws
from value_laws import ValueLaws

from bus.clock import ManualClock
from bus.journal.journal import SqlJournal


class JournalLaws(AcceptLaws, DeliverLaws, EventLaws, OperateLaws, LeaseLaws, ValueLaws, ConcurrencyLaws):
    """All laws."""

    def open_journal(self, folder: Path, clock: ManualClock) -> SqlJournal:
        """Open the journal of `folder`; the same one when called again."""
        raise AssertionError("a back end's test opens its own journal")

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def reopen(self, tmp_path: Path, clock: ManualClock) -> Iterator[Callable[[], SqlJournal]]:
        """Close the journal that is open, and open it again."""
        opened: list[SqlJournal] = []

        def open_again() -> SqlJournal:
            for journal in opened:
                journal.close()
            opened.append(self.open_journal(tmp_path, clock))
            return opened[-1]

        yield open_again
        for journal in opened:
            journal.close()

    @pytest.fixture
    def journal(self, reopen: Callable[[], SqlJournal]) -> SqlJournal:
        return reopen()
