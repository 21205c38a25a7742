"""The commands `bench ...`: this machine's figures, beside floors and peers. The measuring itself stands in `tests/bench`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bus.cli import show
from bus.cli.exits import ExitCode, NothingThere
from bus.cli.night import Json
from bus.cli.session import Session, session_of


def commands() -> typer.Typer:
    """The group `bench`."""
    group = typer.Typer(no_args_is_help=True, help="Measure on this machine. Side by side with the same work done otherwise.")
    for command in (batch, http, amqp, backlog, tenants, event_faults):
        group.command()(command)
    return group


def checkout() -> Path:
    """The source checkout this program runs from.

    Raises:
        NothingThere: it runs from an installed wheel, which has no benchmarks.
    """
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "tests" / "bench" / "batch.py").is_file():
        raise NothingThere("RNK6008E", folder=str(folder))
    return folder


def measuring(module: str) -> Callable[..., dict[str, Any]]:
    """The measuring function of a module of `tests/bench`.

    Raises:
        NothingThere: see `checkout`.
    """
    folder = checkout()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    measure: Callable[..., dict[str, Any]] = import_module(f"tests.bench.{module}").run
    return measure


Rounds = Annotated[int, typer.Option(min=1, help="Rounds; medians are shown.")]


def batch(
    context: typer.Context,
    records: Annotated[int, typer.Option(min=1, help="Records in the file.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of floor and batch; medians are shown.")] = 5,
    json_too: Json = False,
) -> None:
    """Measure the nightly batch. A CP932 file in, three files out, side by side with writing the same bytes and with peers."""
    session = session_of(context)
    found = measuring("batch")(records=records, rounds=rounds, as_json=json_too)
    _show(session, found, json_too)


def http(
    context: typer.Context,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of load in each round.")] = 8,
    rounds: Rounds = 5,
    json_too: Json = False,
) -> None:
    """Measure publishing over HTTP. 64 connections, each answer after the commit, beside a bare application that keeps nothing."""
    _show(session_of(context), measuring("http_publish")(seconds=seconds, rounds=rounds), json_too)


def amqp(
    context: typer.Context,
    messages: Annotated[int, typer.Option(min=100, help="Messages in each round.")] = 30_000,
    rounds: Rounds = 5,
    json_too: Json = False,
) -> None:
    """Measure AMQP in to AMQP out. Validated, journalled and routed, beside aio-pika alone and a FastStream application."""
    _show(session_of(context), measuring("amqp_flow")(messages=messages, rounds=rounds), json_too)


def backlog(
    context: typer.Context,
    deliveries: Annotated[int, typer.Option(min=1000, help="Deliveries that wait.")] = 1_000_000,
    rounds: Rounds = 5,
    json_too: Json = False,
) -> None:
    """Measure operators' actions and intake beside a long backlog."""
    _show(session_of(context), measuring("backlog")(deliveries=deliveries, rounds=rounds), json_too)


def tenants(
    context: typer.Context,
    count: Annotated[int, typer.Option("--tenants", min=1, help="Municipalities.")] = 1700,
    with_amqp: Annotated[int, typer.Option(min=0, help="How many of them have AMQP endpoints.")] = 100,
    json_too: Json = False,
) -> None:
    """Measure what many municipalities cost one node: check, start, memory, metric series."""
    _show(session_of(context), measuring("tenants")(tenants=count, with_amqp=with_amqp), json_too)


def event_faults(
    context: typer.Context,
    events: Annotated[int, typer.Option(min=500, help="Events on each back end.")] = 100_000,
    back_ends: Annotated[Literal["embedded", "services", "both"], typer.Option(help="On what the nodes stand.")] = "both",
    json_too: Json = False,
) -> None:
    """Kill nodes and cut connections while events flow. Nothing may be lost, doubled in effect, or overtaken; ends 8 otherwise."""
    found = measuring("event_faults")(events=events, back_ends=back_ends, as_json=json_too)
    _show(session_of(context), found, json_too)
    if not found["good"]:
        raise typer.Exit(ExitCode.ABNORMAL)


def _show(session: Session, found: dict[str, Any], json_too: bool) -> None:
    if json_too:
        show.as_json(session, found)
    else:
        show.facts(session, {name: value for name, value in found.items() if not isinstance(value, dict | list)})
