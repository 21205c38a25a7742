"""The HTTP API of business applications: publish, fetch, ask, upload.

Owns: putting the routes together, and what holds for all of them: problems in one form (RFC 9457), no fault of ours shown with its words,
the publish route before the framework.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bus.api.asyncapi import asyncapi_document, everybody
from bus.api.bodies import RETRY_AFTER_SECONDS, CallerLeft, misunderstood
from bus.api.calls import ApiParts
from bus.api.described import routed, routes_described
from bus.api.documents import tenant_document, whole_document
from bus.api.http1 import BUSY
from bus.api.problems import CallRefused, language_of, problem_response
from bus.api.publish import PublishRoute
from bus.errors import told_of
from contracts.errors import RenkeiError
from monitoring.log import log

TEND_SECONDS: Final = 60.0
"""How often uploads are looked after."""


class Applications:
    """The ASGI application. To be made, `open`ed and `close`d in the event loop that serves it."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts = parts
        self._publish = parts.publish
        self._framework = _framework(parts)
        self._tending: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to look after uploads."""
        self._tending = asyncio.create_task(self._tend(), name="renkei-uploads")

    def close(self) -> None:
        """Let every caller go that waits, so that the server can end."""
        self._parts.callers.close()
        if self._tending is not None:
            self._tending.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. No exception leaves this: the server would log its words."""
        if BUSY in scope:
            self._parts.intake.observer.overloaded("connections")
            again = {"retry-after": str(RETRY_AFTER_SECONDS)}
            busy = CallRefused("RNK7217E", status=503, headers=again, retry_after_seconds=RETRY_AFTER_SECONDS)
            await problem_response(busy, language_of(scope["headers"]))(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and PublishRoute.place(scope["path"]) is not None:
            try:
                await self._publish(scope, receive, send)
            except Exception as error:  # noqa: BLE001 - a fault of ours: told to the operators, and by number to the caller
                await _fault(error, scope["headers"])(scope, receive, send)
        else:
            with contextlib.suppress(Exception):  # the framework has answered it, by `_broken`, before it raises it again
                await self._framework(scope, receive, send)

    async def _tend(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._parts.uploads.tend)
            except Exception as error:  # noqa: BLE001 - whatever is wrong there, it is looked after again
                _noted(error)
            await asyncio.sleep(TEND_SECONDS)


def _framework(parts: ApiParts) -> FastAPI:
    """Everything but publishing."""
    app = routed(parts)
    app.router.routes.append(Route("/v1/{tenant}/interfaces/{interface}/events", parts.publish, methods=["POST"]))
    _add_documents(app, parts)
    app.add_exception_handler(RenkeiError, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(HTTPException, _not_served)
    app.add_exception_handler(CallerLeft, _left)
    app.add_exception_handler(Exception, _broken)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RenkeiError)  # noqa: S101 - registered for it
    return problem_response(error, language_of(request.headers.raw))


async def _misunderstood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    return await _refused(request, misunderstood(error.errors()))


async def _not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if error.status_code == 405:
        return await _refused(request, CallRefused("RNK7205E", status=405, headers=error.headers))
    return await _refused(request, CallRefused("RNK7204E", status=error.status_code))


async def _left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _broken(request: Request, error: Exception) -> Response:
    return _fault(error, request.headers.raw)


def _noted(error: Exception) -> str:
    number = secrets.token_hex(4)
    log("RNK7211E", fault=number, reason=told_of(error))
    return number


def _fault(error: Exception, headers: Sequence[tuple[bytes, bytes]]) -> Response:
    """The answer to a fault of ours: a number, under which the log tells what it was."""
    number = _noted(error)
    return problem_response(CallRefused("RNK7211E", status=500, fault=number, reason="-"), language_of(headers))


def _add_documents(app: FastAPI, parts: ApiParts) -> None:
    signs_in = parts.site.site.api.sign_in == "key"
    made: dict[str, Any] = {}

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request, tenant: str | None = None) -> Response:
        if not made:
            made["whole"] = whole_document(routes_described(), signs_in=signs_in)
        if tenant is None:
            return _document(made["whole"])
        who = parts.who(request, tenant)
        return _document(await asyncio.to_thread(tenant_document, made["whole"], parts.site, parts.recipes.registry, who))

    @app.get("/asyncapi.json", include_in_schema=False)
    async def asyncapi(request: Request, tenant: str | None = None) -> Response:
        for_all = [] if signs_in else everybody(parts.site)
        callers = for_all if tenant is None else [parts.who(request, tenant)]
        recipes = parts.recipes
        return _document(await asyncio.to_thread(asyncapi_document, parts.site, recipes.registry, recipes.translations, callers))


def _document(found: Any) -> Response:
    return Response(json.dumps(found, ensure_ascii=False).encode(), media_type="application/json")
