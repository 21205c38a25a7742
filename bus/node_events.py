"""The parts of a node that carry events, made from the same configuration as the rest: publishing, the dispatcher, AMQP sources.

Owns: wiring, and how hints find their way: a hint that names a subscription is for the event dispatcher, any other for the dispatcher of
files. Made and used in the node's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Any, Final

from bus.errors import SiteInvalid, told_of
from bus.event import Way
from bus.event_ports import Broker, DeadLetterSource, EventAdapter, EventPlace, EventSink, EventSource, GivesDeadLetters
from bus.events.dispatch import EventDispatcher
from bus.events.group_commit import GroupCommit
from bus.events.intake import EventIntake
from bus.events.receivers import SiteReceivers
from bus.events.recipes import EventRecipes
from bus.events.render import Renderer
from bus.events.signals import Signals
from bus.events.sweep import ExpirySweep
from bus.events.translating import SiteTranslations
from bus.node_parts import Parts
from bus.site import Endpoint, LoadedSite
from monitoring.log import log
from monitoring.metrics import Metrics

HINT_SECONDS: Final = 5.0
SOURCE_AGAIN_SECONDS: Final = 5.0
_FILES: Final = "files"


@cache
def event_adapter(name: str) -> EventAdapter:
    """The installed event adapter of that name.

    Raises:
        SiteInvalid: none is installed under it.
    """
    for point in entry_points(group="renkei.event_adapters", name=name):
        loaded: EventAdapter = point.load()
        return loaded
    raise SiteInvalid("RNK7003E", adapter=name)


@dataclass(frozen=True, slots=True)
class Counting:
    """Tells the metrics of events published and delivered."""

    metrics: Metrics

    def event(self, tenant: str, interface: str, outcome: str) -> None:
        """One came, and this became of it."""
        self.metrics.event_received(tenant, interface, outcome)  # type: ignore[arg-type]

    def overloaded(self, reason: str) -> None:
        """One was told to come back later."""
        self.metrics.overload_refused(reason)

    def event_published(self, via: str, seconds: float) -> None:
        """It took so long."""
        self.metrics.event_published(via, seconds)  # type: ignore[arg-type]

    def delivered(self, tenant: str, subscription: str, adapter: str, seconds: float) -> None:
        """Delivered so long after it was accepted."""
        self.metrics.event_delivery(tenant, subscription, "delivered")
        self.metrics.event_delivered_after(adapter, seconds)

    def retried(self, tenant: str, subscription: str) -> None:
        """An attempt failed."""
        self.metrics.event_delivery(tenant, subscription, "retried")

    def given_up(self, tenant: str, subscription: str) -> None:
        """It stands in quarantine."""
        self.metrics.event_delivery(tenant, subscription, "given_up")

    def expired(self, tenant: str, subscription: str) -> None:
        """Its time was over."""
        self.metrics.event_delivery(tenant, subscription, "expired")

    def breaker(self, tenant: str, endpoint: str, *, is_open: bool) -> None:
        """The endpoint is left alone, or not any more."""
        self.metrics.set_breaker(tenant, endpoint, is_open=is_open)


@dataclass(slots=True)
class EventParts:
    """What carries events in one node."""

    parts: Parts
    recipes: EventRecipes
    signals: Signals
    counting: Counting
    commit: GroupCommit
    renderer: Renderer
    intake: EventIntake
    dispatcher: EventDispatcher
    sinks: Mapping[tuple[str, str], EventSink]
    sources: Mapping[tuple[str, str], EventSource]
    letters: Mapping[tuple[str, str], DeadLetterSource]
    _tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def used(self) -> bool:
        """Whether the site has any event interface."""
        return bool(self.recipes.interfaces)

    async def dispatch(self) -> None:
        """Send for ever, from now on also what is handed over by accepting transactions."""
        self.intake.handing = self.dispatcher
        try:
            await self.dispatcher.run()
        finally:
            self.intake.handing = None

    async def sweep(self) -> None:
        """End, for ever, what is not worth delivering any more."""
        await ExpirySweep(self.parts.journal, self._expired).run()

    def _expired(self, way: Way, tenant: str, subscription: str) -> None:
        self.counting.expired(tenant, subscription)
        if way is Way.PUSH:
            self.dispatcher.wake(tenant, subscription)
        else:
            self.signals.notify((way.value, tenant, subscription))

    async def follow_hints(self) -> None:
        """Bring each hint to whom it is for."""
        hints = self.parts.hints
        while True:
            files = []
            for hint in await hints.wait(timeout_seconds=HINT_SECONDS):
                delivery, _, subscription = hint.partition("/")
                if subscription:
                    self.dispatcher.wake(delivery.partition("-")[0], subscription)
                else:
                    files.append(delivery)
            self.parts.file_hints.publish(files)

    def receive(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What takes events in from AMQP, and takes back dead letters, one for each endpoint, for ever."""
        for (tenant, endpoint), source in self.sources.items():
            yield self._again(tenant, endpoint, partial(source.run, self.intake.receive))
        for (tenant, endpoint), letters in self.letters.items():
            yield self._again(tenant, endpoint, partial(letters.run, self.intake.bury))

    async def _again(self, tenant: str, endpoint: str, receive: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await receive()
            except Exception as error:  # noqa: BLE001 - one endpoint, whatever its trouble, ends no other and not the node
                log("RNK7010E", tenant=tenant, endpoint=endpoint, reason=told_of(error))
            await asyncio.sleep(SOURCE_AGAIN_SECONDS)

    async def close(self) -> None:
        """Commit what waits, let connections go. Before the journal is closed."""
        await asyncio.to_thread(self.commit.close)
        await asyncio.gather(*(sink.close() for sink in self.sinks.values()), return_exceptions=True)


def open_events(parts: Parts, owner: str) -> EventParts:
    """Make them, in the running event loop.

    Raises:
        SiteInvalid: an endpoint's adapter or settings.
    """
    site = parts.site
    recipes = EventRecipes.of(parts.recipes)
    counting, signals = Counting(parts.metrics), Signals()
    api = site.site.api
    sinks: dict[tuple[str, str], EventSink] = {}
    sources: dict[tuple[str, str], EventSource] = {}
    letters: dict[tuple[str, str], DeadLetterSource] = {}
    for place, endpoint in _places(site):
        adapter = event_adapter(endpoint.adapter)
        if place.interfaces and (source := adapter.event_source(place)) is not None:
            sources[place.tenant, place.endpoint] = source
        if place.subscriptions and (sink := adapter.event_sink(place)) is not None:
            sinks[place.tenant, place.endpoint] = sink
            if isinstance(adapter, GivesDeadLetters) and (given_back := adapter.dead_letters(place)) is not None:
                letters[place.tenant, place.endpoint] = given_back
    commit = GroupCommit(  # after whatever may be refused: from here on there is a thread to be ended
        parts.journal,
        owner,
        most_waiting=api.most_waiting,
        most_waiting_bytes=api.most_waiting_bytes,
        observe=lambda size, seconds: parts.metrics.journal_committed(seconds, size),
    )
    renderer = Renderer(SiteTranslations(parts.recipes), parts.payloads)
    receivers = SiteReceivers(site.tenants.values(), sinks)
    dispatcher = EventDispatcher(
        owner, commits=commit, journal=parts.journal, receivers=receivers, renderer=renderer, observer=counting, clock=parts.clock
    )
    intake = EventIntake(recipes, commit, parts.journal, parts.payloads, parts.hashes, parts.hints, signals, parts.clock, counting)
    return EventParts(parts, recipes, signals, counting, commit, renderer, intake, dispatcher, sinks, sources, letters)


def _places(site: LoadedSite) -> Iterator[tuple[EventPlace, Endpoint]]:
    """Every endpoint that events come from or go to."""
    for code, loaded in site.tenants.items():
        events = {interface.id for interface in loaded.tenant.interfaces if interface.kind == "event"}
        for endpoint in loaded.tenant.endpoints:
            if endpoint.adapter == _FILES:
                continue
            interfaces = [one.id for one in loaded.tenant.interfaces if one.endpoint == endpoint.id and one.id in events]
            subscriptions = [one.id for one in loaded.tenant.subscriptions if one.endpoint == endpoint.id and one.interface in events]
            at = (code, endpoint.id, endpoint.settings, str(site.folder))
            yield EventPlace(*at, interfaces, subscriptions, _broker(site), log), endpoint


def _broker(site: LoadedSite) -> Broker | None:
    at = site.site.broker
    if at is None:
        return None
    return Broker(at.url, None if at.password_file is None else str(site.path(at.password_file)), at.management_url)
