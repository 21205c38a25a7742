"""The API's documents: every reference leads somewhere, each caller sees its own, and files are what the node serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from bus.api.asyncapi import asyncapi_document, everybody
from bus.api.documents import own_interfaces, own_subscriptions
from bus.api.export import exported
from bus.api.sign_in import Who
from bus.cli.app import run
from bus.cli.exits import ExitCode
from bus.errors import BusError
from bus.site_check import load_site, registry_of
from tests.api.api_site import OTHER, REGISTER, TAX, TENANT, Api, cloud_event, data, problem, write_site


def references(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(found.get("$ref"), str):
            yield found["$ref"]
        for value in found.values():
            yield from references(value)
    elif isinstance(found, list):
        for value in found:
            yield from references(value)


def resolved(document: Any, reference: str) -> Any:
    found = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_every_reference_leads_somewhere(tmp_path: Path) -> None:
    write_site(tmp_path)
    for tenant in (None, TENANT, OTHER):
        for document in exported(tmp_path, tenant):
            assert all(resolved(document, one) for one in references(document))
            json.dumps(document)


def test_operation_ids_and_answers_are_whole(tmp_path: Path) -> None:
    write_site(tmp_path)
    openapi, _ = exported(tmp_path, TENANT)
    operations = [operation for item in openapi["paths"].values() for operation in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert {"401", "403", "404", "503"} <= set(operation["responses"])
        assert operation["description"]


def test_a_caller_sees_what_its_system_may_use_and_nothing_of_others(api: Api) -> None:
    general = api.call("GET", "/openapi.json", key=None)
    assert TENANT not in general.text
    assert "people" not in general.text
    register = api.call("GET", f"/openapi.json?tenant={TENANT}", REGISTER).json()["paths"]
    tax = api.call("GET", f"/openapi.json?tenant={TENANT}", TAX).json()["paths"]
    assert "/v1/{tenant}/interfaces/moved/events" in register
    assert "/v1/{tenant}/interfaces/people/uploads" in register
    assert "/v1/{tenant}/interfaces/question/requests" in tax
    assert "/v1/{tenant}/subscriptions/tax_moved/pull" in tax
    assert not {path for path in tax if "moved/events" in path and "interfaces" in path}
    assert not {path for path in register if "tax_moved" in path or "requests" in path}
    assert api.call("GET", "/asyncapi.json", key=None).json()["channels"] == {}
    assert set(api.call("GET", f"/asyncapi.json?tenant={TENANT}", TAX).json()["channels"]) == {
        f"{TENANT}.{name}" for name in ("question", "brief", "tax_moved", "answered")
    }
    problem(api.call("GET", f"/openapi.json?tenant={OTHER}", REGISTER), 401)


def test_the_schema_of_an_interface_takes_a_good_event_and_no_bad_one(api: Api) -> None:
    document = api.call("GET", f"/openapi.json?tenant={TENANT}").json()
    wanted = {"$ref": "#/components/schemas/CloudEvent.moved", "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(wanted)
    assert validator.is_valid(cloud_event())
    for bad in (
        cloud_event(data(kind="9")),
        cloud_event(data(unknown="x")),
        cloud_event(type="another"),
        {**cloud_event(), "specversion": "2"},
    ):
        assert not validator.is_valid(bad)


def test_amqp_and_webhook_channels(tmp_path: Path) -> None:
    write_site(tmp_path)
    file = tmp_path / "tenants" / f"{OTHER}.yaml"
    tenant = json.loads(file.read_text("utf-8"))
    tenant["endpoints"][0]["adapter"] = "amqp"
    tenant["endpoints"][1] |= {"adapter": "amqp", "settings": {"queue": "welfare"}}
    file.write_text(json.dumps(tenant), "utf-8")
    site_file = tmp_path / "site.yaml"
    settings = json.loads(site_file.read_text("utf-8"))
    settings["broker"] = {"url": "amqp://renkei@broker:5672/", "management_url": "http://broker:15672"}
    site_file.write_text(json.dumps(settings), "utf-8")
    site = load_site(tmp_path)
    found = asyncapi_document(site, registry_of(site), {}, everybody(site))
    assert found["servers"]["amqp"]["host"] == "broker:5672"
    inward, outward = found["channels"][f"{OTHER}.elsewhere"], found["channels"][f"{OTHER}.welfare_elsewhere"]
    assert inward["bindings"]["amqp"]["exchange"] == {"name": "renkei.in", "type": "direct", "durable": True, "vhost": f"renkei.{OTHER}"}
    assert (inward["address"], outward["address"]) == ("elsewhere", "welfare")
    headers = resolved(found, inward["messages"]["event"]["$ref"])["headers"]
    assert "cloudEvents_id" in headers["required"]
    assert found["operations"][f"{OTHER}.elsewhere"]["action"] == "receive"
    assert found["operations"][f"{OTHER}.welfare_elsewhere"]["action"] == "send"


def test_a_system_without_anything_of_its_own_sees_nothing(tmp_path: Path) -> None:
    write_site(tmp_path)
    site = load_site(tmp_path)
    nobody = Who(TENANT, "999")
    assert [*own_interfaces(site, nobody), *own_subscriptions(site, nobody)] == []


def test_the_command_writes_what_the_node_serves(tmp_path: Path, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    write_site(tmp_path)
    files = ["--openapi", str(tmp_path / "o.json"), "--asyncapi", str(tmp_path / "a.json")]
    assert run(["--site", str(tmp_path), "api", "export", *files], {}) == ExitCode.NORMAL
    assert json.loads((tmp_path / "o.json").read_text("utf-8")) == api.call("GET", "/openapi.json", key=None).json()
    assert run(["--site", str(tmp_path), "--lang", "ja", "api", "export", *files, "--tenant", TENANT], {}) == ExitCode.NORMAL
    assert f"{TENANT}.moved" in json.loads((tmp_path / "a.json").read_text("utf-8"))["channels"]
    assert "書きました" in capsys.readouterr().out
    assert run(["--site", str(tmp_path), "api", "export"], {}) == ExitCode.USAGE
    assert run(["--site", str(tmp_path), "api", "export", "--openapi", str(tmp_path / "none" / "x")], {}) == ExitCode.USAGE
    with pytest.raises(BusError):
        exported(tmp_path, "999999")
