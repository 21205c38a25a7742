"""Group commit: one thread commits whatever waits, so that many publishers and subscribers share the cost of one sync to disk.

Owns: who waits for the journal, and how much may wait. There is no fixed delay: what comes while a commit runs goes with the next one, so
a single event is committed at once and a flood in groups. Whoever asked is answered only after the commit that holds it is on disk. When
a constraint refuses a group, its members are tried one by one, so that one bad apple spoils no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from bus.errors import JournalError, JournalUnavailable, Overloaded
from bus.event import ClaimedEvent, EventTaken, NewEvent, Settlement, Wanted
from bus.event_ports import Group, GroupDone
from bus.events.booking import LEASE_SECONDS
from bus.message import DeliveryState
from bus.steps import reached

MOST_TOGETHER: Final = 500
"""Of each kind, in one group: more would only make the first of them wait."""
RETRY_AFTER_SECONDS: Final = 1


class GroupJournal(Protocol):
    """What it needs of the journal."""

    def commit(self, group: Group, owner: str, *, lease_seconds: float) -> GroupDone:
        """See `bus.event_ports.EventJournal`."""
        ...


QuestionT = TypeVar("QuestionT")
AnswerT = TypeVar("AnswerT")
Asked = list[tuple[QuestionT, "asyncio.Future[AnswerT]"]]
Observe = Callable[[int, float], None]
"""Told in the loop of each commit: how many were in the group, and the seconds it took."""


@dataclass(slots=True)
class _Waiting:
    accept: Asked[NewEvent, EventTaken] = field(default_factory=list)
    settle: Asked[Settlement, DeliveryState | None] = field(default_factory=list)
    claim: Asked[Wanted, Sequence[ClaimedEvent]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.accept) + len(self.settle) + len(self.claim)

    def futures(self) -> list[asyncio.Future[Any]]:
        """Where their answers go, in the order of a group's answers."""
        futures: list[asyncio.Future[Any]] = [future for _, future in self.accept]
        futures += [future for _, future in self.settle]
        return futures + [future for _, future in self.claim]

    def take(self) -> _Waiting:
        """Up to `MOST_TOGETHER` of each kind, which wait no longer. Claims stay behind as long as settlements do: they may be for the very
        deliveries that those settlements free."""
        claims = MOST_TOGETHER if len(self.settle) <= MOST_TOGETHER else 0
        taken = _Waiting(self.accept[:MOST_TOGETHER], self.settle[:MOST_TOGETHER], self.claim[:claims])
        del self.accept[:MOST_TOGETHER], self.settle[:MOST_TOGETHER], self.claim[:claims]
        return taken


class GroupCommit:
    """Commits for the event loop it was made in. `close` before the journal is closed."""

    def __init__(
        self,
        journal: GroupJournal,
        owner: str,
        *,
        most_waiting: int = 2000,
        most_waiting_bytes: int = 64 * 1024 * 1024,
        observe: Observe = lambda _size, _seconds: None,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._most_waiting = most_waiting
        self._most_waiting_bytes = most_waiting_bytes
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._waiting = _Waiting()
        self._accepting = 0
        self._accepting_bytes = 0
        self._work = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="renkei-group-commit", daemon=True)
        self._thread.start()

    def accept(self, event: NewEvent) -> asyncio.Future[EventTaken]:
        """Accept one event; the answer comes when it is on disk.

        Raises:
            Overloaded: too many, or too many bytes, wait already. JournalUnavailable, JournalError: by the future.
        """
        size = len(event.body)
        if self._closed:
            return self._refused()
        if self._accepting >= self._most_waiting or self._accepting_bytes + size > self._most_waiting_bytes:
            raise Overloaded("RNK4301E", retry_after_seconds=RETRY_AFTER_SECONDS)
        self._accepting += 1
        self._accepting_bytes += size
        return self._ask(self._waiting.accept, event)

    async def settle(self, settlement: Settlement) -> DeliveryState | None:
        """Book how one attempt ended. None: its claim had ended, nothing was changed."""
        return await self._ask(self._waiting.settle, settlement)

    async def claim(self, wanted: Wanted) -> Sequence[ClaimedEvent]:
        """Claim deliveries of one subscription."""
        return await self._ask(self._waiting.claim, wanted)

    def close(self) -> None:
        """Commit what waits, and end. What is asked for later is refused with JournalUnavailable. Blocks; closing twice is fine."""
        with self._work:
            self._closed = True
            self._work.notify()
        self._thread.join()

    def _ask(self, queue: Asked[QuestionT, AnswerT], question: QuestionT) -> asyncio.Future[AnswerT]:
        with self._work:
            if self._closed:
                return self._refused()
            future: asyncio.Future[AnswerT] = self._loop.create_future()
            queue.append((question, future))
            self._work.notify()
        return future

    def _refused(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        future.set_exception(JournalUnavailable("RNK3001E", reason="the node ends"))
        return future

    def _run(self) -> None:
        while True:
            with self._work:
                while not len(self._waiting) and not self._closed:
                    self._work.wait()
                if not len(self._waiting):
                    return
                taken = self._waiting.take()
            self._commit(taken)

    def _commit(self, taken: _Waiting) -> None:
        began = time.perf_counter()
        answers: list[tuple[asyncio.Future[Any], Any]]
        try:
            answers = self._together(taken)
        except JournalUnavailable as error:
            self._take_those_behind(taken)
            answers = [(future, error) for future in taken.futures()]
        except Exception:  # noqa: BLE001 - a member that cannot be committed must not take the others with it
            answers = self._one_by_one(taken)
        seconds = time.perf_counter() - began
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to be told
            self._loop.call_soon_threadsafe(self._tell, taken, answers, seconds)

    def _take_those_behind(self, taken: _Waiting) -> None:
        """Events that wait behind refused ones are refused with them, so that none overtakes an earlier one of its sender."""
        with self._work:
            taken.accept += self._waiting.accept
            self._waiting.accept.clear()

    def _together(self, taken: _Waiting) -> list[tuple[asyncio.Future[Any], Any]]:
        accept, settle, claim = ([event for event, _ in taken.accept], [one for one, _ in taken.settle], [one for one, _ in taken.claim])
        reached("before_group_commit")
        done = self._journal.commit(Group(accept, settle, claim), self._owner, lease_seconds=LEASE_SECONDS)
        reached("after_group_commit")
        return list(zip(taken.futures(), (*done.taken, *done.settled, *done.claimed), strict=True))

    def _one_by_one(self, taken: _Waiting) -> list[tuple[asyncio.Future[Any], Any]]:
        alone = [_Waiting(accept=[one]) for one in taken.accept]
        alone += [_Waiting(settle=[one]) for one in taken.settle]
        alone += [_Waiting(claim=[one]) for one in taken.claim]
        answers: list[tuple[asyncio.Future[Any], Any]] = []
        away: JournalUnavailable | None = None
        for one in alone:
            known: JournalError
            try:
                if away is None:
                    answers += self._together(one)
                    continue
                known = away  # the others would only wait for the same
            except JournalUnavailable as error:
                known = away = error
            except Exception as error:  # noqa: BLE001 - told to whoever asked
                known = error if isinstance(error, JournalError) else JournalError("RNK3003E", reason=type(error).__name__)
            answers += [(future, known) for future in one.futures()]
        return answers

    # in the loop

    def _tell(self, taken: _Waiting, answers: list[tuple[asyncio.Future[Any], Any]], seconds: float) -> None:
        """Answer whoever still waits."""
        self._accepting -= len(taken.accept)
        self._accepting_bytes -= sum(len(event.body) for event, _ in taken.accept)
        for future, answer in answers:
            if future.done():
                self._let_go(answer)
            elif isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._observe(len(taken), seconds)

    def _let_go(self, answer: Any) -> None:
        """Whoever asked is gone: what was claimed for it is due again at once, not only when its lease runs out."""
        if isinstance(answer, EventTaken):
            answer = answer.handed_over
        if self._closed or isinstance(answer, str) or not isinstance(answer, Sequence):  # a str: the state of a settled delivery
            return
        for one in answer:
            back = Settlement(one.id, one.fence, DeliveryState.DUE, due_at_us=one.event.accepted_at_us, counts_attempt=False)
            self._ask(self._waiting.settle, back).add_done_callback(asyncio.Future.exception)  # if it fails, the lease runs out
