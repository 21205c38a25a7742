"""The application API of a node, wired from its parts."""

from __future__ import annotations

from typing import Final

from bus.api.applications import Applications
from bus.api.bodies import Room
from bus.api.calls import ApiParts
from bus.api.publish import BATCH_BYTES, PublishRoute
from bus.api.rights import Rights
from bus.api.sign_in import SignIn
from bus.events.lookout import Lookout
from bus.events.pull import Pull
from bus.events.requests import Requests
from bus.events.streams import Streams
from bus.events.uploads import Uploads
from bus.node_events import EventParts
from bus.node_place import own_name, private_folder

UPLOADS: Final = "uploads"


def applications(events: EventParts) -> Applications:
    """The ASGI application."""
    parts = events.parts
    site, journal, clock = parts.site, parts.journal, parts.clock
    sign_in, rights = SignIn(site, clock), Rights(site)
    folder = private_folder(site) / own_name(site, parts.name, UPLOADS)
    room = Room(max(2 * BATCH_BYTES, site.site.api.most_waiting_bytes), lambda: events.counting.overloaded("bodies"))
    return Applications(
        ApiParts(
            recipes=parts.recipes,
            sign_in=sign_in,
            rights=rights,
            journal=journal,
            intake=events.intake,
            publish=PublishRoute(events.intake, sign_in, rights, room),
            pull=Pull(events.commit, journal, events.renderer, Lookout(journal, events.signals), clock, events.counting),
            requests=Requests(journal, events.renderer, events.signals, clock),
            streams=Streams(journal),
            uploads=Uploads(folder, parts.operations.submissions, journal),
            room=room,
        )
    )
