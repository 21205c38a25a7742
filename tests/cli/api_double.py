"""An application API on loopback that answers what a test says, and notes what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any, dict[str, str]]
"""Status, JSON (or bytes as they are), headers."""


@dataclass
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class ApiDouble:
    """`answers` by the end of the path, each given once, the last one for ever."""

    answers: dict[str, list[Answer]]
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bodies(self, deed: str) -> list[Any]:
        return [json.loads(asked.body) for asked in self.asked if asked.path.endswith(deed)]


@contextmanager
def serving(answers: dict[str, list[Answer]]) -> Iterator[ApiDouble]:
    double = ApiDouble(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            double.asked.append(Asked("POST", self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            waiting = double.answers[self.path.rpartition("/")[2]]
            status, answer, headers = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(sent))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *said: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
