"""The node's HTTP faces: what monitoring asks on loopback, and what the command line asks over the site's private socket.

Owns: routes. `/healthz`, `/readyz` and `/metrics` show no personal data and need no sign-in on loopback. Operations are served on a Unix
socket that only the node's own user may open; never over TCP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from bus.operations import Operations
from contracts.errors import RenkeiError
from monitoring.metrics import CONTENT_TYPE

DEEDS: Final = frozenset(
    {
        "submit",
        "intake_progress",
        "messages",
        "trace",
        "deliveries",
        "resend",
        "quarantine_list",
        "quarantine_show",
        "quarantine_export",
        "quarantine_release",
        "quarantine_skip",
        "status",
    }
)
"""The operations that may be asked for by name."""


def monitoring_app(metrics: Callable[[], bytes], problems: Callable[[], list[str]]) -> FastAPI:
    """`/metrics`, `/healthz` (the process answers) and `/readyz` (503 with the reasons while `problems` names any)."""
    app = FastAPI(title="Renkei monitoring", openapi_url=None)

    @app.get("/metrics")
    async def scrape() -> Response:
        return Response(await run_in_threadpool(metrics), media_type=CONTENT_TYPE)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readiness() -> JSONResponse:
        found = await run_in_threadpool(problems)
        return JSONResponse({"ready": not found, "problems": found}, status_code=503 if found else 200)

    return app


def operations_app(operations: Operations) -> FastAPI:
    """`POST /operations/<name>` with the arguments as a JSON object. 200 with `{"result"}`, or 4xx with `{"error"}`."""
    app = FastAPI(title="Renkei operations", openapi_url=None)

    @app.post("/operations/{name}")
    async def operate(name: str, request: Request) -> JSONResponse:
        if name not in DEEDS:
            return JSONResponse({"error": {"message_id": "RNK6091E", "facts": {"name": name}}}, status_code=404)
        arguments: dict[str, Any] = await request.json()
        try:
            result = await run_in_threadpool(getattr(operations, name), **arguments)
        except RenkeiError as error:
            return JSONResponse({"error": {"message_id": error.message_id, "facts": _plain(error.facts)}}, status_code=422)
        return JSONResponse({"result": result})

    return app


def _plain(facts: dict[str, object]) -> dict[str, object]:
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in facts.items()}
