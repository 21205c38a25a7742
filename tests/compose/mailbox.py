"""A mail server that keeps what it is sent: as much of SMTP (RFC 5321) as a client needs to hand over a message."""

from __future__ import annotations

import queue
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser

PATIENCE_SECONDS = 30.0


@dataclass
class Mailbox:
    """What arrived. `port` is where, on loopback."""

    port: int = 0
    _mails: queue.Queue[tuple[list[str], Message]] = field(default_factory=queue.Queue)

    def next(self) -> tuple[list[str], Message]:
        """The next mail, with the addresses it is for."""
        return self._mails.get(timeout=PATIENCE_SECONDS)

    def keep(self, addresses: list[str], lines: list[bytes]) -> None:
        self._mails.put((addresses, BytesParser().parsebytes(b"\n".join(lines))))


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A mail server for the length of the block."""
    kept = Mailbox()

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            addresses: list[str] = []
            self._say(b"220 mailbox")
            while line := self.rfile.readline().strip():
                verb = line.split()[0].upper()
                if verb == b"RCPT":
                    addresses.append(line.partition(b"<")[2].partition(b">")[0].decode())
                if verb == b"DATA":
                    self._say(b"354 go on")
                    kept.keep(addresses, list(self._body()))
                self._say(b"221 bye" if verb == b"QUIT" else b"250 ok")
                if verb == b"QUIT":
                    return

        def _say(self, line: bytes) -> None:
            self.wfile.write(line + b"\r\n")

        def _body(self) -> Iterator[bytes]:
            while (line := self.rfile.readline().rstrip(b"\r\n")) != b".":
                yield line.removeprefix(b".")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk) as server:
        server.daemon_threads = True
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()
