"""The two nodes of `docker-compose.yml` as plain processes: their command, site and health check, on a real PostgreSQL and RabbitMQ.

What a container would change stands in `Place`: addresses, ports, and where secrets and folders are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from monitoring.alert_rules import JOB
from tests.compose.composition import SITE, environment, make_secrets, nodes, secrets_of, services, site, source_of
from tests.monitoring.prometheus import Prometheus, wait_ready
from tests.services.ports import free_ports
from tests.services.postgres import fresh_database
from tests.services.rabbitmq import Broker

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 60.0
RENKEI = [str(Path(sys.executable).parent / "renkei")]
TENANT = "332020"


@dataclass
class Place:
    """One node: a folder for what its container would see, and ports of its own."""

    name: str
    folder: Path
    port: int
    api_port: int
    process: subprocess.Popen[bytes] | None = None

    def here(self, text: str) -> str:
        """What the composition says, with the paths and ports of this machine."""
        for target, secret in secrets_of(self.name).items():
            text = text.replace(target, str(self.folder.parent / "secrets" / secret.name))
        return text.replace(f"127.0.0.1:{site()['listen']['port']}/", f"127.0.0.1:{self.port}/")

    def environment(self) -> dict[str, str]:
        said = environment(self.name) | {"RENKEI_SITE": str(self.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        return said | {"HOME": str(self.folder.parent)}

    def healthy(self) -> bool:
        """What the service's own health check says."""
        check = services()[self.name]["healthcheck"]["test"]
        assert check[:2] == ["CMD", "python"]
        ended = subprocess.run([sys.executable, *map(self.here, check[2:])], capture_output=True, timeout=30, check=False)
        return ended.returncode == 0

    def start(self) -> None:
        log = (self.folder.parent / f"{self.name}.log").open("ab")
        command = [*RENKEI, *services()[self.name]["command"]]
        self.process = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log, start_new_session=True, cwd=self.folder)
        log.close()
        pause = Event()
        for _ in range(int(PATIENCE_SECONDS / 0.2)):
            assert self.process.poll() is None, (self.folder.parent / f"{self.name}.log").read_text("utf-8")
            if self.healthy():
                return
            pause.wait(0.2)
        raise AssertionError((self.folder.parent / f"{self.name}.log").read_text("utf-8"))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(PATIENCE_SECONDS) == 0
            self.process = None

    def ask(self, *arguments: str) -> Any:
        """A command beside the node, as `docker compose exec` runs it."""
        ended = subprocess.run(
            [*RENKEI, "--lang", "en", *arguments, "--json"], env=self.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)


def key_of(folder: Path, place: Place, system: str) -> Path:
    """A new API key of a system, in a file; its digest is written into the tenant's file of every node, as an operator does."""
    made = place.ask("keys", "new", "--tenant", TENANT, "--system", system, "--ends", "2099-12-31")
    file = folder / f"key-{system}"
    file.touch(mode=0o600)
    file.write_text(made["key"], "ascii")
    for tenant in folder.glob(f"*/tenants/{TENANT}.yaml"):
        before = tenant.read_text("utf-8")
        digest = f'id: "{system}", api_keys: [{{sha256: "{made["sha256"]}", ends: "2099-12-31"}}],'
        tenant.write_text(before.replace(f'- {{id: "{system}",', f"- {{{digest}", 1), "utf-8")
        assert tenant.read_text("utf-8") != before
    return file


def placed(folder: Path, broker: Broker, virtual_host: str) -> list[Place]:
    """The site once for each node, as its container would see it."""
    database = fresh_database()
    secrets = folder / "secrets"
    (secrets / "postgres_password").write_bytes(database.password_file.read_bytes())
    (secrets / "rabbitmq_password").write_text(broker.password, "ascii")
    said = site()
    text = (SITE / "site.yaml").read_text("utf-8").replace(said["journal"]["url"], database.url)
    text = text.replace(said["broker"]["url"], broker.url(virtual_host, password=False))
    text = text.replace(said["broker"]["management_url"], broker.management_url).replace("host: 0.0.0.0", "host: 127.0.0.1")
    found = []
    for name in nodes():
        port, api_port = free_ports(2)
        place = Place(name, folder / name, port, api_port)
        shutil.copytree(SITE, place.folder)
        here = text.replace(f"port: {said['listen']['port']}", f"port: {place.port}").replace("../node/", f"../scratch-{name}/")
        here = here.replace(f"port: {said['api']['port']}", f"port: {place.api_port}")
        (place.folder / "site.yaml").write_text(place.here(here), "utf-8")
        found.append(place)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    make_secrets(folder)
    return folder


@pytest.fixture(scope="module")
def places(folder: Path, rabbitmq: Broker) -> Iterator[list[Place]]:
    with ExitStack() as ending:
        found = placed(folder, rabbitmq, ending.enter_context(rabbitmq.new_virtual_host()))
        for system in ("001", "010"):
            key_of(folder, found[0], system)
        for place in found:  # the second waits for the first to be healthy, as the composition says
            ending.callback(place.stop)
            place.start()
        yield found


@contextmanager
def scraping(folder: Path, places: list[Place]) -> Iterator[Prometheus]:
    """A real Prometheus with the jobs of the composition for the nodes."""
    config = yaml.safe_load(source_of("prometheus", "/etc/prometheus/prometheus.yml").read_text("utf-8"))
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == JOB]
    (token,) = secrets_of("prometheus").values()
    job["authorization"]["credentials_file"] = str(folder / "secrets" / token.name)
    job["static_configs"] = [{"targets": [f"127.0.0.1:{place.port}" for place in places]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": [job]}), "utf-8")
    (port,) = free_ports(1)
    log = folder / "prometheus.log"
    with log.open("wb") as out:
        command = [
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        try:
            wait_ready(f"127.0.0.1:{port}", process, log)
            yield Prometheus(f"127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def asked_until(asked: Prometheus, query: str, wanted: float) -> None:
    """Wait until a query gives one number."""
    pause = Event()
    for _ in range(int(PATIENCE_SECONDS / 0.2)):
        found = asked.ask(query)
        if [value for _, value in found] == [wanted]:
            return
        pause.wait(0.2)
    raise AssertionError((query, found))


def test_an_event_published_at_one_node_is_fetched_at_the_other(places: list[Place], folder: Path) -> None:
    one, other = places
    record = folder / "record.json"
    record.write_text(json.dumps(a_resident(), ensure_ascii=False), "utf-8")
    event = ["--tenant", TENANT, "--interface", "move", "--type", "jp.example.resident.moved", "--source", "/register", "--id", "1"]
    first = one.ask("publish", str(record), *event, *at(one, folder, "001"))
    again = other.ask("publish", str(record), *event, *at(other, folder, "001"))
    assert again["message"] == first["message"], "the same event is the same message, wherever it comes"
    with scraping(folder, places) as asked:
        asked_until(asked, f'sum(up{{job="{JOB}"}})', 2)
        asked_until(asked, "sum(renkei_up)", 2)
        asked_until(asked, 'max(renkei_deliveries{tenant="332020", subscription="tax_move"})', 1)
        asked_until(asked, 'sum(renkei_events_total{interface="move", outcome="accepted"})', 1)
        asked_until(asked, 'sum(renkei_events_total{interface="move", outcome="duplicate"})', 1)
        fetched = other.ask("subscribe", "--tenant", TENANT, "--subscription", "tax_move", "--max", "1", *at(other, folder, "010"))
        assert "倉敷　太郎" in json.dumps(fetched, ensure_ascii=False)
        asked_until(asked, 'sum(renkei_event_deliveries_total{subscription="tax_move", outcome="delivered"})', 1)


def at(place: Place, folder: Path, system: str) -> list[str]:
    """Options of a program of that system that talks to a node."""
    return ["--url", f"http://127.0.0.1:{place.api_port}", "--key-file", str(folder / f"key-{system}")]


def a_resident() -> dict[str, str]:
    """A record that keeps the contract: that of its cases."""
    file = Path(__file__).parents[2] / "contracts" / "library" / "resident@1.0.cases.yaml"
    cases = yaml.load(file.read_text("utf-8"), yaml.BaseLoader)  # as written: a date is text here
    found: dict[str, str] = cases["records"]["resident"]
    return found


def test_one_node_goes_and_comes_while_the_other_stays(places: list[Place]) -> None:
    one, other = places
    one.stop()
    assert other.healthy()
    assert not one.healthy()
    one.start()
    assert one.healthy()
