"""Which names of a drop folder are complete files, which are not yet, and which never will be.

Owns: looking, and remembering what was seen before. Nothing here moves or opens a file for anything but looking.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from adapters.files.claims import Look
from adapters.files.open_writers import is_being_written
from bus.errors import Permanent
from bus.message import Note
from bus.names import NamePattern, name_problem


@dataclass(frozen=True, slots=True)
class Ready:
    """A complete file, as it was looked at."""

    name: str
    marker: str | None
    look: Look


class Notes:
    """Notes not yet read. A reason that lasts is said once; one that ends and comes back is said again."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._now: dict[str, str] = {}
        self._new: list[Note] = []

    def add(self, name: str, message_id: str, **facts: object) -> None:
        """Note a reason during a look."""
        self._now[name] = message_id
        if self._said.get(name) != message_id:
            self._said[name] = message_id
            self._new.append(Note(name, message_id, {"name": _shown(name), **facts}))

    def begin(self) -> None:
        """A new look begins: forget the reasons that the last one did not meet again."""
        self._said, self._now = self._now, {}

    def take(self) -> list[Note]:
        """Those not read yet."""
        new, self._new = self._new, []
        return new


class DropFolder:
    """A folder that files are dropped into, looked at again and again."""

    def __init__(self, folder: Path, marker: NamePattern | None, *, stable_seconds: float, ignore: tuple[str, ...], ours: frozenset[Path]):
        self._folder = folder
        self._marker = marker
        self._stable_seconds = stable_seconds
        self._ignore = ignore
        self._ours = ours
        self._seen: dict[str, tuple[Look, float]] = {}
        self.notes = Notes()

    def look(self, now_seconds: float) -> list[Ready]:
        """The files that are complete unless `is_held`, by name. `now_seconds` is of a clock that never jumps.

        Raises:
            OSError: the folder cannot be read.
        """
        self.notes.begin()
        names = self._regular_names()
        return self._marked(names) if self._marker else self._stable(names, now_seconds)

    def next_look_seconds(self, now_seconds: float) -> float | None:
        """How long until a file that waits for stillness may be complete; None when none does."""
        waits = [max(0.0, since + self._stable_seconds - now_seconds) for _, since in self._seen.values()]
        return min(waits, default=None)

    def _regular_names(self) -> list[str]:
        names = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or self._folder / entry.name in self._ours:
                    continue
                if any(fnmatchcase(entry.name, glob) for glob in self._ignore):
                    continue
                if self._is_takeable(entry):
                    names.append(entry.name)
        return sorted(names)

    def _is_takeable(self, entry: os.DirEntry[str]) -> bool:
        if entry.is_symlink():
            self.notes.add(entry.name, "RNK5030W")
        elif entry.is_dir(follow_symlinks=False):
            self.notes.add(entry.name, "RNK5031W")
        elif not entry.is_file(follow_symlinks=False):
            self.notes.add(entry.name, "RNK5032W")
        elif problem := name_problem(entry.name):
            self.notes.add(entry.name, "RNK5033W", reason=problem.facts["reason"])
        else:
            return True
        return False

    def _marked(self, names: list[str]) -> list[Ready]:
        assert self._marker is not None  # noqa: S101 - only called with one
        markers = {name for name in names if self._marker.match(name) is not None}
        by_marker: dict[str, list[str]] = {}
        for name in names:
            if name not in markers:
                try:
                    by_marker.setdefault(self._marker.format(name=name), []).append(name)
                except Permanent as error:
                    self.notes.add(name, "RNK5033W", reason=error.facts["reason"])
        for marker in sorted(markers - by_marker.keys()):
            self.notes.add(marker, "RNK5036I")
        found = []
        for marker, files in by_marker.items():
            if marker in markers and len(files) > 1:
                self.notes.add(marker, "RNK5037W", files=", ".join(files))
            elif marker not in markers:
                for name in files:
                    self.notes.add(name, "RNK5034I", marker=marker)
            elif look := Look.at(self._folder / files[0]):
                found.append(Ready(files[0], marker, look))
        return sorted(found, key=lambda ready: ready.name)

    def _stable(self, names: list[str], now_seconds: float) -> list[Ready]:
        seen: dict[str, tuple[Look, float]] = {}
        found = []
        for name in names:
            look = Look.at(self._folder / name)
            if look is None:
                continue
            before, since = self._seen.get(name, (None, now_seconds))
            seen[name] = (look, since if before == look else now_seconds)
            if before == look and now_seconds - since >= self._stable_seconds:
                found.append(Ready(name, None, look))
            else:
                self.notes.add(name, "RNK5035I")
        self._seen = seen
        return found

    def is_held(self, name: str) -> bool:
        """Whether a process still writes to the file, or we may not even read it."""
        try:
            written = is_being_written(self._folder / name)
        except FileNotFoundError:
            return True
        except OSError as error:
            self.notes.add(name, "RNK5038W", error=os.strerror(error.errno or 0))
            return True
        if written:
            self.notes.add(name, "RNK5035I")
        return written


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
