"""Names and bytes that survive a power failure.

Owns: the one system call behind "on disk". The files adapter has its own (`adapters.files.folder`), which a target's errors go with.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Make a file's bytes durable, or the names in a folder.

    Raises:
        OSError: it is not there, or the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
