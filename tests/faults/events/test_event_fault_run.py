"""Three thousand events on the back end of the run, each step killed once, connections cut: the small sister of `bench event-faults`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backends import backend
from tests.faults.events.run import STEPS, fault_run

EVENTS = 3000


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_overtaken(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    verdict = fault_run(tmp_path, backend(), events=EVENTS, rounds=1, with_services=False)
    for line in verdict.lines():
        record_property("table: events under kills and cuts", line)
    assert verdict.wrong == []
    assert [each for each in verdict.tallies if not each.good] == []
    assert verdict.recovered == verdict.kills == len(STEPS) + verdict.nodes
    assert verdict.publisher["answered"] == EVENTS
