"""Messages as their publisher sees them: what became of one, and requests that wait for a reply.

Owns: `/v1/{tenant}/messages/...` and `/v1/{tenant}/interfaces/{interface}/requests`.
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from bus.api.calls import ApiParts
from bus.api.documented import answers, publishes
from bus.api.presence import present
from bus.api.problems import CallRefused, nothing_there
from bus.api.rights import OwnInterface
from bus.event import EventDraft, OutgoingEvent
from bus.event_envelope import MEDIA_TYPE, envelope
from bus.events.requests import Answered
from bus.message import Delivery

LONGEST_WAIT_SECONDS: Final = 60
MOST_DELIVERIES: Final = 1000
Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS)]


def message_router(api: ApiParts) -> APIRouter:
    """The routes of publishers, beside publishing itself."""
    router = APIRouter(prefix="/v1/{tenant}", tags=["publish"])

    @router.get("/messages/{message}", responses=answers(200, schema="Message"))
    async def message(tenant: str, message: str, request: Request) -> Response:
        """What became of a message: its state, and that of each of its deliveries."""
        who = api.who(request, tenant)
        found = await asyncio.to_thread(api.journal.message, message)
        if found.identity.tenant != tenant or not who.is_one_of(found.source_system):
            raise nothing_there()
        deliveries = await asyncio.to_thread(api.journal.deliveries, message=message, limit=MOST_DELIVERIES)
        shown = [{"subscription": one.subscription, "state": one.state.value} for one in sorted(deliveries, key=_in_order)]
        return _json({"message": found.id, "state": found.state.value, "deliveries": shown})

    _add_requests(router, api)
    return router


def _add_requests(router: APIRouter, api: ApiParts) -> None:
    @router.post(
        "/interfaces/{interface}/requests",
        responses=answers(200, 202, 400, 408, 409, 413, 415, 429, media_type=MEDIA_TYPE, schema="CloudEvent"),
        openapi_extra=publishes(),
    )
    async def ask(tenant: str, interface: str, request: Request, wait_seconds: Wait = 30) -> Response:
        """Publish a request and wait for its reply; when none comes in time, the answer names where to ask for it later."""
        own = api.rights.events(api.who(request, tenant), interface)
        replies = _replies(own)
        taken = await api.publish.take_one(api.intake.interface(tenant, interface), request.scope["headers"], request.receive)
        draft = await asyncio.to_thread(api.journal.event, taken.message)
        _, reply = await _waited(api, request, tenant, draft, replies, wait_seconds)
        if reply is not None:
            return _event(reply)
        where = f"/v1/{tenant}/messages/{taken.message}/reply"
        return _json({"message": taken.message, "outcome": taken.outcome.value}, 202, {"location": where})

    @router.get(
        "/messages/{message}/reply", responses=answers(200, 204, 410, media_type=MEDIA_TYPE, schema="CloudEvent"), response_class=Response
    )
    async def reply(tenant: str, message: str, request: Request, wait_seconds: Wait = 0) -> Response:
        """The reply to a request: 204 while there is none, 410 when the request expired without one. A late reply is still given."""
        who = api.who(request, tenant)
        if not message.startswith(f"{tenant}-"):
            raise nothing_there()
        draft = await asyncio.to_thread(api.journal.event, message)
        replies = _replies(api.rights.events(who, draft.interface))
        answered, found = await _waited(api, request, tenant, draft, replies, wait_seconds)
        if found is not None:
            return _event(found)
        if answered is Answered.EXPIRED:
            raise CallRefused("RNK7215E", status=410, message=draft.message)
        return Response(status_code=204)


def _in_order(delivery: Delivery) -> tuple[str, int]:
    return delivery.subscription, delivery.number


def _replies(own: OwnInterface) -> str:
    """The interface that replies to this one's messages come on."""
    replies = own.interface.event.replies
    if replies is None:
        raise CallRefused("RNK7216E", status=404, interface=own.interface.id)
    return replies


async def _waited(
    api: ApiParts, request: Request, tenant: str, draft: EventDraft, replies: str, wait_seconds: float
) -> tuple[Answered, OutgoingEvent | None]:
    async with present(api.callers, request.receive) as caller:
        return await api.requests.reply(tenant, draft, replies, caller, wait_seconds=wait_seconds)


def _event(event: OutgoingEvent) -> Response:
    return Response(envelope(event), media_type=MEDIA_TYPE)


def _json(found: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(found).encode(), status, headers, "application/json")
