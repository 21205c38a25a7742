"""Wheels as users get them: built from a folder of sources, installed into an environment of their own."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

_PIP = (sys.executable, "-m", "pip")


def built(source: Path, target: Path) -> Path:
    """The wheel of the sources, in `target`. Building may leave things behind in `source`: give a copy."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target)]
    subprocess.run([*_PIP, "wheel", *options, str(source)], check=True, capture_output=True, timeout=120)
    (wheel,) = target.glob("*.whl")
    return wheel


def installed(wheel: Path, folder: Path) -> Path:
    """Make a fresh environment in `folder` with the wheel alone in it; returns where its packages are."""
    venv.create(folder, with_pip=False)
    options = ["--quiet", "--no-deps", "--no-index"]
    subprocess.run([*_PIP, "--python", str(folder), "install", *options, str(wheel)], check=True, capture_output=True, timeout=120)
    return next((folder / "lib").glob("python*/site-packages"))
