"""The demonstration's move-in (転入): published over HTTP as the resident register would, fetched by two systems, traced.

Owns: the made-up person, and the steps. It goes through the same calls as `renkei publish` and `renkei subscribe`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import typer

from bus.cli import show
from bus.cli.api_calls import Api, open_api, refused
from bus.cli.link import Operations
from bus.cli.night import show_trace
from bus.cli.publish import Outgoing, send
from bus.cli.session import Session
from bus.cli.subscribe import Pulling

if TYPE_CHECKING:
    from bus.cli.demo_night import Place

INTERFACE: Final = "moved_in"
TYPE: Final = "jp.renkei.resident.moved_in"
SOURCE: Final = "/resident-register"
WAIT_SECONDS: Final = 30.0
_FIRST_NEWCOMER: Final = 9_000_000
"""Ordinals from here on are of nobody in any generated file."""
_MOVED_IN: Final = "01"
"""異動事由: moved in from within Japan"""
_LIVES_HERE: Final = "1"
_COLUMNS: Final[show.Columns] = [(head, head) for head in ("subscription", "system", "delivery", "number", "attempt", "seconds")]


def newcomer(tenant: str, business_date: str) -> dict[str, str]:
    """The record of a made-up person who moves into the municipality on that day; fields without a value are left out."""
    from datetime import date

    import numpy as np

    from contracts.synthetic.residents import resident_block
    from contracts.synthetic.vocabulary import MUNICIPALITIES

    ordinals = np.arange(_FIRST_NEWCOMER, _FIRST_NEWCOMER + 64)
    people = resident_block(np.random.default_rng(1), ordinals, MUNICIPALITIES[tenant], date.fromisoformat(business_date)).to_dicts()
    found = next(one for one in people if one["jumin_jotai"] == _LIVES_HERE and one["shien_sochi_flag"] == "0" and one["tennyumae_jusho"])
    days = ("ido_ymd", "ido_todoke_ymd", "jumin_to_natta_ymd", "jusho_sadameta_ymd", "sosa_ymd")
    found |= {"ido_jiyu": _MOVED_IN, "sosa_jikoku": "10:00:00", **dict.fromkeys(days, business_date)}
    return {name: str(value) for name, value in found.items() if value}


def show_move_in(session: Session, place: Place, operations: Operations) -> bool:
    """Publish the move-in, let its subscribers fetch it, follow it; whether every one of them has it."""
    record = newcomer(place.tenant.tenant, place.business_date)
    body = json.dumps(record, ensure_ascii=False).encode()
    event = Outgoing(place.tenant.tenant, INTERFACE, TYPE, SOURCE, f"move-in-{place.business_date}-1", body)
    with open_api(session, None, None, None) as api:
        began = session.now()
        response = send(api, event)
        if not response.is_success:
            raise typer.Exit(refused(session, response))
        message = str(response.json()["message"])
        show.say(session, "RNK6150I", message=message, milliseconds=f"{(session.now() - began) * 1000:.0f}")
        waiting = [one for one in place.tenant.subscriptions if one.interface == INTERFACE]
        rows = [row for one in waiting for row in _fetched(session, api, place, one.id, one.system, began)]
    show.rows(session, rows, _COLUMNS, json_too=False, title="deliveries")
    trace = operations.trace(message)
    show_trace(session, trace)
    delivered = [each for each in trace["deliveries"] if each["state"] == "delivered"]
    if len(rows) == len(waiting) == len(delivered) > 0:
        show.say(session, "RNK6151I", count=len(rows), message=message, folder=str(place.site.folder))
        return True
    show.say(session, "RNK6152E", count=len(rows), wanted=len(waiting), message=message, folder=str(place.site.folder))
    return False


def _fetched(session: Session, api: Api, place: Place, subscription: str, system: str, began: float) -> list[dict[str, Any]]:
    """What one system fetches and acknowledges, one row each; one that was not to be acknowledged any more has not reached it."""
    pulling = Pulling(session, api, place.tenant.tenant, subscription)
    rows = []
    for lent in pulling.rounds(1, 1, WAIT_SECONDS):
        if not pulling.acknowledge(lent):
            seconds = f"{session.now() - began:.2f}"
            row = {"subscription": subscription, "system": system, "seconds": seconds}
            rows += [row | {name: one[name] for name in ("delivery", "number", "attempt")} for one in lent]
    return rows
