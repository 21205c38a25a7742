"""A receiver that takes every file the instant it appears, as the strictest systems do.

It is told by the kernel (inotify), so that it is faster than anything the bus may do between two of its steps, and costs nothing while
it waits. What it took stands in a folder of its own; taking the same name twice is remembered.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
from collections import Counter
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_IN_CREATE: Final = 0x100
_IN_MOVED_TO: Final = 0x80
_EVENT: Final = struct.Struct("iIII")


class Receiver(threading.Thread):
    """Takes what appears in `folders` (not names with a leading dot) into `taken/<folder's name>/`. Use as a context manager."""

    def __init__(self, folders: list[Path], taken: Path) -> None:
        super().__init__(name="receiver", daemon=True)
        self.taken = taken
        self.times: Counter[str] = Counter()
        """how often each `<folder>/<name>` was taken"""
        self.changed = threading.Condition()
        self._folders: dict[int, Path] = {}
        self._inotify = _checked(_LIBC.inotify_init1(os.O_CLOEXEC))
        for folder in folders:
            (taken / folder.name).mkdir(parents=True)
            watch = _checked(_LIBC.inotify_add_watch(self._inotify, os.fsencode(folder), ctypes.c_uint32(_IN_CREATE | _IN_MOVED_TO)))
            self._folders[watch] = folder

    def __enter__(self) -> Receiver:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A last event of our own wakes the thread; reading would otherwise never end.
        next(iter(self._folders.values())).joinpath(".end-of-test").touch()
        self.join(10)
        os.close(self._inotify)

    def run(self) -> None:
        while True:
            for watch, name in _events(os.read(self._inotify, 65536)):
                if name == ".end-of-test":
                    return
                if not name.startswith("."):
                    self._take(self._folders[watch], name)

    def _take(self, folder: Path, name: str) -> None:
        label = f"{folder.name}/{name}"
        try:
            (folder / name).rename(self.taken / label)
        except FileNotFoundError:
            return  # an event of something that was taken already: it was moved, not made
        with self.changed:
            self.times[label] += 1
            self.changed.notify_all()

    def has(self, labels: set[str]) -> bool:
        """Whether all of these were taken."""
        with self.changed:
            return labels <= self.times.keys()


def _events(raw: bytes) -> list[tuple[int, str]]:
    found, place = [], 0
    while place < len(raw):
        watch, _, _, length = _EVENT.unpack_from(raw, place)
        place += _EVENT.size
        found.append((watch, os.fsdecode(raw[place : place + length].rstrip(b"\0"))))
        place += length
    return found


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), errno.errorcode.get(ctypes.get_errno(), "?"))
    return result
