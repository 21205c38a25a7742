"""Stand-ins that the files tests move by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from adapters.files.settings import SourceSettings
from adapters.files.source import FilesSource


class HandClock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def files_source(folder: Path, clock: HandClock | None = None, **settings: object) -> FilesSource:
    checked = SourceSettings.model_validate({"folder": str(folder), **settings})
    return FilesSource(checked, endpoint="resident_drop", tenant="332020", folder=folder, clock=clock or HandClock())


def drop(folder: Path, name: str, data: bytes = b"data", *, marker: str | None = "{name}.end") -> Path:
    """Drop a file the way a mainframe does: the data, then its marker."""
    path = folder / name
    path.write_bytes(data)
    if marker is not None:
        (folder / marker.format(name=name, stem=path.stem)).touch()
    return path


@contextmanager
def as_nobody() -> Iterator[None]:
    """Work without root's rights: root may write anywhere, so that rights show only to somebody else."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it, so that what is on disk is what a kill leaves."""


CALLS = ("private_folder", "write_durably", "rename_noreplace", "sync_folder")


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int, module: ModuleType) -> None:
    """Die instead of the module's n-th call that changes the disk."""
    seen = [0]

    def dying(real: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object) -> None:
            seen[0] += 1
            if seen[0] == step:
                raise Killed
            real(*args)

        return call

    for name in CALLS:
        monkeypatch.setattr(module, name, dying(getattr(module, name)))
