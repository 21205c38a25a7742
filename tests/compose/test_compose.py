"""`docker-compose.yml`: what docker-compose accepts, what each service must have, and what stands beside the site files it mounts."""

from __future__ import annotations

import re
import shutil
import tomllib
from itertools import combinations
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bus.site import Site
from bus.site_check import check_site
from tests.compose.composition import (
    ROOT,
    SITE,
    compose,
    composition,
    environment,
    in_container,
    make_secrets,
    mounts,
    nodes,
    secrets_of,
    services,
    site,
    source_of,
)

NAMES = ("alertmanager", "grafana", "node1", "node2", "postgres", "prometheus", "rabbitmq")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|API_?KEY|CREDENTIAL|COOKIE", re.IGNORECASE)


def test_docker_compose_accepts_it() -> None:
    assert compose("config", "-q") == ""
    assert sorted(services()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_service_is_pinned_watched_bounded_and_comes_back(name: str) -> None:
    service = services()[name]
    assert re.fullmatch(r"[a-z0-9./-]+:v?[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z0-9]+)*", service["image"]), service["image"]
    check = service["healthcheck"]
    assert check["test"][0] == "CMD", "no shell is asked"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert service["restart"] == "unless-stopped"
    assert re.fullmatch(r"[0-9]+[mg]?", str(service["mem_limit"]))
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert all(waited["condition"] == "service_healthy" for waited in service.get("depends_on", {}).values())


def test_only_the_broker_may_write_to_its_own_image() -> None:
    assert [name for name, service in services().items() if not service.get("read_only")] == ["rabbitmq"]


def test_only_loopback_is_published_and_no_port_twice() -> None:
    published = [str(port) if isinstance(port, str) else f"{port['host_ip']}:{port['published']}:{port['target']}"
                 for service in services().values() for port in service.get("ports", [])]  # fmt: skip
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    outside = [port.split(":")[1] for port in published]
    assert len(outside) == len(set(outside))


def test_what_holds_data_is_not_on_the_outer_network() -> None:
    assert composition()["networks"]["inside"]["internal"] is True
    for name in ("postgres", "prometheus"):
        assert list(services()[name]["networks"]) == ["inside"], name
        assert "ports" not in services()[name]
    for service in services().values():
        assert "inside" in service["networks"]
        assert "edge" in service["networks"] or "ports" not in service, "what is published must be reachable"


@pytest.mark.parametrize("name", NAMES)
def test_every_mounted_path_is_in_the_repository_and_read_only(name: str) -> None:
    for mount in mounts(name):
        if mount.named:
            assert mount.source in composition()["volumes"]
        else:
            path = Path(mount.source)
            assert path.is_relative_to(ROOT)
            assert path.exists(), path
            assert mount.read_only, mount.source


def test_every_volume_is_used_and_stands_for_one_thing() -> None:
    places: dict[str, set[str]] = {}
    for name in NAMES:
        for mount in mounts(name):
            if mount.named:
                places.setdefault(mount.source, set()).add(mount.target)
    assert set(places) == set(composition()["volumes"])
    assert {source: targets for source, targets in places.items() if len(targets) > 1} == {}


def test_every_secret_is_a_file_that_git_ignores_and_is_asked_for() -> None:
    declared = {Path(secret["file"]) for secret in composition()["secrets"].values()}
    assert all(file.parent == ROOT / "secrets" for file in declared)
    assert {file for name in NAMES for file in secrets_of(name).values()} == declared
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {"/secrets/", "/.env"} <= set(ignored)


def test_no_secret_stands_in_the_files() -> None:
    for name in NAMES:
        given = {key: value for key, value in environment(name).items() if SECRET.search(key)}
        allowed = {key: value for key, value in given.items() if key.endswith("_FILE") or value in ("true", "false")}
        assert given == allowed, "a secret comes from a file"
        for value in (value for key, value in allowed.items() if key.endswith("_FILE")):
            assert value in secrets_of(name), f"{name} names a secret that it is not given: {value}"
    for file in [*SITE.rglob("*.yaml"), ROOT / "docker-compose.yml", ROOT / "examples/two-nodes/rabbitmq/rabbitmq.conf"]:
        text = file.read_text("utf-8")
        assert not re.search(r"://[^/\s@:]+:[^/\s@]+@", text), f"{file}: a password in a URL"
        assert not re.search(r"^\s*default_pass\b|\bpassword:", text, re.MULTILINE), file


def test_the_nodes_differ_in_name_and_scratch_space_and_share_the_rest() -> None:
    names = [environment(name)["RENKEI_NODE"] for name in nodes()]
    assert len(names) == len(set(names)) == 2
    for name in names:
        Site.model_validate({"site": "a", "node": name, "tenants": ["a"]})
    scratch = str(Path(in_container(site()["batch"]["work_folder"])).parent)
    for one, other in combinations(nodes(), 2):
        first, second = ({mount.target: mount.source for mount in mounts(name)} for name in (one, other))
        assert set(first) == set(second)
        assert {target for target in first if first[target] != second[target]} == {scratch}
        assert secrets_of(one) == secrets_of(other)
        assert services()[one]["user"] == services()[other]["user"]


def test_the_paths_of_the_site_are_mounted() -> None:
    assert source_of("node1", environment("node1")["RENKEI_SITE"]) == SITE
    written = [site()["journal"]["file"], site()["payloads"]["folder"], site()["batch"]["work_folder"], "../files/drop", "../files/out"]
    for path in map(in_container, written):
        (holding,) = [mount for mount in mounts("node1") if path.startswith(f"{mount.target}/")]
        assert holding.named, f"what a node writes is kept: {path}"
        assert not holding.read_only
    tenant = (SITE / "tenants" / "332020.yaml").read_text("utf-8")
    assert set(re.findall(r"folder: (\.\./[a-z]+/[a-z]+)", tenant)) == {"../files/drop", "../files/out"}


def test_the_journal_of_the_site_is_the_database_that_is_started() -> None:
    said = urlsplit(site()["journal"]["url"])
    postgres = environment("postgres")
    assert said.hostname in services()
    assert (said.hostname, said.port) == ("postgres", 5432)
    assert said.username == postgres["POSTGRES_USER"]
    assert said.path == f"/{postgres['POSTGRES_DB']}"
    assert secrets_of("node1")[site()["journal"]["password_file"]] == secrets_of("postgres")[postgres["POSTGRES_PASSWORD_FILE"]]
    assert postgres["PGDATA"].startswith(mounts("postgres")[0].target)
    on_disk = " ".join(services()["postgres"]["command"])
    assert "fsync=on" in on_disk
    assert "synchronous_commit=on" in on_disk


def test_the_nodes_listen_where_others_look_for_them() -> None:
    for name, service in nodes().items():
        assert f"127.0.0.1:{site()['listen']['port']}/readyz" in service["healthcheck"]["test"][-1]
        (port,) = service["ports"]
        target = port.split(":")[-1].split("/")[0] if isinstance(port, str) else str(port["target"])
        assert target == str(site()["api"]["port"]), name
    assert site()["api"]["sign_in"] == "key"
    assert site()["listen"]["token_file"] in secrets_of("node1")


def test_the_site_passes_its_check(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    folder = tmp_path / "site"
    shutil.copytree(SITE, folder)
    file = folder / "site.yaml"
    text = file.read_text("utf-8")
    for target, secret in secrets_of("node1").items():
        text = text.replace(target, str(tmp_path / "secrets" / secret.name))
    assert "/run/secrets" not in text
    file.write_text(text, "utf-8")
    found = check_site(folder)
    assert [problem for problem in found if problem.message_id.endswith("E")] == []
    # TLS ends before the nodes, and the keys of systems are made by whoever runs them
    assert {problem.message_id for problem in found} == {"RNK2236W", "RNK2154W"}


def test_the_image_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {service["image"] for service in nodes().values()} == {f"renkei-bus:{version}"}
    assert {str(Path(service["build"]["context"])) for service in nodes().values()} == {str(ROOT)}
