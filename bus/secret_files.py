"""Secrets of one line that stand in files: passwords and keys.

Owns: reading them, always anew, so that one that is changed needs no restart. Whether the configuration may name such a file is checked in
`bus.site_secrets`; keys for signing webhooks have a stricter reader of their own.
"""

from __future__ import annotations

import errno
from pathlib import Path


def read_secret(file: Path) -> str:
    """What stands in the file now, without the line break at its end; blanks belong to it.

    Raises:
        OSError: it cannot be read, or holds no UTF-8 text. Nothing of what it holds is told.
    """
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "no text in UTF-8", str(file)) from None
