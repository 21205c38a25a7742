"""The framework's routes, and what it makes of them in OpenAPI.

Owns: the one list of routes, for serving them and for describing them without a node.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, cast

from fastapi import FastAPI, Response

from bus.api.calls import ApiParts
from bus.api.message_routes import message_router
from bus.api.pull_routes import pull_router
from bus.api.upload_routes import upload_router


def routed(parts: ApiParts) -> FastAPI:
    """An application with every route but publishing."""
    app = FastAPI(
        title="Renkei",
        version=version("renkei-bus"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        default_response_class=Response,
    )
    for router in (message_router(parts), pull_router(parts), upload_router(parts)):
        app.include_router(router)
    return app


def routes_described() -> dict[str, Any]:
    """The OpenAPI document of these routes. Describing a route asks for no part."""
    return routed(cast("ApiParts", None)).openapi()
