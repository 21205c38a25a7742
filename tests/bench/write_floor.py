"""The floor: write so many zero bytes to three files and make them durable. `python write_floor.py FOLDER BYTES BYTES BYTES`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

BLOCK = bytes(1024 * 1024)


def write_zeros(path: Path, length: int) -> int:
    """Write the file; returns its descriptor, not yet synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    while length:
        length -= os.write(descriptor, BLOCK[: min(length, len(BLOCK))])
    return descriptor


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    descriptors = [write_zeros(folder / f"zeros-{number}", int(length)) for number, length in enumerate(sys.argv[2:])]
    for descriptor in descriptors:
        os.fsync(descriptor)
