"""The guide's snippets of AMQP against a node and a real RabbitMQ."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bus.node import running_node
from bus.testing.sandbox import webhook_secret
from tests.services.rabbitmq import Broker, rabbitmq  # noqa: F401 - fixture

SITE = Path(__file__).resolve().parents[2] / "examples" / "events"
TENANT = "342076"
"""No other test's: the virtual host is made for it in the broker that all share."""


@pytest.fixture
def site(tmp_path: Path, rabbitmq: Broker) -> Path:  # noqa: F811 - the fixture
    """The example, with a register and a tax system that speak AMQP."""
    folder = tmp_path / "site"
    shutil.copytree(SITE, folder)
    (folder / "secrets").mkdir(mode=0o700)
    (folder / "secrets" / "welfare").touch(0o600)
    (folder / "secrets" / "welfare").write_text(webhook_secret("welfare"), "ascii")
    text = (folder / "tenants" / "332020.yaml").read_text("utf-8").replace("332020", TENANT)
    tenant = yaml.safe_load(text)
    for endpoint in tenant["endpoints"]:
        endpoint["adapter"] = "amqp" if endpoint["adapter"] == "http" else endpoint["adapter"]
    (folder / "tenants" / "332020.yaml").write_text(yaml.safe_dump(tenant, allow_unicode=True), "utf-8")
    settings = yaml.safe_load((folder / "site.yaml").read_text("utf-8"))
    settings["listen"]["port"] = settings["api"]["port"] = 0
    password = str(rabbitmq.password_file(tmp_path))
    settings["broker"] = {"url": rabbitmq.url("/", password=False), "password_file": password, "management_url": rabbitmq.management_url}
    (folder / "site.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")
    return folder


def test_published_and_consumed(site: Path, rabbitmq: Broker) -> None:  # noqa: F811 - the fixture
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "AMQP_URL": rabbitmq.url(f"renkei.{TENANT}")}
    publish, consume = ([sys.executable, str(SITE / "snippets" / f"{name}_amqp.py")] for name in ("publish", "consume"))
    with running_node(site) as node:
        tries = (subprocess.run(publish, env=environment, check=False, capture_output=True, timeout=60) for _ in range(50))
        assert any(tried.returncode == 0 for tried in tries), "the node makes the virtual host and the queues soon"
        subprocess.run(publish, env=environment, check=True, timeout=60)  # the same change again
        with subprocess.Popen(consume, env=environment | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True) as consuming:
            try:
                assert consuming.stdout is not None
                assert consuming.stdout.readline() == f"{TENANT}-d1 000000000000012\n"
            finally:
                consuming.kill()
        assert len(node.parts.journal.messages(tenant=TENANT)) == 1
