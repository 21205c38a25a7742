"""The client installs by itself: its wheel, httpx and what that needs, and nothing of the server."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.architecture import wheels
from tests.webhook.receivers import answer, receiving

CLIENT = Path(__file__).resolve().parents[2] / "client"
USE = """
import asyncio, importlib.util, json, sys
import renkei_client
servers = ("bus", "adapters", "contracts", "monitoring", "fastapi", "sqlalchemy", "pydantic")
assert not [name for name in servers if importlib.util.find_spec(name)]
assert all(hasattr(renkei_client, name) for name in renkei_client.__all__)
async def main():
    async with renkei_client.Client(sys.argv[1], "332020") as client:
        print((await client.publish("moved_in", {"resident_id": "1"}, type="t", source="/s", id="e-1")).message)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: building leaves nothing behind in the source."""
    folder = tmp_path_factory.mktemp("client")
    source = folder / "client"
    shutil.copytree(CLIENT, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    return wheels.built(source, folder)


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment: the wheel, and copies of exactly the distributions that its requirements lead to."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    packages = wheels.installed(wheel, folder)
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("METADATA"))
    wanted, done = re.findall(r"^Requires-Dist: ([\w.-]+)", metadata, re.MULTILINE), set()
    while wanted:
        name = wanted.pop()
        if name not in done:
            done.add(name)
            wanted += _copied(name, packages)
    assert "httpx" in done
    return folder / "bin" / "python"


def _copied(name: str, packages: Path) -> list[str]:
    found = distribution(name)
    for file in found.files or ():
        if not file.is_absolute() and ".." not in file.parts:
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(found.locate_file(file)), target)
    plain = [requirement for requirement in found.requires or () if "extra ==" not in requirement]
    return [match.group() for requirement in plain if (match := re.match(r"[\w.-]+", requirement)) and _here(match.group())]


def _here(name: str) -> bool:
    """Requirements of other Python versions and systems are not installed here."""
    try:
        distribution(name)
    except ModuleNotFoundError:
        return False
    return True


def test_the_wheel_holds_the_package_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {f"renkei_client/{path.name}" for path in (CLIENT / "renkei_client").iterdir() if path.is_file()}
    assert "renkei_client/py.typed" in held


async def test_it_works_without_the_server(python: Path, tmp_path: Path) -> None:
    taken = answer(202, json.dumps({"message": "332020-m17", "outcome": "accepted"}).encode(), Content_Type="application/json")
    async with receiving(taken) as bus:
        ran = await asyncio.to_thread(
            subprocess.run,
            [str(python), "-I", "-c", USE, bus.url.removesuffix("/events")],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "332020-m17\n"
    assert bus.asked[0].headers["ce-id"] == "e-1"
