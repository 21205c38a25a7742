"""The keys that systems sign in with, over all tenants: each leads to one system, and who has to sign in has one that still holds.

Owns: the checks of `systems[].api_keys` against each other and against `api.sign_in` of `site.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from bus.site_view import Item
from contracts.errors import Problem


def key_problems(tenants: Sequence[tuple[str, Item]], *, signs_in: bool, today: date) -> Iterator[Problem]:
    """What is wrong with keys. `tenants`: code and file; `signs_in`: the API asks for a key; `today`: in the site's time zone."""
    first: dict[str, tuple[str, Item, int]] = {}
    for code, tenant in tenants:
        calling = _calling(tenant) if signs_in else frozenset()
        for system in tenant.items("systems"):
            holds = False
            for key in system.items("api_keys"):
                yield from _twice(first, code, system, key)
                ends = _day(key)
                if isinstance(ends, date):
                    holds = holds or ends >= today
                    yield from _ended(system, key, ends, today)
                elif ends is not None:
                    yield key.problem("RNK2116E", "ends", day=ends)
            if not holds and (name := system.text("id")) in calling:
                yield system.problem("RNK2154W", "id", system=name)


def _calling(tenant: Item) -> frozenset[str | None]:
    """The systems that publish or read over HTTP."""
    return frozenset(endpoint.text("system") for endpoint in tenant.items("endpoints") if endpoint.text("adapter") == "http")


def _twice(first: dict[str, tuple[str, Item, int]], code: str, system: Item, key: Item) -> Iterator[Problem]:
    """One key must not open two doors: whoever holds it would be taken for the first system found."""
    sha256 = key.text("sha256")
    if sha256 is None:
        return
    if sha256 in first:
        tenant, other, line = first[sha256]
        yield key.problem("RNK2153E", "sha256", tenant=tenant, system=other.text("id"), first_line=line)
    else:
        first[sha256] = (code, system, key.line("sha256"))


def _ended(system: Item, key: Item, ends: date, today: date) -> Iterator[Problem]:
    if ends < today:
        yield key.problem("RNK2152W", "ends", system=system.text("id"), ends=ends.isoformat())


def _day(key: Item) -> date | str | None:
    """The last day of a key; the text when there is no such day."""
    day = key.text("ends")
    try:
        return date.fromisoformat(day) if day else None
    except ValueError:
        return day
