"""What the files tests share: sources and sinks on real folders, a clock moved by hand, a small real disk."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.files.doubles import HandClock


@pytest.fixture
def hand_clock() -> HandClock:
    return HandClock()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    assert os.geteuid() == 0, "the disk-full tests mount a tmpfs, which needs root"
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "renkei-test", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that other users can reach (pytest's own are private)."""
    with tempfile.TemporaryDirectory(prefix="renkei-open-") as name:
        place = Path(name)
        place.chmod(0o777)
        yield place
