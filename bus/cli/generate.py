"""The command `generate`: synthetic data of a contract, for trying, testing and measuring. Nobody in it exists."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli import show
from bus.cli.exits import WrongOption
from bus.cli.night import Json
from bus.cli.progress import Progress
from bus.cli.session import session_of
from contracts.errors import ContractUnknown

if TYPE_CHECKING:
    from contracts.synthetic import Manifest

Watch = Callable[[str, int, int], None]


class CannotMake(WrongOption):
    """What was asked cannot be made: a kind of mistake that the layout does not have, a business date that is none."""


def make(
    path: Path,
    *,
    contract: str,
    layout: str,
    records: int,
    seed: int,
    bad_share: float,
    tenant: str,
    business_date: str,
    kinds: Sequence[str] | None = None,
    watch: Watch,
) -> Manifest:
    """Write a synthetic file. The same arguments give the same bytes.

    Raises:
        ContractUnknown: nothing can be made of that contract or layout. CannotMake: see there. OSError: the file cannot be written.
    """
    from contracts.synthetic import GENERATED_CONTRACTS
    from contracts.synthetic import generate as write

    if contract not in GENERATED_CONTRACTS:
        raise ContractUnknown("RNK6009E", contract=contract, known=", ".join(GENERATED_CONTRACTS))
    try:
        return write(
            contract,
            layout,
            path,
            records=records,
            seed=seed,
            bad_share=bad_share,
            kinds=kinds,
            tenant=tenant,
            business_date=business_date,
            progress=lambda done: watch("generating", done, records),
        )
    except ValueError as error:
        raise CannotMake("RNK6018E", reason=str(error)) from error


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(generate)


def generate(
    context: typer.Context,
    output: Annotated[Path, typer.Argument(help="File to write.")],
    contract: Annotated[str, typer.Option(help="Contract, e.g. resident@1.0.")] = "resident@1.0",
    layout: Annotated[str, typer.Option(help="Layout of the contract, e.g. mainframe_csv or mainframe_fixed.")] = "mainframe_csv",
    records: Annotated[int, typer.Option(min=0, help="Number of records.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same data.")] = 1,
    bad_share: Annotated[float, typer.Option(min=0, max=1, help="Share of records broken on purpose (0 to 1).")] = 0.0,
    kind: Annotated[list[str] | None, typer.Option(help="Kind of mistake; may stand several times. All kinds when left out.")] = None,
    tenant: Annotated[str, typer.Option(help="Six-digit code of the municipality.")] = "332020",
    business_date: Annotated[str | None, typer.Option(help="Business date of control records (YYYY-MM-DD). Today when left out.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="Write which records are broken, and how, to this JSON file.")] = None,
    json_too: Json = False,
) -> None:
    """Make synthetic data. It has households, foreigners, rare characters, and mistakes planted on purpose."""
    session = session_of(context)
    _check_day(business_date)
    with Progress(session, silent=json_too) as bar:
        made = make(
            output,
            contract=contract,
            layout=layout,
            records=records,
            seed=seed,
            bad_share=bad_share,
            kinds=kind,
            tenant=tenant,
            business_date=business_date or datetime.now().astimezone().date().isoformat(),
            watch=bar.show,
        )
    if manifest is not None:
        manifest.write_text(json.dumps(made.as_json(), ensure_ascii=False, indent=2) + "\n", "utf-8")
    if json_too:
        show.as_json(session, {"file": str(output), **made.as_json()})
    else:
        show.say(session, "RNK6045I", file=str(output), records=f"{made.records:,}", planted=f"{sum(map(len, made.bad.values())):,}")


def _check_day(given: str | None) -> None:
    """Raises CannotMake when it is no day."""
    try:
        date.fromisoformat(given or "2026-01-01")
    except ValueError as error:
        raise CannotMake("RNK6019E", option="--business-date", found=given) from error
