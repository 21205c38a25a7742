"""The command `generate`: synthetic data of a contract, for trying, testing and measuring. Nobody in it exists."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from bus.cli import show
from bus.cli.night import Json
from bus.cli.progress import Progress
from bus.cli.session import session_of

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was made: its records, and the ordinals of those broken on purpose by kind."""

    records: int
    planted: Mapping[str, Sequence[int]]

    @property
    def broken(self) -> int:
        """How many records are broken on purpose."""
        return len({ordinal for ordinals in self.planted.values() for ordinal in ordinals})


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
) -> Made:
    """Write a synthetic file. The same arguments give the same bytes.

    Raises:
        ContractUnknown: nothing can be made of that contract or layout. OSError: the file cannot be written.
    """
    manifest = import_module("contracts.synthetic").generate(
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
    return Made(records, manifest)


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
        manifest.write_text(json.dumps(made.planted, ensure_ascii=False, indent=2) + "\n", "utf-8")
    if json_too:
        show.as_json(session, {"file": str(output), "records": made.records, "planted": dict(made.planted)})
    else:
        show.say(session, "RNK6045I", file=str(output), records=f"{made.records:,}", planted=f"{made.broken:,}")
