"""Commands about the site itself: `init`, `check`, `up`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bus.cli import show
from bus.cli.exits import ExitCode
from bus.cli.link import Role, serve, site_folder
from bus.cli.night import Json
from bus.cli.session import session_of


def add(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (init, check, up):
        app.command()(command)


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
) -> None:
    """Write a commented example site. It holds Kurashiki, Takamatsu and Matsuyama, with three subscribers each."""
    session = session_of(context)
    from bus.example import write_example

    write_example(folder)
    show.say(session, "RNK6030I", folder=str(folder.absolute()), given=str(folder))


def check(context: typer.Context, json_too: Json = False) -> None:
    """Check the site's configuration. Every problem is shown at once, each with file and line and what to do."""
    session = session_of(context)
    from bus.site_check import check_site

    found = check_site(site_folder(session.folder))
    errors = sum(1 for problem in found if problem.message_id.endswith("E"))
    warnings = len(found) - errors
    if json_too:
        show.as_json(session, [show.problem_facts(problem, session.language) for problem in found])
    else:
        for problem in found:
            show.problem(session.out, problem, session.language)
        if errors:
            show.say(session, "RNK6031E", errors=errors, warnings=warnings)
        elif warnings:
            show.say(session, "RNK6032W", warnings=warnings)
        else:
            show.say(session, "RNK6033I", folder=str(session.folder.absolute()))
    raise typer.Exit(ExitCode.ABNORMAL if errors else ExitCode.WARNING if warnings else ExitCode.NORMAL)


def up(
    context: typer.Context,
    role: Annotated[Role, typer.Option(help="What this node does: all, intake, dispatch or api.")] = "all",
    node: Annotated[str | None, typer.Option(help="Name of this node. Otherwise RENKEI_NODE, otherwise that of site.yaml.")] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log one JSON object a line instead of text.")] = False,
) -> None:
    """Run the site's node. It runs until it is told to stop (Ctrl-C, SIGTERM), and logs to standard error.

    Several nodes of one site share its PostgreSQL journal, each with a name of its own.
    """
    session = session_of(context)
    serve(session.folder, session.language, log_json=log_json, role=role, node=node or os.environ.get("RENKEI_NODE"))
