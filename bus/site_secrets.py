"""Files that the configuration names: passwords, tokens, keys for signing, certificates. They must be there, and secrets be kept.

Owns: looking at such a file without opening it. Paths are relative to the folder of `site.yaml`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bus.site_view import Item
from contracts.errors import Problem

_OTHERS_MAY: Final = stat.S_IRWXG | stat.S_IRWXO
"""What a secret must not allow: anything to anybody but its owner."""
_NAMING_FILES: Final = ("_file", "_files", "secrets")
"""How the keys of settings end that name files."""
_NO_SECRETS: Final = ("ca_", "certificate_")
"""How the keys of files begin that everybody may read."""


def file_problems(item: Item, key: str, folder: Path, *, secret: bool) -> Iterator[Problem]:
    """What is wrong with the file that `key` names: it is not there, it cannot be read, or (a secret) others may look at it."""
    yield from _named(item, (key,), item.data.get(key), folder, secret=secret)


def settings_problems(settings: Item, folder: Path) -> Iterator[Problem]:
    """The same for every file that an endpoint's settings name, under `secrets`, `..._file` or `..._files`."""
    for key, value in settings.data.items():
        if key.endswith(_NAMING_FILES):
            yield from _named(settings, (key,), value, folder, secret=not key.startswith(_NO_SECRETS))


def _named(item: Item, keys: tuple[str | int, ...], value: Any, folder: Path, *, secret: bool) -> Iterator[Problem]:
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _named(item, (*keys, index), one, folder, secret=secret)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _named(item, (*keys, key), one, folder, secret=secret)
    elif isinstance(value, str) and value:
        yield from _looked_at(item, keys, folder / value, secret=secret)


def _looked_at(item: Item, keys: tuple[str | int, ...], path: Path, *, secret: bool) -> Iterator[Problem]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield item.problem("RNK2233E", *keys, path=str(path), reason=error.strerror or str(error))
        return
    if stat.S_ISDIR(mode) or not os.access(path, os.R_OK):
        reason = os.strerror(errno.EISDIR if stat.S_ISDIR(mode) else errno.EACCES)
        yield item.problem("RNK2233E", *keys, path=str(path), reason=reason)
    elif secret and mode & _OTHERS_MAY:
        yield item.problem("RNK2234E", *keys, path=str(path), mode=f"{stat.S_IMODE(mode):04o}")
