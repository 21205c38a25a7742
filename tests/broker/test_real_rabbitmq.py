"""The RabbitMQ that tests start: shared by a run, restartable when private, gone at the end."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import pika

from tests.services.rabbitmq import Broker, private_rabbitmq

ROOT = Path(__file__).resolve().parents[2]


def test_a_virtual_host_of_ones_own(rabbitmq: Broker, virtual_host: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(rabbitmq.url(virtual_host))) as connection:
        channel = connection.channel()
        channel.queue_declare("kept", durable=True)
        channel.basic_publish("", "kept", b"x")
        connection.process_data_events()
    assert [queue["name"] for queue in rabbitmq.api("GET", f"queues/{virtual_host}")] == ["kept"]
    assert [user["name"] for user in rabbitmq.api("GET", "users")] == ["renkei"]


def test_a_private_one_comes_back_with_its_data_after_a_kill() -> None:
    with private_rabbitmq() as server, server.broker.new_virtual_host() as virtual_host:
        with pika.BlockingConnection(pika.URLParameters(server.broker.url(virtual_host))) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
            channel.basic_publish("", "kept", b"x", pika.BasicProperties(delivery_mode=2))
        server.wait_written(virtual_host, "kept")
        server.kill()
        server.start()
        with pika.BlockingConnection(pika.URLParameters(server.broker.url(virtual_host))) as connection:
            assert connection.channel().basic_get("kept", auto_ack=True)[2] == b"x"


USER = """
import sys
from tests.services.shared import shared
with shared("kept", "tests.broker.kept_service:KeptService") as facts:
    print(facts["pid"], flush=True)
    sys.stdin.read()
"""


def test_a_shared_service_outlives_its_starter_and_ends_with_its_last_user(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    environment = {"PYTEST_XDIST_TESTRUNUID": secrets.token_hex(6), "PATH": os.environ["PATH"], "KEPT_ALIVE": str(alive)}
    users = []
    with os.fdopen(os.open(alive, os.O_RDONLY | os.O_NONBLOCK), "rb") as ended:
        os.set_blocking(ended.fileno(), True)
        for _ in range(2):
            command = [sys.executable, "-c", USER]
            user = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
            users.append(user)
            assert user.stdout is not None
            users_words = user.stdout.readline()
            assert users_words.strip().isdigit()
        kept = int(users_words)
        for user in users:
            assert Path(f"/proc/{kept}").exists()
            user.kill()
            user.communicate(timeout=30)
        assert ended.read() == b"closed", "the service is closed, and its warden gone"
    assert not list(Path(tempfile.gettempdir()).glob(f"renkei-kept-{environment['PYTEST_XDIST_TESTRUNUID']}"))
