"""HTTP/1.1 connections of applications, to which nothing is upgraded.

Owns: reading requests that offer another protocol. A client may offer HTTP/2 in any request (Java's HttpClient does on every plain
connection); a server that does not take the offer reads the request as it stands (RFC 9110, section 7.8). The parser below stops at such
an offer and loses the body, so it is left out before it gets there.
"""

from __future__ import annotations

import re
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OFFER: Final = re.compile(rb"^upgrade:[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE)
_HEAD_ENDS: Final = b"\r\n\r\n"


class Http1(HttpToolsProtocol):
    """One connection. An offer is seen when it comes with the beginning of its request, as it does."""

    def data_received(self, data: bytes) -> None:
        """Take what came, without an offer to upgrade."""
        if b"pgrade" in data and (self.cycle is None or self.cycle.response_complete):
            head, end, body = data.partition(_HEAD_ENDS)
            data = _OFFER.sub(b"", head + end) + body
        super().data_received(data)
