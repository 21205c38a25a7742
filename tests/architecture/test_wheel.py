"""The installed wheel is the product: it holds every file of the packages, and works away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.architecture import wheels
from tests.architecture.modules import PACKAGES, ROOT

pytestmark = pytest.mark.slow


def _shipped(folder: Path) -> set[str]:
    """Every file of the packages that is part of the product."""
    files = (path for package in PACKAGES for path in (folder / package).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in files if "__pycache__" not in path.parts and path.suffix not in {".pyc", ".pyo"}}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is built from: building in the checkout would take along what an older build left there."""
    folder = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.built(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; what it depends on comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    packages = wheels.installed(wheel, folder)
    # Only the folder itself, not its .pth files: the checkout that is installed there as editable stays out.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n", "utf-8")
    return folder


def _run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "TMPDIR"}}
    environment = {**kept, "PATH": f"{installed / 'bin'}:/usr/bin:/bin"}
    command = [str(installed / "bin" / "renkei"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_wheel_holds_every_file_of_the_packages(source: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == _shipped(source)


def test_the_wheel_brings_the_command_and_the_adapters(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        points = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "renkei = bus.cli.app:main" in points
    assert "[renkei.adapters]" in points


def test_the_installed_code_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    where = "import bus, contracts, adapters, monitoring; print(*(m.__file__ for m in (bus, contracts, adapters, monitoring)))"
    found = subprocess.run(
        [str(installed / "bin" / "python"), "-I", "-c", where], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert all(Path(path).is_relative_to(installed) for path in found.stdout.split())


@pytest.mark.parametrize("language", ["en", "ja"])
def test_help_comes_up(installed: Path, tmp_path: Path, language: str) -> None:
    ended = _run(installed, tmp_path, "--lang", language, "--help")
    assert ended.returncode == 0, ended.stderr
    assert "quarantine" in ended.stdout


def test_the_library_is_there(installed: Path, tmp_path: Path) -> None:
    ended = _run(installed, tmp_path, "contract", "list", "--json")
    assert ended.returncode == 0, ended.stderr
    assert "resident@1.0" in {row["contract"] for row in json.loads(ended.stdout)}
    assert _run(installed, tmp_path, "contract", "check").returncode in {0, 4}


def test_a_site_is_made_checked_and_its_journal_opened(installed: Path, tmp_path: Path) -> None:
    site_folder = tmp_path / "site"
    assert _run(installed, tmp_path, "init", str(site_folder)).returncode == 0
    checked = _run(installed, tmp_path, "check", "--site", str(site_folder))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    listed = _run(installed, tmp_path, "messages", "--json", "--site", str(site_folder))
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout) == []


def test_the_benchmark_explains_itself(installed: Path, tmp_path: Path) -> None:
    ended = _run(installed, tmp_path, "bench", "batch")
    assert ended.returncode == 5
    assert "RNK6008E" in ended.stderr
