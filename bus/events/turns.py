"""Whose turn it is to be claimed for: tenants in turn, within each its endpoints, within each its subscriptions, urgent lanes first.

Owns: the round, the room of each endpoint, and what is known of each subscription's queue. A place is given to one tenant after another,
so that the flood of one delays the events of another by one place at most. An endpoint without room steps out of the round (it is
parked) until it has room again, so that it costs nobody a look. Used from the event loop only.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bus.event import Lane
from bus.events.breaker import EndpointBreaker
from bus.events.limits import EndpointLimits
from bus.events.receivers import Receiver
from bus.site import Limits

MOST_CLAIMED: Final = 256
"""So many deliveries of one subscription are claimed at once at most."""
MOST_CLAIMS: Final = 2
"""So many claims of one subscription are on their way at once: while one is being committed, the next waits for its turn already."""
_FIRST_GUESS: Final = 4


class Gate:
    """One endpoint: the room it has, and the subscriptions that wait for some of it."""

    def __init__(self, tenant: str, endpoint: str, limits: Limits, monotonic: Callable[[], float]) -> None:
        self.tenant = tenant
        self.endpoint = endpoint
        self.limits = EndpointLimits(limits, monotonic)
        self.breaker = EndpointBreaker(limits.breaker, monotonic)
        self.waiting: OrderedDict[Stream, None] = OrderedDict()
        self.parked = False
        self.alarm: asyncio.TimerHandle | None = None
        """set while it waits for time to pass"""

    def take(self) -> bool:
        """Take a place for one send, if the endpoint may be sent to now."""
        if not self.limits.take():
            return False
        if self.breaker.take():
            return True
        self.limits.give_back()
        return False

    def give_back(self) -> None:
        """A place was not needed."""
        self.limits.give_back()
        self.breaker.give_back()

    @property
    def scarce(self) -> bool:
        """Whether half of its places or more are taken."""
        return 2 * self.limits.taken >= self.limits.limits.concurrent

    def wait_seconds(self) -> float:
        """How long only time can help; 0 when it waits for a send to end, or for nothing."""
        return max(self.limits.wait_seconds(), self.breaker.wait_seconds())

    def change(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        """Take other limits, of a new configuration."""
        if limits != self.limits.limits:
            self.limits.change(limits, monotonic)
            self.breaker.settings = limits.breaker


@dataclass(slots=True, eq=False)
class Stream:
    """One subscription: what is known of its queue in the journal. The journal is asked when something was told, or when a delivery
    ended that others may have waited for."""

    tenant: str
    subscription: str
    receiver: Receiver | None
    gate: Gate
    told: int = 0
    """deliveries somebody told of since the last claim began"""
    claiming: int = 0
    """claims on their way"""
    hungry: bool = False
    """the last claim gave all it asked for: there is more, in all likelihood"""
    again: bool = False
    """something changed while claims were on their way: ask once more"""
    guess: int = _FIRST_GUESS
    """how many the next claim asks for; what one finds or does not find makes it grow or shrink"""
    begun: int = 0
    """sends begun so far; each send's number"""
    watched: int = 0
    """when a send up to this number ends, a delivery of its ordering key may have waited for it"""

    @property
    def limit(self) -> int:
        """How many the next claim asks for at most."""
        return min(max(self.guess, self.told), MOST_CLAIMED)

    @property
    def may_claim(self) -> bool:
        """Whether one more claim may go on its way."""
        return self.claiming < MOST_CLAIMS

    def claim_begins(self) -> bool:
        """A claim is on its way. True: let the next one follow as soon as there is room."""
        self.claiming += 1
        self.again = False
        if self.told:
            self.told, self.watched = 0, self.begun
        return self.hungry and self.may_claim

    def claim_ended(self, wanted: int, found: int) -> bool:
        """A claim of `wanted` gave `found`, which are begun already. True: ask again now."""
        self.claiming -= 1
        self.hungry = found == wanted
        if found:
            self.watched = self.begun
        if self.hungry:
            self.guess = min(self.guess * 2, MOST_CLAIMED)
            return True
        self.guess = max(1, 2 * found)
        return self.again or self.told > 0

    def send_ended(self, number: int) -> bool:
        """The send of that number has ended. True: ask for what may have waited for it."""
        if number > self.watched:
            return False
        self.again = self.again or not self.may_claim
        return self.may_claim


class Slots:
    """Sends that may run at once in all, whoever they are for."""

    def __init__(self, slots: int) -> None:
        self.free = slots
        self._scarce = slots // 2

    @property
    def scarce(self) -> bool:
        """Whether half of them or more are taken."""
        return self.free <= self._scarce

    def take(self) -> None:
        """Take one; only when one is free."""
        self.free -= 1

    def give_back(self) -> None:
        """One is free again."""
        self.free += 1


class Turns:
    """The round of those that wait to be claimed for."""

    def __init__(self) -> None:
        self._round: OrderedDict[str, OrderedDict[Gate, None]] = OrderedDict()
        self.parked: dict[Gate, None] = {}
        """endpoints without room that somebody waits for"""

    def __bool__(self) -> bool:
        """Whether anybody in the round waits for a place."""
        return bool(self._round)

    def add(self, stream: Stream) -> None:
        """Let a subscription wait; last of its endpoint unless it waits already."""
        gate = stream.gate
        gate.waiting.setdefault(stream)
        if not gate.parked:
            self._round.setdefault(gate.tenant, OrderedDict()).setdefault(gate)

    def remove(self, stream: Stream) -> None:
        """It waits no more."""
        gate = stream.gate
        gate.waiting.pop(stream, None)
        if not gate.waiting:
            self._leave(gate)

    def unpark(self, gate: Gate) -> None:
        """It may have room again."""
        if not gate.parked:
            return
        gate.parked = False
        self.parked.pop(gate, None)
        if gate.waiting:
            self._round.setdefault(gate.tenant, OrderedDict()).setdefault(gate)

    def next(self, wanted: Callable[[Stream], bool]) -> Stream | None:
        """Take one place for whoever's turn it is; None when nobody who waits has room. `wanted`: whether a subscription wants one more;
        one that does not steps back."""
        while self._round:
            tenant, gates = next(iter(self._round.items()))
            gate = next(iter(gates))
            stream = next(iter(gate.waiting)) if len(gate.waiting) == 1 else min(gate.waiting, key=_lane)
            if not wanted(stream):
                self.remove(stream)
            elif not gate.take():
                self._park(gate)
            else:
                self._round.move_to_end(tenant)
                gates.move_to_end(gate)
                gate.waiting.move_to_end(stream)
                return stream
        return None

    def _park(self, gate: Gate) -> None:
        self._leave(gate)
        gate.parked = True
        self.parked[gate] = None

    def _leave(self, gate: Gate) -> None:
        gates = self._round.get(gate.tenant)
        if gates is not None and gate in gates:
            del gates[gate]
            if not gates:
                del self._round[gate.tenant]


def _lane(stream: Stream) -> Lane:
    return Lane.NORMAL if stream.receiver is None else stream.receiver.lane
