"""What routes say of themselves in the OpenAPI document: answers, bodies, and the one form of every problem.

Owns: the words the routes use. The document itself is put together in `bus.api.documents`.
"""

from __future__ import annotations

from typing import Any, Final

from bus.api.problems import PROBLEM
from bus.event_envelope import BATCH_MEDIA_TYPE, MEDIA_TYPE
from bus.events.cloudevents import MOST_IN_BATCH

_EVERYWHERE: Final = (400, 401, 403, 404, 422, 503)
_WORDS: Final = {
    200: "done",
    201: "made; `Location` says where it is",
    202: "taken, and on disk; no reply came yet, where one was waited for",
    204: "done; nothing to show",
    207: "some events of the batch were taken, others not",
    400: "cannot be read: no JSON, no CloudEvent, or not as the protocol has it",
    401: "an API key of this tenant is needed",
    403: "the API key's last day has passed",
    404: "not there, or not for this caller",
    408: "the body did not come in time",
    409: "the same id came with other content; or the offset is another; or it is too late for this",
    410: "the request expired without a reply",
    412: "another version of the upload protocol",
    413: "too long",
    415: "another Content-Type is needed",
    422: "the arguments, or the data of the event, break rules: `problems` names each",
    423: "another request writes to it",
    429: "too much waits already; come back after `Retry-After`",
    503: "the journal is away and nothing was taken; come back after `Retry-After`",
    507: "no room on the disk; nothing was lost",
}
_GIVEN: Final = (200, 201, 202, 204, 207)

Answers = dict[int | str, dict[str, Any]]


def reference(name: str) -> dict[str, str]:
    """A schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answers(*statuses: int, schema: str = "", media_type: str = "application/json", bare: bool = False) -> Answers:
    """The answers of a route: those named, and those that any route has. `schema` is that of a 200. `bare`: without bodies, as HEAD has
    them."""
    made: Answers = {}
    for status in sorted({*statuses, *_EVERYWHERE}):
        made[status] = {"description": _WORDS[status]}
        if status not in _GIVEN and not bare:
            made[status]["content"] = {PROBLEM: {"schema": reference("Problem")}}
        elif status == 200 and schema:
            made[status]["content"] = {media_type: {"schema": reference(schema)}}
        elif status == 202:
            made[status]["content"] = {"application/json": {"schema": reference("Taken")}}
    return made


def takes(name: str, *, required: bool = True) -> dict[str, Any]:
    """A body of JSON arguments."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": reference(name)}}}}


def publishes(event: str = "CloudEvent", data: str = "Data", *, batch: bool = False) -> dict[str, Any]:
    """A body that is an event, in each mode of CloudEvents."""
    content: dict[str, Any] = {MEDIA_TYPE: {"schema": reference(event)}, "application/json": {"schema": reference(data)}}
    if batch:
        content[BATCH_MEDIA_TYPE] = {"schema": {"type": "array", "items": reference(event), "maxItems": MOST_IN_BATCH}}
    return {"requestBody": {"required": True, "content": content}, "parameters": ATTRIBUTES}


def uploads_piece(media_type: str) -> dict[str, Any]:
    """A body that is a piece of a file."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


def _attribute(name: str, words: str) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": 256}
    return {"name": f"ce-{name}", "in": "header", "required": False, "description": words, "schema": schema}


ATTRIBUTES: Final = [
    _attribute("specversion", "1.0; of an event in binary mode, as the other `ce-` headers"),
    _attribute("id", "unique for its source: the same id again is the same event"),
    _attribute("source", "where it happened"),
    _attribute("type", "what happened"),
    _attribute("time", "when it happened (RFC 3339)"),
    _attribute("subject", "to what it happened; never a person's number"),
    _attribute("inreplyto", "the id of the request message that this answers"),
    _attribute("expirytime", "until when it is worth delivering (RFC 3339)"),
]
"""Headers of binary mode. Extensions go the same way."""
