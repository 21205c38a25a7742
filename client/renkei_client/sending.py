"""Calls to the bus, tried again while trouble may pass.

Owns: which trouble may pass and how long it is waited for. Everything this package asks of the bus may be asked twice without harm, so a
call whose answer was lost is simply made again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from renkei_client.errors import Unavailable, refusal

PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same call may succeed."""
_MOST_SECONDS: Final = 10.0
_FIRST_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Call:
    """One call. `wait_seconds` is how long the bus is asked to wait before it answers."""

    method: str
    path: str
    content: bytes = b""
    headers: Mapping[str, str] | None = None
    params: Mapping[str, str] | None = None
    wait_seconds: float = 0.0


class Sender:
    """Makes calls for one tenant. `give_up_seconds`: how long one call is tried in all; `timeout_seconds`: how long an answer may take."""

    def __init__(self, http: httpx.AsyncClient, tenant: str, *, timeout_seconds: float, give_up_seconds: float) -> None:
        self.http = http
        self.base = f"/v1/{quote(tenant, safe='')}"
        self.timeout_seconds = timeout_seconds
        self.give_up_seconds = give_up_seconds

    def path(self, *parts: str) -> str:
        """A path below the tenant's."""
        return "/".join((self.base, *(quote(part, safe="") for part in parts)))

    async def call(self, call: Call, *, give_up_seconds: float | None = None) -> httpx.Response:
        """The answer, with a status below 400.

        Raises:
            Refused: the bus will not have it. Unavailable: it was not reached, or busy, all the time.
        """
        response = await self.asked(call, give_up_seconds=give_up_seconds)
        if response.status_code >= 400:
            raise refusal(response.status_code, told(response))
        return response

    async def asked(self, call: Call, *, give_up_seconds: float | None = None) -> httpx.Response:
        """The same; other refusals than those that may pass are returned."""
        until = time.monotonic() + (self.give_up_seconds if give_up_seconds is None else give_up_seconds)
        tries = 0
        while True:
            tries += 1
            try:
                response = await self.once(call)
            except httpx.TransportError as error:
                trouble, asked = f"{type(error).__name__}: {error}", None
            else:
                if response.status_code not in PASSING:
                    return response
                trouble, asked = str(refusal(response.status_code, told(response))), retry_after(response)
            pause = pause_seconds(tries, asked)
            if time.monotonic() + pause > until:
                raise Unavailable(f"{call.method} {call.path}: {trouble}")
            await asyncio.sleep(pause)

    async def once(self, call: Call) -> httpx.Response:
        """One try."""
        return await self.http.request(
            call.method,
            call.path,
            content=call.content,
            headers=call.headers,
            params=call.params,
            timeout=self.timeout_seconds + call.wait_seconds,
        )


def told(response: httpx.Response) -> Any:
    """The JSON of an answer; None when it is none."""
    try:
        return response.json()
    except ValueError:
        return None


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that `Retry-After` asks to wait, if it names seconds."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdecimal() else None


def pause_seconds(tries: int, asked: float | None) -> float:
    """How long to wait after so many tries: what was asked, and a bit so that not all come back together; else exponential with jitter."""
    jitter = random.random()  # noqa: S311 - spreads callers, guards nothing
    if asked is not None:
        return asked + jitter * 0.5
    return jitter * min(_MOST_SECONDS, _FIRST_SECONDS * 2.0 ** min(tries, 16))
