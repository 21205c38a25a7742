"""The node's HTTP faces: what monitoring asks on loopback, and what the command line asks over the site's private socket.

Owns: routes. `/healthz`, `/readyz` and `/metrics` show no personal data and need no sign-in on loopback; beyond it, a token. Operations
are served on a Unix socket that only the node's own user may open; never over TCP.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from bus.api.deeds import DEEDS
from bus.api.sign_in import TokenFile
from bus.errors import OperationRefused, told_of
from bus.operations import Operations
from contracts.errors import RenkeiError
from monitoring.log import log
from monitoring.metrics import CONTENT_TYPE


def monitoring_app(metrics: Callable[[], bytes], problems: Callable[[], list[str]], token: Path | None = None) -> FastAPI:
    """`/metrics` (503 while the journal cannot be read), `/healthz` (the process answers) and `/readyz` (503 with the reasons while
    `problems` names any). With `token`, a file, the first and the last ask for `Authorization: Bearer` with its content (else 401);
    `/healthz` tells nothing and asks for nothing, so that whatever restarts or balances nodes needs no secret."""
    app = FastAPI(title="Renkei monitoring", openapi_url=None)
    known = TokenFile(token) if token is not None else None

    def signed_in(authorization: Annotated[str | None, Header()] = None) -> None:
        if known is not None and not known.lets_in(authorization):
            raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": 'Bearer realm="renkei monitoring"'})

    guarded = [Depends(signed_in)]

    @app.get("/metrics", dependencies=guarded)
    async def scrape() -> Response:
        try:
            return Response(await run_in_threadpool(metrics), media_type=CONTENT_TYPE)
        except RenkeiError as error:
            return Response(str(error), media_type="text/plain; charset=utf-8", status_code=503)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", dependencies=guarded)
    async def readiness() -> JSONResponse:
        found = await run_in_threadpool(problems)
        return JSONResponse({"ready": not found, "problems": found}, status_code=503 if found else 200)

    return app


def operations_app(operations: Operations) -> FastAPI:
    """`POST /operations/<name>` with the arguments as a JSON object. 200 with `{"result"}`, else `{"error": {"kind", "message_id",
    "facts"}}`: 404 for no such operation, 400 for arguments that it does not have, 422 for what it refused, 500 for a fault of ours."""
    app = FastAPI(title="Renkei operations", openapi_url=None)
    forms = {name: _form(name) for name in DEEDS}

    @app.post("/operations/{name}")
    async def operate(name: str, request: Request) -> JSONResponse:
        if name not in DEEDS:
            return _failure(OperationRefused("RNK6091E", name=name), 404)
        try:
            given = forms[name].model_validate_json(await request.body())
        except ValidationError as error:
            return _failure(_misunderstood(name, error), 400)
        try:
            result = await run_in_threadpool(getattr(operations, name), **{key: getattr(given, key) for key in given.model_fields_set})
            return JSONResponse({"result": result})
        except RenkeiError as error:
            return _failure(error, 422)
        except Exception as error:  # noqa: BLE001 - whoever asked is told; the node goes on
            log("RNK6094E", name=name, reason=told_of(error))
            return _failure(OperationRefused("RNK6094E", name=name, reason=told_of(error)), 500)

    return app


def _form(name: str) -> type[BaseModel]:
    """The arguments of an operation, as its method names and types them."""
    method = getattr(Operations, name)
    hints = get_type_hints(method)
    named = [found for found in inspect.signature(method).parameters.values() if found.name != "self"]
    fields: dict[str, Any] = {found.name: (hints[found.name], ... if found.default is found.empty else found.default) for found in named}
    return create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _misunderstood(name: str, error: ValidationError) -> OperationRefused:
    found = error.errors(include_url=False, include_input=False)[0]
    return OperationRefused("RNK6093E", name=name, argument=".".join(map(str, found["loc"])) or "-", reason=found["msg"])


def _failure(error: RenkeiError, status: int) -> JSONResponse:
    told = {"kind": type(error).__name__, "message_id": error.message_id, "facts": _plain(error.facts)}
    return JSONResponse({"error": told}, status_code=status)


def _plain(facts: dict[str, object]) -> dict[str, object]:
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in facts.items()}
