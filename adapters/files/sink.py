"""Files out: written under temporary names in the receiver's folder, published once by renaming.

Owns: the temporary names and the order of system calls. Bytes and marker are durable before `seal` returns; `publish` renames data
files, syncs the folder, renames the marker, syncs again. A receiver may take a file the instant it appears; what it has not taken is
never overwritten or appended to. The node that calls this holds the delivery's claim, so that nobody else publishes it.

A temporary name is `.renkei-<delivery>-<fence>-<n>-<folder>.tmp`; `<folder>` is the inode of the folder it was written into, so that an
unmounted share (where the temporary is gone as well) is not taken for a published file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from adapters.files.errors import telling
from adapters.files.folder import rename_noreplace, sync_folder, write_all, write_durably
from bus.adapter_ports import Publication
from bus.errors import Permanent, Transient
from bus.names import name_problem

_TEMPORARY: Final = re.compile(r"\.renkei-(?P<delivery>[A-Za-z0-9-]+)-(?P<fence>[0-9]+)-(?P<number>[0-9]+|end)-(?P<folder>[0-9a-f]+)\.tmp")
_DELIVERY: Final = re.compile(r"[A-Za-z0-9-]+")


class FilesSink:
    """A receiver's folder. Stateless: every call stands for itself, also after a restart."""

    def __init__(self, folder: Path, *, file_mode: int = 0o640) -> None:
        self._folder = folder
        self._file_mode = file_mode

    def open(self, delivery_id: str, fence: int, file_names: Sequence[str], marker_name: str | None) -> OpenFiles:
        """Begin one delivery. With one file name all chunks are appended to it; with several, chunk i is file i whole.

        Temporaries of this delivery up to this fence are removed first: they belong to attempts that are over.

        Raises:
            Transient: the folder cannot be reached or written now, or a final name is still there, not yet taken by its receiver.
            Permanent: a name that no file may have; no right to write here.
        """
        finals = [*file_names, *([marker_name] if marker_name is not None else [])]
        _check_names(delivery_id, finals)
        with telling(self._folder):
            inode = self._folder.stat().st_ino
            self._remove_leftovers(delivery_id, fence)
        for name in finals:
            if os.path.lexists(self._folder / name):
                raise Transient("RNK5020E", path=str(self._folder / name))
        beginning = f".renkei-{delivery_id}-{fence}"
        temporaries = [f"{beginning}-{number}-{inode:x}.tmp" for number in range(len(file_names))]
        marker = (f"{beginning}-end-{inode:x}.tmp", marker_name) if marker_name is not None else None
        return OpenFiles(self._folder, list(zip(temporaries, file_names, strict=True)), marker, self._file_mode)

    def publish(self, publication: Publication) -> None:
        """Rename each temporary to its final name, the last one (the marker) only when the others are durable.

        A temporary that is gone was published before. Nothing is renamed while any final name is still waiting for its receiver.

        Raises:
            Transient: a final name is not yet taken, or the folder cannot be reached, or it is not the folder that was written into.
            Permanent: not a publication of this sink, or no right to write here.
        """
        folder = self._folder
        pairs = [(folder / temporary, folder / final) for temporary, final in publication.renames]
        for written, name in publication.renames:
            if _TEMPORARY.fullmatch(written) is None or name_problem(name) is not None:
                raise Permanent("RNK5022E", path=str(folder), name=written)
        with telling(folder):
            waiting = [pair for pair in pairs if self._is_waiting(pair[0])]
        for _, final in waiting:
            if os.path.lexists(final):
                raise Transient("RNK5020E", path=str(final))
        for temporary, final in waiting:
            with telling(final):
                if len(pairs) > 1 and (temporary, final) == pairs[-1]:
                    sync_folder(folder)
                rename_noreplace(temporary, final)
        with telling(folder):
            sync_folder(folder)

    def _is_waiting(self, temporary: Path) -> bool:
        """Whether `temporary` is still to be renamed."""
        inode = self._folder.stat().st_ino
        try:
            found = temporary.lstat()
        except FileNotFoundError:
            written = _TEMPORARY.fullmatch(temporary.name)
            if written is None or int(written["folder"], 16) != inode:
                raise Transient("RNK5021E", path=str(self._folder)) from None
            return False
        if not stat.S_ISREG(found.st_mode):
            raise Permanent("RNK5022E", path=str(self._folder), name=temporary.name)
        return True

    def _remove_leftovers(self, delivery_id: str, fence: int) -> None:
        with os.scandir(self._folder) as entries:
            found = [temporary for entry in entries if (temporary := _TEMPORARY.fullmatch(entry.name))]
        for temporary in found:
            if temporary["delivery"] == delivery_id and int(temporary["fence"]) <= fence:
                (self._folder / temporary[0]).unlink(missing_ok=True)


class OpenFiles:
    """One delivery being written: `OpenSink`, and `RandomAccess` for workers that write at offsets. Used by one thread at a time."""

    def __init__(self, folder: Path, files: Sequence[tuple[str, str]], marker: tuple[str, str] | None, file_mode: int) -> None:
        self._folder = folder
        self._files = files
        self._marker = marker
        self._file_mode = file_mode
        self._next = 0
        self._offset = 0
        self._open: dict[int, int] = {}
        self._made = 0
        self._sealed = False
        self._descriptor(0)

    def write_chunk(self, index: int, data: bytes) -> None:
        """Append a chunk (one file), or write file `index` whole (several files).

        Raises:
            ValueError: out of order, more chunks than files, or already sealed. Transient, Permanent: as the place says.
        """
        if self._sealed or index != self._next:
            raise ValueError(f"chunk {index} out of order: {self._next} is next, sealed: {self._sealed}")
        number = index if len(self._files) > 1 else 0
        descriptor = self._descriptor(number)
        with telling(self._path(number)):
            # At its offset, so that a chunk half written before an error can be written again.
            write_all(descriptor, data, self._offset)
            if len(self._files) > 1:
                self._finish(number)
            else:
                self._offset += len(data)
        self._next += 1

    def local_path(self, number: int = 0) -> Path:
        """The temporary of file `number`, existing. Files are begun in order; those never begun are not published."""
        self._descriptor(number)
        if number:
            os.close(self._open.pop(number))  # thousands of documents would use up the descriptors
        return self._path(number)

    def seal(self, marker: bytes | None) -> Publication:
        """Sync every file, write the marker (when the delivery has one; `None` is an empty one), sync the folder.

        Returns:
            Renames by plain names, the marker last; `bytes` counts the data files.

        Raises:
            Transient, Permanent: not everything is durable, and asking again would not tell: call `abort`. ValueError: sealed before.
        """
        if self._sealed:
            raise ValueError("sealed before")
        self._sealed = True
        renames, size = [], 0
        for number in range(self._made):
            with telling(self._path(number)):
                size += self._finish(number)
            renames.append(self._files[number])
        with telling(self._folder):
            if self._marker is not None:
                write_durably(self._folder / self._marker[0], marker or b"", self._file_mode)
                renames.append(self._marker)
            sync_folder(self._folder)
        return Publication(tuple(renames), size)

    def abort(self) -> None:
        """Remove every temporary; again changes nothing.

        Raises:
            Transient, Permanent: something could not be removed; the next `open` of this delivery will.
        """
        while self._open:
            os.close(self._open.popitem()[1])
        names = [name for name, _ in self._files[: self._made]] + ([self._marker[0]] if self._marker else [])
        with telling(self._folder):
            for name in names:
                (self._folder / name).unlink(missing_ok=True)
        self._sealed = True

    def _path(self, number: int) -> Path:
        return self._folder / self._files[number][0]

    def _descriptor(self, number: int) -> int:
        """The file's descriptor; the file is made when it is the next one to begin."""
        if number in self._open:
            return self._open[number]
        begins = number >= self._made
        if begins and (self._sealed or number > self._made or number >= len(self._files)):
            raise ValueError(f"file {number} cannot be begun: {self._made} of {len(self._files)} are, sealed: {self._sealed}")
        with telling(self._path(number)):
            flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if begins else 0)
            self._open[number] = os.open(self._path(number), flags, 0o600)
        self._made += begins
        return self._open[number]

    def _finish(self, number: int) -> int:
        """Sync and close one file. Returns its size in bytes."""
        descriptor = self._descriptor(number)
        os.fchmod(descriptor, self._file_mode)
        os.fsync(descriptor)
        size = os.fstat(descriptor).st_size
        os.close(self._open.pop(number))
        return size


def _check_names(delivery_id: str, finals: Sequence[str]) -> None:
    if _DELIVERY.fullmatch(delivery_id) is None:
        raise Permanent("RNK5001E", name=delivery_id, reason="delivery")
    for name in finals:
        if (problem := name_problem(name)) is not None:
            raise Permanent(problem.message_id, **problem.facts)
    if len(set(finals)) != len(finals):
        raise Permanent("RNK5023E", name=next(name for name in finals if finals.count(name) > 1))
