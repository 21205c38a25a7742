"""Group commit: who waits for the journal goes together, is answered once, and is never forgotten, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import JournalError, JournalUnavailable, Overloaded
from bus.event import Attributes, EventOutcome, EventTaken, NewEvent, Settlement, Wanted
from bus.event_ports import Group, GroupDone
from bus.events.group_commit import MOST_TOGETHER, RETRY_AFTER_SECONDS, GroupCommit
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState
from tests.events.sending_doubles import OWNER, TENANT, WAIT_SECONDS, claimed, event
from tests.journal.event_samples import to

EVENT = event(1)
DELIVERED = Settlement("332020-d1", 1, DeliveryState.DELIVERED)
CLAIM = Wanted(TENANT, "welfare", 1, OWNER, 60)


def new(name: str, body: bytes = b"{}") -> NewEvent:
    return replace(EVENT, attributes=Attributes(name, "/s", "t"), body=body)


@dataclass
class Journal:
    """Commits when it may. `trouble` is asked about each group, in the committing thread."""

    trouble: Callable[[Group], Exception | None] = lambda _: None
    hands_over: bool = False
    done: list[Group] = field(default_factory=list)
    tried: int = 0
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may.set()

    def commit(self, group: Group, owner: str, *, lease_seconds: float) -> GroupDone:
        self.tried += 1
        self.began.release()
        assert self.may.wait(WAIT_SECONDS)
        error = self.trouble(group)
        if error is not None:
            raise error
        self.done.append(group)
        taken = [self._taken(one) for one in group.accept]
        return GroupDone(taken, [one.state for one in group.settle], [[claimed(7)] for _ in group.claim])

    def _taken(self, one: NewEvent) -> EventTaken:
        handed = [claimed(int(one.attributes.id))] if self.hands_over else []
        return EventTaken(f"m-{one.attributes.id}", EventOutcome.ACCEPTED, (), handed)

    async def begins(self) -> None:
        """Until the thread is in a commit."""
        assert await asyncio.to_thread(self.began.acquire, timeout=WAIT_SECONDS)


@asynccontextmanager
async def committing(journal: Any, **how: Any) -> AsyncIterator[GroupCommit]:
    commit = GroupCommit(journal, OWNER, **how)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            yield commit
    finally:
        if isinstance(journal, Journal):
            journal.may.set()
        await asyncio.to_thread(commit.close)


def sizes(journal: Journal) -> list[tuple[int, int, int]]:
    return [(len(group.accept), len(group.settle), len(group.claim)) for group in journal.done]


def held(commit: GroupCommit) -> tuple[int, int, int]:
    """What is counted as waiting, and what waits."""
    return commit._accepting, commit._accepting_bytes, len(commit._waiting)


async def calm(commit: GroupCommit) -> None:
    """Nothing waits any more, and nothing is counted as waiting."""
    async with asyncio.timeout(WAIT_SECONDS):
        while held(commit) != (0, 0, 0):  # noqa: ASYNC110 - a few turns of the loop; the product needs no signal for it
            await asyncio.sleep(0)


async def test_one_event_alone_is_committed_at_once() -> None:
    journal = Journal()
    async with committing(journal) as commit:
        taken = await commit.accept(new("1"))
        assert (taken.message, taken.outcome) == ("m-1", EventOutcome.ACCEPTED)
        assert sizes(journal) == [(1, 0, 0)]


async def test_what_comes_while_a_commit_runs_goes_together() -> None:
    journal = Journal()
    journal.may.clear()
    async with committing(journal) as commit:
        first = commit.accept(new("first"))
        await journal.begins()
        accepts = [commit.accept(new(str(number))) for number in range(50)]
        settling, claiming = asyncio.ensure_future(commit.settle(DELIVERED)), asyncio.ensure_future(commit.claim(CLAIM))
        await asyncio.sleep(0)
        assert not first.done()
        journal.may.set()
        answers = await asyncio.gather(first, *accepts)
        assert [one.message for one in answers] == ["m-first", *(f"m-{number}" for number in range(50))]
        assert await settling is DeliveryState.DELIVERED
        assert [one.id for one in await claiming] == ["332020-d7"]
        assert sizes(journal) == [(1, 0, 0), (50, 1, 1)]


async def test_a_flood_is_cut_into_groups_in_order() -> None:
    journal = Journal()
    journal.may.clear()
    async with committing(journal) as commit:
        first = commit.accept(new("first"))
        await journal.begins()
        rest = [commit.accept(new(str(number))) for number in range(MOST_TOGETHER + 10)]
        journal.may.set()
        await asyncio.gather(first, *rest)
        assert sizes(journal) == [(1, 0, 0), (MOST_TOGETHER, 0, 0), (10, 0, 0)]
        in_order = [one.attributes.id for group in journal.done for one in group.accept]
        assert in_order == ["first", *map(str, range(MOST_TOGETHER + 10))]


async def test_a_claim_never_overtakes_a_settlement() -> None:
    journal = Journal()
    journal.may.clear()
    async with committing(journal) as commit:
        first = commit.accept(new("first"))
        await journal.begins()
        settling = [asyncio.ensure_future(commit.settle(Settlement(f"d{number}", 1, DeliveryState.DELIVERED))) for number in range(1100)]
        await asyncio.sleep(0)
        claiming = asyncio.ensure_future(commit.claim(CLAIM))
        await asyncio.sleep(0)
        journal.may.set()
        await asyncio.gather(first, *settling, claiming)
        assert sizes(journal)[1:] == [(0, 500, 0), (0, 500, 0), (0, 100, 1)]


async def test_settling_frees_the_key_that_the_same_group_claims(journal: SqlJournal) -> None:
    async with committing(journal) as commit:
        await commit.accept(event(1, to(), key="k"))
        await commit.accept(event(2, to(), key="k"))
        (one,) = await commit.claim(CLAIM)
        settled, (two,) = await asyncio.gather(
            commit.settle(Settlement(one.id, one.fence, DeliveryState.DELIVERED)), commit.claim(replace(CLAIM, limit=5))
        )
        assert settled is DeliveryState.DELIVERED
        assert two.event.attributes.id == "e2"


# --- how much may wait


async def test_too_many_are_told_to_come_back_and_the_count_goes_down_again() -> None:
    journal = Journal()
    journal.may.clear()
    async with committing(journal, most_waiting=3) as commit:
        waiting = [commit.accept(new(str(number))) for number in range(3)]
        with pytest.raises(Overloaded) as told:
            commit.accept(new("4"))
        assert told.value.facts["retry_after_seconds"] == RETRY_AFTER_SECONDS
        settling = asyncio.ensure_future(commit.settle(DELIVERED))  # what ends a delivery is never refused
        journal.may.set()
        await asyncio.gather(*waiting, settling)
        await calm(commit)
        await asyncio.gather(*(commit.accept(new(f"again {number}")) for number in range(3)))
        await calm(commit)


async def test_too_many_bytes_are_told_to_come_back() -> None:
    journal = Journal()
    journal.may.clear()
    async with committing(journal, most_waiting_bytes=1000) as commit:
        waiting = [commit.accept(new("1", b"x" * 600)), commit.accept(new("2", b"x" * 400))]
        with pytest.raises(Overloaded):
            commit.accept(new("3", b"x"))
        waiting.append(commit.accept(new("4", b"")))  # its body stands in a part
        journal.may.set()
        await asyncio.gather(*waiting)
        await calm(commit)


@pytest.mark.parametrize("error", [JournalUnavailable("RNK3001E", reason="away"), JournalError("RNK3003E", reason="x"), RuntimeError("x")])
async def test_the_count_goes_down_after_failures(error: Exception) -> None:
    journal = Journal(lambda _: error)
    async with committing(journal, most_waiting=5) as commit:
        for _ in range(3):
            answers = await asyncio.gather(*(commit.accept(new(str(number), b"xy")) for number in range(5)), return_exceptions=True)
            assert all(isinstance(one, JournalError) for one in answers)
            await calm(commit)


async def test_the_count_goes_down_when_those_who_wait_leave() -> None:
    journal = Journal()
    journal.may.clear()
    async with committing(journal, most_waiting=5) as commit:
        waiting = [asyncio.ensure_future(_accept(commit, str(number))) for number in range(5)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        assert all(isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*waiting, return_exceptions=True))
        with pytest.raises(Overloaded):
            commit.accept(new("6"))  # the journal still has them to do
        journal.may.set()
        await calm(commit)
        assert (await commit.accept(new("7"))).message == "m-7"


async def _accept(commit: GroupCommit, name: str) -> EventTaken:
    return await commit.accept(new(name))


# --- trouble


async def test_an_unavailable_journal_is_told_to_everyone_and_later_work_goes_on() -> None:
    away = True
    journal = Journal(lambda _: JournalUnavailable("RNK3001E", reason="away") if away else None)
    journal.may.clear()
    async with committing(journal) as commit:
        first = commit.accept(new("1"))
        await journal.begins()
        rest: list[Any] = [commit.accept(new("2")), commit.settle(DELIVERED), commit.claim(CLAIM)]
        rest = [asyncio.ensure_future(one) for one in rest]
        await asyncio.sleep(0)
        journal.may.set()
        told = await asyncio.gather(first, *rest, return_exceptions=True)
        assert [type(one) for one in told] == [JournalUnavailable] * 4
        assert journal.tried == 2  # not one by one: they would all wait for the same
        away = False
        assert (await commit.accept(new("3"))).message == "m-3"


async def test_one_that_a_constraint_refuses_spoils_no_other() -> None:
    def bad(group: Group) -> Exception | None:
        names = {one.attributes.id for one in group.accept} | {one.delivery for one in group.settle}
        if "bad" in names:
            return JournalError("RNK3003E", reason="constraint")
        return ValueError("a person's name") if "worse" in names else None

    journal = Journal(bad)
    journal.may.clear()
    async with committing(journal) as commit:
        first = commit.accept(new("first"))
        await journal.begins()
        wanted = [commit.accept(new(name)) for name in ("1", "bad", "2", "worse", "3")]
        settling = [
            asyncio.ensure_future(commit.settle(replace(DELIVERED, delivery="bad"))),
            asyncio.ensure_future(commit.settle(DELIVERED)),
            asyncio.ensure_future(commit.claim(CLAIM)),
        ]
        await asyncio.sleep(0)
        journal.may.set()
        await first
        found = await asyncio.gather(*wanted, return_exceptions=True)
        assert [getattr(one, "message", None) for one in found] == ["m-1", None, "m-2", None, "m-3"]
        assert [type(found[1]), type(found[3])] == [JournalError, JournalError]
        assert "person" not in str(found[3])
        with pytest.raises(JournalError):
            await settling[0]
        assert await settling[1] is DeliveryState.DELIVERED
        assert await settling[2]
        await calm(commit)


async def test_one_by_one_ends_when_the_journal_goes_away() -> None:
    def then_away(group: Group) -> Exception | None:
        if len(group.accept) > 1:
            return JournalError("RNK3003E", reason="constraint")
        return JournalUnavailable("RNK3001E", reason="away") if group.accept[0].attributes.id != "0" else None

    journal = Journal(then_away)
    journal.may.clear()
    async with committing(journal) as commit:
        first = commit.accept(new("0"))
        await journal.begins()
        rest = [commit.accept(new(str(number))) for number in range(100)]
        journal.may.set()
        found = await asyncio.gather(first, *rest, return_exceptions=True)
        assert [type(one) for one in found] == [EventTaken, EventTaken] + [JournalUnavailable] * 99
        assert journal.tried == 1 + 1 + 2


async def test_a_fault_of_whoever_counts_harms_nobody() -> None:
    counted: list[tuple[int, float]] = []
    faults: list[Any] = []

    def observe(size: int, seconds: float) -> None:
        counted.append((size, seconds))
        raise RuntimeError("the metrics are broken")

    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    async with committing(Journal(), observe=observe) as commit:
        for number in range(3):
            assert (await commit.accept(new(str(number)))).message == f"m-{number}"
        await calm(commit)
    assert [size for size, _ in counted] == [1, 1, 1]
    assert all(seconds >= 0 for _, seconds in counted)
    assert [type(one) for one in faults] == [RuntimeError] * 3  # not silent either


# --- those who left


async def test_what_was_claimed_for_one_who_left_is_given_back_at_once() -> None:
    journal = Journal(hands_over=True)
    journal.may.clear()
    async with committing(journal) as commit:
        accepting = asyncio.ensure_future(_accept(commit, "1"))
        claiming = asyncio.ensure_future(commit.claim(CLAIM))
        settling = asyncio.ensure_future(commit.settle(DELIVERED))
        await asyncio.sleep(0)
        for task in (accepting, claiming, settling):
            task.cancel()
        await asyncio.gather(accepting, claiming, settling, return_exceptions=True)
        journal.may.set()
        await calm(commit)
        await commit.settle(DELIVERED)  # is booked after what is given back
    given_back = [one for group in journal.done for one in group.settle if one.state is DeliveryState.DUE]
    assert sorted((one.delivery, one.fence, one.counts_attempt) for one in given_back) == [("332020-d1", 1, False), ("332020-d7", 1, False)]


async def test_a_delivery_handed_to_one_who_left_can_be_claimed_again(journal: SqlJournal) -> None:
    slow = _Held(journal)
    async with committing(slow) as commit:
        accepting = asyncio.ensure_future(_await(commit.accept(event(1, replace(to(), hand_over=True)))))
        await slow.begins()
        accepting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await accepting
        slow.may.set()
        await calm(commit)
        (one,) = await commit.claim(CLAIM)
        assert (one.event.attributes.id, one.attempts, one.fence) == ("e1", 0, 2)


async def _await(future: asyncio.Future[EventTaken]) -> EventTaken:
    return await future


@dataclass
class _Held:
    """A journal that waits before its first commit."""

    journal: SqlJournal
    began: asyncio.Event = field(default_factory=asyncio.Event)
    may: threading.Event = field(default_factory=threading.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def commit(self, group: Group, owner: str, *, lease_seconds: float) -> GroupDone:
        self.loop.call_soon_threadsafe(self.began.set)
        assert self.may.wait(WAIT_SECONDS)
        return self.journal.commit(group, owner, lease_seconds=lease_seconds)

    async def begins(self) -> None:
        await self.began.wait()


# --- the end


async def test_closing_commits_what_waits_and_refuses_later() -> None:
    journal = Journal()
    journal.may.clear()
    async with committing(journal, most_waiting=3) as commit:
        waiting = [commit.accept(new(str(number))) for number in range(3)]
        settling = asyncio.ensure_future(commit.settle(DELIVERED))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(asyncio.to_thread(commit.close))
        while not commit._closed:  # noqa: ASYNC110 - set by another thread within moments
            await asyncio.sleep(0)
        for _ in range(10):  # more than may wait: they are refused, not counted
            with pytest.raises(JournalUnavailable):
                await commit.accept(new("late"))
        for late in (commit.settle(DELIVERED), commit.claim(CLAIM)):
            with pytest.raises(JournalUnavailable):
                await late
        journal.may.set()
        await closing
        assert len(await asyncio.gather(*waiting)) == 3
        assert await settling is DeliveryState.DELIVERED
        commit.close()
        assert sum(accepts for accepts, _, _ in sizes(journal)) == 3
        await calm(commit)


def test_a_loop_that_ends_first_leaves_no_thread_behind() -> None:
    journal = Journal()
    journal.may.clear()
    loop = asyncio.new_event_loop()
    made: list[GroupCommit] = []

    async def begin() -> None:
        commit = GroupCommit(journal, OWNER)
        made.append(commit)
        commit.accept(new("1"))
        await journal.begins()
        commit.accept(new("2"))

    loop.run_until_complete(begin())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    journal.may.set()
    (commit,) = made
    commit.close()
    assert not commit._thread.is_alive()
    assert [[one.attributes.id for one in group.accept] for group in journal.done] == [["1"], ["2"]]  # nothing that was asked is dropped


# --- under load

_STEPS = st.lists(st.sampled_from(["accept", "settle", "claim", "bad", "leave", "breathe", "stop", "go"]), max_size=60)


def _refusing(group: Group) -> Exception | None:
    return JournalError("RNK3003E", reason="x") if any(one.attributes.id.startswith("bad") for one in group.accept) else None


def _asked(commit: GroupCommit, step: str, place: int) -> asyncio.Future[Any]:
    if step in ("accept", "bad"):
        return asyncio.ensure_future(_accept(commit, f"{step}{place}"))
    if step == "settle":
        return asyncio.ensure_future(commit.settle(replace(DELIVERED, delivery=f"d{place}")))
    return asyncio.ensure_future(commit.claim(CLAIM))


async def _follow(journal: Journal, steps: Sequence[str]) -> dict[str, Any]:
    """What came of each question, by the step that asked it and its place."""
    asked: dict[str, asyncio.Future[Any]] = {}
    async with committing(journal, most_waiting=1000) as commit:
        for place, step in enumerate(steps):
            match step:
                case "leave":
                    for last in [one for one in asked.values() if not one.done()][-1:]:
                        last.cancel()
                case "breathe":
                    await asyncio.sleep(0)
                case "stop":
                    journal.may.clear()
                case "go":
                    journal.may.set()
                case _:
                    asked[f"{step}{place}"] = _asked(commit, step, place)
        journal.may.set()
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        await calm(commit)
    return dict(zip(asked, answers, strict=True))


@given(_STEPS)
def test_everyone_is_answered_once_whatever_the_order(steps: Sequence[str]) -> None:
    journal = Journal(_refusing)
    answers = asyncio.run(_follow(journal, steps))
    for name, answer in answers.items():
        if isinstance(answer, asyncio.CancelledError):
            continue
        if name.startswith("bad"):
            assert type(answer) is JournalError
        elif name.startswith("accept"):
            assert answer.message == f"m-{name}"
        else:
            assert answer == DeliveryState.DELIVERED if name.startswith("settle") else [one.id for one in answer] == ["332020-d7"]
    done = [one.attributes.id for group in journal.done for one in group.accept]
    assert len(done) == len(set(done))
    assert set(done) >= {name for name, answer in answers.items() if isinstance(answer, EventTaken)}


async def test_thousands_ask_while_the_thread_commits() -> None:
    journal = Journal()
    async with committing(journal) as commit:

        async def publisher(number: int) -> int:
            well = 0
            for turn in range(40):
                taken = await commit.accept(new(f"{number}-{turn}"))
                well += taken.message == f"m-{number}-{turn}"
                await commit.settle(replace(DELIVERED, delivery=f"{number}-{turn}"))
            return well

        assert await asyncio.gather(*(publisher(number) for number in range(50))) == [40] * 50
        await calm(commit)
    assert len({one.attributes.id for group in journal.done for one in group.accept}) == 2000
    assert len(journal.done) < 4000  # they did go together


async def test_events_behind_refused_ones_are_refused_with_them() -> None:
    """None overtakes an earlier one of its sender because the journal came back in between."""
    journal = _AwayOnce()
    commit = GroupCommit(journal, "node1")
    first = commit.accept(event(1))
    await asyncio.to_thread(journal.asked.wait, 30)
    second = commit.accept(event(2))
    journal.go_on.set()
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in results] == [JournalUnavailable, JournalUnavailable]
    again = [await commit.accept(event(number)) for number in (1, 2)]
    assert [one.outcome for one in again] == [EventOutcome.ACCEPTED] * 2
    await asyncio.to_thread(commit.close)


class _AwayOnce:
    """A journal that is away for its first group, and waits in it until told."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def commit(self, group: Group, owner: str, *, lease_seconds: float) -> GroupDone:
        if not self.asked.is_set():
            self.asked.set()
            assert self.go_on.wait(30)
            raise JournalUnavailable("RNK3001E", reason="test")
        return GroupDone([EventTaken(f"332020-m{place}", EventOutcome.ACCEPTED) for place, _ in enumerate(group.accept)], [], [])
