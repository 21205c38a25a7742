"""Where the commands about contracts find them: the library, the site's own folders, and those named on the command line.

Owns: the search. Used by `contract list|show|check|test|docs|diff`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli.session import Session

if TYPE_CHECKING:
    from bus.site import Site
    from contracts.registry import Registry

Folders = Annotated[
    list[Path] | None, typer.Option("--folder", help="A folder with more contracts; may stand several times. A site's own are found.")
]


def registry(session: Session, folders: Sequence[Path] | None) -> Registry:
    """The library's contracts, the site's own when a site is here, and those of `folders`.

    Raises:
        DocumentInvalid: with every problem of every file.
    """
    from contracts.registry import Registry

    return Registry.load([*site_contracts(session.folder), *(folders or [])])


def site_contracts(folder: Path) -> list[Path]:
    """The contract folders that a `site.yaml` in `folder` names; none without one.

    Raises:
        DocumentInvalid: `site.yaml` has problems.
    """
    site = _site(folder)
    return [folder / name for name in site.contracts] if site else []


def site_translations(folder: Path) -> list[Path]:
    """The translation folders that a `site.yaml` in `folder` names; none without one.

    Raises:
        DocumentInvalid: `site.yaml` has problems.
    """
    site = _site(folder)
    return [folder / name for name in site.translations] if site else []


def _site(folder: Path) -> Site | None:
    from bus.site import Site
    from contracts.documents import parse, read_document

    file = folder / "site.yaml"
    return parse(read_document(file), Site) if file.is_file() else None
