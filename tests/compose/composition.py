"""`docker-compose.yml` as docker-compose understands it, and the files that it mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "docker-compose.yml"
EXAMPLE: Final = ROOT / "examples" / "two-nodes"
SITE: Final = EXAMPLE / "site"


def compose(*arguments: str) -> str:
    """What docker-compose says. No engine is asked; neither the environment nor a `.env` of this machine changes the answer."""
    chosen = {"RENKEI_USER": "", "RENKEI_ALERTMANAGER": ""}
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **chosen}
    command = ["docker-compose", "-f", str(FILE), *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@dataclass(frozen=True)
class Mount:
    """One volume of a service. `source` is a path of the repository or the name of a volume."""

    source: str
    target: str
    read_only: bool

    @property
    def named(self) -> bool:
        """Whether it is a volume of Docker's own."""
        return "/" not in self.source

    @staticmethod
    def of(said: str | dict[str, Any]) -> Mount:
        if isinstance(said, dict):
            return Mount(said["source"], said["target"], bool(said.get("read_only")))
        source, target, *mode = said.split(":")
        return Mount(source, target, mode == ["ro"])


@cache
def composition() -> dict[str, Any]:
    """The whole file, with everything filled in."""
    found: dict[str, Any] = yaml.safe_load(compose("config"))
    return found


def services() -> dict[str, dict[str, Any]]:
    """The services by name."""
    found: dict[str, dict[str, Any]] = composition()["services"]
    return found


def nodes() -> dict[str, dict[str, Any]]:
    """The services that are nodes of Renkei."""
    return {name: service for name, service in services().items() if service["image"].startswith("renkei-bus:")}


def mounts(service: str) -> list[Mount]:
    """The volumes of a service."""
    return [Mount.of(said) for said in services()[service].get("volumes", [])]


def secrets_of(service: str) -> dict[str, Path]:
    """Where each secret stands in the service's containers, and the file it is."""
    found = {}
    for said in services()[service].get("secrets", []):
        name = said if isinstance(said, str) else said["source"]
        target = name if isinstance(said, str) else said.get("target", name)
        file = Path(composition()["secrets"][name]["file"])
        found[target if target.startswith("/") else f"/run/secrets/{target}"] = file
    return found


def environment(service: str) -> dict[str, str]:
    """The environment of a service."""
    said = services()[service].get("environment", {})
    return dict(pair.split("=", 1) for pair in said) if isinstance(said, list) else {key: str(value) for key, value in said.items()}


def source_of(service: str, path: str) -> Path:
    """The file of the repository that stands at `path` in the service's containers."""
    for mount in mounts(service):
        if not mount.named and (path == mount.target or path.startswith(f"{mount.target}/")):
            return Path(mount.source) / path.removeprefix(mount.target).lstrip("/") if path != mount.target else Path(mount.source)
    raise AssertionError(f"nothing is mounted at {path} of {service}")


def in_container(relative: str) -> str:
    """Where a path of `site.yaml` is in a node's container."""
    return os.path.normpath(f"{environment('node1')['RENKEI_SITE']}/{relative}")


def site() -> dict[str, Any]:
    """The nodes' `site.yaml`."""
    found: dict[str, Any] = yaml.safe_load((SITE / "site.yaml").read_text("utf-8"))
    return found


def make_secrets(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command that makes the secrets, for a copy of the example in `folder`."""
    target = folder / "examples" / "two-nodes"
    if not target.exists():
        shutil.copytree(EXAMPLE, target)
    script = target / "make-secrets.sh"
    return subprocess.run(["sh", str(script)], cwd="/", capture_output=True, text=True, timeout=30, check=True)
