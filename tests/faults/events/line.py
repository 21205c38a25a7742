"""A kept HTTP connection to one of several nodes, as a careful client has it: whatever happens to it, the question is asked again.

Plain asyncio streams: a client library would cost the machine more than the node under test.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

PATIENCE_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.1
MOST_WAIT_SECONDS: Final = 0.5
"""A test does not wait as long as it is asked to."""
HOME_AGAIN: Final = 100
"""After so many answers from another node the line goes back to its own."""


@dataclass(frozen=True)
class Answer:
    """What a node said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Line:
    """One connection at a time, to `ports` in turn, beginning at `home`."""

    ports: Sequence[int]
    home: int
    patience_seconds: float = PATIENCE_SECONDS
    cuts: int = 0
    refused: int = 0
    """told to come back later (429, 503)"""
    unasked: list[str] = field(default_factory=list)
    """told to come back, and not when"""
    _at: int = -1
    _answers: int = 0
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Ask until somebody answers other than "not now"."""
        while True:
            answer = await self._once(request)
            if answer is None:
                self.cuts += 1
                await asyncio.sleep(PAUSE_SECONDS)
            elif answer.status in (429, 503):
                self.refused += 1
                if "retry-after" not in answer.headers and len(self.unasked) < 5:
                    self.unasked.append(f"{answer.status} {answer.body[:200]!r}")
                await asyncio.sleep(min(float(answer.headers.get("retry-after", 0.1)), MOST_WAIT_SECONDS))
            else:
                return answer

    async def _once(self, request: bytes) -> Answer | None:
        """None: the connection could not be had, or was cut, or nobody answered in time."""
        try:
            async with asyncio.timeout(self.patience_seconds):
                reader, writer = await self._connected()
                writer.write(request)
                answer = await _read(reader)
        except (OSError, EOFError, TimeoutError, ValueError, RuntimeError):  # the last: uvloop, of a connection that was reset
            self._drop()
            self._at += 1
            return None
        self._answers += 1
        if answer.headers.get("connection", "").lower() == "close" or (self._answers >= HOME_AGAIN and self._at != self.home):
            self._drop()
            self._at = self.home
        return answer

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            if self._at < 0:
                self._at = self.home
            self._answers = 0
            self._streams = await asyncio.open_connection("127.0.0.1", self.ports[self._at % len(self.ports)])
        return self._streams

    def _drop(self) -> None:
        if self._streams is not None:
            with contextlib.suppress(OSError):
                self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head[:-4].split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(first.split(" ")[1]), headers, body)


def post(path: str, content_type: str, body: bytes, extra: Mapping[str, str] | None = None) -> bytes:
    """A request, as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (extra or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
