"""The command `api export`: the API's documents as files, for the developers of applications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bus.cli import show
from bus.cli.exits import WrongOption
from bus.cli.link import site_folder
from bus.cli.session import session_of


def commands() -> typer.Typer:
    """The group `api`."""
    group = typer.Typer(no_args_is_help=True, help="The API of applications. What it offers, as documents.")
    group.callback()(_group)
    group.command()(export)
    return group


def _group() -> None:
    """Keep `export` a command of its own: a group with one command would swallow its name."""


def export(
    context: typer.Context,
    openapi: Annotated[Path | None, typer.Option(help="Write the OpenAPI document to this file.")] = None,
    asyncapi: Annotated[Path | None, typer.Option(help="Write the AsyncAPI document to this file.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only, with the schemas of its contracts (6 digits).")] = None,
) -> None:
    """Write the API's documents. They follow from the configuration; no node need run."""
    session = session_of(context)
    if openapi is None and asyncapi is None:
        raise WrongOption("RNK7230E")
    folder = site_folder(session.folder)
    from bus.api.export import exported

    documents = zip((openapi, asyncapi), exported(folder, tenant), strict=True)
    for file, document in documents:
        if file is not None:
            _write(file, document)
            show.say(session, "RNK7232I", file=str(file))


def _write(file: Path, document: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise WrongOption("RNK7231E", file=str(file), reason=error.strerror or str(error)) from error
