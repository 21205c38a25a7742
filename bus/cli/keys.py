"""The command `keys new`: a key for a system's programs, shown once and kept nowhere; only its digest goes into the configuration."""

from __future__ import annotations

import hashlib
import secrets
from datetime import date, datetime
from typing import Annotated

import typer

from bus.cli import show
from bus.cli.api_calls import Tenant
from bus.cli.exits import NothingThere, WrongOption
from bus.cli.link import site_folder
from bus.cli.night import Json
from bus.cli.session import Session, session_of

KEY_BYTES = 32
"""256 bits: nobody tries them all, so the configuration may hold a plain digest."""
PREFIX = "renkei_"
"""So that a key is known for what it is when it turns up where it should not."""


def commands() -> typer.Typer:
    """The group `keys`."""
    group = typer.Typer(no_args_is_help=True, help="Keys that systems sign in with at the API.")
    group.callback()(_group)
    group.command()(new)
    return group


def _group() -> None:
    """Keep `new` a command of its own: a group with one command would swallow its name."""


def new(
    context: typer.Context,
    tenant: Tenant,
    system: Annotated[str, typer.Option(help="The three-digit id of the business system.")],
    ends: Annotated[str, typer.Option(help="The key's last day (YYYY-MM-DD).")],
    json_too: Json = False,
) -> None:
    """Make a key for a system. It is shown once and kept nowhere; write the line with its digest into the tenant's file."""
    session = session_of(context)
    last = _day(ends, session)
    file = _file_of(session, tenant, system)
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    sha256 = hashlib.sha256(key.encode("ascii")).hexdigest()
    if json_too:
        show.as_json(session, {"key": key, "sha256": sha256, "ends": last.isoformat(), "file": file})
        return
    show.say(session, "RNK6122I", system=system, tenant=tenant, file=file)
    session.out.print(key, soft_wrap=True, markup=False)
    session.out.print(f'      - {{sha256: "{sha256}", ends: "{last.isoformat()}"}}', soft_wrap=True, markup=False)


def _day(text: str, session: Session) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise WrongOption("RNK6121E", day=text) from error
    if day < datetime.now(session.zone).astimezone(session.zone).date():
        raise WrongOption("RNK6121E", day=text)
    return day


def _file_of(session: Session, tenant: str, system: str) -> str:
    """The tenant's file, in which the system stands.

    Raises:
        NothingThere: no such tenant or system. DocumentInvalid: the configuration has errors.
    """
    from bus.site_check import load_site

    loaded = load_site(site_folder(session.folder)).tenants.get(tenant)
    if loaded is None:
        raise NothingThere("RNK6123E", tenant=tenant)
    known = [each.id for each in loaded.tenant.systems]
    if system not in known:
        raise NothingThere("RNK6120E", system=system, tenant=tenant, known=", ".join(known))
    return str(loaded.file)
