"""The pytest fixture for applications' tests, used as an application would: in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bus.testing.node import NodeInTest
from bus.testing.sandbox import webhook_secret, write_sandbox

SITE = Path(__file__).resolve().parents[2] / "examples" / "events"
README = Path(__file__).resolve().parents[2] / "bus" / "testing" / "README.md"

TESTS = """
import pytest

RECORD = {"atenabango": "000000000000012", "rirekibango": "1", "jumin_shubetsu": "1", "shimei": "倉敷　太郎", "jusho": "倉敷市"}
RECORD["ido_ymd"] = "2026-11-20"


@pytest.fixture(scope="module")
def renkei_site():
    return SITE


def test_told(renkei_node):
    told = renkei_node.publish("moved_in", RECORD, type="jp.example.moved_in", id="e1")
    assert renkei_node.publish("moved_in", RECORD, type="jp.example.moved_in", id="e1")["outcome"] == "duplicate"
    (event,) = renkei_node.received("tax_moved_in", 1)
    assert event["data"] == RECORD
    assert len(renkei_node.received("welfare_moved_in", 1)) == 1, "a webhook that is not called is fetched"
    assert [message["id"] for message in renkei_node.messages()] == [told["message"]]
    assert [delivery["state"] for delivery in renkei_node.deliveries("tax_moved_in")] == ["delivered"]
    assert renkei_node.quarantine() == []


def test_refused(renkei_node):
    broken = renkei_node.publish("moved_in", {**RECORD, "ido_ymd": ""}, type="jp.example.moved_in", expect=422)
    assert [problem["field"] for problem in broken["problems"]] == ["ido_ymd"]
    with pytest.raises(AssertionError, match="answered 422, not 202"):
        renkei_node.publish("moved_in", {}, type="jp.example.moved_in")
    with pytest.raises(AssertionError, match="got 0 events"):
        renkei_node.received("register_question", 1, wait_seconds=0)
"""


def test_an_application_tests_itself(tmp_path: Path) -> None:
    (tmp_path / "test_application.py").write_text(TESTS.replace("return SITE", f"return {str(SITE)!r}"), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nrenkei_node_scope = module\n", "utf-8")
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout
    assert not [path for path in SITE.rglob("*") if path.name == "var"], "nothing is written beside the site"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The copy of a site with every kind of endpoint."""
    site = tmp_path / "site"
    (site / "tenants").mkdir(parents=True)
    (site / "site.yaml").write_text(
        "site: s\napi: {host: 10.0.0.1, sign_in: key}\nlisten: {host: 0.0.0.0, token_file: secrets/t}\ncontracts: [contracts]\n"
        'journal: {url: "postgresql+psycopg://renkei@db/renkei", password_file: secrets/db}\n'
        'broker: {url: "amqp://renkei@mq/renkei", password_file: secrets/mq}\ntenants: [tenants/x.yaml]\n',
        "utf-8",
    )
    (site / "tenants" / "x.yaml").write_text(
        'tenant: "332020"\nname: {ja: x, en: x}\nsystems: [{id: "001", name: {ja: x, en: x}}]\nendpoints:\n'
        '  - {id: a, system: "001", settings: {folder: /mnt/production, marker: null}}\n'
        '  - {id: b, system: "001", adapter: webhook, settings: {url: "https://welfare.example/", secrets: [secrets/b]}}\n'
        '  - {id: c, system: "001", adapter: webhook, settings: {url: "https://welfare.example/", secrets: [secrets/c]}}\n'
        '  - {id: d, system: "001", adapter: amqp, settings: {queue: x}}\n',
        "utf-8",
    )
    write_sandbox(site / "site.yaml", tmp_path / "copy", {"b": "http://127.0.0.1:8088/"})
    return tmp_path / "copy"


def test_a_copy_of_a_site_reaches_nothing(copied: Path) -> None:
    text = (copied / "site.yaml").read_text("utf-8")
    site = yaml.safe_load(text)
    assert (site["api"]["host"], site["listen"]["host"], site["journal"]) == ("127.0.0.1", "127.0.0.1", {"file": "var/journal.db"})
    assert "broker" not in site
    tenant = (copied / site["tenants"][0]).read_text("utf-8")
    for outside in ("production", "welfare.example", "secrets/c", "amqp", "10.0.0.1", "secrets/t"):
        assert outside not in text + tenant
    secret = copied / "secrets" / "332020-b"
    assert (secret.read_text("ascii"), secret.stat().st_mode & 0o777) == (webhook_secret("b"), 0o600)


def test_the_readme_names_what_there_is() -> None:
    text = README.read_text("utf-8")
    members = {name for name in vars(NodeInTest) if not name.startswith("_")} | {"url", "tenant", "folder"}
    assert all(f"`{name}" in text for name in members)
