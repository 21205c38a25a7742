"""The command `contract diff`: what changes from one version of a contract to another, and whom it breaks.

Owns: finding the two contracts, by name or as files, and showing the changes. Which changes there are and what they break is decided in
`contracts.compatibility`. The exit code is for a pipeline: 0 no difference, 4 differences that break nobody, 8 breaking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bus.cli import show
from bus.cli.contract_sources import Folders, registry, site_translations
from bus.cli.exits import ExitCode, NothingThere
from bus.cli.language import word
from bus.cli.night import Json
from bus.cli.session import Session, session_of

if TYPE_CHECKING:
    from contracts.compatibility import Compatibility
    from contracts.layouts.model import Layout
    from contracts.model import Contract
    from contracts.registry import Registry

OldContract = Annotated[str, typer.Argument(metavar="OLD", help="The contract as it is: name and version, or a file.")]
NewContract = Annotated[str, typer.Argument(metavar="NEW", help="The contract as it will be: name and version, or a file.")]
EventsOnly = Annotated[bool, typer.Option("--events", help="Leave out the layouts of files: what events alone meet.")]
_COLUMNS: Final[show.Columns] = [("change", "text"), ("breaking_for", "shown")]
_ENDINGS: Final = (".yaml", ".yml")


def diff(
    context: typer.Context,
    old: OldContract,
    new: NewContract,
    events: EventsOnly = False,
    folder: Folders = None,
    json_too: Json = False,
) -> None:
    """Compare two versions of a contract, field by field. Exit code 0: the same, 4: nobody is broken, 8: somebody is."""
    session = session_of(context)
    known = registry(session, folder)
    before, after = _found(known, old), _found(known, new)
    from contracts.compatibility import compare
    from contracts.translation_files import find_translations

    folders = [*site_translations(session.folder), *(folder or [])]
    translations = find_translations(folders, known).translations
    layouts = ({}, {}) if events else (before[1], after[1])
    found = compare(before[0], after[0], translations.values(), layouts=layouts)
    if json_too:
        show.as_json(session, _as_json(found, session))
    else:
        _told(session, found)
    raise typer.Exit(ExitCode.ABNORMAL if found.verdict == "breaking" else ExitCode.WARNING if found.changes else ExitCode.NORMAL)


def _found(known: Registry, given: str) -> tuple[Contract, Mapping[str, Layout]]:
    """A contract by its name, or the one of a file.

    Raises:
        ContractUnknown: no contract of that name.
        DocumentInvalid: the file has problems.
        NothingThere: there is no such file.
    """
    file = Path(given)
    if file.suffix in _ENDINGS or file.is_file():
        if not file.is_file():
            raise NothingThere("RNK6006E", file=given)
        from contracts.registry import Registry

        known = Registry.of_files([file])
        given = next(iter(known.names()), given)
    return known.contract(given), known.layouts(given)


def _as_json(found: Compatibility, session: Session) -> dict[str, Any]:
    from contracts.compatibility import BOTH

    return {
        "old": found.old,
        "new": found.new,
        "verdict": found.verdict,
        "breaking_for": [side for side in BOTH if found.breaks(side)],
        "changes": [
            {
                "field": change.field,
                "kind": change.kind,
                "breaking_for": list(change.breaking_for),
                "proven": change.proven,
                "text": change.text(session.language),
                "consequences": change.consequences(session.language),
                "facts": change.facts,
            }
            for change in found.changes
        ],
        "translations": {side: list(names) for side, names in found.translations.items()},
    }


def _told(session: Session, found: Compatibility) -> None:
    ends = {"old": found.old, "new": found.new}
    if not found.changes:
        show.say(session, "RNK6500I", **ends)
        return
    rows = [
        {"text": change.text(session.language), "shown": [*change.breaking_for, *([] if change.proven else ["unproven"])]}
        for change in found.changes
    ]
    show.rows(session, rows, _COLUMNS, json_too=False)
    for line in dict.fromkeys(line for change in found.changes for line in change.consequences(session.language)):
        session.out.print(f"  {line}", soft_wrap=True, markup=False, highlight=False)
    if found.verdict == "compatible":
        show.say(session, "RNK6501I", **ends, count=len(found.changes))
        return
    breaking = sum(1 for change in found.changes if change.breaking_for)
    show.say(session, "RNK6502E", **ends, count=len(found.changes), breaking=breaking, sides=_named(session, found))
    for side, names in found.translations.items():
        if names and found.breaks(side):
            show.say(session, "RNK6503I", sides=word(f"value.{side}", session.language), translations=", ".join(names))


def _named(session: Session, found: Compatibility) -> str:
    from contracts.compatibility import BOTH

    sides: Sequence[str] = [word(f"value.{side}", session.language) for side in BOTH if found.breaks(side)]
    return ("、" if session.language == "ja" else ", ").join(sides)
