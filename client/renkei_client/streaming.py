"""Server-sent events (HTML living standard, section "Server-sent events"), with reconnection.

Owns: reading the stream. Lines end with CR, LF or both and with nothing else: a line separator inside JSON text ends no line.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import httpx

from renkei_client.errors import Unavailable, refusal
from renkei_client.event import Event
from renkei_client.sending import PASSING, Sender, pause_seconds, retry_after, told

_MOST_BYTES: Final = 64 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


@dataclass
class Block:
    """One block of a stream, its fields joined as the standard says. `data` is None when it only names a place: `id`."""

    id: str | None = None
    event: str = ""
    data: str | None = None


@dataclass
class Reader:
    """Cuts a stream into blocks. `retry_seconds` is what the server asked to wait before a reconnection."""

    retry_seconds: float | None = None
    _left: bytes = b""
    _begun: bool = False
    _id: str | None = None
    _event: str = ""
    _data: list[str] = field(default_factory=list)
    _named: bool = False

    def feed(self, part: bytes) -> list[Block]:
        """The blocks that are complete with `part`.

        Raises:
            ValueError: a line without end, or not UTF-8.
        """
        text = self._left + part
        if not self._begun:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._left = text
                return []
            self._begun, text = True, text.removeprefix(_BOM)
        # A CR at the end may be half a line end: it waits for what comes after it.
        usable = text[:-1] if text.endswith(b"\r") else text
        *lines, rest = _LINE_END.split(usable)
        self._left = rest + text[len(usable) :]
        if len(self._left) > _MOST_BYTES:
            raise ValueError("the stream holds a line without end")
        return [block for line in lines if (block := self._line(line.decode())) is not None]

    def _line(self, line: str) -> Block | None:
        if not line:
            data = "\n".join(self._data) if self._data else None
            block = Block(self._id, self._event, data) if self._data or self._named else None
            self._event, self._data, self._named = "", [], False
            return block
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id, self._named = value, True
        elif name == "retry" and value.isascii() and value.isdecimal():
            self.retry_seconds = int(value) / 1000
        return None


async def stream(sender: Sender, subscription: str, last_event_id: int | None, silence_seconds: float) -> AsyncIterator[Event]:
    """The events of a subscription, in order, for ever. An event counts as handled when the next one is asked for: until then a broken
    connection brings it again. `silence_seconds`: a connection on which not even a heartbeat came for so long is dead.

    Raises:
        Refused: the bus will not have it. Unavailable: it was not reached for as long as the client may try.
    """
    loop = asyncio.get_running_loop()
    handled = last_event_id
    reached, tries = loop.time(), 0
    while True:
        reader = Reader()
        asked: float | None = None
        try:
            async with sender.http.stream(
                "GET",
                sender.path("subscriptions", subscription, "events"),
                headers=_headers(handled),
                timeout=httpx.Timeout(sender.timeout_seconds, read=silence_seconds),
            ) as response:
                if response.status_code >= 400:
                    await response.aread()
                    asked = _may_pass(response)
                else:
                    async for part in response.aiter_bytes():
                        reached, tries = loop.time(), 0
                        for block in reader.feed(part):
                            if block.data is not None:
                                yield Event.of_json(json.loads(block.data))
                            handled = _place(block, handled)
            trouble = f"HTTP {response.status_code}"
        except httpx.TransportError as error:
            trouble = f"{type(error).__name__}: {error}"
        tries += 1
        pause = pause_seconds(tries, reader.retry_seconds if asked is None else asked)
        if loop.time() + pause > reached + sender.give_up_seconds:
            raise Unavailable(f"the stream of {subscription}: {trouble}")
        await asyncio.sleep(pause)


def _headers(handled: int | None) -> dict[str, str]:
    last = {} if handled is None else {"last-event-id": str(handled)}
    return {"accept": "text/event-stream", "cache-control": "no-store", **last}


def _may_pass(response: httpx.Response) -> float | None:
    """How long to wait before the next try; raises Refused when there is no use in one."""
    if response.status_code not in PASSING:
        raise refusal(response.status_code, told(response))
    return retry_after(response)


def _place(block: Block, handled: int | None) -> int | None:
    """Where a reader is that has handled this block."""
    return int(block.id) if block.id is not None and block.id.isascii() and block.id.isdecimal() else handled
