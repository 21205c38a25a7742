"""The application API of a node, wired from its parts."""

from __future__ import annotations

from typing import Any

from bus.api.publish import PublishRoute
from bus.api.rights import Rights
from bus.api.sign_in import SignIn
from bus.node_events import EventParts


def applications(events: EventParts) -> Any:
    """The ASGI application."""
    site = events.parts.site
    return PublishRoute(events.intake, SignIn(site, events.parts.clock), Rights(site))
