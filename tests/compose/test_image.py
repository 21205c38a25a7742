"""The image of a node: pinned, without privileges or a shell, and made of the product alone."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from tests.architecture.modules import PACKAGES
from tests.compose.composition import ROOT, mounts, nodes, site

LINES = [line for line in (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def said(word: str) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in LINES if line.startswith(f"{word} ")]


def test_it_begins_with_one_pinned_python() -> None:
    bases = {line.split()[0] for line in said("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.[0-9]+-slim-[a-z]+", bases.pop())


def test_no_shell_runs_while_it_is_built_or_started() -> None:
    for line in [*said("RUN"), *said("ENTRYPOINT"), *said("CMD")]:
        command = json.loads(line)
        assert not {"sh", "bash", "/bin/sh"} & set(command)
    assert json.loads(said("ENTRYPOINT")[0]) == ["/opt/renkei/bin/renkei"]


def test_it_runs_without_privileges() -> None:
    (user,) = said("USER")
    assert all(int(part) > 0 for part in user.split(":"))
    for name, service in nodes().items():
        assert service["read_only"] is True
        assert int(service["user"].split(":")[0]) > 0
        assert "entrypoint" not in service, name


def test_dependencies_are_held_to_the_constraints() -> None:
    environment = shlex.split(" ".join(said("ENV")))
    assert "PIP_CONSTRAINT=/source/constraints.txt" in environment
    assert LINES.index("ENV PIP_CONSTRAINT=/source/constraints.txt") < min(LINES.index(line) for line in LINES if '"pip"' in line)


def test_everything_copied_exists_and_is_sent_to_the_engine_and_nothing_else_is() -> None:
    copied = {source.rstrip("/") for line in said("COPY") if "--from" not in line for source in line.split()[:-1]}
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)
    assert set(PACKAGES) <= copied
    assert not {"secrets", ".env", ".git", "tests"} & sent


def test_what_nodes_write_to_is_made_for_any_user() -> None:
    (made,) = [json.loads(line) for line in said("RUN") if '"install", "-d"' in line]
    assert made[made.index("-m") + 1] == "1777"
    for name in nodes():
        assert {mount.target for mount in mounts(name) if mount.named} <= set(made)


def test_the_ports_of_the_site_are_told() -> None:
    assert said("EXPOSE") == [f"{site()['listen']['port']} {site()['api']['port']}"]


def test_the_image_holds_no_site_and_no_secret() -> None:
    assert not [line for line in LINES if re.search(r"secret|password|token|/run/", line, re.IGNORECASE)]
    assert Path(said("WORKDIR")[-1]) == Path("/srv/renkei")
