"""The journal against a small model: whatever workers, operators and the clock do, each delivery takes effect once and in order.

The model knows nothing of tables: it keeps, per ordering key, the list of deliveries in the order they were made, what each worker holds,
and from when each delivery may be had. After every step the journal must agree.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from journal_samples import PUBLICATION, accepted, end, identity, new_delivery

from bus.clock import ManualClock
from bus.errors import OperationRefused, StaleClaim
from bus.message import FINISHED, Delivery, DeliveryState
from tests.backends import open_journal

SECOND = 1_000_000
LEASE_SECONDS = 60
TENANTS = st.sampled_from(["111111", "222222"])
KEYS = st.sampled_from(["a", "b"])


@dataclass
class Known:
    """What the model knows of a delivery."""

    line: tuple[str, str]
    state: DeliveryState = DeliveryState.DUE
    free_at_us: int = 0
    fence: int = 0
    held: bool = False
    """by the newest claim, lapsed or not"""
    ready: bool = False
    effects: int = 0


@dataclass
class Model:
    """All deliveries, in the order they were made."""

    deliveries: dict[str, Known] = field(default_factory=dict)

    def head(self, line: tuple[str, str]) -> str | None:
        """The first unfinished delivery of an ordering key."""
        return next((name for name, one in self.deliveries.items() if one.line == line and one.state not in FINISHED), None)

    def claimable(self, now_us: int) -> set[str]:
        """What a claim without limit must give."""
        heads = {self.head(one.line) for one in self.deliveries.values()}
        return {
            name
            for name, one in self.deliveries.items()
            if name in heads and one.state is not DeliveryState.QUARANTINED and one.free_at_us <= now_us
        }


class JournalMachine(RuleBasedStateMachine):
    """Workers, operators and a clock that only goes forward (its jumps back have laws of their own)."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.journal = open_journal(Path(self.folder.name), self.clock, synchronous="OFF")
        self.model = Model()
        self.claims: list[Delivery] = []
        self.sequence = 0

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
            self.folder.cleanup()

    @rule(tenant=TENANTS, key=KEYS)
    def accept(self, tenant: str, key: str) -> None:
        self.sequence += 1
        (made,) = accepted(self.journal, identity(tenant=tenant, sequence=self.sequence), new_delivery(key=key))
        self.model.deliveries[made.id] = Known((tenant, key), free_at_us=self.clock.now_us())

    @rule(limit=st.integers(1, 5))
    def claim(self, limit: int) -> None:
        now_us = self.clock.now_us()
        expected = self.model.claimable(now_us)
        got = self.journal.claim("worker", lease_seconds=LEASE_SECONDS, limit=limit)
        names = {one.id for one in got}
        assert len(names) == len(got) == min(limit, len(expected))
        assert names <= expected
        for one in got:
            known = self.model.deliveries[one.id]
            known.fence, known.held = known.fence + 1, True
            known.state = DeliveryState.READY_TO_PUBLISH if known.ready else DeliveryState.CLAIMED
            known.free_at_us = now_us + LEASE_SECONDS * SECOND
            assert (one.fence, one.state) == (known.fence, known.state)
        self.claims += got

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), what=st.sampled_from(["renew", "ready", "deliver", "fail", "give up"]))
    def work(self, data: st.DataObject, what: str) -> None:
        claimed = data.draw(st.sampled_from(self.claims))
        known = self.model.deliveries[claimed.id]
        if known.held and claimed.fence == known.fence:
            getattr(self, f"_{what.replace(' ', '_')}")(claimed, known)
        elif what == "deliver" and claimed.fence == known.fence and known.effects:
            assert end(self.journal, claimed) is known.state  # said twice: no second effect
        else:
            with pytest.raises(StaleClaim):
                self._call(claimed, what)

    def _call(self, claimed: Delivery, what: str) -> None:
        if what == "renew":
            self.journal.renew(claimed, lease_seconds=LEASE_SECONDS)
        elif what == "ready":
            self.journal.ready_to_publish(claimed, PUBLICATION, 100)
        elif what == "deliver":
            end(self.journal, claimed)
        else:
            self.journal.failed(claimed, error="x", due_at_us=None if what == "give up" else self.clock.now_us())

    def _renew(self, claimed: Delivery, known: Known) -> None:
        self._call(claimed, "renew")
        known.free_at_us = self.clock.now_us() + LEASE_SECONDS * SECOND

    def _ready(self, claimed: Delivery, known: Known) -> None:
        self._call(claimed, "ready")
        known.ready, known.state = True, DeliveryState.READY_TO_PUBLISH

    def _deliver(self, claimed: Delivery, known: Known) -> None:
        if not known.ready:
            with pytest.raises(OperationRefused):
                end(self.journal, claimed)
            return
        end(self.journal, claimed)
        known.effects += 1
        known.state = DeliveryState.DELIVERED
        known.held = False
        self._arm_next(known.line)

    def _fail(self, claimed: Delivery, known: Known) -> None:
        due_at_us = self.clock.now_us() + 5 * SECOND
        state = self.journal.failed(claimed, error="x", due_at_us=due_at_us)
        known.state = DeliveryState.READY_TO_PUBLISH if known.ready else DeliveryState.DUE
        known.free_at_us = due_at_us
        known.held = False
        assert state is known.state

    def _give_up(self, claimed: Delivery, known: Known) -> None:
        assert self.journal.failed(claimed, error="x", due_at_us=None) is DeliveryState.QUARANTINED
        known.state = DeliveryState.QUARANTINED
        known.held = False

    @rule(data=st.data(), release=st.booleans())
    def decide(self, data: st.DataObject, release: bool) -> None:
        waiting = self.journal.quarantine(kind="given_up")
        given_up = {name for name, one in self.model.deliveries.items() if one.state is DeliveryState.QUARANTINED}
        assert {one.delivery for one in waiting} == given_up
        if not waiting:
            return
        entry = data.draw(st.sampled_from(waiting))
        assert entry.delivery is not None
        known = self.model.deliveries[entry.delivery]
        if release:
            self.journal.release(entry.id, by="operator")
            known.state = DeliveryState.READY_TO_PUBLISH if known.ready else DeliveryState.DUE
            known.free_at_us = self.clock.now_us()
        else:
            self.journal.skip(entry.id, by="operator")
            known.state = DeliveryState.SKIPPED
            self._arm_next(known.line)

    @rule()
    def restart(self) -> None:
        """The node dies and starts: its former self's claims are freed, and stale."""
        self.journal.close()
        self.journal = open_journal(Path(self.folder.name), self.clock, synchronous="OFF")
        freed = [known for known in self.model.deliveries.values() if known.held]
        for known in freed:
            known.fence, known.held = known.fence + 1, False
            known.state = DeliveryState.READY_TO_PUBLISH if known.ready else DeliveryState.DUE
            known.free_at_us = self.clock.now_us()
        assert self.journal.unclaim("worker") == len(freed)

    @rule(seconds=st.sampled_from([1, 5, LEASE_SECONDS, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def _arm_next(self, line: tuple[str, str]) -> None:
        following = self.model.head(line)
        if following is not None:
            known = self.model.deliveries[following]
            known.free_at_us = min(known.free_at_us, self.clock.now_us())

    @invariant()
    def agrees(self) -> None:
        held = {one.id: one for one in self.journal.deliveries(limit=1000)}
        assert held.keys() == self.model.deliveries.keys()
        for name, known in self.model.deliveries.items():
            assert (held[name].state, held[name].fence) == (known.state, known.fence)
            assert known.effects == (1 if known.state is DeliveryState.DELIVERED else 0)
        for tenant in ("111111", "222222"):
            sequence = [entry.sequence for entry in self.journal.entries(tenant)]
            assert sequence == list(range(1, len(sequence) + 1))


TestJournalAgainstModel = JournalMachine.TestCase
TestJournalAgainstModel.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
