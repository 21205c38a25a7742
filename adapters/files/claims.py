"""Claimed files: moved out of the sender's reach, each into a private folder of its own, so that equal names never meet.

Owns: the folder of claims. A claim is `<claimed>/<token>/` holding the data file and its marker under their own names, and `claim.json`,
written first, which says what was about to be moved. So a claim cut short by a crash can be finished, or forgotten, without guessing:
no data file in it means that nothing was moved, and a marker left behind is recognised by its inode and time.
"""

from __future__ import annotations

import json
import secrets
import stat
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.files.folder import private_folder, rename_noreplace, sync_folder, write_durably

_RECORD: Final = "claim.json"


@dataclass(frozen=True, slots=True)
class Look:
    """What a file looked like: the same look twice means that nothing was written in between."""

    inode: int
    bytes: int
    changed_ns: int

    @staticmethod
    def at(path: Path) -> Look | None:
        """The look of a regular file; None when there is none."""
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
        return Look(found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


@dataclass(frozen=True, slots=True)
class Claim:
    """One claimed file. `marker` is where its marker stands, None when it has none."""

    token: str
    data: Path
    marker: Path | None


class Claims:
    """The claims of one drop folder."""

    def __init__(self, drop: Path, folder: Path) -> None:
        self._drop = drop
        self._folder = folder

    def take(self, name: str, marker: str | None, look: Look) -> Claim | None:
        """Move a complete file (and its marker) here; None when it is not what it looked like, or its marker was taken back: then it is
        left where it was.

        Raises:
            OSError: nothing was moved, or the claim is found again by `leftovers`.
        """
        marker_look = Look.at(self._drop / marker) if marker else None
        if marker and marker_look is None:
            return None
        private_folder(self._folder)
        token = f"{time.time_ns():020}-{secrets.token_hex(4)}"
        home = self._folder / token
        home.mkdir(mode=0o700)
        write_durably(home / _RECORD, _record(name, marker, marker_look))
        sync_folder(home)
        sync_folder(self._folder)
        try:
            rename_noreplace(self._drop / name, home / name)
        except FileNotFoundError:
            self._remove(home)
            return None
        if Look.at(home / name) != look:
            self._put_back(home, name)
            return None
        return self._with_marker(home, name, marker)

    def put_back(self, claim: Claim) -> None:
        """Return a file that proved not to be complete to the drop folder; it stays claimed when its name is taken there by now."""
        # The marker last: it must not complete another file that has taken the name meanwhile.
        if self._return(claim.data):
            if claim.marker is not None:
                self._return(claim.marker)
            self._remove(claim.data.parent)

    def leftovers(self, known: Container[str] = ()) -> Iterator[Claim]:
        """Claims that stand here and whose token is not `known`, oldest first, finished where a crash cut them short.

        Those without a file are cleared away."""
        if not self._folder.is_dir():
            return
        for home in sorted(path for path in self._folder.iterdir() if path.is_dir() and not path.is_symlink()):
            if home.name in known:
                continue
            name, marker = self._said(home)
            if name is None or Look.at(home / name) is None:
                self._remove(home)
            else:
                yield self._with_marker(home, name, marker)

    def forget(self, data: Path) -> None:
        """Remove a claim whose file is no longer needed or was moved away; again changes nothing."""
        home = data.parent
        if home.parent != self._folder:
            raise ValueError(f"not a claimed file: {data}")
        if home.is_dir():
            data.unlink(missing_ok=True)
            self._remove(home)

    def _said(self, home: Path) -> tuple[str | None, str | None]:
        """The names of the data file and its marker. Without a record (cut off by a crash before anything was moved, or damaged since)
        whatever stands there is the data, the largest file first: a file is never thrown away for want of its record."""
        said = _read(home / _RECORD)
        if said is not None:
            return str(said["name"]), str(said["marker"]) if said["marker"] else None
        others = [path for path in home.iterdir() if path.name != _RECORD]
        return (max(others, key=lambda path: path.lstat().st_size).name if others else None), None

    def _with_marker(self, home: Path, name: str, marker: str | None) -> Claim:
        claim = Claim(home.name, home / name, home / marker if marker else None)
        if marker and Look.at(home / marker) is None and _same_marker(home, self._drop / marker):
            rename_noreplace(self._drop / marker, home / marker)
        sync_folder(home)
        sync_folder(self._drop)
        return claim

    def _put_back(self, home: Path, name: str) -> None:
        if self._return(home / name):
            self._remove(home)

    def _return(self, path: Path) -> bool:
        try:
            rename_noreplace(path, self._drop / path.name)
        except FileExistsError:
            return False
        except FileNotFoundError:
            return True
        sync_folder(self._drop)
        return True

    def _remove(self, home: Path) -> None:
        """Remove a claim's folder, whose file is gone or no longer needed."""
        for path in home.iterdir():
            path.unlink()
        home.rmdir()
        sync_folder(self._folder)


def _record(name: str, marker: str | None, look: Look | None) -> bytes:
    facts = {"name": name, "marker": marker, "marker_inode": look and look.inode, "marker_changed_ns": look and look.changed_ns}
    return json.dumps(facts, ensure_ascii=False).encode()


def _read(record: Path) -> dict[str, object] | None:
    """The claim's record; None when it is missing or cut off."""
    try:
        said = json.loads(record.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return said if isinstance(said, dict) and "name" in said and "marker" in said else None


def _same_marker(home: Path, marker: Path) -> bool:
    """Whether the marker in the drop folder is the one the claim was made with, not one that came later."""
    said, found = _read(home / _RECORD), Look.at(marker)
    return said is not None and found is not None and (said["marker_inode"], said["marker_changed_ns"]) == (found.inode, found.changed_ns)
