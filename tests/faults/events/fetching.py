"""A subscriber of a fault run that fetches, a process of its own: `python -m tests.faults.events.fetching FILE PORT...`.

Two of its tasks pull at once. Each takes into its inbox what it was lent and then acknowledges - most of it: some it hands back, some it
acknowledges twice, some it forgets, so that the lease must run out.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any, Final

import uvloop

from tests.faults.events.line import Answer, Line, post
from tests.faults.events.store import Inbox
from tests.faults.events.town import PULL

LEASE_SECONDS: Final = 5
TASKS: Final = 2
FORGETS: Final = 0.002
HANDS_BACK: Final = 0.005


async def _ask(line: Line, deed: str, body: Any) -> Answer:
    answer = await line.ask(post(f"{PULL}/{deed}", "application/json", json.dumps(body).encode()))
    if answer.status != 200:
        raise SystemExit(f"{deed}: {answer.status} {answer.body[:500]!r}")
    return answer


async def _fetch(line: Line, inbox: Inbox, dice: random.Random) -> None:
    while True:
        asked = {"max": 200, "lease_seconds": LEASE_SECONDS, "wait_seconds": 2}
        lent = (await _ask(line, "pull", asked)).json()["events"]
        if not lent:
            continue
        inbox.take([(each["delivery"], each["event"]["id"]) for each in lent])
        named: dict[str, list[dict[str, Any]]] = {"ack": [], "nack": []}
        for each in lent:
            mood = dice.random()
            claim = {"delivery": each["delivery"], "fence": each["fence"]}
            if mood > FORGETS + HANDS_BACK:
                named["ack"].append(claim)
            elif mood > FORGETS:
                named["nack"].append({**claim, "reason": "test", "retry_after_seconds": 0.1})
        for deed, deliveries in named.items():
            if deliveries:
                await _ask(line, deed, {"deliveries": deliveries})
        if dice.random() < FORGETS * 10 and named["ack"]:
            await _ask(line, "ack", {"deliveries": named["ack"]})


async def _main(file: Path, ports: list[int]) -> None:
    inbox, dice = Inbox(file), random.Random()
    await asyncio.gather(*(_fetch(Line(ports, number % len(ports)), inbox, dice) for number in range(TASKS)))


if __name__ == "__main__":
    uvloop.run(_main(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
