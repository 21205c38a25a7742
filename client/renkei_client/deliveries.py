"""Deliveries lent to this application, and what it may do with each: acknowledge, hand back, prolong."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from renkei_client.errors import RenkeiClientError, StaleDelivery
from renkei_client.event import Event, to_json
from renkei_client.sending import Call, Sender

_LOG: Final = logging.getLogger("renkei_client")
_JSON: Final[Mapping[str, str]] = {"content-type": "application/json"}
_UNFIT: Final = re.compile("[^A-Za-z0-9_.:-]")
"""What the bus takes in no reason: it is a code, not text."""
_LONGEST_REASON: Final = 60
_LEAVING_SECONDS: Final = 5.0
"""So long a reader that ends tries to hand back what it did not handle; after that its lease simply runs out."""


@dataclass(eq=False)
class Delivery:
    """One event lent to this reader until `lease_until`. `attempt` counts from 1; above it, the event may have come before."""

    id: str
    event: Event
    number: int
    attempt: int
    lease_until: str
    fence: int = field(repr=False)
    _lender: Lender = field(repr=False)
    settled: bool = False
    """it was acknowledged or handed back"""

    async def ack(self) -> None:
        """It is done: stored, with its effect. It will not come again.

        Raises:
            StaleDelivery: the lease had ended; the event comes again, and must then be found done already.
        """
        await self._lender.one("ack", self, {})
        self.settled = True

    async def nack(self, reason: str = "", *, retry_after_seconds: float | None = None, give_up: bool = False) -> None:
        """It could not be done. It comes again later, or with `give_up` goes into quarantine, where the operators see `reason`: a short
        code such as `database_down`, never personal data. Later events of the same person (ordering key) wait for it.

        Raises:
            StaleDelivery: the lease had ended; the event comes again anyway.
        """
        await self._lender.one("nack", self, _said(reason, retry_after_seconds, give_up))
        self.settled = True

    async def renew(self, lease_seconds: int = 60) -> None:
        """Keep it for `lease_seconds` from now.

        Raises:
            StaleDelivery: the lease had ended.
        """
        await self._lender.one("renew", self, {}, lease_seconds=lease_seconds)


class Lender:
    """Pulls from one subscription and settles what it lent."""

    def __init__(self, sender: Sender, subscription: str) -> None:
        self._sender = sender
        self._subscription = subscription

    async def pull(self, *, most: int, lease_seconds: int, wait_seconds: float) -> list[Delivery]:
        """Up to `most` events that are due, in order."""
        asked = {"max": most, "lease_seconds": lease_seconds, "wait_seconds": wait_seconds}
        answer = await self._ask("pull", asked, wait_seconds=wait_seconds)
        return [self._delivery(told) for told in answer["events"]]

    async def settle(self, act: str, deliveries: Sequence[tuple[Delivery, Mapping[str, Any]]], **more: Any) -> dict[str, str]:
        """Do `act` (ack, nack, renew) to all; the outcome by delivery id."""
        told = [{"delivery": each.id, "fence": each.fence, **said} for each, said in deliveries]
        answer = await self._ask(act, {"deliveries": told, **more})
        return {str(each["delivery"]): str(each["outcome"]) for each in answer["results"]}

    async def one(self, act: str, delivery: Delivery, said: Mapping[str, Any], **more: Any) -> None:
        """Do `act` to one; StaleDelivery when its lease had ended."""
        outcomes = await self.settle(act, [(delivery, said)], **more)
        if outcomes.get(delivery.id) == "stale":
            raise StaleDelivery(delivery.id)

    async def _ask(self, act: str, body: Mapping[str, Any], *, wait_seconds: float = 0.0) -> Any:
        path = self._sender.path("subscriptions", self._subscription, act)
        response = await self._sender.call(Call("POST", path, to_json(body), _JSON, wait_seconds=wait_seconds))
        return response.json()

    def _delivery(self, told: Mapping[str, Any]) -> Delivery:
        return Delivery(
            id=told["delivery"],
            event=Event.of_json(told["event"]),
            number=told["number"],
            attempt=told["attempt"],
            lease_until=told["lease_until"],
            fence=told["fence"],
            _lender=self,
        )


class Subscribed:
    """The deliveries of a subscription, one after another, for as long as one cares to read.

    Used as `async with client.subscribe("...") as deliveries: async for delivery in deliveries: ...`. A delivery is acknowledged when the
    body of the loop has ended without an error; when it raised one, the delivery is handed back, and the error goes on its way. Leases
    are prolonged while the body works, of what waits behind it, too.
    """

    def __init__(self, lender: Lender, *, most: int, lease_seconds: int, wait_seconds: float) -> None:
        self._lender = lender
        self._most = most
        self._lease_seconds = lease_seconds
        self._wait_seconds = wait_seconds
        self._renew_after_seconds = lease_seconds / 3
        self._waiting: deque[Delivery] = deque()
        self._current: Delivery | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Subscribed:
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})
            self._renewing = None
        left = list(self._waiting)
        self._waiting.clear()
        if kind is None:
            await self._done()
        elif self._current is not None and not self._current.settled:
            left.insert(0, self._current)
        await self._hand_back(left, "" if kind is None else kind.__name__)

    def __aiter__(self) -> Subscribed:
        return self

    async def __anext__(self) -> Delivery:
        if self._renewing is None:
            raise RuntimeError("use it as: async with client.subscribe(...) as deliveries: async for delivery in deliveries: ...")
        await self._done()
        while not self._waiting:
            self._waiting.extend(
                await self._lender.pull(most=self._most, lease_seconds=self._lease_seconds, wait_seconds=self._wait_seconds)
            )
        self._current = self._waiting.popleft()
        return self._current

    async def _done(self) -> None:
        """The body has ended well."""
        current, self._current = self._current, None
        if current is not None and not current.settled:
            try:
                await current.ack()
            except StaleDelivery:
                _LOG.warning("%s was handled after its lease had ended; it comes again", current.id)

    async def _hand_back(self, deliveries: Iterable[Delivery], reason: str) -> None:
        """What was not handled is due again at once, what failed as the subscription says."""
        said = [
            (each, _said(reason, None, give_up=False) if each is self._current else _said("not_handled", 0, give_up=False))
            for each in deliveries
        ]
        self._current = None
        if said:
            try:
                await asyncio.wait_for(self._lender.settle("nack", said), _LEAVING_SECONDS)
            except (RenkeiClientError, asyncio.TimeoutError) as error:
                _LOG.warning("%d deliveries were not handed back (%s); they come again when their lease ends", len(said), error)

    async def _renew(self) -> None:
        """Prolong what is lent, three times per lease."""
        while True:
            await asyncio.sleep(self._renew_after_seconds)
            held = [each for each in (self._current, *self._waiting) if each is not None and not each.settled]
            if not held:
                continue
            try:
                outcomes = await self._lender.settle("renew", [(each, {}) for each in held], lease_seconds=self._lease_seconds)
            except RenkeiClientError as error:
                _LOG.warning("leases were not prolonged (%s)", error)
                continue
            lost = {delivery for delivery, outcome in outcomes.items() if outcome == "stale"}
            self._waiting = deque(each for each in self._waiting if each.id not in lost)


def _said(reason: str, retry_after_seconds: float | None, give_up: bool) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if reason:
        said["reason"] = _UNFIT.sub("_", reason)[:_LONGEST_REASON]
    if retry_after_seconds is not None:
        said["retry_after_seconds"] = retry_after_seconds
    if give_up:
        said["give_up"] = True
    return said
