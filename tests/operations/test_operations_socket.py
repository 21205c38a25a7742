"""The node's two faces: operations over the private socket, the same as in process, and what monitoring asks on loopback."""

from __future__ import annotations

import inspect
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.api.client import RemoteOperations
from bus.api.deeds import DEEDS
from bus.batch.pool import WorkerPool
from bus.errors import JournalUnavailable, NodeBusy, NotFound, OperationRefused, SiteInvalid
from bus.journal.journal import SqlJournal
from bus.node import open_operations, running_node
from bus.operations import Operations
from tests.backends import own_file
from tests.node.small_city import City, csv, interface, people, person, running_city, subscription, until, write_city

DAY = "2026-04-01"
FILE = "PEOPLE_20260401_001.csv"


def build(folder: Path) -> None:
    write_city(
        folder,
        [interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv", rejects={"max_share": 0.5})],
        [subscription("tax", "people"), subscription("old", "people", "fixed")],
    )


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("city")
    build(folder)
    with running_city(folder) as running:
        receipt = running.send("people", FILE, csv([*people(60), person(61, kind="9")]))
        running.deliveries(receipt.message)
        yield running


@pytest.fixture
def remote(city: City) -> Iterator[RemoteOperations]:
    operations = RemoteOperations(own_file(city.folder, "node.sock"))
    yield operations
    operations.close()


def ask(city: City, name: str, body: bytes | str) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(own_file(city.folder, "node.sock")))) as client:
        return client.post(f"http://node/operations/{name}", content=body)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("messages", {}),
        ("messages", {"tenant": "332020", "interface": "people", "business_date": DAY, "state": "accepted", "limit": 5}),
        ("messages", {"state": "held"}),
        ("trace", {"message": "332020-m1"}),
        ("deliveries", {"message": "332020-m1"}),
        ("deliveries", {"subscription": "tax", "state": "delivered"}),
        ("quarantine_list", {}),
        ("quarantine_list", {"kind": "rejected_records", "state": None}),
        ("quarantine_show", {"quarantine_id": "332020-q1", "limit": 3}),
    ],
)
def test_the_same_results_as_in_process(city: City, remote: RemoteOperations, name: str, arguments: dict[str, Any]) -> None:
    assert getattr(remote, name)(**arguments) == getattr(city.operations, name)(**arguments)


def test_status_is_the_same_but_for_the_time(city: City, remote: RemoteOperations) -> None:
    here, there = city.operations.status(), remote.status()
    assert there.pop("now_us") >= here.pop("now_us")
    assert there == here
    assert here["quarantine"] == [{"tenant": "332020", "kind": "rejected_records", "quarantine_entries": 1, "records": 1}]


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "message_id"),
    [
        ("trace", {"message": "332020-m99"}, NotFound, "RNK3004E"),
        ("trace", {"message": "nonsense"}, NotFound, "RNK3004E"),
        ("resend", {"message": "332020-m1", "subscription": "nobody"}, SiteInvalid, "RNK4020E"),
        ("quarantine_release", {"quarantine_id": "332020-q1"}, OperationRefused, "RNK3012E"),
        ("messages", {"state": "sleeping"}, OperationRefused, "RNK6085E"),
        ("submit", {"path": "/nowhere/x.csv"}, OperationRefused, "RNK6086E"),
        ("intake_progress", {"intake": "i99"}, OperationRefused, "RNK6087E"),
        ("quarantine_export", {"quarantine_id": "332020-q1", "path": "/nowhere/x.jsonl"}, OperationRefused, "RNK6084E"),
    ],
)
def test_the_same_errors_as_in_process(
    city: City, remote: RemoteOperations, name: str, arguments: dict[str, Any], kind: type[Exception], message_id: str
) -> None:
    told = []
    for operations in (city.operations, remote):
        with pytest.raises(kind) as raised:
            getattr(operations, name)(**arguments)
        told.append(str(raised.value))
    assert told[0] == told[1]
    assert told[0].startswith(message_id)


def test_every_operation_is_offered_and_nothing_else(remote: RemoteOperations) -> None:
    public = {name for name, found in vars(Operations).items() if callable(found) and not name.startswith("_")}
    assert public == DEEDS.keys()
    for name, arguments in DEEDS.items():
        assert ("self", *arguments) == tuple(inspect.signature(getattr(Operations, name)).parameters)
    with pytest.raises(AttributeError):
        _ = remote.journal
    with pytest.raises(TypeError):
        remote.trace(messages="332020-m1")


@pytest.mark.parametrize(
    ("name", "body", "status", "message_id", "told"),
    [
        ("demolish", "{}", 404, "RNK6091E", "demolish"),
        ("_records", "{}", 404, "RNK6091E", "_records"),
        ("trace", "{}", 400, "RNK6093E", "message"),
        ("trace", '{"message": "332020-m1", "colour": "red"}', 400, "RNK6093E", "colour"),
        ("trace", '{"message": 17}', 400, "RNK6093E", "message"),
        ("messages", '{"limit": "many"}', 400, "RNK6093E", "limit"),
        ("messages", "[1, 2]", 400, "RNK6093E", "-"),
        ("messages", "{", 400, "RNK6093E", "-"),
        ("messages", b"\xff\xfe", 400, "RNK6093E", "-"),
    ],
)
def test_what_cannot_be_understood_is_told(city: City, name: str, body: bytes | str, status: int, message_id: str, told: str) -> None:
    answer = ask(city, name, body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["message_id"] == message_id
    assert told in (error["facts"]["name"], error["facts"].get("argument"))


def test_a_fault_of_ours_is_told_and_the_node_goes_on(city: City, remote: RemoteOperations, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError("山田")

    with monkeypatch.context() as broken:
        broken.setattr(SqlJournal, "messages", stumble)
        with pytest.raises(OperationRefused, match="RNK6094E") as raised:
            remote.messages()
    assert "山田" not in str(raised.value)
    assert len(remote.messages()) == 1


def test_a_submitted_file_is_taken_in_and_stays_where_it_is(city: City, remote: RemoteOperations, tmp_path: Path) -> None:
    mine = tmp_path / "PEOPLE_20260402_001.csv"
    mine.write_bytes(csv(people(5)))
    intake = remote.submit(str(mine), tenant="332020")["intake"]
    progress = until(lambda: (found := remote.intake_progress(intake))["finished"] and found)
    assert (progress["receipt"]["outcome"], progress["message"]["good"]["records"]) == ("accepted", 5)
    assert {delivery["state"] for delivery in progress["deliveries"]} == {"delivered"}
    assert mine.read_bytes() == csv(people(5))
    again = remote.submit(str(mine))["intake"]
    assert until(lambda: (found := remote.intake_progress(again))["finished"] and found)["receipt"]["outcome"] == "duplicate"
    until(lambda: not list(own_file(city.folder, "submitted").iterdir()))


def test_a_submitted_file_that_is_refused_is_kept_with_its_reason(city: City, remote: RemoteOperations, tmp_path: Path) -> None:
    mine = tmp_path / "PEOPLE_20260403_001.csv"
    mine.write_bytes(b"")
    intake = remote.submit(str(mine))["intake"]
    progress = until(lambda: (found := remote.intake_progress(intake))["finished"] and found)
    assert progress["receipt"]["outcome"] == "refused"
    (kept,) = until(lambda: list((city.folder / "var" / "refused").rglob("*.reason.json")))
    assert "RNK1201E" in kept.read_text("utf-8")
    other = tmp_path / "OTHER.csv"
    other.write_bytes(b"1")
    with pytest.raises(OperationRefused, match="RNK6090E"):
        remote.submit(str(other))


def test_quarantined_records_are_exported_masked_to_a_private_file(city: City, remote: RemoteOperations, tmp_path: Path) -> None:
    target = tmp_path / "records.jsonl"
    assert remote.quarantine_export("332020-q1", str(target)) == {"path": str(target), "records": 1}
    assert target.stat().st_mode & 0o777 == 0o600
    assert "六一郎" not in target.read_text("utf-8")
    with pytest.raises(OperationRefused, match="RNK6084E"):
        remote.quarantine_export("332020-q1", str(target))


def test_the_socket_is_for_the_nodes_user_alone_and_not_on_tcp(city: City) -> None:
    found = own_file(city.folder, "node.sock").stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert found.st_mode & 0o777 == 0o600
    assert (city.folder / "var").stat().st_mode & 0o077 == 0
    for method, path in (("POST", "/operations/status"), ("GET", "/operations/status"), ("GET", "/docs"), ("GET", "/openapi.json")):
        with httpx.Client(base_url=f"http://127.0.0.1:{city.node.port}") as client:
            assert client.request(method, path).status_code == 404


def test_metrics_health_and_readiness(city: City) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{city.node.port}") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"ready": True, "problems": []}
        metrics = client.get("/metrics").text
    for sample in (
        'renkei_records_total{interface="people",outcome="rejected",tenant="332020"} 1.0',
        'renkei_quarantine_open_records{kind="rejected_records",tenant="332020"} 1.0',
        'renkei_delivered_records_total{outcome="out",subscription="tax",tenant="332020"}',
        'renkei_receipts_total{interface="people",outcome="accepted",tenant="332020"}',
    ):
        assert sample in metrics, sample


def test_not_ready_and_no_metrics_while_the_journal_cannot_be_read(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise JournalUnavailable("RNK3001E", reason="disk I/O error")

    with httpx.Client(base_url=f"http://127.0.0.1:{city.node.port}") as client:
        with monkeypatch.context() as broken:
            broken.setattr(SqlJournal, "backlog", gone)
            broken.setattr(SqlJournal, "messages", gone)
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()["ready"]) == (503, False)
            assert "RNK3001E" in answer.json()["problems"][0]
            assert client.get("/metrics").status_code == 503
            assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200


def test_not_ready_while_no_worker_lives_and_ready_again_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path)

    def none(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("bus.batch.pool.SPAWN_AGAIN_SECONDS", 0.05)
    with running_city(tmp_path) as city, httpx.Client(base_url=f"http://127.0.0.1:{city.node.port}") as client:
        until(lambda: client.get("/readyz").status_code == 200)
        with monkeypatch.context() as broken:
            broken.setattr(WorkerPool, "_spawn", none)
            for pid in city.node.parts.pool.pids:
                os.kill(pid, signal.SIGKILL)
            answer = until(lambda: (found := client.get("/readyz")).status_code == 503 and found)
            assert answer.json()["problems"] == ["no batch worker"]
            city.drop("people", FILE, csv(people(60)))
        receipt = until(lambda: city.receipts(FILE))[0]
        assert receipt.outcome == "accepted"
        assert client.get("/readyz").status_code == 200


def test_a_second_node_is_refused_with_the_pid_of_the_first(city: City) -> None:
    with pytest.raises(NodeBusy, match="RNK7001E") as raised, running_node(city.folder):
        pass
    assert raised.value.facts["pid"] == str(os.getpid())
    assert city.operations.status()["node"] == "node1"


def test_operations_go_to_the_running_node_and_work_without_one(tmp_path: Path) -> None:
    build(tmp_path)
    with running_city(tmp_path) as city:
        city.deliveries(city.send("people", FILE, csv(people(5))).message)
        with open_operations(tmp_path) as operations:
            assert isinstance(operations, RemoteOperations)
            assert len(operations.messages()) == 1
    assert not own_file(tmp_path, "node.sock").exists()
    with open_operations(tmp_path) as operations:
        assert isinstance(operations, Operations)
        assert len(operations.messages()) == 1
        assert not own_file(tmp_path, "node.sock").exists()
