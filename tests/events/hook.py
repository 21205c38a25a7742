"""A receiver of webhooks in a thread of its own, which answers when and how a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Came:
    """One request."""

    path: str
    delivery: str
    event: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.event["id"])


def well(_: Came) -> int:
    """Everything is taken."""
    return 204


@dataclass
class Hook:
    """What came and what was taken, in order; `answer` says the status, and may take its time."""

    answer: Callable[[Came], int] = well
    url: str = ""
    came: list[Came] = field(default_factory=list)
    taken: list[Came] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def take(self, one: Came) -> int:
        with self._news:
            self.came.append(one)
            self._news.notify_all()
        status = self.answer(one)
        with self._news:
            if status < 300:
                self.taken.append(one)
            self._news.notify_all()
        return status

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until that is so, looking whenever something came or was taken."""
        with self._news:
            assert self._news.wait_for(true, WAIT_SECONDS), [f"{one.path} {one.id}" for one in self.came]

    def has_come(self, count: int) -> list[str]:
        """Wait until so many came; the events' ids."""
        self.until(lambda: len(self.came) >= count)
        return [one.id for one in self.came]

    def has_taken(self, count: int) -> list[str]:
        """Wait until so many were taken; the events' ids."""
        self.until(lambda: len(self.taken) >= count)
        return [one.id for one in self.taken]


class Gate:
    """Answers of some requests wait until `open` is called; then they are all answered well."""

    def __init__(self, holds: Callable[[Came], bool] = lambda _: True) -> None:
        self._holds = holds
        self._open = threading.Event()

    def __call__(self, came: Came) -> int:
        if self._holds(came):
            assert self._open.wait(WAIT_SECONDS)
        return 204

    def open(self) -> None:
        self._open.set()


@contextmanager
def listening_hook(answer: Callable[[Came], int] = well) -> Iterator[Hook]:
    """A hook on a free port of loopback."""
    hook = Hook(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status = hook.take(Came(self.path, self.headers["webhook-id"], event))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the library names it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
