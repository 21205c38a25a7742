"""Several nodes of one site on PostgreSQL, as real processes: each does what its role says, and one takes over from another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

import httpx
import pytest
from sqlalchemy import select

from bus.cli.exits import ExitCode
from bus.clock import SystemClock
from bus.errors import NodeBusy
from bus.journal.journal import SqlJournal
from bus.journal.tables import leases
from bus.message import DeliveryState
from bus.node import open_operations, running_node
from bus.node_place import NODE_VARIABLE
from tests.backends import embedded
from tests.events.event_city import TENANT, as_json, cloud_event, endpoint, record, subscription, system, tenant, webhook_secret, write_city
from tests.events.event_city import interface as event_interface
from tests.events.hook import Hook, listening_hook
from tests.faults.real_node import REPOSITORY, RealNode
from tests.node.small_city import CONTRACT, csv, interface, people, until
from tests.node.small_city import subscription as file_subscription
from tests.services.postgres import Database, fresh_database

pytestmark = pytest.mark.slow

SHORT = "import bus.intake_owned as o; o.LEASE_SECONDS, o.LOOK_SECONDS = {lease}, 0.2; from bus.cli.app import main; main()"
"""`renkei` that looks for folders without an owner more often, so that no test waits for long."""
EXAMPLE = "N_{business_date:%Y%m%d}.csv"


class Node(RealNode):
    """`renkei up` of one of the nodes."""

    def __init__(self, site: Path, name: str, role: str = "all", *, lease_seconds: float = 30.0) -> None:
        program = ["-c", SHORT.format(lease=lease_seconds)]
        super().__init__(site, [*program, "--site", str(site), "up", "--role", role, "--node", name])
        self.name = name
        self.rule, self.log = site / f"{name}.rule", site / f"{name}.log"

    def own(self, file: str) -> Path:
        """A file of this node in the site's private folder."""
        return self.site / "var" / f"{self.name}.{file}"

    def begin(self) -> Node:
        """Start it."""
        self.own("node.port").unlink(missing_ok=True)
        self.start()
        return self

    def up(self) -> Node:
        """Wait until it is ready."""
        until(self._ready, f"{self.name} is up")
        return self

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.told()
        port = self.own("node.port")
        if not (port.exists() and port.read_text("ascii")):
            return False
        try:
            return httpx.get(f"http://127.0.0.1:{port.read_text('ascii')}/readyz", timeout=10).status_code == 200
        except httpx.TransportError:
            return False


@dataclass
class Site:
    """The site that the nodes share."""

    folder: Path
    database: Database
    hook: Hook
    journal: SqlJournal
    nodes: ExitStack

    def node(self, name: str, role: str = "all", *, lease_seconds: float = 30.0) -> Node:
        """A node, up. It ends with the test."""
        made = Node(self.folder, name, role, lease_seconds=lease_seconds)
        self.nodes.callback(made.end)
        return made.begin().up()

    def together(self, **roles: str) -> list[Node]:
        """Nodes of these names and roles, up. They end with the test."""
        made = [Node(self.folder, name, role) for name, role in roles.items()]
        for node in made:
            self.nodes.callback(node.end)
            node.begin()
        return [node.up() for node in made]

    def drop(self, day: int, records: int = 5) -> str:
        """Drop the file of that day as a mainframe does; its name."""
        name = f"N_202605{day:02}.csv"
        target = self.folder / "drop" / "night" / name
        target.write_bytes(csv(people(records)))
        target.with_name(f"{name}.end").touch()
        return name

    def received(self, name: str) -> list[str]:
        """Outcomes of the receipts of files of that name."""
        return [one.outcome for one in self.journal.receipts(tenant=TENANT, limit=1000) if one.file_name == name]

    def owner(self) -> str | None:
        """The node that the tenant's folders belong to."""
        with self.journal._database.read() as connection:
            owner: str | None = connection.scalar(select(leases.c.owner).where(leases.c.name == f"sources:{TENANT}"))
            return owner

    def claimed_by(self, message: str) -> dict[str, str]:
        """By subscription, the node that claimed the delivery."""
        found = {}
        for delivery in self.journal.deliveries(message=message, limit=100):
            for entry in self.journal.entries(TENANT, subject=delivery.id):
                if "owner" in entry.facts:
                    found[delivery.subscription] = str(entry.facts["owner"])
        return found


@contextmanager
def shared_site(folder: Path) -> Iterator[Site]:
    database = fresh_database()
    with listening_hook() as hook, ExitStack() as nodes:
        secrets = [webhook_secret(folder)]
        hooked = endpoint("welfare", "010", "webhook", settings={"url": hook.url, "secrets": secrets})
        (folder / "contracts").mkdir(exist_ok=True)
        (folder / "contracts" / "people@1.0.yaml").write_text(as_json(CONTRACT).decode(), "utf-8")
        town = tenant(
            TENANT,
            systems=[system("001"), system("010"), system("020")],
            endpoints=[
                endpoint("register", "001"),
                endpoint("tax", "020"),
                hooked,
                {"id": "night_drop", "system": "001", "settings": {"folder": "drop/night"}},
                {"id": "given_in", "system": "010", "settings": {"folder": "out/given"}},
            ],
            interfaces=[event_interface("moved"), interface("night", "csv_cp932", EXAMPLE)],
            subscriptions=[
                subscription("welfare_moved", "moved"),
                subscription("tax_moved", "moved", "tax", "020"),
                file_subscription("given", "night"),
            ],
        )
        write_city(folder, town, journal=database.settings)
        (folder / "drop" / "night").mkdir(parents=True)
        journal = SqlJournal.open(database.url, SystemClock(), password_file=database.password_file)
        try:
            yield Site(folder, database, hook, journal, nodes)
        finally:
            nodes.close()
            journal.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with shared_site(tmp_path) as made:
        yield made


def renkei(site: Site, *arguments: str, node: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RENKEI_")} | {"RENKEI_LANG": "en"}
    environment |= {NODE_VARIABLE: node} if node else {}
    command = [sys.executable, "-m", "bus.cli.app", "--site", str(site.folder), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_intake_dispatch_and_api_are_three_processes_of_one_site(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    taking, api, sending = site.together(taking="intake", api="api", sending="dispatch")

    # an event: taken by one, sent by another, fetched from the first
    base = f"http://127.0.0.1:{api.own('api.port').read_text('ascii')}/v1/{TENANT}"
    event = cloud_event(record(), id="one")
    answer = httpx.post(
        f"{base}/interfaces/moved/events", content=as_json(event), headers={"content-type": "application/cloudevents+json"}, timeout=30
    )
    assert answer.status_code == 202, answer.text
    message = answer.json()["message"]
    assert site.hook.has_taken(1) == ["one"]
    (lent,) = httpx.post(f"{base}/subscriptions/tax_moved/pull", json={"wait_seconds": 10}, timeout=30).json()["events"]
    acked = httpx.post(
        f"{base}/subscriptions/tax_moved/ack", json={"deliveries": [{"delivery": lent["delivery"], "fence": lent["fence"]}]}, timeout=30
    )
    assert acked.json()["results"][0]["outcome"] == "delivered"
    until(lambda: all(one.state is DeliveryState.DELIVERED for one in site.journal.deliveries(message=message)), "the event is delivered")
    assert site.claimed_by(message)["welfare_moved"] == "sending"

    # a file: taken by the one, written by the other
    name = site.drop(1)
    until(lambda: site.received(name) == ["accepted"], "the file is taken")
    assert site.owner() == "taking"
    (receipt,) = (one for one in site.journal.receipts(tenant=TENANT) if one.file_name == name)
    until(lambda: list((site.folder / "out" / "given").glob("given_20260501_*.csv")), "the file is delivered")
    assert receipt.message is not None
    assert site.claimed_by(receipt.message) == {"given": "sending"}

    # each has its own files, and only one serves applications
    for node in (taking, sending, api):
        for file in ("node.lock", "node.sock", "node.port"):
            assert node.own(file).exists(), (node.name, file)
        assert node.own("api.port").exists() is (node is api)
        assert int(node.own("node.lock").read_text("ascii")) == node.process.pid
    assert len({node.own("node.port").read_text("ascii") for node in (taking, sending, api)}) == 3
    assert not (site.folder / "var" / "node.lock").exists()

    # commands go to the node they name; what one takes in, another delivers
    for node in (taking, sending, api):
        monkeypatch.setenv(NODE_VARIABLE, node.name)
        with open_operations(site.folder) as operations:
            assert operations.status()["node"] == node.name
    submitted = site.folder / "N_20260502.csv"
    submitted.write_bytes(csv(people(3)))
    for_api = renkei(site, "intake", str(submitted), "--wait", node="api")
    assert for_api.returncode == ExitCode.NORMAL, for_api.stderr
    (second,) = (one for one in site.journal.receipts(tenant=TENANT) if one.file_name == submitted.name)
    assert second.message is not None
    assert site.claimed_by(second.message) == {"given": "sending"}

    # a name is one node's
    twice = renkei(site, "up", "--node", "sending")
    assert twice.returncode == ExitCode.NODE
    assert "RNK7001E" in twice.stderr
    assert sending.process.poll() is None
    for node in (taking, sending, api):
        assert node.end(SIGTERM) == 0, node.told()
        assert not node.own("node.sock").exists()


def test_a_node_that_stops_lets_its_folders_go_at_once(site: Site) -> None:
    """Long leases: the other need not wait for them."""
    first = site.node("first", "intake", lease_seconds=600)
    until(lambda: site.owner() == "first", "the first owns")
    second = site.node("second", "intake", lease_seconds=600)
    name = site.drop(1)
    until(lambda: site.received(name) == ["accepted"], "taken by the first")
    assert site.owner() == "first"
    assert first.end(SIGTERM) == 0, first.told()
    until(lambda: site.owner() == "second", "the second owns")
    other = site.drop(2)
    until(lambda: site.received(other) == ["accepted"], "taken by the second")
    assert second.end(SIGTERM) == 0


def test_a_node_that_dies_loses_its_folders_when_its_lease_lapses(site: Site) -> None:
    """What it had claimed and not decided upon is taken by the other, once."""
    first = site.node("first", "intake", lease_seconds=2)
    until(lambda: site.owner() == "first", "the first owns")
    second = site.node("second", "intake", lease_seconds=2)
    first.stop_at("before_accept=kill-group")
    name = site.drop(1)
    assert first.died() < 0
    assert list((site.folder / "drop" / "night" / "claimed").rglob(name)), "it died with the file in its hands"
    until(lambda: site.owner() == "second", "the second owns")
    until(lambda: site.received(name), "taken by the second")
    assert site.received(name) == ["accepted"]
    assert len(site.journal.messages(tenant=TENANT)) == 1
    first.begin().up()  # it comes back, and leaves the folders to their owner
    other = site.drop(2)
    until(lambda: site.received(other) == ["accepted"], "taken")
    assert site.owner() == "second"
    assert second.process.poll() is None


def test_half_written_parts_are_left_to_the_node_that_writes_them(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    def begin(folder: Path) -> Path:
        part = folder / "var" / "payloads" / ".writing" / "a.b.1.tmp"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"another node writes here")
        return part

    shared = begin(site.folder)
    with running_node(site.folder, watch=False, listen=False, name="one"), running_node(site.folder, watch=False, listen=False, name="two"):
        assert shared.exists()
    alone_folder = tmp_path_factory.mktemp("alone")
    alone = begin(alone_folder)
    with embedded():
        systems, endpoints, interfaces = [system("001")], [endpoint("register", "001")], [event_interface("moved")]
        write_city(alone_folder, tenant(TENANT, systems=systems, endpoints=endpoints, interfaces=interfaces, subscriptions=[]))
        with running_node(alone_folder, watch=False, listen=False):
            assert not alone.exists()  # one node alone: nobody writes it any more


def test_commands_without_a_running_node_bear_the_name_that_is_given(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_node(site.folder, watch=False, listen=False), pytest.raises(NodeBusy), open_operations(site.folder):
        pass
    with running_node(site.folder, watch=False, listen=False):
        monkeypatch.setenv(NODE_VARIABLE, "other")
        with open_operations(site.folder) as operations:
            assert operations.status()["node"] == "other"
