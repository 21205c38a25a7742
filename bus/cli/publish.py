"""The command `publish`: one event into the bus, as a program of the sending system would publish it."""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from bus.cli import show
from bus.cli.api_calls import Api, CaFile, KeyFile, Tenant, Url, open_api, refused
from bus.cli.exits import NothingThere
from bus.cli.night import Json
from bus.cli.session import session_of
from bus.clock import SystemClock, rfc3339

if TYPE_CHECKING:
    import httpx

STANDARD_INPUT = Path("-")
_UNQUOTED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""Characters that stand for themselves in a header (CloudEvents HTTP Protocol Binding 1.0.2, section 3.1.3.2)."""


@dataclass(frozen=True)
class Outgoing:
    """An event to publish: where to, its CloudEvents attributes, and its record as it stands."""

    tenant: str
    interface: str
    type: str
    source: str
    id: str
    body: bytes
    subject: str = ""


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(publish)


def publish(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The record as one JSON object; - for standard input.")],
    tenant: Tenant,
    interface: Annotated[str, typer.Option(help="The event interface.")],
    kind: Annotated[str, typer.Option("--type", help="CloudEvents type, e.g. jp.renkei.resident.moved_in.")],
    source: Annotated[str, typer.Option(help="CloudEvents source: which program sends, e.g. /resident-register.")],
    event: Annotated[str | None, typer.Option("--id", help="CloudEvents id; the same again to try again. Otherwise a new one.")] = None,
    subject: Annotated[str | None, typer.Option(help="CloudEvents subject. Never personal data.")] = None,
    url: Url = None,
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    json_too: Json = False,
) -> None:
    """Publish one event. It is on disk in the journal when this ends with 0; a refused one ends with 8 and every broken rule.

    The id makes an event what it is: published twice with one id and content, it is in effect once.
    """
    session = session_of(context)
    outgoing = Outgoing(tenant, interface, kind, source, event or str(uuid.uuid4()), _read(file), subject or "")
    with open_api(session, url, key_file, ca_file) as api:
        response = send(api, outgoing)
    if not response.is_success:
        raise typer.Exit(refused(session, response))
    answer = {**response.json(), "event": outgoing.id}
    if json_too:
        show.as_json(session, answer)
    elif answer["outcome"] == "duplicate":
        show.say(session, "RNK6111I", message=answer["message"], event=answer["event"])
    else:
        show.say(session, "RNK6110I", message=answer["message"], event=answer["event"])


def send(api: Api, event: Outgoing) -> httpx.Response:
    """Publish an event in binary mode, so that its record arrives byte for byte; the answer, a refusal too.

    Raises:
        NotServed: nobody answers, or nothing is taken for now.
    """
    given = {"id": event.id, "source": event.source, "type": event.type, "time": _now(), "subject": event.subject}
    headers = {f"ce-{name}": quote(value, safe=_UNQUOTED) for name, value in given.items() if value}
    headers |= {"ce-specversion": "1.0", "content-type": "application/json"}
    path = f"/v1/{quote(event.tenant, safe='')}/interfaces/{quote(event.interface, safe='')}/events"
    return api.call("POST", path, headers=headers, content=event.body)


def _read(file: Path) -> bytes:
    if file == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise NothingThere("RNK6006E", file=str(file)) from error


def _now() -> str:
    return rfc3339(SystemClock().now_us(), "milliseconds")
