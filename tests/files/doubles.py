"""Stand-ins that the files tests move by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
