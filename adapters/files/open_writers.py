"""Whether any process still writes to a file: the second half of "complete" where there is no completion marker.

Owns: asking the kernel. A read lease (`F_SETLEASE`) is refused exactly while the file is open for writing anywhere on this machine; it
needs the file's owner or CAP_LEASE and a local file system. Elsewhere `/proc` is searched, which sees the processes we may look into.
A writer on another machine (NFS, SMB) is seen by neither: there, only size and time standing still can be asked for.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path


def is_being_written(path: Path) -> bool:
    """Whether a process holds `path` (a regular file) open for writing.

    Raises:
        OSError: the file cannot be opened for reading.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        leased = _lease(descriptor)
        return _found_in_proc(os.fstat(descriptor)) if leased is None else not leased
    finally:
        os.close(descriptor)


def _lease(descriptor: int) -> bool | None:
    """True: granted (and given back), nobody writes. False: somebody does. None: the kernel does not say."""
    try:
        # The kernel signals a lease holder when a writer comes; by default with SIGIO, which ends the process. SIGURG is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return False if error.errno == errno.EAGAIN else None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True


def _found_in_proc(wanted: os.stat_result) -> bool:
    return any(_writes(link, wanted) for link in _descriptors())


def _descriptors() -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                yield from (process / "fd").iterdir()
            except OSError:
                continue  # gone, or not ours to look into


def _writes(link: Path, wanted: os.stat_result) -> bool:
    try:
        found = link.stat()
        if (found.st_dev, found.st_ino) != (wanted.st_dev, wanted.st_ino):
            return False
        lines = (link.parent.parent / "fdinfo" / link.name).read_text("ascii").splitlines()
    except OSError:
        return False
    flags = next((int(line.split()[1], 8) for line in lines if line.startswith("flags:")), 0)
    return flags & os.O_ACCMODE != os.O_RDONLY
