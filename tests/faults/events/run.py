"""A fault run: events flow, and again and again something is killed or cut. In the end nothing is lost, doubled in effect, or overtaken.

Owns: the plan of faults and the verdict. A fault comes when so many events have been answered. The publisher may run ahead a little, so
that there is load while something is broken, and not so far that nothing is left for the faults to come. After a kill the run waits until
what was killed serves again and events move on: that is what `recovered` counts.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from bus.message import FINISHED, DeliveryState
from bus.steps import LABELS
from tests.backends import Backend, site_journal
from tests.faults.events.rig import Behind, Rig, running_rig
from tests.faults.events.store import Tally, tally
from tests.faults.events.town import EventNode
from tests.faults.real_node import PATIENCE_SECONDS
from tests.proxy import TcpProxy

STEPS: Final = [label for label in LABELS if label.startswith("event_") or label.endswith("group_commit")]
CONNECTIONS: Final = 16
PEOPLE: Final = 500
QUIET_SECONDS: Final = 100.0
"""When nothing has moved for so long after the last fault, what has not come is lost. Longer than a lease."""
STALL_SECONDS: Final = 1.5
DOWN_SECONDS: Final = 2.0
BROKER_DOWN_SECONDS: Final = 60.0
FED: Final = 24
"""More events than these are not let go at once for a fault that needs some to come about, or to see that all is well again."""
BEHIND: Final = 300
"""So many events may wait for a subscription when the next fault comes."""
WAITING: Final = [state for state in DeliveryState if state not in FINISHED]
Fault = tuple[str, Callable[[], None]]


@dataclass
class Verdict:
    """What a run came to."""

    backend: Backend
    nodes: int
    events: int
    seconds: float
    tallies: list[Tally]
    kills: int
    recovered: int
    faults: dict[str, int]
    publisher: dict[str, Any]
    wrong: list[str]
    """whatever else is not as it should be"""

    @property
    def good(self) -> bool:
        return all(each.good for each in self.tallies) and self.recovered == self.kills and not self.wrong

    def lines(self) -> list[str]:
        """For people."""
        what = f"{self.backend}, {self.nodes} node(s): {self.events} events in {self.seconds:.0f} s, {self.kills} kills, "
        told = [f"{what}recovered {self.recovered}", *(f"  {each}" for each in self.tallies)]
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        asked = f"cut {self.publisher['cuts']}, told to come back {self.publisher['refused']}, {self.publisher['outcomes']}"
        return [*told, f"  faults: {faults}", f"  publisher: {asked}", *(f"  WRONG: {each}" for each in self.wrong)]


@dataclass
class FaultRun:
    """One run over a rig."""

    rig: Rig
    events: int
    rounds: int
    dice: random.Random
    tell: Callable[[str], None]
    with_services: bool = True
    """whether the services themselves are stopped and killed, too"""
    allowed: int = 0
    kills: int = 0
    recovered: int = 0
    done: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Publish everything, with faults all the while; returns when all has come, or nothing moves any more."""
        plan = list(self._plan())
        self.rig.publish(people=PEOPLE, serials=self.events // PEOPLE, connections=CONNECTIONS)
        share = self.events / (len(plan) + 2)
        for place, (name, fault) in enumerate(plan):
            due = round(share * (place + 1))
            self._allow(due)
            self._await_published(due)
            self._allow(round(due + share / 2))
            began = time.monotonic()
            fault()
            self.done[name.split(" ")[0]] += 1
            took = time.monotonic() - began
            self.tell(f"{place + 1}/{len(plan)} {name}: {took:.1f} s; {self.rig.published()} published, {self.rig.taken()} taken")
        self._allow(self.events)
        self._await_all()

    def _allow(self, count: int) -> None:
        if count > self.allowed:
            self.allowed = min(count, self.events)
            self.rig.allow(self.allowed)

    def _feed(self) -> None:
        """Let a few more events go when the publisher waits for leave."""
        if self.rig.published() >= self.allowed - CONNECTIONS:
            self._allow(self.allowed + FED)

    # --- the plan

    def _plan(self) -> Iterator[Fault]:
        for number in range(self.rounds):
            faults = [*self._kills(number), *self._cuts()]
            if self.rig.behind is not None:
                faults += self._service_faults(self.rig.behind, number)
            self.dice.shuffle(faults)
            yield from faults

    def _kills(self, number: int) -> Iterator[Fault]:
        for place, label in enumerate(STEPS):
            node = self.rig.nodes[(number + place) % len(self.rig.nodes)]
            times = self.dice.randint(1, 20)
            yield f"kill-at-step {label}:{times}", partial(self._kill, node, f"{label}:{times}=kill")
        for node in self.rig.nodes:
            yield "kill-at-random", partial(self._kill, node)
        yield "kill-receiver", self._kill_receiver

    def _cuts(self) -> Iterator[Fault]:
        api = self.dice.choice(self.rig.apis)
        yield "cut-publishers reset", lambda: _ignored(api.cut())
        yield "cut-publishers in order", lambda: _ignored(api.cut(reset=False))
        yield "cut-receiver reset", lambda: _ignored(self.rig.hook.cut())
        yield "stall-receiver answers", lambda: self._stall(lambda: self.rig.hook.stall(sending=False), self.rig.hook.go_on)
        yield "stall-publishers answers", lambda: self._stall(lambda: api.stall(sending=False), lambda: _cut_for_good(api))

    def _service_faults(self, behind: Behind, number: int) -> Iterator[Fault]:
        yield "cut-postgres reset", lambda: _ignored(behind.database.cut())
        yield "cut-rabbitmq reset", lambda: _ignored(behind.broker.cut())
        yield "stall-postgres", lambda: self._stall(behind.database.stall, behind.database.go_on)
        if not self.with_services:
            return
        if number % 2 == 0:
            yield "restart-postgres", lambda: self._restart(behind.postgres.stop, behind.postgres.start)
            down = 0.0 if number else BROKER_DOWN_SECONDS
            yield f"stop-rabbitmq {down:.0f} s", partial(self._restart, behind.rabbitmq.stop, behind.rabbitmq.start, down)
        else:
            yield "kill-postgres", lambda: self._restart(behind.postgres.kill, behind.postgres.start)

    # --- faults

    def _kill(self, node: EventNode, rule: str | None = None) -> None:
        """kill -9 of a node, at a step or now; then it must come back by itself, and events must move on."""
        self.kills += 1
        if rule is not None:
            node.stop_at(rule)
            until(lambda: not node.alive() or self._over(), f"the node comes to {rule}", self._why, self._feed)
        if node.alive():
            node.process.send_signal(signal.SIGKILL)
        assert node.died() == -signal.SIGKILL, node.told()
        self.rig.revive(node)
        self._await_moving()
        self.recovered += 1

    def _kill_receiver(self) -> None:
        self.rig.receiver.kill()
        self.rig.start_receiver()
        self._await_moving()

    def _stall(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        begin()
        time.sleep(STALL_SECONDS)
        end()
        self._await_moving()

    def _restart(self, stop: Callable[[], None], start: Callable[[], None], down_seconds: float = DOWN_SECONDS) -> None:
        stop()
        ends = time.monotonic() + down_seconds
        while time.monotonic() < ends:
            time.sleep(1)
            self._feed()
        start()
        self._await_moving()

    # --- waiting

    def _finished(self) -> bool:
        return self.rig.report() is not None

    def _over(self) -> bool:
        """Whether there is no event left that a fault could hit."""
        return self._finished() and min(self.rig.taken()) >= self.events

    def _await_published(self, count: int) -> None:
        """All but those that are on their way; and no subscription is far behind: it is to have its part of the faults."""
        until(lambda: self.rig.published() >= count - CONNECTIONS, f"{count} events are published", self._why)
        until(lambda: min(self.rig.taken()) >= count - BEHIND, f"{count} events are delivered", self._why)

    def _await_moving(self) -> None:
        """Until more was published, and more was taken by every subscription, than now."""
        published, taken = self.rig.published(), self.rig.taken()

        def moved() -> bool:
            now = self.rig.taken()
            gone_on = all(later > before or later == self.events for later, before in zip(now, taken, strict=True))
            return gone_on and (self._finished() or self.rig.published() > published)

        until(moved, "events move on", self._why, self._feed)

    def _await_all(self) -> None:
        """Until every subscription has all, or nothing has come for long."""
        before, moved_at = (0, [0]), time.monotonic()
        while not self._over():
            now = (self.rig.published(), self.rig.taken())
            if now != before:
                before, moved_at = now, time.monotonic()
            elif time.monotonic() - moved_at > QUIET_SECONDS:
                return
            time.sleep(0.05)

    def _why(self) -> str:
        """What there is to say when it does not go on."""
        told = [node.told() for node in self.rig.nodes]
        with closing(site_journal(self.rig.site)) as journal:
            waiting = [one for state in WAITING for one in journal.deliveries(state=state, limit=20)]
        shown = [
            f"{one.id} {one.subscription} {one.state} {one.attempts} {one.fence} {one.lease_until_us} {one.due_at_us} {one.last_error}"
            for one in waiting
        ]
        now = f"{self.rig.published()} published, {self.rig.taken()} taken at {time.time_ns() // 1000}"
        return "\n".join([now, *shown, self.rig.publisher.told(), *told])


def until(condition: Callable[[], bool], what: str, told: Callable[[], str], meanwhile: Callable[[], object] = int) -> None:
    """Wait until `condition` holds, doing something besides at every look; fail when it never does."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends, f"waited in vain until {what}; {told()}"
        meanwhile()
        time.sleep(0.05)


def _ignored(_: object) -> None:
    """A fault answers nothing."""


def _cut_for_good(proxy: TcpProxy) -> None:
    """What was stalled never comes; new connections do."""
    proxy.cut()
    proxy.go_on()


def fault_run(
    folder: Path,
    backend: Backend,
    *,
    events: int,
    rounds: int,
    seed: int = 1,
    with_services: bool = True,
    tell: Callable[[str], None] = _ignored,
) -> Verdict:
    """Run, and judge. `events` is rounded down to the same number for each person."""
    events -= events % PEOPLE
    began = time.monotonic()
    with running_rig(folder, backend) as rig:
        run = FaultRun(rig, events, rounds, random.Random(seed), tell, with_services)
        run.run()
        seconds = time.monotonic() - began
        report = rig.report() or {"cuts": 0, "refused": 0, "outcomes": {}, "unexpected": ["the publisher did not end"]}
        wrong = [f"publisher was told {each}" for each in (*report["unexpected"], *report.get("without_retry_after", ()))]
        wrong += _left_in_journal(rig, events)
        rig.subscriber.kill()
        wrong += _of_nodes(rig.nodes)
        expected = {f"{person}-{serial}" for person in range(PEOPLE) for serial in range(1, events // PEOPLE + 1)}
        tallies = [tally(name, file, expected) for name, file in rig.inboxes.items()]
    return Verdict(backend, len(rig.nodes), events, seconds, tallies, run.kills, run.recovered, dict(run.done), report, wrong)


def _left_in_journal(rig: Rig, events: int) -> list[str]:
    """Whatever the journal holds that is not finished, once what was lent has been acknowledged; and messages that should not be there."""
    with closing(site_journal(rig.site)) as journal:
        ends = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < ends and any(row.state not in FINISHED for row in journal.backlog()):
            time.sleep(0.1)
        wrong = [f"in the journal {row.subscription} {row.state} {row.count}" for row in journal.backlog() if row.state not in FINISHED]
        newest = journal.messages(limit=1)
        if not newest or int(newest[0].id.partition("-m")[2]) != events:
            wrong.append(f"the newest of {events} messages is {newest[0].id if newest else 'none'}")
    return wrong


def _of_nodes(nodes: list[EventNode]) -> list[str]:
    """The nodes stop when they are told to, and none met a fault of its own."""
    wrong = [f"{node.name or 'the node'} does not stop well: {node.told()}" for node in nodes if node.end(signal.SIGTERM) != 0]
    for node in nodes:
        log = node.log.read_text("utf-8", "replace")
        place = log.find("Traceback")
        if place >= 0:
            wrong.append(f"{node.name or 'the node'} met: {log[max(0, place - 300) : place + 3000]}")
    return wrong
