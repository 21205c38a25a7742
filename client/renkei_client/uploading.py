"""Resumable upload of a file into the batch path (tus 1.0.0, core protocol and creation extension)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from renkei_client.errors import Unavailable, refusal
from renkei_client.sending import PASSING, Call, Sender, pause_seconds, retry_after, told

_TUS: Final[Mapping[str, str]] = {"tus-resumable": "1.0.0"}
_PART_BYTES: Final = 4 * 1024 * 1024
_STILL: Final = frozenset({"receiving", "taking"})
_ASK: Final = frozenset({*PASSING, 409, 423})
"""Answers after which the server is asked how far it has come: also that it holds another offset (409), or that it is still busy with the
piece whose connection was cut (423)."""


@dataclass(frozen=True)
class Uploaded:
    """What became of an uploaded file: `accepted`, `duplicate`, `held` or `refused`; `receiving` or `taking` while that is not known yet.
    `receipt` and `message` are the bus's ids, where there are any."""

    upload: str
    state: str
    receipt: str
    message: str


async def upload(sender: Sender, interface: str, file: Path, name: str, wait_seconds: float) -> Uploaded:
    """Send the file, going on after trouble where the bus has it up to, and wait up to `wait_seconds` for what becomes of it."""
    size = (await asyncio.to_thread(file.stat)).st_size
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {**_TUS, "upload-length": str(size), "upload-metadata": metadata}
    begun = await sender.call(Call("POST", sender.path("interfaces", interface, "uploads"), headers=headers))
    where = httpx.URL(begun.headers["location"]).path
    await _Sending(sender, where, file).send(size)
    return await _outcome(sender, where, wait_seconds)


class _Sending:
    """The bytes of one upload on their way."""

    def __init__(self, sender: Sender, where: str, file: Path) -> None:
        self._sender = sender
        self._where = where
        self._file = file

    async def send(self, size: int) -> None:
        """Send what the bus has not yet. Trouble counts from the last byte that came through."""
        loop = asyncio.get_running_loop()
        offset, tries, moved = 0, 0, loop.time()
        while offset < size:
            response, trouble, asked = await self._part(offset)
            if response is not None and response.status_code == 204:
                offset, tries, moved = int(response.headers["upload-offset"]), 0, loop.time()
                continue
            tries += 1
            pause = pause_seconds(tries, asked)
            if loop.time() + pause > moved + self._sender.give_up_seconds:
                raise Unavailable(f"the upload of {self._file.name} at byte {offset}: {trouble}")
            await asyncio.sleep(pause)
            held = await self._sender.call(Call("HEAD", self._where, headers=_TUS))
            offset = int(held.headers["upload-offset"])

    async def _part(self, offset: int) -> tuple[httpx.Response | None, str, float | None]:
        """Send one part: the answer, or the trouble and the wait that was asked for."""
        data = await asyncio.to_thread(_read, self._file, offset)
        headers = {**_TUS, "upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        try:
            response = await self._sender.once(Call("PATCH", self._where, data, headers))
        except httpx.TransportError as error:
            return None, type(error).__name__, None
        if response.status_code >= 400 and response.status_code not in _ASK:
            raise refusal(response.status_code, told(response))
        return response, f"HTTP {response.status_code}", retry_after(response)


async def _outcome(sender: Sender, where: str, wait_seconds: float) -> Uploaded:
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + wait_seconds, 0.05
    while True:
        shown: Mapping[str, Any] = (await sender.call(Call("GET", where))).json()
        state = str(shown.get("state", ""))
        if state not in _STILL or loop.time() + pause > until:
            return Uploaded(where.rpartition("/")[2], state, str(shown.get("receipt") or ""), str(shown.get("message") or ""))
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 2.0)


def _read(file: Path, offset: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(_PART_BYTES)
