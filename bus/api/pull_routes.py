"""Fetching events: pull, acknowledge, hand back, prolong, and the stream of server-sent events.

Owns: the routes under `/v1/{tenant}/subscriptions/{subscription}` and the JSON they take and give.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response
from pydantic import Field, StringConstraints

from bus.api.bodies import Arguments, read_arguments
from bus.api.calls import ApiParts
from bus.api.documented import answers, takes
from bus.api.presence import present
from bus.api.sse import EventStream, Stream
from bus.clock import rfc3339
from bus.event_envelope import envelope
from bus.events.pull import Claim, HandedBack, Lent
from bus.site import Subscription

MOST_NAMED: Final = 1000
LONGEST_WAIT_SECONDS: Final = 60
LONGEST_LEASE_SECONDS: Final = 3600
LONGEST_RETRY_SECONDS: Final = 7 * 24 * 3600

DeliveryId = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}-d[1-9][0-9]{0,16}$")]
Fence = Annotated[int, Field(ge=1, le=2**31 - 1)]
LeaseSeconds = Annotated[int, Field(ge=1, le=LONGEST_LEASE_SECONDS)]


class PullAsked(Arguments):
    """How many events are wanted, for how long they are lent, and how long to wait for the first of them."""

    max: Annotated[int, Field(ge=1, le=1000)] = 100
    lease_seconds: LeaseSeconds = 60
    wait_seconds: Annotated[float, Field(ge=0, le=LONGEST_WAIT_SECONDS)] = 0


class Named(Arguments):
    """A delivery that was lent, and the fence it was lent under."""

    delivery: DeliveryId
    fence: Fence

    def claim(self) -> Claim:
        """As the pull service names it."""
        return Claim(self.delivery, self.fence)


class Acknowledged(Arguments):
    """Deliveries that arrived well."""

    deliveries: Annotated[list[Named], Field(min_length=1, max_length=MOST_NAMED)]


class Returned(Named):
    """A delivery that could not be used. `reason` is a code of the subscriber's own; operators see it, so it says nothing of a person."""

    reason: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{0,60}$")] = ""
    retry_after_seconds: Annotated[float, Field(ge=0, le=LONGEST_RETRY_SECONDS)] | None = None
    give_up: bool = False

    def handed_back(self) -> HandedBack:
        """As the pull service knows it."""
        return HandedBack(self.claim(), self.reason, self.retry_after_seconds, self.give_up)


class HandedBackAsked(Arguments):
    """Deliveries that could not be used."""

    deliveries: Annotated[list[Returned], Field(min_length=1, max_length=MOST_NAMED)]


class RenewAsked(Arguments):
    """Deliveries that are still worked on."""

    deliveries: Annotated[list[Named], Field(min_length=1, max_length=MOST_NAMED)]
    lease_seconds: LeaseSeconds = 60


def pull_router(api: ApiParts) -> APIRouter:
    """The routes of subscribers."""
    router = APIRouter(prefix="/v1/{tenant}/subscriptions/{subscription}", tags=["subscribe"])
    for add in (_add_pull, _add_bookings, _add_stream):
        add(router, api)
    return router


def _add_pull(router: APIRouter, api: ApiParts) -> None:
    @router.post("/pull", responses=answers(200, 408, 413, 415, schema="Pulled"), openapi_extra=takes("PullAsked", required=False))
    async def pull(tenant: str, subscription: str, request: Request) -> Response:
        """Lend the next events, at most one of each ordering key. Without any, wait for one."""
        own = _subscription(api, request, tenant, subscription)
        asked = await read_arguments(request, PullAsked, api.room)
        async with present(api.callers, request.receive) as caller:
            lent = await api.pull.pull(
                tenant, own, caller, most=asked.max, lease_seconds=asked.lease_seconds, wait_seconds=asked.wait_seconds
            )
            return _json(b'{"events":[' + b",".join(map(_shown, lent)) + b"]}")


def _add_bookings(router: APIRouter, api: ApiParts) -> None:
    @router.post("/ack", responses=answers(200, 408, 413, 415, schema="Acknowledgements"), openapi_extra=takes("Acknowledged"))
    async def ack(tenant: str, subscription: str, request: Request) -> Response:
        """Book deliveries as delivered; `stale` where another was lent them meanwhile. Twice is the same as once."""
        own = _subscription(api, request, tenant, subscription)
        asked = await read_arguments(request, Acknowledged, api.room)
        return _results(asked.deliveries, await api.pull.ack(tenant, own, [each.claim() for each in asked.deliveries]))

    @router.post("/nack", responses=answers(200, 408, 413, 415, schema="Returns"), openapi_extra=takes("HandedBackAsked"))
    async def nack(tenant: str, subscription: str, request: Request) -> Response:
        """Hand deliveries back: they come again later, or stand in quarantine when their attempts are used up or `give_up` says so."""
        own = _subscription(api, request, tenant, subscription)
        asked = await read_arguments(request, HandedBackAsked, api.room)
        return _results(asked.deliveries, await api.pull.nack(tenant, own, [each.handed_back() for each in asked.deliveries]))

    @router.post("/renew", responses=answers(200, 408, 413, 415, schema="Renewals"), openapi_extra=takes("RenewAsked"))
    async def renew(tenant: str, subscription: str, request: Request) -> Response:
        """Prolong leases, counted from now."""
        own = _subscription(api, request, tenant, subscription)
        asked = await read_arguments(request, RenewAsked, api.room)
        claims = [each.claim() for each in asked.deliveries]
        return _results(asked.deliveries, await api.pull.renew(tenant, own, claims, lease_seconds=asked.lease_seconds))


def _add_stream(router: APIRouter, api: ApiParts) -> None:
    @router.get("/events", responses=answers(200, media_type="text/event-stream", schema="Stream"), response_class=Response)
    async def events(
        tenant: str,
        subscription: str,
        request: Request,
        last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,17}$")] = None,
    ) -> Response:
        """Server-sent events: each counts as delivered once it was written. Come back with `Last-Event-ID`, and nothing is missed."""
        own = _subscription(api, request, tenant, subscription)
        last = None if last_event_id is None else int(last_event_id)
        return EventStream(Stream(api.streams, api.pull, tenant, own, last), api.callers)


def _subscription(api: ApiParts, request: Request, tenant: str, subscription: str) -> Subscription:
    return api.rights.subscription(api.who(request, tenant), subscription)


def _shown(lent: Lent) -> bytes:
    claimed = lent.claimed
    return b'{"delivery":"%b","fence":%d,"number":%d,"attempt":%d,"lease_until":"%b","event":%b}' % (
        claimed.id.encode(),
        claimed.fence,
        claimed.number,
        lent.event.attempt,
        rfc3339(claimed.lease_until_us, "milliseconds").encode(),
        envelope(lent.event),
    )


def _results(named: Sequence[Named], outcomes: Sequence[str]) -> Response:
    results = [{"delivery": each.delivery, "outcome": outcome} for each, outcome in zip(named, outcomes, strict=True)]
    return _json(json.dumps({"results": results}).encode())


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
