"""Payload parts in a directory: the claim check of every message.

Owns: `<folder>/<tenant>/<message>/<kind>-<index>` and `<folder>/.writing/`, where parts grow before they take their name. A part is
immutable, durable (file and folders synced) when `put` returns, and proven against the journal's manifest when it is read. Folders have
mode 0700, files 0600. Several processes may put at once; none ever sees half a part under its name.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bus.direct_io import write_at
from bus.durable import sync
from bus.errors import JournalError, JournalUnavailable
from bus.message import Message, Part
from bus.ports import Binding, Seal

_WRITING: Final = ".writing"
_ORIGINAL: Final = ("original_head", "original", "original_tail")
_STEP: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class DirectoryPayloads:
    """A `bus.ports.PayloadStore` in a folder of a file system. Nodes that share it each give the name of their own as `writer`."""

    def __init__(self, folder: Path, seal: Seal, *, writer: str = "") -> None:
        self._folder = folder
        self._ending = f".{writer}.tmp" if writer else ".tmp"
        self._seal = seal
        self._durable: set[Path] = set()

    def put(self, plain: bytes, binding: Binding) -> Part:
        """Write a part: temporary file, sync, rename, sync of the folder. Putting the same part again replaces it atomically.

        Raises:
            JournalUnavailable: it could not be written (disk full, no permission ...); under its name nothing has changed.
            ValueError: the tenant, message or kind cannot be a path.
        """
        relative = _path_of(binding)
        sealed = self._seal.seal(plain, binding)
        target = self._folder / relative
        try:
            self._prepare(self._folder / _WRITING)
            self._prepare(target.parent)
            self._write(sealed, target)
        except OSError as error:
            raise JournalUnavailable("RNK3024E", path=str(target), reason=error.strerror or str(error)) from error
        digest = hashlib.sha256(plain).hexdigest()
        return Part(binding.kind, binding.index, relative, len(plain), len(sealed), digest, self._seal.name, binding.last)

    def get(self, part: Part, tenant: str, message: str) -> bytes:
        """The plain bytes, proven against the manifest: place, length and sha256.

        Raises:
            JournalError: missing, damaged, or not bound to this tenant and message.
        """
        binding = Binding(tenant, message, part.kind, part.index, part.last)
        if part.path != _path_of(binding) or part.seal != self._seal.name:
            raise JournalError("RNK3022E", path=part.path, tenant=tenant, message=message)
        try:
            descriptor = os.open(self._folder / part.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                sealed = file.read()
        except OSError as error:
            raise JournalError("RNK3020E", path=part.path, reason=error.strerror or str(error)) from error
        plain = self._seal.open(sealed, binding) if len(sealed) == part.sealed_bytes else b""
        if len(plain) != part.bytes or hashlib.sha256(plain).hexdigest() != part.sha256:
            raise JournalError("RNK3021E", path=part.path)
        return plain

    def original(self, message: Message, parts: Sequence[Part]) -> Iterator[bytes]:
        """The file of `message` as it came, part by part, in order; `parts` may hold other kinds too.

        It is put together from `original_head` (what stands before the first record), `original` (the chunks) and `original_tail`.

        Raises:
            JournalError: a part is missing, damaged or foreign; or, after the last part, the whole is not the file that came.
        """
        own = sorted((part for part in parts if part.kind in _ORIGINAL), key=lambda part: (_ORIGINAL.index(part.kind), part.index))
        chunks = [part for part in own if part.kind == "original"]
        if [(part.index, part.last) for part in chunks] != [(place, place == len(chunks) - 1) for place in range(len(chunks))]:
            raise JournalError("RNK3023E", message=message.id)
        digest, length = hashlib.sha256(), 0
        for part in own:
            plain = self.get(part, message.identity.tenant, message.id)
            digest.update(plain)
            length += len(plain)
            yield plain
        if (length, digest.hexdigest()) != (message.bytes, message.sha256):
            raise JournalError("RNK3023E", message=message.id)

    def sweep(self) -> int:
        """Remove what killed processes left half written; with a `writer`, only what was its own. Only while no other process of that
        writer (without one: no other at all) puts. Returns how many files."""
        leftovers = [path for path in (self._folder / _WRITING).glob("*.tmp") if path.name.endswith(self._ending)]
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        return len(leftovers)

    def _prepare(self, folder: Path) -> None:
        """Make a folder durable: itself and every folder above it that is ours. One sync each per process."""
        if folder in self._durable:
            return
        if folder != self._folder:
            self._prepare(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True, parents=folder == self._folder)
        sync(folder.parent)
        if len(self._durable) >= 4096:
            self._durable.clear()
        self._durable.add(folder)

    def _write(self, sealed: bytes, target: Path) -> None:
        writing = self._folder / _WRITING / f"{target.parent.name}.{target.name}.{os.getpid()}.{os.urandom(4).hex()}{self._ending}"
        descriptor = os.open(writing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0):
                write_at(writing, sealed, 0)
                os.fsync(descriptor)
            writing.rename(target)
        except BaseException:
            writing.unlink(missing_ok=True)
            raise
        sync(target.parent)


def owner_of(part: Part) -> str:
    """The name that a part is bound to besides its tenant: its message, or that of a body kept before its message had an id."""
    return part.path.split("/")[1]


def _path_of(binding: Binding) -> str:
    steps = (binding.tenant, binding.message, binding.kind)
    if not all(_STEP.fullmatch(step) for step in steps) or binding.index < 0:
        raise ValueError(f"not a place for a part: {steps} {binding.index}")
    return f"{binding.tenant}/{binding.message}/{binding.kind}-{binding.index:06d}"
