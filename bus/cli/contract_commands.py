"""Commands about contracts: `contract list|show|check|test|docs`, and `diff` of `bus.cli.contract_diff`. They need no site and no node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli import show
from bus.cli.contract_cases import failures_of
from bus.cli.contract_diff import diff
from bus.cli.contract_sources import Folders, registry
from bus.cli.exits import ExitCode, NothingThere
from bus.cli.night import Json
from bus.cli.progress import Progress
from bus.cli.session import Session, session_of

if TYPE_CHECKING:
    from contracts.model import Contract

ContractName = Annotated[str, typer.Argument(help="Name and version, e.g. resident@1.0.")]

UNKNOWN_VERSION = "不明"
"""As the library's contracts say that the version of the document they follow is not known."""

FIELDS: show.Columns = [
    ("field", "name"),
    ("label", "label"),
    ("type", "type"),
    ("length", lambda row: row["digits"] or row["length"]),
    ("required", "required"),
    ("codes", "codes"),
    ("sensitivity", lambda row: "" if row["sensitivity"] == "none" else row["sensitivity"]),
]


class DocsFormat(StrEnum):
    """Forms of a data dictionary."""

    MARKDOWN = "markdown"
    HTML = "html"


def commands() -> typer.Typer:
    """The group `contract`."""
    group = typer.Typer(no_args_is_help=True, help="Contracts. What a record must be, and the text layouts it may stand in.")
    group.command("list")(list_contracts)
    group.command("show")(show_contract)
    group.command("check")(check_contracts)
    group.command("test")(try_file)
    group.command("docs")(docs)
    group.command("diff")(diff)
    return group


def list_contracts(context: typer.Context, folder: Folders = None, json_too: Json = False) -> None:
    """List the contracts. The library's, the site's own, and those of --folder."""
    session = session_of(context)
    known = registry(session, folder)
    found = []
    for name in known.names():
        contract = known.contract(name)
        found.append(
            {
                "contract": name,
                "title": getattr(contract.title, session.language),
                "fields": len(contract.fields),
                "layouts": sorted(known.layouts(name)),
                "status": contract.follows.status,
                "follows": _follows(contract),
                "file": str(known.file(name)),
            }
        )
    heads = ("contract", "title", "fields", "layouts", "status", "follows")
    show.rows(session, found, [(head, head) for head in heads], json_too=json_too)


def _follows(contract: Contract) -> str:
    """The document and its version; the version only where one is known."""
    version = contract.follows.version
    return contract.follows.document if version == UNKNOWN_VERSION else f"{contract.follows.document} {version}"


def show_contract(context: typer.Context, name: ContractName, folder: Folders = None, json_too: Json = False) -> None:
    """Show one contract. Its fields, key, layouts and what it follows."""
    session = session_of(context)
    known = registry(session, folder)
    contract = known.contract(name)
    whole: dict[str, Any] = contract.model_dump(mode="json", by_alias=True, exclude_none=True)
    if json_too:
        layouts = {label: layout.model_dump(mode="json", exclude_none=True) for label, layout in known.layouts(name).items()}
        show.as_json(session, {**whole, "layouts": layouts, "digest": known.digest(name)})
        return
    show.facts(
        session,
        {
            "contract": name,
            "title": getattr(contract.title, session.language),
            "follows": _follows(contract),
            "status": contract.follows.status,
            "key": contract.key,
            "control_sums": contract.control_sums,
            "layouts": sorted(known.layouts(name)),
            "rules": [rule.id for rule in contract.rules],
            "file": str(known.file(name)),
            "digest": known.digest(name),
        },
    )
    show.rows(session, [field.model_dump(mode="json") for field in contract.fields], FIELDS, json_too=False, title="fields")


def check_contracts(context: typer.Context, folder: Folders = None, json_too: Json = False) -> None:
    """Check contracts and run the cases beside them on both validators. Every problem at once, with file and line."""
    session = session_of(context)
    known = registry(session, folder)
    failures = [failure for name in known.names() for failure in failures_of(known, name)]
    if json_too:
        warnings = [show.problem_facts(problem, session.language) for problem in known.warnings]
        show.as_json(session, {"contracts": known.names(), "warnings": warnings, "failed_cases": failures})
    else:
        for problem in known.warnings:
            show.problem(session.out, problem, session.language)
        for failure in failures:
            show.say(session, "RNK6041E", **failure)
        if not failures:
            show.say(session, "RNK6040I", count=len(known.names()), warnings=len(known.warnings))
    raise typer.Exit(ExitCode.ABNORMAL if failures else ExitCode.WARNING if known.warnings else ExitCode.NORMAL)


def try_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to test.")],
    contract: Annotated[str, typer.Option(help="Contract, e.g. resident@1.0.")],
    layout: Annotated[str, typer.Option(help="One of the contract's layouts, e.g. mainframe_csv.")],
    xlsx: Annotated[Path | None, typer.Option(help="Write the findings to this workbook, values masked.")] = None,
    folder: Folders = None,
    json_too: Json = False,
) -> None:
    """Test a file against a contract. Which line, byte and field breaks which rule; nothing is taken in."""
    session = session_of(context)
    if not file.is_file():
        raise NothingThere("RNK6006E", file=str(file))
    known = registry(session, folder)
    from contracts.contract_test import test_file
    from contracts.explain import label
    from contracts.report import write_xlsx

    with Progress(session, silent=json_too) as bar:
        result = test_file(file, known.contract(contract), known.layout(contract, layout), progress=partial(bar.show, "read"))
    if xlsx is not None:
        write_xlsx(result, xlsx, session.language)
    counts = {"records": result.records, "good": result.good, "rejected": result.rejected, "warned": result.warned}
    broken = [
        {"field": field, "rule": rule, "severity": severity, "count": number} for (field, rule, severity), number in result.broken.items()
    ]
    disagreements = [asdict(one) for one in result.disagreements]
    if json_too:
        show.as_json(session, {"file": str(file), **counts, "broken": broken, "disagreements": disagreements})
    else:
        named = [{**row, "label": label(result.contract, str(row["field"]), session.language)} for row in broken]
        _told_test(session, file, counts, named, disagreements)
        if xlsx is not None:
            show.say(session, "RNK6044I", file=str(xlsx))
    raise typer.Exit(ExitCode.ABNORMAL if disagreements else ExitCode.WARNING if result.rejected else ExitCode.NORMAL)


def _told_test(
    session: Session, file: Path, counts: Mapping[str, int], broken: list[dict[str, Any]], disagreements: list[dict[str, str]]
) -> None:
    """The result of a test: whether it passed, which rules were broken how often, which totals disagree."""
    message = "RNK6043W" if counts["rejected"] else "RNK6042I"
    show.say(session, message, file=str(file), **{name: f"{number:,}" for name, number in counts.items()})
    if broken:
        heads = ("field", "label", "rule", "severity", "count")
        show.rows(session, broken, [(head, head) for head in heads], json_too=False)
    for one in disagreements:
        show.say(session, "RNK6046E", **one)


def docs(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Contracts; all of them when none is named.")] = None,
    form: Annotated[DocsFormat, typer.Option("--format", help="Form of the dictionary.")] = DocsFormat.MARKDOWN,
    output: Annotated[Path | None, typer.Option(help="Write one file per contract into this folder instead of showing it.")] = None,
    folder: Folders = None,
) -> None:
    """Make the data dictionary of contracts. It is in the language of the command."""
    session = session_of(context)
    known = registry(session, folder)
    from contracts.dictionary import dictionary

    for name in names or known.names():
        text = dictionary(known.contract(name), known.layouts(name), session.language, "html" if form is DocsFormat.HTML else "markdown")
        if output is None:
            session.out.file.write(text)
            continue
        output.mkdir(parents=True, exist_ok=True)
        written = output / f"{name}.{session.language}.{'html' if form is DocsFormat.HTML else 'md'}"
        written.write_text(text, "utf-8")
        show.say(session, "RNK6044I", file=str(written))
