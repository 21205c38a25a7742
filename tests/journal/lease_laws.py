"""Laws of leases: one owner at a time, and none for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from bus.clock import ManualClock
from bus.journal.journal import SqlJournal
from bus.message import Lease

SECOND = 1_000_000
DAY_SECONDS = 86_400.0


class LeaseLaws:
    """What `bus.ports.LeaseJournal` promises."""

    def test_a_lease_is_one_owners(self, journal: SqlJournal, clock: ManualClock) -> None:
        taken = journal.take_lease("drop", "node1", seconds=30)
        assert taken == Lease("drop", "node1", 1, clock.now_us() + 30 * SECOND)
        assert journal.take_lease("drop", "node2", seconds=30) is None
        assert journal.take_lease("another", "node2", seconds=30) == Lease("another", "node2", 1, clock.now_us() + 30 * SECOND)
        assert journal.holds(taken)

    def test_its_owner_prolongs_it_under_the_same_fence(self, journal: SqlJournal, clock: ManualClock) -> None:
        taken = journal.take_lease("drop", "node1", seconds=30)
        clock.advance(20)
        assert journal.take_lease("drop", "node1", seconds=30) == Lease("drop", "node1", 1, clock.now_us() + 30 * SECOND)
        clock.advance(20)
        assert journal.take_lease("drop", "node2", seconds=30) is None
        assert taken is not None
        assert journal.holds(taken), "the lease is what it was, only longer"

    def test_a_lapsed_one_is_still_its_owners_until_another_takes_it(self, journal: SqlJournal, clock: ManualClock) -> None:
        journal.take_lease("drop", "node1", seconds=30)
        clock.advance(1000)
        renewed = journal.take_lease("drop", "node1", seconds=30)
        assert renewed is not None
        assert renewed.fence == 1

    def test_it_lapses_to_the_moment_and_the_next_owner_has_the_next_fence(self, journal: SqlJournal, clock: ManualClock) -> None:
        first = journal.take_lease("drop", "node1", seconds=30)
        assert first is not None
        clock.set_us(first.until_us - 1)
        assert journal.take_lease("drop", "node2", seconds=30) is None
        assert journal.holds(first)
        clock.set_us(first.until_us)
        assert not journal.holds(first)
        second = journal.take_lease("drop", "node2", seconds=30)
        assert second == Lease("drop", "node2", 2, clock.now_us() + 30 * SECOND)
        assert not journal.holds(first)
        assert journal.take_lease("drop", "node1", seconds=30) is None
        clock.advance(31)
        third = journal.take_lease("drop", "node1", seconds=30)
        assert third is not None
        assert third.fence == 3
        assert not journal.holds(first), "the same owner under an older fence"

    def test_what_is_given_up_is_free_at_once_under_a_new_fence(self, journal: SqlJournal) -> None:
        held = [journal.take_lease(name, "node1", seconds=30) for name in ("a", "b")]
        journal.take_lease("c", "node2", seconds=30)
        assert journal.give_up_leases("node1") == 2
        assert journal.give_up_leases("node1") == 0
        assert [journal.holds(one) for one in held if one] == [False, False]
        again, other = journal.take_lease("a", "node1", seconds=30), journal.take_lease("b", "node2", seconds=30)
        assert again is not None
        assert other is not None
        assert (again.fence, other.fence) == (2, 2)
        assert journal.take_lease("c", "node1", seconds=30) is None

    def test_a_clock_that_jumps_back_makes_none_immortal(self, journal: SqlJournal, clock: ManualClock) -> None:
        journal.take_lease("drop", "node1", seconds=30)
        clock.advance(-DAY_SECONDS)
        assert journal.take_lease("drop", "node2", seconds=30) is None, "its owner may be alive"
        clock.advance(29)
        assert journal.take_lease("drop", "node2", seconds=30) is None
        clock.advance(1)
        taken = journal.take_lease("drop", "node2", seconds=30)
        assert taken is not None
        assert taken.fence == 2

    def test_a_living_owner_keeps_it_when_the_clock_jumps_back(self, journal: SqlJournal, clock: ManualClock) -> None:
        journal.take_lease("drop", "node1", seconds=30)
        clock.advance(-DAY_SECONDS)
        for _ in range(4):
            renewed = journal.take_lease("drop", "node1", seconds=30)
            assert renewed is not None
            assert renewed.fence == 1
            assert journal.take_lease("drop", "node2", seconds=30) is None
            clock.advance(20)

    def test_leases_outlive_the_process(self, journal: SqlJournal, reopen: object) -> None:
        taken = journal.take_lease("drop", "node1", seconds=30)
        assert callable(reopen)
        again = reopen()
        assert again.holds(taken)
        assert again.take_lease("drop", "node2", seconds=30) is None

    def test_many_ask_at_once_and_one_gets_it(self, journal: SqlJournal) -> None:
        start = Barrier(6)

        def ask(owner: str) -> Lease | None:
            start.wait()
            return journal.take_lease("drop", owner, seconds=30)

        with ThreadPoolExecutor(6) as pool:
            taken = [one for one in pool.map(ask, map(str, range(6))) if one is not None]
        assert len(taken) == 1
        assert taken[0].fence == 1

    @pytest.mark.parametrize(("name", "owner", "seconds"), [("", "node1", 30), ("drop", "", 30), ("drop", "node1", 0)])
    def test_a_lease_has_a_name_an_owner_and_a_time(self, journal: SqlJournal, name: str, owner: str, seconds: float) -> None:
        with pytest.raises(ValueError, match="a lease has"):
            journal.take_lease(name, owner, seconds=seconds)
