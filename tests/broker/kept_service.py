"""A service that does nothing, to see how long its warden keeps it: a pipe that is open as long as its warden lives."""

from __future__ import annotations

import os
from pathlib import Path


class KeptService:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.pipe = os.open(os.environ["KEPT_ALIVE"], os.O_WRONLY)

    def start(self) -> None:
        pass

    def facts(self) -> dict[str, int]:
        return {"pid": os.getpid()}

    def close(self) -> None:
        os.write(self.pipe, b"closed")
