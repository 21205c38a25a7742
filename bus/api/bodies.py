"""Reading what callers send: never more than is allowed, never longer than is bearable, and as strictly as events are read.

Owns: limits of request bodies, and JSON arguments. A body is counted as it comes, whatever its Content-Length says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from bus.api.problems import CallRefused
from contracts.event_record import shown_name

MOST_BYTES: Final = 1024 * 1024
"""Of JSON arguments: a thousand deliveries named take a tenth of it."""
PATIENCE_SECONDS: Final = 60.0
"""How long a body may take, and each piece of an upload."""


class Arguments(BaseModel):
    """JSON arguments of a call: nothing is converted, nothing unknown is let pass."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


class CallerLeft(Exception):
    """The caller hung up in the middle of its request; nobody is there to be answered."""


async def read_arguments(request: Request, form: type[ArgumentsT]) -> ArgumentsT:
    """The JSON body as `form`; an empty body is an empty object.

    Raises:
        CallRefused: 400 no JSON, 408 too slow, 413 too long, 415 not said to be JSON, 422 not what `form` asks for. CallerLeft.
    """
    body = await read_body(request, MOST_BYTES)
    if body and not is_json(request.headers.get("content-type", "")):
        raise CallRefused("RNK7207E", status=415, wanted="application/json")
    try:
        return form.model_validate(_parsed(body) if body else {})
    except ValidationError as error:
        raise misunderstood(error.errors(include_url=False, include_input=False, include_context=False)) from None


def is_json(content_type: str) -> bool:
    """Whether a Content-Type says JSON in UTF-8."""
    kind, _, parameters = content_type.partition(";")
    charset = [
        value.partition("=")[2].strip(' "').lower() for value in parameters.split(";") if value.strip().lower().startswith("charset")
    ]
    return kind.strip().lower() == "application/json" and set(charset) <= {"utf-8"}


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The whole body.

    Raises:
        CallRefused: 408 it takes too long, 413 it is longer than `most_bytes`. CallerLeft.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > most_bytes):
        raise too_long(most_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for piece in pieces(request):
                body += piece
                if len(body) > most_bytes:
                    raise too_long(most_bytes)
    except TimeoutError:
        raise CallRefused("RNK7212E", status=408, headers={"connection": "close"}, seconds=PATIENCE_SECONDS) from None
    return bytes(body)


def too_long(most_bytes: int) -> CallRefused:
    """The refusal of a body; what is left of it is not waited for."""
    return CallRefused("RNK7206E", status=413, headers={"connection": "close"}, limit=most_bytes)


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        CallerLeft: the caller hung up before its end.
    """
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        if piece := message.get("body", b""):
            yield piece
        if not message.get("more_body", False):
            return


def _parsed(body: bytes) -> Any:
    """JSON as RFC 8259 has it, in UTF-8, with no name twice (RFC 7493 section 2.3)."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise CallRefused("RNK7208E", status=400, reason="UTF-8") from None
    except json.JSONDecodeError as error:
        raise CallRefused("RNK7208E", status=400, reason=f"line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError):  # digits beyond any number, brackets beyond any depth
        raise CallRefused("RNK7208E", status=400, reason="limits") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CallRefused("RNK7208E", status=400, reason="a name twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise CallRefused("RNK7208E", status=400, reason=name)


def misunderstood(errors: Any) -> CallRefused:
    """The refusal of arguments, each with its place and what is wrong, never with its value."""
    problems = [
        {
            "field": ".".join(str(part) if isinstance(part, int) else shown_name(part) for part in error["loc"]),
            "rule": error["type"],
            "severity": "reject",
            "value": "",
            "words": {"en": error["msg"], "ja": f"値が正しくありません({error['type']})"},
        }
        for error in errors[:100]
    ]
    return CallRefused("RNK7209E", status=422, problems=problems, count=len(errors))
