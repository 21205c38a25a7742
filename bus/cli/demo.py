"""The command `demo`: one night of one city on this machine, shown step by step, with the proof that nothing was lost or doubled; and one
move-in, as it reaches two systems."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli import show
from bus.cli.demo_event import show_move_in
from bus.cli.exits import ExitCode
from bus.cli.generate import make
from bus.cli.language import word
from bus.cli.link import Row, running
from bus.cli.progress import Progress
from bus.cli.session import Session, session_of

if TYPE_CHECKING:
    from bus.cli.demo_night import Place

MOST_BROKEN_SHOWN = 30


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    context: typer.Context,
    records: Annotated[int, typer.Option(min=1, help="Number of residents.")] = 100_000,
    folder: Annotated[Path | None, typer.Option(help="A new folder. Otherwise demo-site-<time> below the current folder.")] = None,
    bad_share: Annotated[float, typer.Option(min=0, max=0.05, help="Share of records broken on purpose (0 to 0.05).")] = 0.001,
    seed: Annotated[int, typer.Option(help="The same seed makes the same data.")] = 1,
    timeout_seconds: Annotated[float, typer.Option(min=1, help="Wait at most this long for each step.")] = 900.0,
) -> None:
    """Show one night of a city. Its file comes, three subscribers are served, and the same file dropped again is a duplicate.

    Then a resident moves in: the event is published over HTTP, fetched by two systems, and followed through the journal.
    """
    session = session_of(context)
    from bus.cli import demo_night as night

    place = night.prepare(folder or _new_folder())
    session = replace(session, folder=place.site.folder)
    with Progress(session) as bar:
        made = make(
            place.made,
            contract=place.interface.contract,
            layout=place.interface.layout,
            records=records,
            seed=seed,
            bad_share=bad_share,
            tenant=night.TENANT,
            business_date=place.business_date,
            watch=bar.show,
        )
    _told_made(session, place, made.records)
    with running(place.site.folder, session.language) as operations:
        began = session.now()
        night.drop(place)
        with Progress(session) as bar:
            waiting = night.Waiting(session.pause, session.now, timeout_seconds, bar.show)
            trace = night.wait_for_deliveries(operations, place, waiting)
        seconds = session.now() - began
        served = _told_night(session, place, trace, seconds)
        seen = len([receipt for receipt in trace["receipts"] if receipt["outcome"] != "receiving"])
        night.drop(place)
        again = night.wait_for_receipt(operations, str(trace["message"]["id"]), seen, waiting, place)
        once = _told_again(session, place, trace, again)
        reached = show_move_in(session, place, operations)
    raise typer.Exit(ExitCode.NORMAL if served and once and reached else ExitCode.ABNORMAL)


def _new_folder() -> Path:
    """A folder named for the second; the next free one when two demonstrations begin together."""
    name = datetime.now().astimezone().strftime("demo-site-%Y%m%d-%H%M%S")
    numbered = (Path(name if number == 1 else f"{name}-{number}") for number in range(1, 1000))
    return next(folder for folder in numbered if not folder.exists())


def _told_made(session: Session, place: Place, records: int) -> None:
    name = getattr(place.tenant.name, session.language)
    megabytes = f"{place.made.stat().st_size / 1e6:,.1f}"
    show.say(session, "RNK6050I", tenant=name, file=place.file_name, records=f"{records:,}", megabytes=megabytes)


def _told_night(session: Session, place: Place, trace: Row, seconds: float) -> bool:
    """Show what every subscriber has; whether all of it agrees."""
    from bus.calendar import rerun_margin_seconds
    from bus.cli.demo_night import agrees

    message, deliveries = trace["message"], trace["deliveries"]
    rejected = int(message["rejected"]["records"])
    rows = [
        {
            "subscription": delivery["subscription"],
            "layout": delivery["layout"],
            "taken_in": int(message["records"]),
            "rejected": rejected,
            "filtered": int(delivery["filtered"]["records"]),
            "refused": int(delivery["refused"]["records"]),
            "delivered": int(delivery["out"]["records"]),
            "state": delivery["state"],
            "totals_agree": agrees(message, delivery, place.outgoing(delivery)),
            "where": str(place.outgoing(delivery)),
        }
        for delivery in sorted(deliveries, key=lambda delivery: str(delivery["id"]))
    ]
    heads = ("subscription", "layout", "taken_in", "rejected", "filtered", "refused", "delivered", "state", "totals_agree")
    show.rows(session, rows, [(head, head) for head in heads], json_too=False, title="deliveries")
    for row in rows:
        session.out.print(f"  {row['subscription']}: {row['where']}", soft_wrap=True, markup=False)
    _told_broken(session, message, trace["quarantine"])
    margin = rerun_margin_seconds(time.time_ns() // 1000, place.window, seconds)
    show.facts(
        session,
        {
            "business_date": place.business_date,
            "duration": f"{seconds:.1f} {word('seconds', session.language)}",
            "speed": f"{int(message['records']) / seconds:,.0f} {word('records_per_second', session.language)}",
            "window_end": show.Moment(place.window.end_us),
            "margin": f"{margin / 3600:,.1f} {word('hours', session.language)}",
        },
    )
    wrong = [str(row["subscription"]) for row in rows if not row["totals_agree"]]
    if wrong or not rows or len(rows) != len(place.subscriptions):
        named = ", ".join(wrong) or str(message["state"])
        show.say(session, "RNK6052E", subscriptions=named, message=message["id"], folder=str(place.site.folder))
        return False
    show.say(session, "RNK6051I", seconds=f"{seconds:.1f}", count=len(rows))
    return True


def _told_broken(session: Session, message: Row, entries: list[Row]) -> None:
    """What stands in quarantine, and which rules were broken how often."""
    from bus.cli.night import QUARANTINE

    show.rows(session, entries, QUARANTINE, json_too=False, title="quarantine")
    broken = sorted(message["broken"], key=lambda one: (one["severity"] != "reject", -int(one["count"])))
    heads = ("field", "rule", "severity", "count")
    show.rows(session, broken[:MOST_BROKEN_SHOWN], [(head, head) for head in heads], json_too=False, title="broken")


def _told_again(session: Session, place: Place, first: Row, again: Row) -> bool:
    """Show that the second arrival changed nothing."""
    newest = max(again["receipts"], key=lambda receipt: int(receipt["at_us"]))
    more = len(again["deliveries"]) - len(first["deliveries"])
    if newest["outcome"] == "duplicate" and more == 0:
        show.say(session, "RNK6053I", message=first["message"]["id"], folder=str(place.site.folder))
        return True
    facts = {"outcome": newest["outcome"], "deliveries": more, "message": first["message"]["id"], "folder": str(place.site.folder)}
    show.say(session, "RNK6054E", **facts)
    return False
