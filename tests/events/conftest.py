"""What tests of events share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.clock import ManualClock
from bus.journal.journal import SqlJournal
from tests.backends import open_journal


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal(tmp_path: Path, clock: ManualClock) -> Iterator[SqlJournal]:
    opened = open_journal(tmp_path, clock, synchronous="OFF")
    yield opened
    opened.close()
