"""A real RabbitMQ with the configuration and the secret of `docker-compose.yml` is the one that the site's nodes look for."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.compose.composition import make_secrets, secrets_of, site, source_of
from tests.services.ports import free_ports
from tests.services.rabbitmq import Broker, RabbitMq
from tests.services.shared import alone

pytestmark = pytest.mark.slow

SECRET = "/etc/rabbitmq/conf.d/30-password.conf"


class ConfiguredRabbitMq(RabbitMq):
    """RabbitMQ as the composition configures it, on ports of its own."""

    prometheus_port = 0
    folder_of_secrets = Path()

    def _configure(self) -> None:
        (self.prometheus_port,) = free_ports(1)
        text = source_of("rabbitmq", "/etc/rabbitmq/conf.d/20-renkei.conf").read_text("utf-8")
        secret = (self.folder_of_secrets / secrets_of("rabbitmq")[SECRET].name).read_text("utf-8")
        text = re.sub(r"(?m)^management\.tcp\.port = .*$", f"management.tcp.port = {self.broker.management_port}", text)
        text = re.sub(r"(?m)^prometheus\.tcp\.port = .*$", f"prometheus.tcp.port = {self.prometheus_port}", text)
        here = [f"listeners.tcp.1 = 127.0.0.1:{self.broker.port}", "management.tcp.ip = 127.0.0.1", "prometheus.tcp.ip = 127.0.0.1"]
        super()._configure()
        (self.folder / "rabbitmq.conf").write_text("\n".join([*here, "log.file = false", text, secret]), "utf-8")
        (self.folder / "plugins").write_bytes(source_of("rabbitmq", "/etc/rabbitmq/enabled_plugins").read_bytes())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredRabbitMq]:
    made = tmp_path_factory.mktemp("made")
    make_secrets(made)
    ConfiguredRabbitMq.folder_of_secrets = made / "secrets"
    with alone("broker", ConfiguredRabbitMq) as server:
        yield server


def signed_in(running: ConfiguredRabbitMq, password_file: str) -> Broker:
    """As a node signs in: with the user of the site's URL and the password of the file that the site names."""
    user = urlsplit(site()["broker"]["url"]).username or ""
    password = (ConfiguredRabbitMq.folder_of_secrets / secrets_of("node1")[password_file].name).read_text("ascii")
    return Broker(running.broker.port, running.broker.management_port, user, password)


def test_a_node_finds_its_virtual_host_and_may_make_others(running: ConfiguredRabbitMq) -> None:
    broker = signed_in(running, site()["broker"]["password_file"])
    name = urlsplit(site()["broker"]["url"]).path.lstrip("/")
    assert [found["name"] for found in broker.api("GET", "vhosts")] == [name]
    (rights,) = broker.api("GET", f"vhosts/{name}/permissions")
    assert (rights["user"], rights["configure"], rights["write"], rights["read"]) == (broker.user, ".*", ".*", ".*")
    with broker.new_virtual_host() as made:
        assert made in {found["name"] for found in broker.api("GET", "vhosts")}


def test_nobody_else_comes_in(running: ConfiguredRabbitMq) -> None:
    broker = signed_in(running, site()["broker"]["password_file"])
    assert [found["name"] for found in broker.api("GET", "users")] == [broker.user]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        Broker(broker.port, broker.management_port, broker.user, "guest").api("GET", "whoami")


def test_it_can_be_measured(running: ConfiguredRabbitMq) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.prometheus_port}/metrics", timeout=30) as response:
        assert b"rabbitmq_build_info" in response.read()
