"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version


def described(*libraries: str) -> dict[str, object]:
    """Cores, processor, Python, and the versions of the libraries that the work leans on."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in libraries},
    }
