"""Receivers for webhook tests: real servers on loopback that do exactly what a test says, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Conversation = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Asked:
    """One request as its bytes came."""

    line: str
    header_lines: list[tuple[str, str]]
    body: bytes
    connection: int

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.header_lines}


@dataclass
class Receiver:
    """Answers each request by the next conversation; the last one goes on."""

    conversations: Sequence[Conversation]
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            while not writer.is_closing():
                asked = await _read(reader, connection)
                self.asked.append(asked)
                await self.conversations[min(len(self.asked), len(self.conversations)) - 1](asked, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self.serving.discard(task)
            writer.close()

    async def end(self) -> None:
        for task in self.serving:
            task.cancel()
        await asyncio.gather(*self.serving)


async def _read(reader: asyncio.StreamReader, connection: int) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head[:-4].split("\r\n")
    lines = [(name, value) for name, _, value in (each.partition(": ") for each in rest)]
    length = next((int(value) for name, value in lines if name.lower() == "content-length"), 0)
    return Asked(line, lines, await reader.readexactly(length), connection)


@contextlib.asynccontextmanager
async def receiving(*conversations: Conversation, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver(conversations or (answer(200),))
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"{'https' if tls else 'http'}://{host}:{port}/events"
    try:
        yield receiver
    finally:
        server.close()
        await receiver.end()


def answer(status: int, body: bytes = b"", **headers: str) -> Conversation:
    """A plain answer; keeps the connection."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())

    async def conversation(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return conversation


async def hang(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Never a word."""
    await asyncio.Event().wait()


async def reset(_: Asked, writer: asyncio.StreamWriter) -> None:
    """A reset instead of an answer."""
    writer.transport.abort()


async def let_go(_: Asked, writer: asyncio.StreamWriter) -> None:
    """The connection ends in good order, without an answer."""
    writer.close()


def pouring(head: bytes, part: bytes, *, pause_seconds: float = 0.0) -> Conversation:
    """Send `head`, then `part` for ever; how much was sent stands in `poured`."""

    async def conversation(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(part)
            poured.append(len(part))
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return conversation


poured: list[int] = []
"""Sizes of all parts poured; a test clears it first."""


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the tests and a server certificate of `localhost` that it signed."""

    file: Path
    server: ssl.SSLContext
    certificate: Path
    key: Path


def authority(folder: Path) -> Authority:
    """Make both with openssl."""
    ca_key, ca, key, request, certificate, names = (
        folder / name for name in ("ca.key", "ca.pem", "server.key", "server.csr", "server.pem", "names")
    )
    names.write_text("subjectAltName=DNS:localhost\n", "ascii")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=tests")
    _openssl("req", *new, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    _openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", certificate, "-days", "2",
             "-extfile", names)  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return Authority(ca, context, certificate, key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
