"""What files need from a local folder: renames that never overwrite, durable names, private folders.

Owns: the system calls behind them. Raises OSError; callers translate with `adapters.files.errors`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o700
_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_NOT_OFFERED: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
"""What a kernel or file system (older NFS, some FUSE) says when it has no rename that refuses to replace."""


def rename_noreplace(source: Path, target: Path) -> None:
    """Rename within one file system, atomically, never over an existing name.

    Where the file system cannot refuse by itself, the name is looked for first: safe as long as nobody but the bus creates such names.
    A hard link followed by unlink would be refused by the file system, but a crash between the two, with a receiver that takes the new
    name at once, would publish a second time.

    Raises:
        FileExistsError: `target` is there; nothing was changed. OSError: as rename(2).
    """
    renamed = _renameat2(source, target)
    if renamed == errno.EEXIST:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    if renamed in _NOT_OFFERED:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        source.rename(target)
    elif renamed:
        raise OSError(renamed, os.strerror(renamed), str(source))


def _renameat2(source: Path, target: Path) -> int:
    """The errno of renameat2(2) with RENAME_NOREPLACE, 0 when it was done."""
    call = getattr(_LIBC, "renameat2", None)
    if call is None:
        return errno.ENOSYS
    done = call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(_RENAME_NOREPLACE))
    return 0 if done == 0 else ctypes.get_errno()


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> None:
    """Make `folder` if it is missing, readable by its owner only, also when it was there with wider rights.

    Raises:
        NotADirectoryError: a file or a symlink of that name; what is behind a link is not ours to trust.
    """
    try:
        folder.mkdir(mode=PRIVATE)
        sync_folder(folder.parent)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
        if stat.S_IMODE(found.st_mode) != PRIVATE:
            folder.chmod(PRIVATE)


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a new small file, for its owner only until it is whole, and make its bytes durable (the folder is the caller's to sync).

    Raises:
        FileExistsError: the name is taken.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, offset: int = 0) -> None:
    """pwrite(2) from `offset` until every byte is written."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
