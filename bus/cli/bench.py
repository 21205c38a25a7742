"""The command `bench batch`: the nightly batch against its floor and its peers. The measuring itself stands in `tests/bench`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from bus.cli import show
from bus.cli.exits import NothingThere
from bus.cli.night import Json
from bus.cli.session import session_of


def commands() -> typer.Typer:
    """The group `bench`."""
    group = typer.Typer(no_args_is_help=True, help="Measure on this machine. Side by side with the same work done otherwise.")
    group.callback()(_group)
    group.command()(batch)
    return group


def _group() -> None:
    """Keep `batch` a command of its own: a group with one command would swallow its name."""


def checkout() -> Path:
    """The source checkout this program runs from.

    Raises:
        NothingThere: it runs from an installed wheel, which has no benchmarks.
    """
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "tests" / "bench" / "batch.py").is_file():
        raise NothingThere("RNK6008E", folder=str(folder))
    return folder


def measuring(folder: Path) -> Callable[..., dict[str, Any]]:
    """The measuring function of a checkout."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    measure: Callable[..., dict[str, Any]] = import_module("tests.bench.batch").run
    return measure


def batch(
    context: typer.Context,
    records: Annotated[int, typer.Option(min=1, help="Records in the file.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of floor and batch; medians are shown.")] = 5,
    json_too: Json = False,
) -> None:
    """Measure the nightly batch. A CP932 file in, three files out, side by side with writing the same bytes and with peers."""
    session = session_of(context)
    found = measuring(checkout())(records=records, rounds=rounds, as_json=json_too)
    if json_too:
        show.as_json(session, found)
    else:
        show.facts(session, {name: value for name, value in found.items() if not isinstance(value, dict | list)})
