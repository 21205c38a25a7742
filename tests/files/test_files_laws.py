"""The files adapter keeps the laws of sources and sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from adapters.files.sink import FilesSink
from adapters.files.source import FilesSource
from bus.adapter_ports import Arrival, Source
from tests.files.doubles import HandClock, drop, files_source
from tests.files.sink_laws import RandomAccessLaws
from tests.files.source_laws import SourceLaws


class TestMarkedSource(SourceLaws):
    """Completion markers."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def new_source(self) -> FilesSource:
        return files_source(self.folder)

    def send(self, name: str, data: bytes) -> None:
        drop(self.folder, name, data)

    def begin_sending(self, name: str, data: bytes) -> Callable[[], None]:
        drop(self.folder, name, data, marker=None)
        return (self.folder / f"{name}.end").touch


class TestStillSource(SourceLaws):
    """Size and time standing still, and no process writing."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, hand_clock: HandClock) -> None:
        self.folder, self.clock = tmp_path, hand_clock

    def new_source(self) -> FilesSource:
        return files_source(self.folder, self.clock, marker=None, stable_seconds=5)

    def send(self, name: str, data: bytes) -> None:
        drop(self.folder, name, data, marker=None)

    def begin_sending(self, name: str, data: bytes) -> Callable[[], None]:
        file = (self.folder / name).open("wb", buffering=0)
        file.write(data)
        return file.close

    def arrived(self, source: Source) -> list[Arrival]:
        first = list(source.arrivals())
        self.clock.seconds += 5
        return first + list(source.arrivals())


class TestFilesSink(RandomAccessLaws):
    """A local folder."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def new_sink(self) -> FilesSink:
        return FilesSink(self.folder)

    def visible(self) -> Mapping[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if not path.name.startswith(".")}

    def hidden(self) -> list[str]:
        return [path.name for path in self.folder.iterdir() if path.name.startswith(".")]

    def take(self, name: str) -> bytes:
        data = (self.folder / name).read_bytes()
        (self.folder / name).unlink()
        return data
