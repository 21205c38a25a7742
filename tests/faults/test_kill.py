"""kill -9 of a worker, of the node, and of its whole group, at every labelled step: nothing is lost, nothing comes twice.

The nights of one chain follow each other in one site, as they do in life: each begins under the node that recovered the night before,
is killed where the case says, and is finished by a node started anew.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bus.steps import LABELS
from tests.faults.night import Nights, Outcome, nights
from tests.faults.real_node import until

IN_WORKERS = ("mid_read", "mid_write")
OF_THE_NIGHT = [label for label in LABELS if not (label.startswith("event_") or label.endswith("group_commit"))]
"""Steps that a night of files comes to; those of events have a fault run of their own."""
DEEDS = {label: ("kill", "kill-parent", "kill-group") if label in IN_WORKERS else ("kill", "kill-group") for label in OF_THE_NIGHT}
LATER = (
    "mid_read:3=kill",
    "mid_read:3=kill-parent",
    "after_chunk_commit:3=kill",
    "after_chunk_commit:7=kill-group",
    "mid_write:2=kill",
    "mid_write:4=kill-parent",
    "mid_write:6=kill-group",
    "before_recount:2=kill",
    "before_recount:3=kill",
    "before_rename:2=kill",
    "before_rename:3=kill-group",
    "after_rename:2=kill",
    "after_rename:3=kill",
)
TABLE = "table: kill -9 at every step (each night compared with an undisturbed one)"
CASES = [f"{label}={deed}" for label, deeds in DEEDS.items() for deed in deeds] + list(LATER)


outcomes: dict[str, Outcome] = {}
"""What every case of this run came to."""


@dataclass
class Chain:
    """The chain of nights; made anew when a case broke it, so that one failure does not make all that follow fail."""

    folder: Callable[[], Path]
    stack: ExitStack = field(default_factory=ExitStack)
    now: Nights | None = None

    def unbroken(self) -> Nights:
        """The chain's nights."""
        if self.now is None:
            self.now = self.stack.enter_context(nights(self.folder()))
        return self.now

    def break_off(self) -> None:
        """Give these nights up."""
        self.stack.close()
        self.now = None


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    made = Chain(lambda: tmp_path_factory.mktemp("nights"))
    yield made
    made.break_off()


@pytest.mark.slow
@pytest.mark.parametrize("rule", CASES)
def test_a_killed_night_ends_like_an_undisturbed_one(rule: str, chain: Chain, record_property: Callable[[str, object], None]) -> None:
    night = chain.unbroken()
    sequence = 0
    try:
        night.node.stop_at(rule)
        sequence = night.drop()
        _killed(night, rule)
        night.finish(sequence)
        night.check(sequence)
    except BaseException:
        chain.break_off()
        raise
    finally:
        outcomes[rule] = outcome = night.outcome(sequence)
        record_property(TABLE, f"{rule:34} {outcome}")


@pytest.mark.slow
def test_in_all_nothing_was_lost_and_nothing_came_twice(record_property: Callable[[str, object], None]) -> None:
    lost = sum(outcome.lost for outcome in outcomes.values())
    duplicated = sum(outcome.duplicated for outcome in outcomes.values())
    recovered = sum(outcome.recovered for outcome in outcomes.values())
    record_property(TABLE, f"{f'{len(outcomes)} kills':34} lost {lost}  duplicated {duplicated}  recovered {recovered}")
    assert (lost, duplicated, recovered) == (0, 0, len(outcomes))


def _killed(night: Nights, rule: str) -> None:
    """Wait for the kill, and start the node again when it was the node that was killed."""
    if rule.startswith(IN_WORKERS) and rule.endswith("=kill"):
        until(lambda: not night.node.rule.exists(), "a worker is killed", night.node.told)
        assert night.node.process.poll() is None, "the node outlives its workers"
        return
    assert night.node.died() == -signal.SIGKILL
    assert not night.node.rule.exists(), "the node was killed by its rule"
    until(lambda: not night.node.orphans(), "the workers are dead too")
    night.node.start()
