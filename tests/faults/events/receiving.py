"""The webhook receiver of a fault run, a process of its own: `python -m tests.faults.events.receiving FILE PORT`.

Its inbox tells by the `webhook-id` what it knows already. It answers only after the inbox holds the event - except when it is troubled:
sometimes it answers 500 without or after taking the event, cuts the connection after taking it, or says nothing at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvloop

from tests.faults.events.store import Inbox

REFUSES: Final = 0.01
REFUSES_AFTER_TAKING: Final = 0.004
CUTS_AFTER_TAKING: Final = 0.004
SAYS_NOTHING: Final = 0.0003
_WELL: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_BAD: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Troubled:
    """The receiver. What comes while the inbox is written waits for the next writing."""

    inbox: Inbox
    dice: random.Random = field(default_factory=random.Random)
    _waiting: list[tuple[tuple[str, str], asyncio.Future[None]]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                key, event = await _request(reader)
                mood = self.dice.random()
                if mood < REFUSES:
                    writer.write(_BAD)
                    continue
                await self._take(key, event)
                mood = self.dice.random()
                if mood < SAYS_NOTHING:
                    await reader.read()  # until the sender has had enough
                    break
                if mood < CUTS_AFTER_TAKING:
                    writer.transport.abort()
                    break
                writer.write(_BAD if mood < CUTS_AFTER_TAKING + REFUSES_AFTER_TAKING else _WELL)
        writer.close()

    def _take(self, key: str, event: str) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._write)
        self._waiting.append(((key, event), loop.create_future()))
        return self._waiting[-1][1]

    def _write(self) -> None:
        took, self._waiting = self._waiting, []
        self.inbox.take([came for came, _ in took])
        for _, future in took:
            if not future.done():
                future.set_result(None)


async def _request(reader: asyncio.StreamReader) -> tuple[str, str]:
    """Idempotency key and event id."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
    event = json.loads(await reader.readexactly(int(headers["content-length"])))
    return headers["webhook-id"], event["id"]


async def _main(file: Path, port: int) -> None:
    server = await asyncio.start_server(Troubled(Inbox(file)).serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
