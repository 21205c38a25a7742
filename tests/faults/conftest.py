"""What the fault tests share: small real disks, and the log of a node that runs within the test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path

import pytest

from monitoring.log import set_up_log


class SmallDisk:
    """A real file system of few bytes, mounted at `place`. It can be filled, freed and write-protected."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / ".ballast"

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while file.write(b"\0" * size):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    def protect(self, *, protected: bool) -> None:
        """Let nobody write, not even root; or let them again."""
        mode = "ro" if protected else "rw"
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.place)], check=True)


class Disks:
    """Mounts small disks; they are gone when the test ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def mount(self, place: Path, size: str = "1m") -> SmallDisk:
        """A small disk at `place`, which is made when missing."""
        assert os.geteuid() == 0, "the disk-full tests mount a tmpfs, which needs root"
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "renkei-test", str(place)], check=True)
        self._stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
        return SmallDisk(place)


@contextmanager
def _logging_to(stream: StringIO) -> Iterator[StringIO]:
    set_up_log(language="en", stream=stream)
    try:
        yield stream
    finally:
        set_up_log(language="en")


@pytest.fixture
def disks() -> Iterator[Disks]:
    with ExitStack() as stack:
        yield Disks(stack)


@pytest.fixture
def log_of_node() -> Iterator[StringIO]:
    with _logging_to(StringIO()) as stream:
        yield stream
