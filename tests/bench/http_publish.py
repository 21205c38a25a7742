"""`renkei bench http`: durable, validated publishing over HTTP, side by side with a bare ASGI application that keeps nothing.

Owns: the load (wrk, 64 connections) and the figures. Each round times the bare application and then a node; every event has an id and a
person of its own, is checked against twelve fields, and is answered after the commit that holds it is on disk. Medians of the rounds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.bench.event_site import TENANT, record, serving, write_site
from tests.bench.machine import described

CONNECTIONS = 64
WARM_SECONDS = 2
_SCRIPT = """
wrk.method = "POST"
local threads = 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end
local n = 0
function request()
  n = n + 1
  local headers = {["content-type"]="application/json", ["ce-specversion"]="1.0", ["ce-source"]="/resident", ["ce-type"]="jp.move",
    ["ce-id"]=string.format("%%s-%%d-%%d", STAMP, id, n)}
  return wrk.format("POST", nil, headers, string.format(BODY, string.format("%%015d", (n * 7919 + id * 31) %% 1000003)))
end
"""
_BARE = """
import orjson, uvicorn
async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    orjson.loads(body)
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, host="127.0.0.1", port=PORT, loop="uvloop", http="httptools", log_level="warning", access_log=False, lifespan="off")
"""


def run(*, seconds: int, rounds: int) -> dict[str, Any]:
    """Measure. `requests_per_second`, `p99_seconds`, `ratio_to_bare_asgi` (of the medians), and what stands behind them."""
    folder = Path(tempfile.mkdtemp(prefix="renkei-bench-"))
    try:
        return _measured(folder, seconds, rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(folder: Path, seconds: int, rounds: int) -> dict[str, Any]:
    bare: list[dict[str, float]] = []
    durable: list[dict[str, float]] = []
    for number in range(rounds):
        with _bare_asgi() as address:
            _load(folder, address, WARM_SECONDS, f"warm{number}")
            bare.append(_load(folder, address, seconds, f"b{number}"))
        site = folder / f"site{number}"
        write_site(site)
        with serving(site) as (_, url):
            address = f"{url}/v1/{TENANT}/interfaces/moves/events"
            _load(folder, address, WARM_SECONDS, f"warm{number}")
            durable.append(_load(folder, address, seconds, f"r{number}"))
            _must_be_journalled(site, durable[-1])
        shutil.rmtree(site)
    rate, plain = (statistics.median(one["rate"] for one in found) for found in (durable, bare))
    return {
        "requests_per_second": round(rate),
        "p99_seconds": statistics.median(one["p99"] for one in durable),
        "p50_seconds": statistics.median(one["p50"] for one in durable),
        "ratio_to_bare_asgi": round(rate / plain, 3),
        "bare_asgi_requests_per_second": round(plain),
        "bare_asgi_p99_seconds": statistics.median(one["p99"] for one in bare),
        "rounds": {"durable": durable, "bare": bare},
        "connections": CONNECTIONS,
        "body_bytes": len((_body() % ("0" * 15)).encode()),
        "machine": described("uvicorn", "uvloop", "httptools", "orjson", "sqlalchemy"),
    }


def _body() -> str:
    return json.dumps(record("PERSON"), ensure_ascii=False).replace("PERSON", "%s")


def _load(folder: Path, address: str, seconds: int, stamp: str) -> dict[str, float]:
    """One run of wrk: requests a second, p50 and p99 in seconds, errors."""
    script = folder / "post.lua"
    script.write_text(f"STAMP = {json.dumps(stamp)}\nBODY = [[{_body()}]]\n{_SCRIPT.replace('%%', '%')}", "utf-8")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), address]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(out)
    found = {"rate": float(_one(r"Requests/sec:\s+([\d.]+)", out)), "requests": float(_one(r"(\d+) requests in", out))}
    return found | {name: _seconds(_one(rf"{share}%\s+([\d.]+\w+)", out)) for name, share in (("p50", 50), ("p99", 99))}


def _one(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def _seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return round(float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit], 6)


def _must_be_journalled(site: Path, load: dict[str, float]) -> None:
    """As many messages as answers, at least."""
    import sqlite3  # noqa: PLC0415 - read from outside, past everything of ours

    with sqlite3.connect(f"file:{site / 'var' / 'journal.db'}?mode=ro", uri=True) as journal:
        (messages,) = journal.execute("SELECT count(*) FROM messages").fetchone()
    if messages < load["requests"]:
        raise RuntimeError(f"{messages} messages of {load['requests']} answers")


@contextmanager
def _bare_asgi() -> Iterator[str]:
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = _BARE.replace("PORT", str(port))
    server = subprocess.Popen([sys.executable, "-c", program], env=os.environ | {"PYTHONWARNINGS": "ignore"})
    address = f"http://127.0.0.1:{port}/"
    try:
        end = time.monotonic() + 30
        while True:
            try:
                httpx.post(address, json={})
                break
            except httpx.TransportError:
                assert time.monotonic() < end, "the bare application does not serve"
                time.sleep(0.05)
        yield address
    finally:
        server.terminate()
        server.wait(30)
