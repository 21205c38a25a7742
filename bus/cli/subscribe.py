"""The command `subscribe`: the events of one subscription, as a program of the receiving system would fetch them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bus.cli import show
from bus.cli.api_calls import Api, CaFile, KeyFile, Tenant, Url, open_api, refused
from bus.cli.exits import ExitCode
from bus.cli.session import Session, session_of

AT_ONCE = 100
LONGEST_WAIT_SECONDS = 60
"""The longest that one call may wait; a longer wait is several calls."""
LOOKED_AT = "looked_at"
"""The reason of a delivery that is handed back because it was only looked at."""

Lent = Mapping[str, Any]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(subscribe)


def subscribe(
    context: typer.Context,
    tenant: Tenant,
    subscription: Annotated[str, typer.Option(help="The subscription; its endpoint has the adapter http.")],
    most: Annotated[int, typer.Option("--max", min=1, help="End after so many events.")] = AT_ONCE,
    wait: Annotated[float, typer.Option(min=0, help="Wait so many seconds for the next event before ending.")] = 0.0,
    no_ack: Annotated[
        bool, typer.Option("--no-ack", help="Hand the events back instead of acknowledging; each look counts as an attempt.")
    ] = False,
    url: Url = None,
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    json_too: Annotated[bool, typer.Option("--json", help="One JSON object a line for each event, nothing else.")] = False,
) -> None:
    """Fetch the events of a subscription. Each is shown, then acknowledged: it is delivered and does not come again."""
    session = session_of(context)
    with open_api(session, url, key_file, ca_file) as api:
        pulling = Pulling(session, api, tenant, subscription)
        shown = stale = 0
        for lent in pulling.rounds(1 if no_ack else most, most, wait):
            for one in lent:
                _show(session, one, json_too=json_too)
            shown += len(lent)
            stale += pulling.hand_back(lent) if no_ack else pulling.acknowledge(lent)
    if not shown and not json_too:
        show.say(session, "RNK6119I")
    if stale:
        show.warn(session, "RNK6118W", count=stale)
        raise typer.Exit(ExitCode.WARNING)


@dataclass
class Pulling:
    """The calls of one subscription; a refusal is shown and ends the command."""

    session: Session
    api: Api
    tenant: str
    subscription: str

    def rounds(self, rounds: int, most: int, wait_seconds: float) -> Iterator[Sequence[Lent]]:
        """What is lent, call by call, until nothing comes within `wait_seconds` or `most` were lent."""
        idle_since = self.session.now()
        while most > 0 and rounds > 0:
            left = max(0.0, wait_seconds - (self.session.now() - idle_since))
            patience = min(math.ceil(left), LONGEST_WAIT_SECONDS)
            lent = self._ask("pull", {"max": min(most, AT_ONCE), "wait_seconds": patience}, patience)["events"]
            if lent:
                yield lent
                most -= len(lent)
                rounds -= 1
                idle_since = self.session.now()
            elif self.session.now() - idle_since >= wait_seconds or patience == 0:
                return

    def acknowledge(self, lent: Sequence[Lent]) -> int:
        """Say that these were received; how many of them were lent to another meanwhile."""
        return self._settle("ack", [_named(one) for one in lent])

    def hand_back(self, lent: Sequence[Lent]) -> int:
        """Let these come again at once; how many of them were lent to another meanwhile."""
        return self._settle("nack", [{**_named(one), "reason": LOOKED_AT, "retry_after_seconds": 0} for one in lent])

    def _settle(self, deed: str, deliveries: list[dict[str, object]]) -> int:
        results = self._ask(deed, {"deliveries": deliveries})["results"]
        return sum(1 for result in results if result["outcome"] == "stale")

    def _ask(self, deed: str, arguments: Mapping[str, object], wait_seconds: float = 0.0) -> Any:
        path = f"/v1/{quote(self.tenant, safe='')}/subscriptions/{quote(self.subscription, safe='')}/{deed}"
        response = self.api.call("POST", path, arguments=arguments, wait_seconds=wait_seconds)
        if not response.is_success:
            raise typer.Exit(refused(self.session, response))
        return response.json()


def _named(lent: Lent) -> dict[str, object]:
    return {"delivery": lent["delivery"], "fence": lent["fence"]}


def _show(session: Session, lent: Lent, *, json_too: bool) -> None:
    """One event; on the screen its attributes line by line, then its record."""
    if json_too:
        session.out.file.write(json.dumps(lent, ensure_ascii=False) + "\n")
        return
    event = lent["event"]
    found = {
        "delivery": lent["delivery"],
        "number": lent["number"],
        "attempt": lent["attempt"],
        "message": event.get("renkeimessage"),
        "event_id": event.get("id"),
        "type": event.get("type"),
        "source": event.get("source"),
        "event_subject": event.get("subject"),
        "event_time": show.written(event.get("time")),
        "in_reply_to": event.get("inreplyto"),
    }
    show.facts(session, {name: value for name, value in found.items() if value})
    session.out.print(json.dumps(event.get("data"), ensure_ascii=False), soft_wrap=True, markup=False)
    session.out.print()
