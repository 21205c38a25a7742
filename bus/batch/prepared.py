"""Good records between intake and fan-out, kept as Arrow files in the work folder so that no worker holds a whole file in memory.

Owns: the work folder. It is a cache: everything in it can be made again from the journal's parts, and nothing of an earlier boot of the
machine is trusted (the files are not synced). One folder per message, removed when its deliveries are finished.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """The work folder of this boot. `root` is created 0700; folders of earlier boots are removed by `clear_earlier_boots`."""

    root: Path

    @staticmethod
    def of(folder: Path) -> WorkFolder:
        """The part of `folder` that belongs to this boot of the machine."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return WorkFolder(folder / boot)

    def clear_earlier_boots(self) -> None:
        """Remove what earlier boots left."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for other in self.root.parent.iterdir():
            if other != self.root:
                shutil.rmtree(other, ignore_errors=True)

    def message(self, message_id: str) -> Path:
        """The folder of one message, made if need be."""
        folder = self.root / message_id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def messages(self) -> list[str]:
        """The messages that have a folder here."""
        return [folder.name for folder in self.root.iterdir()] if self.root.is_dir() else []

    def forget(self, message_id: str) -> None:
        """Remove the folder of a message; nothing happens when it is gone."""
        shutil.rmtree(self.root / message_id, ignore_errors=True)


def prepared_path(folder: Path, index: int) -> Path:
    """Where a chunk's good records stand."""
    return folder / f"{index:06d}.arrow"


def keys_path(folder: Path, index: int) -> Path:
    """Where the key hashes of a chunk's good records stand, in the same order."""
    return folder / f"{index:06d}.keys.npy"


def write_prepared(frame: pl.DataFrame, path: Path) -> None:
    """Keep a chunk's good records."""
    frame.write_ipc(path, compression="uncompressed")


def read_prepared(path: Path, records: int, columns: list[str] | None = None) -> pl.DataFrame | None:
    """The good records of a chunk, all columns or some, or None when the file is not there or not whole."""
    try:
        frame = pl.read_ipc(path, columns=columns)
    except (OSError, pl.exceptions.PolarsError):
        return None
    return frame if frame.height == records else None


def write_keys(frame: pl.DataFrame, key: list[str], seed: int, path: Path) -> None:
    """Keep a keyed 64-bit hash per record. Equal keys have equal hashes; that unequal keys have unequal ones is verified later."""
    hashes = frame.select(key).hash_rows(seed=seed)
    np.save(path, hashes.to_numpy())


def read_keys(path: Path) -> npt.NDArray[np.uint64]:
    """The hashes of one chunk."""
    keys: npt.NDArray[np.uint64] = np.load(path)
    return keys
