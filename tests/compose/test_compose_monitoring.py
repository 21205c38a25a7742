"""Prometheus, Alertmanager and Grafana as `docker-compose.yml` configures them: by their own tools, and an alert's way to a mailbox."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from monitoring.alert_rules import JOB, RULES
from monitoring.dashboards import DASHBOARDS
from tests.compose.composition import environment, make_secrets, mounts, nodes, secrets_of, services, site, source_of
from tests.compose.mailbox import Mailbox, mailbox
from tests.monitoring.prometheus import wait_ready
from tests.services.ports import free_ports

PROMETHEUS = "/etc/prometheus/prometheus.yml"
ALERTMANAGER = "/etc/alertmanager/alertmanager.yml"
PATIENCE_SECONDS = 30.0


def prometheus_config() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(source_of("prometheus", PROMETHEUS).read_text("utf-8"))
    return found


def on_this_machine(text: str, service: str, folder: Path) -> str:
    """A configuration with the paths of a container as they are here; its secrets are made in `folder`."""
    make_secrets(folder)
    for target, secret in secrets_of(service).items():
        text = text.replace(target, str(folder / "secrets" / secret.name))
    for mount in mounts(service):
        if not mount.named:
            text = text.replace(mount.target, mount.source)
    return text


# --- Prometheus


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(on_this_machine(source_of("prometheus", PROMETHEUS).read_text("utf-8"), "prometheus", tmp_path), "utf-8")
    assert "/etc/" not in file.read_text("utf-8")
    ended = subprocess.run(["promtool", "check", "config", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"{len(RULES)} rules found" in ended.stdout


def test_what_is_scraped_is_a_service_and_every_node_is() -> None:
    jobs = {job["job_name"]: job for job in prometheus_config()["scrape_configs"]}
    targets = {name: [target for group in job["static_configs"] for target in group["targets"]] for name, job in jobs.items()}
    assert sorted(targets[JOB]) == sorted(f"{name}:{site()['listen']['port']}" for name in nodes())
    hosts = {target.split(":")[0] for found in targets.values() for target in found}
    assert hosts <= {*services(), "127.0.0.1"}
    assert jobs[JOB]["authorization"]["credentials_file"] in secrets_of("prometheus")
    assert f"--config.file={PROMETHEUS}" in services()["prometheus"]["command"]


def test_alerts_go_to_the_alertmanager_that_is_started() -> None:
    (manager,) = prometheus_config()["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    assert "127.0.0.1:9093" in services()["alertmanager"]["healthcheck"]["test"][-1]


def test_the_broker_is_scraped_where_its_plugin_listens() -> None:
    settings = source_of("rabbitmq", "/etc/rabbitmq/conf.d/20-renkei.conf").read_text("utf-8")
    plugins = source_of("rabbitmq", "/etc/rabbitmq/enabled_plugins").read_text("utf-8")
    (port,) = re.findall(r"^prometheus\.tcp\.port = ([0-9]+)$", settings, re.MULTILINE)
    (job,) = [job for job in prometheus_config()["scrape_configs"] if job["job_name"] == "rabbitmq"]
    assert job["static_configs"] == [{"targets": [f"rabbitmq:{port}"]}]
    assert "rabbitmq_prometheus" in plugins


# --- Alertmanager


def test_amtool_accepts_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(on_this_machine(source_of("alertmanager", ALERTMANAGER).read_text("utf-8"), "alertmanager", tmp_path), "utf-8")
    ended = subprocess.run(["amtool", "check-config", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"--config.file={ALERTMANAGER}" in services()["alertmanager"]["command"]


def test_alerts_that_are_named_exist() -> None:
    named = set(re.findall(r"Renkei[A-Z][A-Za-z]+", source_of("alertmanager", ALERTMANAGER).read_text("utf-8")))
    assert named
    assert named <= {rule.name for rule in RULES}


@contextmanager
def alertmanager(folder: Path, mail: Mailbox) -> Iterator[str]:
    """A real Alertmanager with the configuration of the composition, but for the mail server and the time it waits; its address."""
    config = yaml.safe_load(on_this_machine(source_of("alertmanager", ALERTMANAGER).read_text("utf-8"), "alertmanager", folder))
    config["global"] |= {"smtp_smarthost": f"127.0.0.1:{mail.port}", "smtp_require_tls": False}
    for route in (config["route"], *config["route"]["routes"]):
        route["group_wait"] = "0s"
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = ["prometheus-alertmanager", f"--config.file={file}", f"--storage.path={folder / 'data'}"]
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={address}", "--cluster.listen-address="], stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_ready(address, process, folder / "alertmanager.log")
            yield address
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def fire(address: str, rule_name: str, **labels: str) -> None:
    """Tell the Alertmanager of an alert, as Prometheus would, with the annotations of the rule file."""
    document = yaml.safe_load(source_of("prometheus", "/etc/prometheus/alerts/renkei.yml").read_text("utf-8"))
    rule = next(rule for rule in document["groups"][0]["rules"] if rule["alert"] == rule_name)
    annotations = {
        key: re.sub(r"\{\{ \$labels\.([a-z]+) \}\}", lambda label: labels[label[1]], text) for key, text in rule["annotations"].items()
    }
    alert = {
        "labels": {"alertname": rule_name, **rule["labels"], **labels},
        "annotations": annotations,
        "startsAt": datetime.now(UTC).isoformat(),
    }
    request = urllib.request.Request(
        f"http://{address}/api/v2/alerts", json.dumps([alert]).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 200


@pytest.mark.slow
def test_a_failed_batch_reaches_the_operators_by_mail_in_both_languages(tmp_path: Path) -> None:
    with mailbox() as mail, alertmanager(tmp_path, mail) as address:
        fire(address, "RenkeiBatchFailed", tenant="332020", interface="resident")
        mails = [mail.next(), mail.next()]
    told = {addresses[0]: message for addresses, message in mails}
    assert set(told) == {"operators@example.jp", "kurashiki@example.jp"}, "the team of that municipality is told as well"
    message = told["operators@example.jp"]
    assert str(make_header(decode_header(message["Subject"]))) == "[CRITICAL] RNK8002E RenkeiBatchFailed 332020 (1)"
    (part,) = [part for part in message.walk() if part.get_content_type() == "text/plain"]
    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)
    text = raw.decode()
    assert "団体 332020 の resident のバッチが異常終了しました" in text
    assert "the batch resident of tenant 332020 ended abnormally" in text
    assert "renkei quarantine list" in text
    assert "発生 / firing" in text


# --- Grafana


def grafana_files(kind: str) -> list[dict[str, Any]]:
    folder = source_of("grafana", f"/etc/grafana/provisioning/{kind}")
    found: list[dict[str, Any]] = [yaml.safe_load(file.read_text("utf-8")) for file in sorted(folder.iterdir())]
    assert found
    return found


def test_grafana_asks_the_services_that_are_started() -> None:
    sources = [source for file in grafana_files("datasources") for source in file["datasources"]]
    assert [source["name"] for source in sources if source.get("isDefault")] == ["Prometheus"]
    for source in sources:
        host, port = urlsplit(source["url"]).hostname, urlsplit(source["url"]).port
        assert host in services()
        assert f"127.0.0.1:{port}/" in services()[host]["healthcheck"]["test"][-1]
        assert "secureJsonData" not in source


def test_grafana_is_given_the_dashboards_of_the_repository() -> None:
    (provider,) = [provider for file in grafana_files("dashboards") for provider in file["providers"]]
    folder = source_of("grafana", provider["options"]["path"])
    assert {file for file in folder.iterdir() if file.suffix == ".json"} == {dashboard.file for dashboard in DASHBOARDS}
    home = environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert source_of("grafana", home).exists()
    uids = [json.loads(dashboard.text())["uid"] for dashboard in DASHBOARDS]
    assert len(set(uids)) == len(uids)


def test_grafana_lets_nobody_in_unasked_and_calls_nobody() -> None:
    said = environment("grafana")
    assert said["GF_AUTH_ANONYMOUS_ENABLED"] == said["GF_USERS_ALLOW_SIGN_UP"] == "false"
    assert said["GF_ANALYTICS_REPORTING_ENABLED"] == said["GF_ANALYTICS_CHECK_FOR_UPDATES"] == "false"
    assert said["GF_SECURITY_ADMIN_USER"] != "admin"
