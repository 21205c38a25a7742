"""HTTP/1.1 connections of applications: nothing is upgraded, and nobody holds one for nothing.

Owns: reading requests that offer another protocol, and the limits of what no application sees: how long a head is, and how long a
connection may wait for its caller. A client may offer HTTP/2 in any request (Java's HttpClient does on every plain connection); a server
that does not take the offer reads the request as it stands (RFC 9110, section 7.8). The parser below stops at such an offer and loses the
body, so it is left out before it gets there.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES: Final = 64 * 1024
"""Of request line and headers together, and of whatever else comes without a byte of a body; one read of the network more may be held."""
LOOK_SECONDS: Final = 15.0
"""A connection on which nothing is in work, or of whose body nothing came, is cut when that is so at two looks, one after the other."""
STUCK_LOOKS: Final = 3
"""An answer of which nothing is taken for so many looks is thrown away, with its connection."""
BUSY: Final = "renkei.busy"
"""Set in the scope of a request that came on one connection too many."""
_OFFER: Final = re.compile(rb"^upgrade:[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE)
_HEAD_ENDS: Final = b"\r\n\r\n"
_TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
"""RFC 6585, section 5."""


class Http1(HttpToolsProtocol):
    """One connection. An offer is seen when it comes with the beginning of its request, as it does."""

    _between = True
    """what comes next is a head: nothing of a body is left out by mistake"""
    _heads = 0
    _pieces = 0
    """of heads and bodies, that came whole"""
    _body_began = False
    _no_piece_bytes = 0
    """since the last piece"""
    _waited = -1
    """`_heads` when last was looked, if the connection waited for its caller then"""
    _untaken = (0, 0)
    """bytes of answers that waited to be taken when last was looked, and for how many looks it was as many"""
    _look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        super().connection_made(transport)
        self._look = self.loop.call_later(LOOK_SECONDS, self._looked)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, without an offer to upgrade. A head that is too long ends the connection (431)."""
        if self._between and b"pgrade" in data.lower():
            head, end, body = data.partition(_HEAD_ENDS)
            data = _OFFER.sub(b"", head + end) + body
        before = self._pieces
        super().data_received(data)
        if self._pieces != before:
            self._no_piece_bytes = 0
            return
        self._no_piece_bytes += len(data)
        if self._no_piece_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            if self._idle:
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._heads += 1
        self._pieces += 1
        self._body_began = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of its body is there."""
        self._pieces += 1
        self._body_began = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._between = True
        super().on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Begin to answer. What came on a connection too many is refused by the application, in its own words."""
        if app is not self.app:
            cycle.scope[BUSY] = True
            cycle.keep_alive = False
        super()._start_asgi_task(cycle, self.app)

    @property
    def _idle(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _looked(self) -> None:
        """Cut a connection that waited for its caller at the last look, and has since."""
        self._look = self.loop.call_later(LOOK_SECONDS, self._looked)
        awaited = not self.pipeline and (self._idle or (self.cycle.more_body and not self._body_began))
        if awaited and self._waited == self._heads:
            self.transport.close()
        self._waited = self._heads if awaited else -1
        bytes_untaken = self.transport.get_write_buffer_size()
        self._untaken = (bytes_untaken, self._untaken[1] + 1 if bytes_untaken and bytes_untaken == self._untaken[0] else 0)
        if self._untaken[1] >= STUCK_LOOKS:
            self.transport.abort()
