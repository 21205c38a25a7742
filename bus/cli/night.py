"""Commands about the night's work: `intake`, `messages`, `trace`, `deliveries`, `resend`, `status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bus.cli import show
from bus.cli.exits import NothingThere, WaitedTooLong, of_progress
from bus.cli.link import Operations, Row
from bus.cli.progress import Progress
from bus.cli.session import Session, session_of
from bus.message import DeliveryState, MessageState

LOOK_EVERY_SECONDS = 0.2
UNDELIVERED = {"duplicate", "held", "refused"}
"""Outcomes that bring no delivery: what earlier deliveries of the same message still do is not waited for."""

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most this many, newest first.")]
TenantFilter = Annotated[str | None, typer.Option(help="Only this tenant: the six-digit code of the municipality.")]

MESSAGES: show.Columns = [
    ("message", "id"),
    ("business_date", show.within("identity", "business_date")),
    ("interface", show.within("identity", "interface")),
    ("sequence", show.within("identity", "sequence")),
    ("revision", "revision"),
    ("state", "state"),
    ("records", "records"),
    ("good", show.count("good")),
    ("rejected", show.count("rejected")),
    ("received_at", show.at("received_at_us")),
    ("file_or_event", "file_name"),
]
DELIVERIES: show.Columns = [
    ("delivery", "id"),
    ("message", "message"),
    ("subscription", "subscription"),
    ("state", "state"),
    ("taken_in", show.count("taken_in")),
    ("filtered", show.count("filtered")),
    ("refused", show.count("refused")),
    ("delivered", show.count("out")),
    ("attempts", "attempts"),
    ("file_name", "file_name"),
    ("last_error", show.told("last_error")),
]
EVENT_DELIVERIES: show.Columns = [
    ("delivery", "id"),
    ("subscription", "subscription"),
    ("system", "system"),
    ("number", "number"),
    ("state", "state"),
    ("attempts", "attempts"),
    ("finished_at", show.at("finished_at_us")),
    ("last_error", show.told("last_error")),
]
RECEIPTS: show.Columns = [
    ("receipt", "id"),
    ("at", show.at("at_us")),
    ("endpoint", "endpoint"),
    ("outcome", "outcome"),
    ("bytes", "bytes"),
    ("file_name", "file_name"),
    ("reason", show.told("reason")),
]
ENTRIES: show.Columns = [
    ("sequence", "sequence"),
    ("at", show.at("at_us")),
    ("kind", "kind"),
    ("subject", "subject"),
    ("facts", "facts"),
]
QUARANTINE: show.Columns = [
    ("quarantine_entry", "id"),
    ("kind", "kind"),
    ("state", "state"),
    ("message", "message"),
    ("delivery", "delivery"),
    ("records", "records"),
    ("since", show.at("created_at_us")),
    ("subject", "subject"),
]
BACKLOG: show.Columns = [
    ("tenant", "tenant"),
    ("subscription", "subscription"),
    ("state", "state"),
    ("deliveries", "count"),
    ("since", show.at("oldest_created_at_us")),
]


def add(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (intake, messages, trace, deliveries, resend, status):
        app.command()(command)


def intake(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to take in.")],
    interface: Annotated[str | None, typer.Option(help="Interface, when the file's name does not say it.")] = None,
    tenant: TenantFilter = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the file is delivered, and exit 0, 4 or 8 accordingly.")] = False,
    timeout_seconds: Annotated[
        float | None, typer.Option(min=0, help="With --wait: stop waiting after this many seconds (exit 6).")
    ] = None,
    json_too: Json = False,
) -> None:
    """Take one file in. For job schedulers: with --wait it ends when every subscriber has its file, or a person must look."""
    session = session_of(context)
    if not file.is_file():
        raise NothingThere("RNK6006E", file=str(file))
    with session.operations() as operations:
        number = str(operations.submit(str(file.absolute()), interface, tenant)["intake"])
        alone = session.in_process(operations)
        if not wait and not alone:
            if json_too:
                show.as_json(session, {"intake": number})
            else:
                show.say(session, "RNK6010I", file=file.name, intake=number)
            return
        # without a node the file is taken in by this very process, which must not end before it is decided upon
        progress = follow(session, operations, number, timeout_seconds=timeout_seconds, silent=json_too, delivered=wait)
    if json_too:
        show.as_json(session, progress)
    else:
        report(session, progress, file.name)
        if not wait and not progress["finished"]:
            show.say(session, "RNK6024I")
    raise typer.Exit(of_progress(progress))


def follow(
    session: Session,
    operations: Operations,
    intake_id: str,
    *,
    timeout_seconds: float | None = None,
    silent: bool = False,
    delivered: bool = True,
) -> Row:
    """Wait until an intake is finished, or at least decided upon when it need not be `delivered`; return the last look.

    Raises:
        WaitedTooLong: `timeout_seconds` passed; the work goes on.
    """
    began = session.now()
    with Progress(session, silent=silent) as bar:
        while True:
            look = operations.intake_progress(intake_id)
            outcome = (look.get("receipt") or {}).get("outcome")
            if look["finished"] or outcome in UNDELIVERED or (outcome and not delivered):
                return look
            waited = session.now() - began
            if timeout_seconds is not None and waited >= timeout_seconds:
                raise WaitedTooLong("RNK6007E", intake=intake_id, seconds=f"{waited:.0f}")
            bar.show(str(look["stage"]), int(look["done"]), int(look["total"]))
            session.pause(LOOK_EVERY_SECONDS)


def report(session: Session, progress: Row, file_name: str) -> None:
    """What became of a file: its outcome with an id, then its deliveries."""
    receipt: dict[str, Any] = dict(progress.get("receipt") or {})
    message: dict[str, Any] = dict(progress.get("message") or {})
    outcome = receipt.get("outcome", "")
    rejected = int((message.get("rejected") or {}).get("records", 0))
    facts = {"file": file_name, "message": message.get("id", ""), "records": f"{message.get('records', 0):,}"}
    if not message:
        show.say(session, "RNK6025E", file=file_name, reason=show.reason(receipt.get("reason"), session.language))
    elif outcome == "accepted" and not rejected:
        show.say(session, "RNK6011I", **facts)
    elif outcome == "accepted":
        show.say(session, "RNK6012W", **facts, rejected=f"{rejected:,}")
    elif outcome == "duplicate":
        show.say(session, "RNK6013W", **facts)
    elif outcome == "held":
        show.say(session, "RNK6014W", **facts)
    else:
        show.say(session, "RNK6015E", **facts, reason=show.reason(receipt.get("reason"), session.language))
    deliveries_made = list(progress.get("deliveries") or []) if outcome == "accepted" else []
    if deliveries_made:
        show.rows(session, deliveries_made, DELIVERIES, json_too=False)
    given_up = [str(delivery["id"]) for delivery in deliveries_made if delivery["state"] == "quarantined"]
    if given_up:
        show.say(session, "RNK6016E", deliveries=", ".join(given_up))


def messages(
    context: typer.Context,
    tenant: TenantFilter = None,
    interface: Annotated[str | None, typer.Option(help="Only this interface.")] = None,
    business_date: Annotated[str | None, typer.Option(help="Only this business date (YYYY-MM-DD).")] = None,
    state: Annotated[MessageState | None, typer.Option(help="Only messages in this state.")] = None,
    limit: Limit = 100,
    json_too: Json = False,
) -> None:
    """List messages. What came, for which business date, and what became of it."""
    session = session_of(context)
    with session.operations() as operations:
        wanted = state.value if state else None
        found = operations.messages(tenant, interface, business_date, wanted, limit)
    show.rows(session, found, MESSAGES, json_too=json_too)


def trace(
    context: typer.Context,
    message: Annotated[str, typer.Argument(help="Id of the message, e.g. 332020-m17.")],
    json_too: Json = False,
) -> None:
    """Follow one message from end to end. Arrival, chunks, deliveries, quarantine, and every entry of the journal."""
    session = session_of(context)
    with session.operations() as operations:
        found = operations.trace(message)
    if json_too:
        show.as_json(session, found)
    else:
        show_trace(session, found)


def show_trace(session: Session, found: Row) -> None:
    """A message from end to end, on the screen."""
    event = found.get("event")
    show.facts(session, _of_event(found["message"], event, session) if event else _of_file(found, session))
    for title, columns in _PARTS_OF_EVENT if event else _PARTS_OF_FILE:
        show.rows(session, found[title], columns, json_too=False, title=title)


_PARTS_OF_FILE: Final = (("receipts", RECEIPTS), ("deliveries", DELIVERIES), ("quarantine", QUARANTINE), ("entries", ENTRIES))
_PARTS_OF_EVENT: Final = (("deliveries", EVENT_DELIVERIES), ("quarantine", QUARANTINE), ("entries", ENTRIES))


def _of_file(found: Row, session: Session) -> dict[str, object]:
    told = found["message"]
    return {
        "message": told["id"],
        **told["identity"],
        "revision": told["revision"],
        "state": told["state"],
        "kind": told["kind"],
        "source_system": told["source_system"],
        "contract": told["versions"]["contract"],
        "layout": told["versions"]["layout"],
        "file_name": told["file_name"],
        "bytes": told["bytes"],
        "sha256": told["sha256"],
        "records": told["records"],
        "good": told["good"]["records"],
        "rejected": told["rejected"]["records"],
        "sums": told["good"]["sums"],
        "received_at": show.Moment(told["received_at_us"]),
        "accepted_at": show.Moment(told["accepted_at_us"]),
        "reason": show.reason(told["reason"], session.language),
        "chunks": _chunks(found["chunks"]),
    }


def _of_event(told: Row, event: Row, session: Session) -> dict[str, object]:
    found: dict[str, object] = {
        "message": told["id"],
        "tenant": told["identity"]["tenant"],
        "interface": told["identity"]["interface"],
        "business_date": told["identity"]["business_date"],
        "state": told["state"],
        "kind": told["kind"],
        "source_system": told["source_system"],
        "contract": told["versions"]["contract"],
        "event_id": event["id"],
        "type": event["type"],
        "source": event["source"],
        "event_subject": event["subject"],
        "event_time": show.written(event["time"]),
        "bytes": told["bytes"],
        "accepted_at": show.Moment(told["accepted_at_us"]),
        "expires_at": show.Moment(event["expires_at_us"]),
        "in_reply_to": event["in_reply_to"],
        "reason": show.reason(told["reason"], session.language),
    }
    return {name: value for name, value in found.items() if value not in (None, "", show.Moment(None))}


def _chunks(chunks: list[Row]) -> str:
    done = sum(1 for chunk in chunks if chunk["state"] == "done")
    return f"{done:,} / {len(chunks):,}"


def deliveries(
    context: typer.Context,
    tenant: TenantFilter = None,
    subscription: Annotated[str | None, typer.Option(help="Only this subscription.")] = None,
    message: Annotated[str | None, typer.Option(help="Only deliveries of this message.")] = None,
    state: Annotated[DeliveryState | None, typer.Option(help="Only deliveries in this state.")] = None,
    limit: Limit = 100,
    json_too: Json = False,
) -> None:
    """List deliveries. What each subscriber got, counted in records, and what still waits."""
    session = session_of(context)
    with session.operations() as operations:
        found = operations.deliveries(tenant, subscription, message, state.value if state else None, limit)
    show.rows(session, found, DELIVERIES, json_too=json_too)


def resend(
    context: typer.Context,
    message: Annotated[str, typer.Argument(help="Id of an accepted message.")],
    subscription: Annotated[str, typer.Argument(help="The one subscription that gets it again.")],
    json_too: Json = False,
) -> None:
    """Deliver a message again to one subscriber. It is made anew from the journal."""
    session = session_of(context)
    with session.operations() as operations:
        made = operations.resend(message, subscription)
        alone = session.in_process(operations)
    if json_too:
        show.as_json(session, made)
        return
    show.say(session, "RNK6017I", message=message, subscription=subscription, delivery=made["delivery"]["id"])
    if alone:
        show.say(session, "RNK6024I")


def status(context: typer.Context, json_too: Json = False) -> None:
    """Show the node at a glance."""
    session = session_of(context)
    with session.operations() as operations:
        found = {**operations.status(), "runs": not session.in_process(operations)}
    if json_too:
        show.as_json(session, found)
        return
    show.facts(session, {"site": found["site"], "node": found["node"], "runs": found["runs"], "at": show.Moment(found["now_us"])})
    show.rows(session, found["backlog"], BACKLOG, json_too=False, title="backlog")
    heads = ("tenant", "kind", "quarantine_entries", "records")
    show.rows(session, found["quarantine"], [(head, head) for head in heads], json_too=False, title="quarantine")
