"""Commands about what waits for a person: `quarantine list|show|export|release|skip`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bus.cli import show
from bus.cli.night import QUARANTINE, Json, Limit, TenantFilter
from bus.cli.session import session_of
from bus.errors import OperationRefused
from bus.message import QuarantineKind

_LOOK_SECONDS = 0.2
EntryId = Annotated[str, typer.Argument(help="Id of the quarantine entry, e.g. 332020-q3.")]

RECORDS: show.Columns = [
    ("record", "ordinal"),
    ("line", "line"),
    ("byte", "byte"),
    ("field", "field"),
    ("rule", "rule"),
    ("severity", "severity"),
    ("value", "value"),
    ("meaning", "words"),
]
BROKEN: show.Columns = [(head, head) for head in ("field", "rule", "severity", "count")]
BROKEN_BY_EVENT: show.Columns = [(head, head) for head in ("field", "rule")]


def commands() -> typer.Typer:
    """The group `quarantine`."""
    group = typer.Typer(no_args_is_help=True, help="What waits for a person. Rejected records, refused files, deliveries given up.")
    group.command("list")(list_entries)
    group.command("show")(show_entry)
    for command in (export, release, skip):
        group.command()(command)
    group.command("release-all")(release_all)
    return group


def list_entries(
    context: typer.Context,
    tenant: TenantFilter = None,
    kind: Annotated[QuarantineKind | None, typer.Option(help="Only this kind.")] = None,
    message: Annotated[str | None, typer.Option(help="Only entries of this message.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Released and skipped ones too.")] = False,
    limit: Limit = 100,
    json_too: Json = False,
) -> None:
    """List what stands in quarantine."""
    session = session_of(context)
    with session.operations() as operations:
        state = None if everything else "open"
        found = operations.quarantine_list(tenant, kind.value if kind else None, message, state, limit)
    show.rows(session, found, QUARANTINE, json_too=json_too)


def show_entry(
    context: typer.Context,
    entry: EntryId,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="At most this many records.")] = 20,
    json_too: Json = False,
) -> None:
    """Show one entry. Its reason, and its records with every broken rule; personal values are masked."""
    session = session_of(context)
    with session.operations() as operations:
        found = operations.quarantine_show(entry, limit)
    if json_too:
        show.as_json(session, found)
        return
    told = found["entry"]
    show.rows(session, [told], QUARANTINE, json_too=False)
    facts = dict(told["facts"])
    counted = facts.pop("broken", []) or _rules_of(facts.get("reason"))
    if facts:
        show.facts(session, {name: show.Told(fact) if isinstance(fact, str) else fact for name, fact in facts.items()})
    if counted:
        columns = BROKEN if "count" in counted[0] else BROKEN_BY_EVENT
        show.rows(session, counted, columns, json_too=False, title="broken")
    broken = [
        {**record, **rule, "words": rule.get("words", {}).get(session.language, "")}
        for record in found["records"]
        for rule in record["broken"]
    ]
    if broken:
        show.rows(session, broken, RECORDS, json_too=False, title="records_shown")


def _rules_of(reason: object) -> list[dict[str, Any]]:
    """The rules that an event broke, as the reason of a refusal keeps them."""
    try:
        return list(json.loads(str(reason))["broken"])
    except (ValueError, TypeError, KeyError):
        return []


def export(
    context: typer.Context,
    entry: EntryId,
    file: Annotated[Path, typer.Argument(help="Where to write. Must not exist yet.")],
    json_too: Json = False,
) -> None:
    """Write an entry's records to a file. JSON lines for their sender, values masked; the journal notes it."""
    session = session_of(context)
    with session.operations() as operations:
        written = operations.quarantine_export(entry, str(file.absolute()))
    if json_too:
        show.as_json(session, written)
    else:
        show.say(session, "RNK6020I", entry=entry, file=str(written["path"]), records=f"{written['records']:,}")


def release_all(
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="The tenant's code.")],
    subscription: Annotated[str, typer.Option(help="The subscription whose deliveries are released.")],
    json_too: Json = False,
) -> None:
    """Let everything of one subscription go on that was given up. It runs in the node; this command waits for its end."""
    session = session_of(context)
    with session.operations() as operations:
        operation = operations.quarantine_release_all(tenant, subscription)["operation"]
        while not (found := operations.operation_progress(operation))["finished"]:
            time.sleep(_LOOK_SECONDS)
        alone = session.in_process(operations)
    if found["error"]:
        raise OperationRefused("RNK6097E", operation=operation, released=found["released"], reason=found["error"])
    if json_too:
        show.as_json(session, found)
        return
    show.say(session, "RNK6096I", operation=operation, subscription=subscription, released=f"{found['released']:,}")
    if alone and found["released"]:
        show.say(session, "RNK6024I")


def release(context: typer.Context, entry: EntryId, json_too: Json = False) -> None:
    """Let an entry go on. A delivery that was given up becomes due again, a held revision is accepted."""
    session = session_of(context)
    with session.operations() as operations:
        released = operations.quarantine_release(entry)
        alone = session.in_process(operations)
    if json_too:
        show.as_json(session, released)
        return
    show.say(session, "RNK6021I", entry=entry)
    if alone:
        show.say(session, "RNK6024I")


def skip(context: typer.Context, entry: EntryId, json_too: Json = False) -> None:
    """Give an entry up for good. Later deliveries of the same order may go then."""
    session = session_of(context)
    with session.operations() as operations:
        skipped = operations.quarantine_skip(entry)
    if json_too:
        show.as_json(session, skipped)
    else:
        show.say(session, "RNK6022I", entry=entry)
