"""What stands around the dispatcher in its tests: receivers that do as they are told, and an observer that can be waited for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bus.clock import ManualClock
from bus.event import Attributes, ClaimedEvent, EventDelivery, EventDraft, EventTaken, NewEvent, OutgoingEvent
from bus.event_ports import EventSink
from bus.events.dispatch import EventDispatcher
from bus.events.group_commit import GroupCommit
from bus.events.receivers import Receiver
from bus.events.render import Refused, Renderer, Translating
from bus.journal.journal import SqlJournal
from bus.message import Part
from bus.ports import Binding
from bus.site import Limits, Retry
from tests.journal import event_samples as samples
from tests.journal.event_samples import OWNER, TENANT

WAIT_SECONDS = 20.0
"""A test that waits longer has failed."""


class ManualSeconds:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def event(number: int, *deliveries: EventDelivery, key: str = "", **more: Any) -> NewEvent:
    """An event whose receiver sees its key, as its subject."""
    attributes = Attributes(f"e{number}", "/resident", "jp.move", subject=key)
    return samples.event(number, *deliveries, key=key, **{"attributes": attributes, **more})


def claimed(number: int = 1, *, translation: str | None = None, attempts: int = 0, **more: Any) -> ClaimedEvent:
    """A claimed delivery that no journal knows."""
    draft: dict[str, Any] = {
        "message": f"{TENANT}-m{number}",
        "interface": "moves",
        "contract": "resident@1.0",
        "contract_digest": "digest",
        "attributes": Attributes(f"e{number}", "/resident", "jp.move"),
        "form": "binary",
        "body": b'{"number": "%d"}' % number,
        "part": None,
        "expires_at_us": None,
        "in_reply_to": None,
        "accepted_at_us": 1_000_000,
        **more,
    }
    return ClaimedEvent(f"{TENANT}-d{number}", TENANT, "welfare", "welfare_in", translation, number, 1, attempts, 0, EventDraft(**draft))


Answer = Callable[[OutgoingEvent], Awaitable[None]]


async def well(_: OutgoingEvent) -> None:
    """The receiver takes it."""


@dataclass
class Sink:
    """A receiver. `answer` says what it does with each event; what it has taken stands in `taken`, what came at all in `came`."""

    answer: Answer = well
    taken: list[OutgoingEvent] = field(default_factory=list)
    came: list[OutgoingEvent] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def send(self, event: OutgoingEvent) -> None:
        self.came.append(event)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self._tell()
        try:
            await self.answer(event)
        finally:
            self.at_once -= 1
        self.taken.append(event)
        await self._tell()

    async def close(self) -> None:
        """Nothing is open."""

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until that is so, looking whenever something came or was taken."""
        async with asyncio.timeout(WAIT_SECONDS), self._news:
            await self._news.wait_for(true)

    async def has_taken(self, count: int) -> list[str]:
        """Wait until so many were taken; the ids of all that were."""
        await self.until(lambda: len(self.taken) >= count)
        return [one.attributes.id for one in self.taken]

    async def has_come(self, count: int) -> list[str]:
        """Wait until so many came; the ids of all that did."""
        await self.until(lambda: len(self.came) >= count)
        return [one.attributes.id for one in self.came]

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


class Hanging:
    """An answer that is not given before `let_go` is called."""

    def __init__(self) -> None:
        self._open = asyncio.Event()

    async def __call__(self, _: OutgoingEvent) -> None:
        await self._open.wait()

    def let_go(self) -> None:
        self._open.set()


class Failing:
    """An answer that raises `error` for the next `times` events (None: for all), then takes them."""

    def __init__(self, error: Exception, times: int | None = None) -> None:
        self.error = error
        self.times = times

    async def __call__(self, _: OutgoingEvent) -> None:
        if self.times is None:
            raise self.error
        if self.times > 0:
            self.times -= 1
            raise self.error


@dataclass
class Observer:
    """Counts what it is told, and lets tests wait for it."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    breakers: list[tuple[str, bool]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def delivered(self, tenant: str, subscription: str, adapter: str, seconds: float) -> None:
        self.seconds.append(seconds)
        self._count("delivered")

    def retried(self, tenant: str, subscription: str) -> None:
        self._count("retried")

    def given_up(self, tenant: str, subscription: str) -> None:
        self._count("given_up")

    def expired(self, tenant: str, subscription: str) -> None:
        self._count("expired")

    def breaker(self, tenant: str, endpoint: str, *, is_open: bool) -> None:
        self.breakers.append((endpoint, is_open))
        self._count("breaker")

    def _count(self, what: str) -> None:
        self.counts[what] += 1
        self._changed.set()

    async def has(self, what: str, count: int = 1) -> None:
        """Wait until it was told so many."""
        async with asyncio.timeout(WAIT_SECONDS):
            while self.counts[what] < count:
                self._changed.clear()
                await self._changed.wait()


@dataclass
class Configured:
    """Receivers as a test likes them; every subscription it did not name is there, with the default settings."""

    sinks: dict[str, EventSink]
    limits: dict[str, Limits] = field(default_factory=dict)
    """by endpoint"""
    endpoints: dict[str, str] = field(default_factory=dict)
    """of subscriptions; else the subscription's name and `_in`"""
    retry: Retry = field(default_factory=lambda: Retry(first_seconds=10, factor=1, attempts=3))
    expires_seconds: float | None = None
    gone: set[str] = field(default_factory=set)
    _made: dict[tuple[str, str], Receiver] = field(default_factory=dict)

    def receiver(self, tenant: str, subscription: str) -> Receiver | None:
        if subscription in self.gone:
            return None
        made = self._made.get((tenant, subscription))
        if made is None:
            at = self.endpoints.get(subscription, f"{subscription}_in")
            limits = self.limits.get(at, Limits())
            made = Receiver(tenant, subscription, at, "double", limits, self.retry, self.expires_seconds)
            self._made[tenant, subscription] = made
        return made

    def sink(self, tenant: str, endpoint: str) -> EventSink | None:
        return self.sinks.get(f"{tenant}/{endpoint}", self.sinks.get(endpoint))


class Upper:
    """A translation: data in capitals; `refuse` in it is refused, `leave` left out."""

    def data(self, data: Sequence[bytes]) -> Sequence[bytes | Refused | None]:
        return [Refused(["name:too_long"]) if b"refuse" in one else None if b"leave" in one else one.upper() for one in data]


class NoTranslations:
    """Knows `upper`, and no other translation."""

    def translating(self, tenant: str, translation: str) -> Translating:
        assert translation == "upper@1.0"
        return Upper()


class Bodies:
    """A payload store of one body."""

    def __init__(self, body: bytes = b"") -> None:
        self.body = body

    def put(self, plain: bytes, binding: Binding) -> Part:
        raise AssertionError("nothing is put here")

    def get(self, part: Part, tenant: str, message: str) -> bytes:
        return self.body


async def _at_once() -> None:
    await asyncio.sleep(0)


@dataclass
class Bench:
    """A dispatcher over a real journal, with a group commit of its own."""

    journal: SqlJournal
    clock: ManualClock
    monotonic: ManualSeconds
    receivers: Configured
    observer: Observer
    commits: GroupCommit
    dispatcher: EventDispatcher

    async def publish(self, *events: NewEvent) -> list[EventTaken]:
        """Accept, then wake whoever has something to send, as publishing does."""
        taken = await asyncio.gather(*map(self.commits.accept, events))
        for new, answer in zip(events, taken, strict=True):
            handed = {one.subscription for one in answer.handed_over}
            self.dispatcher.hand_over(answer.handed_over)
            for subscription, _ in answer.deliveries:
                if subscription not in handed:
                    self.dispatcher.wake(new.tenant, subscription)
        return taken

    def room(self, endpoint: str, tenant: str = TENANT) -> int:
        """How many deliveries could be sent at the endpoint now, rates aside."""
        free, gate = self.dispatcher._slots.free, self.dispatcher._gates.get((tenant, endpoint))
        if gate is None:
            return free
        return 0 if gate.wait_seconds() else max(0, min(free, gate.limits.limits.concurrent - gate.limits.taken))

    async def quiet(self) -> None:
        """Wait until no claim is on its way, and nothing is planned."""
        async with asyncio.timeout(WAIT_SECONDS):
            while self.dispatcher._claims or self.dispatcher._planned:
                await asyncio.gather(*self.dispatcher._claims)
                await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self.clock.advance(seconds)
        self.monotonic.now += seconds


@asynccontextmanager
async def dispatching(journal: SqlJournal, clock: ManualClock, receivers: Configured, *, owner: str = OWNER, **more: Any) -> Any:
    """A bench, closed afterwards without waiting for sends that hang."""
    commits = GroupCommit(journal, owner)
    monotonic, observer = ManualSeconds(), Observer()
    dispatcher = EventDispatcher(
        owner,
        commits=more.pop("commits", commits),
        journal=more.pop("dispatch_journal", journal),
        receivers=receivers,
        renderer=Renderer(NoTranslations(), Bodies()),
        observer=observer,
        clock=clock,
        monotonic=monotonic,
        pause=_at_once,
        **more,
    )
    try:
        yield Bench(journal, clock, monotonic, receivers, observer, commits, dispatcher)
    finally:
        await crash(dispatcher)
        await asyncio.to_thread(commits.close)


async def crash(dispatcher: EventDispatcher) -> None:
    """End everything that runs, as a crash would: nothing more is booked."""
    dispatcher._stopping = True
    tasks = [one.task for one in dispatcher._sender.running.values() if one.task] + list(dispatcher._claims)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
