"""Errors as applications get them: problem details (RFC 9457), one form whatever went wrong.

Owns: which error has which status, and what of it may be told. `type` is `about:blank` (section 4.2.1): `message_id` says which problem it
is, `detail` in the caller's language, `problems` every broken rule. Nothing of a request's content is repeated, but what was masked before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from bus.errors import BusError, EventRefused, JournalUnavailable, NotFound, Overloaded
from contracts.errors import RenkeiError
from contracts.messages import Language

PROBLEM: Final = "application/problem+json"
AGAIN_SECONDS: Final = 5
"""When to come back while the journal is away."""


class CallRefused(BusError):
    """A call of the API is refused. `status` is the HTTP status (RFC 9110), `headers` go with it, `problems` are its broken rules."""

    def __init__(
        self,
        message_id: str,
        *,
        status: int,
        headers: Mapping[str, str] | None = None,
        problems: Sequence[Mapping[str, object]] = (),
        **facts: object,
    ) -> None:
        super().__init__(message_id, **facts)
        self.status = status
        self.headers = headers or {}
        self.problems = problems


def nothing_there() -> CallRefused:
    """The one answer to whatever is not there, or not for this caller: nobody learns which."""
    return CallRefused("RNK7204E", status=404)


def told(error: RenkeiError) -> CallRefused | EventRefused:
    """The error as a caller is told of it: what the journal or the configuration says of themselves stays inside."""
    if isinstance(error, CallRefused | EventRefused):
        return error
    if isinstance(error, Overloaded):
        seconds = error.facts.get("retry_after_seconds", 1)
        headers = {"retry-after": str(max(1, math.ceil(seconds if isinstance(seconds, int | float) else 1)))}
        refused = CallRefused(error.message_id, status=429, headers=headers)
        refused.facts = error.facts
        return refused
    if isinstance(error, JournalUnavailable):
        return CallRefused("RNK7213E", status=503, headers={"retry-after": str(AGAIN_SECONDS)})
    if isinstance(error, NotFound):
        return nothing_there()
    raise error


def described(error: CallRefused | EventRefused, language: Language = "en") -> dict[str, object]:
    """The problem as JSON."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.text(language),
        "action": error.action(language),
        "message_id": error.message_id,
        "problems": list(error.problems),
    }


def problem_response(error: RenkeiError, language: Language = "en") -> Response:
    """The answer to a request that ended in this error.

    Raises:
        RenkeiError: the error itself, when it is none a caller can do anything about: a fault of ours.
    """
    refused = told(error)
    body = json.dumps(described(refused, language), ensure_ascii=False).encode()
    headers = dict(refused.headers) if isinstance(refused, CallRefused) else {}
    return Response(body, refused.status, headers, PROBLEM)


def language_of(headers: Sequence[tuple[bytes, bytes]]) -> Language:
    """Japanese for whoever asks for it first (`Accept-Language`, RFC 9110 section 12.5.4); English for all others."""
    asked = next((value for name, value in headers if name == b"accept-language"), b"")
    return "ja" if asked.strip().lower().startswith(b"ja") else "en"


PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "message_id", "problems"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "action": {"type": "string"},
        "message_id": {"type": "string", "pattern": "^RNK[0-9]{4}[IWE]$"},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "rule"],
                "properties": {
                    "field": {"type": "string"},
                    "rule": {"type": "string"},
                    "severity": {"type": "string"},
                    "value": {"type": "string"},
                    "words": {"type": "object", "additionalProperties": {"type": "string"}},
                    "action": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        },
    },
}
"""JSON schema of `described`."""
