"""`renkei bench tenants`: what 1,700 municipalities cost one node: checking, starting, memory, metric series, one scrape.

Owns: a node on PostgreSQL-less defaults with a real RabbitMQ for the tenants that have AMQP. Printed, not judged; the one limit is the
published ceiling of series.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.bench.machine import described
from tests.bench.many_tenants import SUBSCRIPTIONS, Services, write_many
from tests.services.rabbitmq import private_rabbitmq


def run(*, tenants: int, with_amqp: int) -> dict[str, Any]:
    """Measure: seconds of `check` and of the start, bytes of memory, series, and seconds of a scrape."""
    folder = Path(tempfile.mkdtemp(prefix="renkei-bench-"))
    try:
        with private_rabbitmq() as server:
            broker = server.broker
            services = Services(with_amqp, broker.url("/", password=False), broker.management_url)
            site = write_many(folder / "site", tenants, services)
            shutil.copyfile(broker.password_file(folder), site / "secrets" / "broker")
            return _measured(site, tenants, with_amqp)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(folder: Path, tenants: int, with_amqp: int) -> dict[str, Any]:
    began = time.perf_counter()
    check = subprocess.run([*_renkei(folder), "check"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    check_seconds = time.perf_counter() - began
    began = time.perf_counter()
    node = subprocess.Popen([*_renkei(folder), "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        start_seconds, port = _ready(node, folder, began)
        scrapes = [_scraped(port) for _ in range(5)]
        return {
            "tenants": tenants,
            "subscriptions": tenants * SUBSCRIPTIONS,
            "tenants_with_amqp": with_amqp,
            "check_seconds": round(check_seconds, 2),
            "check_exit_code": check.returncode,
            "start_seconds": round(start_seconds, 2),
            "memory_bytes": psutil.Process(node.pid).memory_info().rss,
            "series": scrapes[-1][1],
            "scrape_seconds": round(sorted(seconds for seconds, _ in scrapes)[2], 3),
            "machine": described("pydantic", "prometheus-client"),
        }
    finally:
        node.terminate()
        node.wait(60)


def _renkei(folder: Path) -> list[str]:
    return [sys.executable, "-m", "bus.cli.app", "--site", str(folder)]


def _ready(node: subprocess.Popen[bytes], folder: Path, began: float) -> tuple[float, int]:
    """Seconds until the node says that it is ready, and its monitoring port."""
    file = folder / "var" / "node.port"
    while True:
        assert node.poll() is None, "the node ended"
        assert time.perf_counter() - began < 600, "the node is not ready"
        try:
            port = int(file.read_text())
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60).status_code == 200:
                return time.perf_counter() - began, port
        except (OSError, ValueError, httpx.TransportError):
            time.sleep(0.05)


def _scraped(port: int) -> tuple[float, int]:
    """Seconds of one scrape, and how many series it has."""
    began = time.perf_counter()
    page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=120).text
    return time.perf_counter() - began, sum(1 for line in page.splitlines() if line and not line.startswith("#"))


