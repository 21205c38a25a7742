"""Files that applications upload piece by piece, over lines that break and nodes that restart.

Owns: what lies on disk of each upload. An offset is told only when the bytes below it and the offset itself are durable: whatever lies
beyond it after a crash is cut off. The whole file is moved to the submissions, in one rename, and goes the way of any file. Everything here
blocks; callers use threads.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from bus.adapter_ports import Arrival
from bus.durable import sync
from bus.errors import NotFound, OperationRefused
from bus.intake_submitted import Submissions
from bus.message import Receipt
from bus.names import name_problem
from bus.ports import QueryJournal

MOST_BYTES: Final = 64 * 1024**3
MOST_OPEN: Final = 200
"""Unfinished uploads of one tenant."""
KEPT_SECONDS: Final = 7 * 24 * 3600.0
"""How long an upload that nobody goes on with is kept, and how long what became of a finished one is told."""
RECEIPTS: Final = 1000
"""So many of a tenant's newest receipts are looked through for what became of a file after a restart."""
_INFO, _DATA, _OFFSET = "info.json", "data", "offset"


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as it was announced. `system` may go on with it."""

    id: str
    tenant: str
    interface: str
    system: str
    endpoint: str
    name: str
    length: int


@dataclass(frozen=True, slots=True)
class UploadState:
    """How far an upload is: `receiving`, `taking` (its intake runs), `accepted`, `duplicate`, `held`, `refused`, or `unknown` when the
    journal's newest receipts say nothing of it any more."""

    state: str
    receipt: str | None = None
    message: str | None = None


class UploadBusy(OperationRefused):
    """Another request writes to the upload."""


class Uploads:
    """The uploads of one node, in `folder`. Safe to use from several threads."""

    def __init__(self, folder: Path, submissions: Submissions, journal: QueryJournal) -> None:
        self._folder = folder
        self._submissions = submissions
        self._journal = journal
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, tenant: str, interface: str, system: str, name: str, length: int) -> Upload:
        """Announce a file of `length` bytes. The upload is durable when this returns.

        Raises:
            OperationRefused: the interface takes no file of that name, or too many uploads are open. Permanent: the file may not have
                that name. OSError: no room on the disk.
        """
        if (problem := name_problem(name)) is not None:
            raise OperationRefused(problem.message_id, **problem.facts)
        endpoint = self._submissions.endpoint_of(name, interface, tenant)
        own = self._folder / tenant
        own.mkdir(parents=True, mode=0o700, exist_ok=True)
        if sum(1 for one in own.iterdir() if (one / _DATA).exists()) >= MOST_OPEN:
            raise OperationRefused("RNK7220E", most=MOST_OPEN)
        if shutil.disk_usage(own).free < length:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        upload = Upload(secrets.token_hex(16), tenant, interface, system, endpoint, name, length)
        half = own / f".{upload.id}"
        half.mkdir(mode=0o700)
        try:
            for file, text in ((_INFO, json.dumps(asdict(upload))), (_DATA, ""), (_OFFSET, _padded(0))):
                (half / file).write_text(text, "utf-8")
                sync(half / file)
            sync(half)
            half.rename(own / upload.id)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
        sync(own)
        return upload

    def find(self, tenant: str, upload_id: str) -> Upload:
        """An upload by its id.

        Raises:
            NotFound: there is none of this tenant.
        """
        if len(upload_id) == 32 and set(upload_id) <= set("0123456789abcdef"):
            with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
                return Upload(**json.loads((self._folder / tenant / upload_id / _INFO).read_text("utf-8")))
        raise NotFound("RNK3004E", what="upload", id="-")

    def offset(self, upload: Upload) -> int:
        """How many bytes are durable."""
        folder = self._of(upload)
        return int((folder / _OFFSET).read_text("ascii")) if (folder / _DATA).exists() else upload.length

    @contextlib.contextmanager
    def writing(self, upload: Upload) -> Iterator[Writing]:
        """The upload, for one writer at a time.

        Raises:
            UploadBusy: another writes. NotFound: it was handed over or removed.
        """
        with self._alone(upload.id):
            folder = self._of(upload)
            if not (folder / _DATA).exists():
                raise NotFound("RNK3004E", what="upload", id=upload.id)
            with Writing(folder, self.offset(upload), upload.length) as writing:
                yield writing

    def hand_over(self, upload: Upload) -> None:
        """Give the whole file to the intake. Twice is once.

        Raises:
            UploadBusy: another does. OSError: it cannot be moved; it is tried again by `tend`.
        """
        with self._alone(upload.id):
            self._adopt(upload)

    def remove(self, upload: Upload) -> None:
        """Forget an unfinished upload.

        Raises:
            UploadBusy: somebody writes to it. OperationRefused: it was handed over already.
        """
        with self._alone(upload.id):
            if self.offset(upload) == upload.length:
                raise OperationRefused("RNK7221E", upload=upload.id)
            shutil.rmtree(self._of(upload))

    def state(self, upload: Upload) -> UploadState:
        """How far it is. Once it is known what became of the file, that is kept beside it."""
        folder = self._of(upload)
        if (folder / _DATA).exists():
            return UploadState("receiving")
        with contextlib.suppress(FileNotFoundError, ValueError):
            return UploadState(**json.loads((folder / "outcome.json").read_text("utf-8")))
        intake = self._submissions.adopted_name(upload.tenant, upload.endpoint, upload.id)
        with contextlib.suppress(OperationRefused):
            taken = self._submissions.progress(intake).taken
            if taken is None:
                return UploadState("taking")
            return self._ended(folder, taken.receipt)
        if (self._submissions.folder / intake / upload.name).exists():
            return UploadState("taking")
        receipt = self._receipt(upload, self._submissions.folder / intake / upload.name)
        return UploadState("unknown") if receipt is None else self._ended(folder, receipt)

    def tend(self, now_seconds: float | None = None) -> None:
        """Go on with what is whole and not handed over, or could not be decided upon; remove what nobody went on with for a week."""
        now = time.time() if now_seconds is None else now_seconds
        for folder in [one for own in _folders(self._folder) for one in _folders(own)]:
            with contextlib.suppress(NotFound, UploadBusy, OSError):
                if self._forgotten(folder, now):
                    continue
                upload = self.find(folder.parent.name, folder.name)
                if (folder / _DATA).exists() and self.offset(upload) == upload.length:
                    self.hand_over(upload)
                elif not (folder / _DATA).exists():
                    self._again(upload)

    def _forgotten(self, folder: Path, now_seconds: float) -> bool:
        """Whether nobody went on with it for so long that it was removed."""
        with self._alone(folder.name):
            if now_seconds - max(one.stat().st_mtime for one in (folder, *folder.iterdir())) <= KEPT_SECONDS:
                return False
            shutil.rmtree(folder)
            return True

    def _again(self, upload: Upload) -> None:
        intake = self._submissions.adopted_name(upload.tenant, upload.endpoint, upload.id)
        try:
            self._submissions.progress(intake)
        except OperationRefused:
            self._submissions.again(intake)

    def _adopt(self, upload: Upload) -> None:
        folder = self._of(upload)
        self._submissions.adopt(folder / _DATA, upload.name, upload.tenant, upload.endpoint, upload.id)
        sync(folder)

    def _ended(self, folder: Path, receipt: Receipt) -> UploadState:
        state = UploadState(receipt.outcome.value, receipt.id, receipt.message)
        with contextlib.suppress(OSError):
            (folder / "outcome.json").write_text(json.dumps(asdict(state)), "utf-8")
        return state

    def _receipt(self, upload: Upload, path: Path) -> Receipt | None:
        """The receipt of this very file, from the journal."""
        arrival = Arrival(upload.endpoint, upload.tenant, upload.name, path, upload.length, None)
        for receipt in self._journal.receipts(tenant=upload.tenant, limit=RECEIPTS):
            if (receipt.endpoint, receipt.file_name, receipt.bytes) == (arrival.endpoint, arrival.name, arrival.bytes):
                entries = self._journal.entries(upload.tenant, subject=receipt.id, limit=1)
                if entries and entries[0].facts.get("claim") == str(path):
                    return receipt
        return None

    def _of(self, upload: Upload) -> Path:
        return self._folder / upload.tenant / upload.id

    @contextlib.contextmanager
    def _alone(self, upload_id: str) -> Iterator[None]:
        with self._lock:
            if upload_id in self._busy:
                raise UploadBusy("RNK7222E", upload=upload_id)
            self._busy.add(upload_id)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(upload_id)


@dataclass(slots=True)
class Writing:
    """The open data of an upload. What was written counts from `keep` on."""

    folder: Path
    offset: int
    length: int
    _data: int = field(init=False)
    _at: int = field(init=False)

    def __enter__(self) -> Writing:
        self._data = os.open(self.folder / _DATA, os.O_WRONLY | os.O_CLOEXEC)
        os.ftruncate(self._data, self.offset)
        self._at = self.offset
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._data)

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        return self.length - self._at

    def write(self, piece: bytes) -> None:
        """Write the next bytes.

        Raises:
            OSError: the disk is full, or failed; what was kept before stands.
        """
        view = memoryview(piece)
        while view:
            done = os.pwrite(self._data, view, self._at)
            self._at += done
            view = view[done:]

    def keep(self) -> int:
        """Make durable what was written, and the offset; returns it.

        Raises:
            OSError: the disk failed; the former offset stands.
        """
        os.fsync(self._data)
        handle = os.open(self.folder / _OFFSET, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(handle, _padded(self._at).encode("ascii"), 0)  # in place: it takes no room that may be lacking
            os.fsync(handle)
        finally:
            os.close(handle)
        self.offset = self._at
        return self.offset


def _padded(offset: int) -> str:
    return f"{offset:020d}"


def _folders(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
