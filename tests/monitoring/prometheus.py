"""A real Prometheus as a plain process on loopback, and a page for it to scrape. For tests of metrics, panels and rules."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

PATIENCE_SECONDS = 30.0


class Page:
    """Serves whatever `exposition` returns, and counts how often it was scraped."""

    def __init__(self, exposition: Callable[[], bytes], content_type: str) -> None:
        self._scraped = threading.Condition()
        self._scrapes = 0
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exposition()
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                with page._scraped:
                    page._scrapes += 1
                    page._scraped.notify_all()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    def wait_scrapes(self, count: int) -> None:
        """Until `count` more scrapes have begun after this call; all but the last of them are stored then."""
        with self._scraped:
            goal = self._scrapes + count
            assert self._scraped.wait_for(lambda: self._scrapes >= goal, PATIENCE_SECONDS), "Prometheus does not scrape"


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    address: str

    def get(self, path: str, **parameters: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        assert answer["status"] == "success", answer
        return answer["data"]

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """An instant query: labels and value of every series."""
        data = self.get("query", query=query)
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]


@contextmanager
def serving(exposition: Callable[[], bytes], content_type: str) -> Iterator[Page]:
    """A page for the length of the block."""
    page = Page(exposition, content_type)
    thread = threading.Thread(target=page.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield page
    finally:
        page.server.shutdown()
        page.server.server_close()
        thread.join()


@contextmanager
def prometheus(folder: Path, targets: dict[str, str], rules: list[Path], *, every: str = "200ms") -> Iterator[Prometheus]:
    """Prometheus over `targets` (job name to address), with its data in `folder`; `every` is how often it scrapes and evaluates, and how
    long it waits for an answer."""
    config = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(rule) for rule in rules],
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in targets.items()],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    log = (folder / "prometheus.log").open("wb")
    arguments = [f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    process = subprocess.Popen(["prometheus", *arguments], stdout=log, stderr=log, cwd=folder)
    try:
        wait_ready(address, process, folder / "prometheus.log")
        yield Prometheus(address)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        log.close()


def wait_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until a Prometheus or an Alertmanager says that it is ready."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        assert process.poll() is None, log.read_text("utf-8")
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            pass
        pause.wait(0.1)
    raise AssertionError(log.read_text("utf-8"))
