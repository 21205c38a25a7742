"""The `settings:` of an endpoint whose adapter is `files`, for each direction.

Owns: the words and their checks. `folder` is absolute, or relative to the folder of `site.yaml`; a relative one belongs to the site and
is made when missing, an absolute one (a mount, a share) must be there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from bus.names import NamePattern, lint
from contracts.model import Strict

Direction = Literal["source", "sink"]
FolderName = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]+$")]


class SourceSettings(Strict):
    """A folder that a system drops files into.

    With `marker` (the default), a file is complete when its completion marker stands beside it. With `marker: null`, when its size and
    time have stood still for `stable_seconds` and no process holds it open for writing. Names that fit a glob of `ignore`, and names
    with a leading dot, are the sender's own temporary files and are left alone.
    """

    folder: FolderName
    marker: str | None = "{name}.end"
    stable_seconds: float = Field(default=10.0, gt=0, le=86_400)
    ignore: list[str] = Field(default_factory=lambda: ["*.tmp", "*.part", "*.filepart"])
    claimed: str = "claimed"
    """a folder for claimed files, relative to `folder`; must be on the same file system"""
    refused: str = "refused"
    """the restricted folder for refused files, relative to `folder`; the same file system too"""

    @field_validator("marker")
    @classmethod
    def _tells_its_file(cls, marker: str | None) -> str | None:
        if marker is None:
            return marker
        if problems := lint(marker, "marker"):
            raise ValueError(f"no marker pattern: {problems[0].facts}")
        words = NamePattern(marker).words
        if words not in ({"name"}, {"stem"}) or marker in ("{name}", "{stem}"):
            raise ValueError("the marker's name must be {name} or {stem} with something added, e.g. {name}.end")
        return marker


class SinkSettings(Strict):
    """A folder that a system takes files from. `file_mode` is what the published files may be read by, as octal text."""

    folder: FolderName
    file_mode: Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$")] = "0640"


def place_of(setting: str, site_folder: Path) -> Path:
    """Where the folder is that a setting names."""
    return (site_folder / setting).absolute()


def make_own(setting: str, place: Path) -> None:
    """Make the folder that a setting names, when it belongs to the site (is relative) and is missing.

    Raises:
        OSError: it cannot be made.
    """
    if not Path(setting).is_absolute():
        place.mkdir(parents=True, exist_ok=True)
