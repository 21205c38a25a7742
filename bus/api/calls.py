"""What every route of the API needs to know of a call: who calls, and what the node offers.

Owns: putting the API's parts together for its routes, and the first steps of each call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request

from bus.api.bodies import Room
from bus.api.publish import PublishRoute
from bus.api.rights import Rights
from bus.api.sign_in import SignIn, Who
from bus.batch.recipes import Recipes
from bus.event import EventDraft
from bus.events.callers import Callers
from bus.events.intake import EventIntake
from bus.events.pull import Pull
from bus.events.requests import Requests
from bus.events.streams import Streams
from bus.events.uploads import Uploads
from bus.ports import QueryJournal
from bus.site import LoadedSite


class ApiJournal(QueryJournal, Protocol):
    """What the API itself reads."""

    def event(self, message_id: str) -> EventDraft:
        """See `bus.event_ports.EventJournal`."""
        ...


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the API is made of: one loaded configuration, and the services that answer."""

    recipes: Recipes
    sign_in: SignIn
    rights: Rights
    journal: ApiJournal
    intake: EventIntake
    publish: PublishRoute
    pull: Pull
    requests: Requests
    streams: Streams
    uploads: Uploads
    room: Room
    callers: Callers = field(default_factory=Callers)

    @property
    def site(self) -> LoadedSite:
        """The configuration."""
        return self.recipes.site

    def who(self, request: Request, tenant: str) -> Who:
        """The caller.

        Raises:
            CallRefused: as `SignIn.who`.
        """
        given = request.headers.get("authorization")
        return self.sign_in.who(tenant, None if given is None else given.encode("latin-1", "replace"))
