"""The example site: three municipalities with synthetic people, commented in Japanese and English, ready for `renkei up`.

Owns: the files beside this one and where they go in a new site folder. It passes `renkei check` as written. One is a record to publish.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from bus.errors import SiteInvalid

TENANTS: Final = ("332020", "372013", "382019")
"""Kurashiki, Takamatsu, Matsuyama."""
_PLACES: Final = {
    "site.yaml": "site.yaml",
    **{f"tenant-{code}.yaml": f"tenants/{code}.yaml" for code in TENANTS},
    "translation-resident-to-welfare.yaml": "translations/resident-to-welfare@1.0.yaml",
    "moved-in.json": "samples/moved_in.json",
}
_FOLDERS: Final = ("contracts", *(f"drop/{code}" for code in TENANTS), *(f"out/{code}" for code in TENANTS))


def write_example(folder: Path) -> list[Path]:
    """Write the example site into `folder`, which is made when missing; returns the files written.

    Raises:
        SiteInvalid: one of the files is already there; nothing was written.
        OSError: the folder cannot be written.
    """
    targets = {source: folder / target for source, target in _PLACES.items()}
    for target in targets.values():
        if target.exists():
            raise SiteInvalid("RNK2007E", path=str(target))
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for source, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((files(__package__) / source).read_bytes())
    return list(targets.values())
