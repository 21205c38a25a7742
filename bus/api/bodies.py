"""Reading what callers send: never more than is allowed, never longer than is bearable, and as strictly as events are read.

Owns: limits of request bodies, and JSON arguments. A body is counted as it comes, whatever its Content-Length says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from bus.api.problems import CallRefused
from bus.errors import Overloaded
from contracts.event_record import shown_name
from contracts.strict_json import NotStrict, read_strictly, strict_decoder

MOST_BYTES: Final = 1024 * 1024
"""Of JSON arguments: a thousand deliveries named take a tenth of it."""
PATIENCE_SECONDS: Final = 60.0
"""How long a body may take, and each piece of an upload."""
_DECODER: Final = strict_decoder()


RETRY_AFTER_SECONDS: Final = 1


@dataclass(slots=True)
class Room:
    """Memory for bodies that come in several pieces: of all callers together at most `most_bytes`. Whoever came first may finish."""

    most_bytes: int
    refused: Callable[[], None]
    """is told of each body for which there was none"""
    _taken_bytes: int = 0

    @contextmanager
    def body(self) -> Iterator[Held]:
        """Room for one body, for as long as it is read."""
        held = Held(self)
        try:
            yield held
        finally:
            self._taken_bytes -= held.taken_bytes

    def take(self, size: int) -> None:
        """Room for so many bytes more.

        Raises:
            Overloaded: there is none.
        """
        if self._taken_bytes + size > self.most_bytes:
            self.refused()
            raise Overloaded("RNK7217E", retry_after_seconds=RETRY_AFTER_SECONDS)
        self._taken_bytes += size


@dataclass(slots=True)
class Held:
    """What one body takes."""

    room: Room
    taken_bytes: int = 0

    def grow(self, piece: bytes) -> None:
        """One more piece.

        Raises:
            Overloaded: there is no room for it.
        """
        self.room.take(len(piece))
        self.taken_bytes += len(piece)


class Arguments(BaseModel):
    """JSON arguments of a call: nothing is converted, nothing unknown is let pass."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


class CallerLeft(Exception):
    """The caller hung up in the middle of its request; nobody is there to be answered."""


async def read_arguments(request: Request, form: type[ArgumentsT], room: Room) -> ArgumentsT:
    """The JSON body as `form`; an empty body is an empty object.

    Raises:
        CallRefused: 400 no JSON, 408 too slow, 413 too long, 415 not said to be JSON, 422 not what `form` asks for. Overloaded.
            CallerLeft.
    """
    body = await read_body(request, MOST_BYTES, room)
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


async def read_body(request: Request, most_bytes: int, room: Room) -> bytes:
    """The whole body.

    Raises:
        CallRefused: 408 it takes too long, 413 it is longer than `most_bytes`. Overloaded: others take all room. CallerLeft.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > most_bytes):
        raise too_long(most_bytes)
    body = bytearray()
    try:
        with room.body() as held:
            async with asyncio.timeout(PATIENCE_SECONDS):
                async for piece in pieces(request):
                    held.grow(piece)
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
    try:
        return read_strictly(body, _DECODER)
    except NotStrict as error:
        raise CallRefused("RNK7208E", status=400, reason=error.reason) from None


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
