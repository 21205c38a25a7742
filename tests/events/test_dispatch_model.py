"""Sending against a small model: whatever receivers, nodes and the clock do, everything is delivered once in effect and in order per key.

Two nodes share a journal. Their receiver keeps what it took by idempotency key, as receivers should; a send may take effect and fail all
the same, and a node may crash between a send and its booking.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from bus.clock import ManualClock
from bus.errors import Transient
from bus.event import OutgoingEvent
from bus.site import Breaker, Limits, Retry
from tests.backends import open_journal
from tests.events.sending_doubles import TENANT, Bench, Configured, Sink, crash, dispatching, event
from tests.journal.event_samples import to

NODES = ("node1", "node2")
SUBSCRIPTIONS = ("welfare", "tax")
KEYS = ("", "a", "b", "c")
LIMITS = Limits(concurrent=3, breaker=Breaker(failures=4, open_seconds=5))


class World:
    """Everything there is, in an event loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.loop = asyncio.new_event_loop()
        self.random = Random(7)
        self.trouble = 0.0
        self.effects: dict[str, list[str]] = defaultdict(list)
        """ids of events by subscription, in the order they first took effect"""
        self.keys: dict[str, str] = {}
        self.seen: set[str] = set()
        self.count = 0
        self.benches: dict[str, Bench] = {}
        self.stacks: dict[str, AsyncExitStack] = {}
        self.journal = open_journal(folder, self.clock, synchronous="OFF")

    def run(self, work: object) -> object:
        return self.loop.run_until_complete(work)  # type: ignore[arg-type]

    async def answer(self, sent: OutgoingEvent) -> None:
        dice = self.random.random()
        if dice < self.trouble / 2:
            raise Transient("RNK5606E", endpoint=sent.endpoint, error="ECONNRESET")
        if sent.delivery not in self.seen:
            self.seen.add(sent.delivery)
            self.effects[sent.subscription].append(sent.attributes.id)
        if dice < self.trouble:
            raise Transient("RNK5606E", endpoint=sent.endpoint, error="ECONNRESET")

    async def start(self, node: str) -> None:
        stack = self.stacks[node] = AsyncExitStack()
        sinks = {f"{name}_in": Sink(self.answer) for name in SUBSCRIPTIONS}
        retry = Retry(first_seconds=4, factor=1, most_seconds=4, attempts=1000)
        receivers = Configured(dict(sinks), dict.fromkeys(sinks, LIMITS), retry=retry)
        await asyncio.to_thread(self.journal.unclaim, node)
        self.benches[node] = await stack.enter_async_context(dispatching(self.journal, self.clock, receivers, owner=node))

    async def end(self, node: str) -> None:
        await crash(self.benches[node].dispatcher)
        await self.stacks[node].aclose()

    async def publish(self, node: str, keys: list[str], hand_over: bool) -> None:
        bench, events = self.benches[node], []
        for key in keys:
            self.count += 1
            self.keys[f"e{self.count}"] = key
            handed = [hand_over and bench.dispatcher.reserve(TENANT, f"{name}_in", name) for name in SUBSCRIPTIONS]
            deliveries = [to(name, hand_over=one) for name, one in zip(SUBSCRIPTIONS, handed, strict=True)]
            events.append(event(self.count, *deliveries, key=key))
        for new, taken in zip(events, await bench.publish(*events), strict=True):
            given = {one.subscription for one in taken.handed_over}
            for to_one in new.deliveries:
                if to_one.hand_over and to_one.subscription not in given:
                    bench.dispatcher.unreserve(TENANT, to_one.endpoint)

    async def settle_down(self) -> None:
        """Let everything that can happen without time passing happen."""
        for bench in self.benches.values():
            while bench.dispatcher._claims or bench.dispatcher._planned or bench.dispatcher._sender.running:
                tasks = [one.task for one in bench.dispatcher._sender.running.values() if one.task]
                await asyncio.gather(*bench.dispatcher._claims, *tasks)
                await asyncio.sleep(0)

    async def sweep(self) -> None:
        for bench in self.benches.values():
            await bench.dispatcher.sweep()
        await self.settle_down()


class Sending(RuleBasedStateMachine):
    """Publishes, breaks, waits; at the end everything must have arrived."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        for node in NODES:
            self.world.run(self.world.start(node))

    @rule(node=st.sampled_from(NODES), keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=6), hand_over=st.booleans())
    def publish(self, node: str, keys: list[str], hand_over: bool) -> None:
        self.world.run(self.world.publish(node, keys, hand_over))

    @rule(share=st.sampled_from([0.0, 0.3, 0.9]))
    def let_sends_fail(self, share: float) -> None:
        self.world.trouble = share

    @rule()
    def let_everything_happen(self) -> None:
        self.world.run(self.world.settle_down())

    @rule(seconds=st.sampled_from([1, 5, 20, 61]))
    def pass_time(self, seconds: int) -> None:
        self.world.clock.advance(seconds)
        for bench in self.world.benches.values():
            bench.monotonic.now += seconds
        self.world.run(self.world.sweep())

    @rule(node=st.sampled_from(NODES))
    def crash(self, node: str) -> None:
        self.world.run(self.world.end(node))
        self.world.run(self.world.start(node))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        try:
            world.trouble = 0.0
            for _ in range(40):
                world.clock.advance(20)
                for bench in world.benches.values():
                    bench.monotonic.now += 20
                world.run(world.sweep())
                if all(len(world.effects[name]) == world.count for name in SUBSCRIPTIONS) and not world.journal.backlog():
                    break
            self.check()
        finally:
            for node in NODES:
                world.run(world.end(node))
            world.journal.close()
            world.loop.run_until_complete(world.loop.shutdown_default_executor())
            world.loop.close()
            self.folder.cleanup()

    def check(self) -> None:
        world = self.world
        assert not world.journal.backlog()
        for name in SUBSCRIPTIONS:
            arrived = world.effects[name]
            assert sorted(arrived) == sorted(world.keys)
            for key in set(world.keys.values()) - {""}:
                order = [int(one[1:]) for one in arrived if world.keys[one] == key]
                assert order == sorted(order)
        for bench in world.benches.values():
            assert bench.dispatcher._slots.free == 256
            for name in SUBSCRIPTIONS:
                gate = bench.dispatcher._gates.get((TENANT, f"{name}_in"))
                assert gate is None or (gate.limits.taken, gate.limits._unsized) == (0, 0)


TestSending = Sending.TestCase
TestSending.settings = settings(max_examples=25, stateful_step_count=25)
