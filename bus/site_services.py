"""What `site.yaml` says of the services of a node: where it listens, and which journal and broker it uses.

Owns: the checks of `listen`, `api`, `journal` and `broker`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bus.loopback import is_loopback
from bus.site import Api, Listen
from bus.site_secrets import file_problems
from bus.site_view import Item
from contracts.errors import Problem

_WITH_PASSWORD: Final = re.compile(r"^[^:/]+://[^/@]*:[^/]*@")
_USER: Final = re.compile(r"^[^:/]+://[^/]*@")
_URLS: Final = {
    ("journal", "url"): ("postgresql+psycopg://user@host:5432/database", re.compile(r"^postgresql\+psycopg://[^:/@]+@[^/]+/.+$")),
    ("broker", "url"): ("amqp://user@host:5672/virtual-host", re.compile(r"^amqps?://[^:/@]+@[^/]+(/.*)?$")),
    ("broker", "management_url"): ("http://host:15672", re.compile(r"^https?://[^/?#@]+/?$")),
}
_SECRETS: Final = (("listen", "token_file"), ("api", "tls_key"), ("journal", "password_file"), ("broker", "password_file"))
_SERVERS: Final = {"journal": "PostgreSQL", "broker": "RabbitMQ"}
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - looked for, not listened on


def service_problems(site: Item, folder: Path) -> Iterator[Problem]:
    """What is wrong with the services of a site whose relative paths begin at `folder`."""
    yield from _reached_by_others(site)
    yield from _ports(site.part("listen"), site.part("api"))
    yield from _tls(site.part("api"), folder)
    for part, key in _SECRETS:
        yield from file_problems(site.part(part), key, folder, secret=True)
    for part, service in _SERVERS.items():
        item = site.part(part)
        if item.text("url") is not None and item.text("password_file") is None:
            yield item.problem("RNK2239W", "url", service=service)


def url_problems(site: Item) -> list[Problem]:
    """URLs that are none of their kind or hold a password, told without showing what stands there."""
    found = []
    for (part, key), (form, pattern) in _URLS.items():
        item = site.part(part)
        url = item.text(key)
        if url is None:
            continue
        if _WITH_PASSWORD.match(url) or (key == "management_url" and _USER.match(url)):
            found.append(item.problem("RNK2241E", key, key=f"{part}.{key}", form=form))
        elif not pattern.match(url):
            found.append(item.problem("RNK2240E", key, key=f"{part}.{key}", form=form))
    return found


def virtual_hosts(site: Item, amqp_tenants: int) -> Iterator[Problem]:
    """Whether the virtual hosts of `amqp_tenants` tenants can be made."""
    broker = site.part("broker")
    if amqp_tenants and broker.data and broker.text("management_url") is None:
        yield broker.problem("RNK2231W", tenants=amqp_tenants)


def _reached_by_others(site: Item) -> Iterator[Problem]:
    """Whoever listens beyond this machine knows who calls, and does not talk in the clear."""
    listen, api = site.part("listen"), site.part("api")
    host = listen.text("host") or Listen().host
    if not is_loopback(host) and listen.text("token_file") is None:
        yield listen.problem("RNK2232E", "host", host=host)
    host = api.text("host") or Api().host
    if is_loopback(host):
        return
    if api.data.get("sign_in", "none") == "none":
        yield api.problem("RNK2230E", "host", host=host)
    if api.text("tls_certificate") is None and api.text("tls_key") is None:
        yield api.problem("RNK2236W", "host", host=host)


def _ports(listen: Item, api: Item) -> Iterator[Problem]:
    """Two listeners at one address: the second could not start."""
    hosts = {listen.text("host") or Listen().host, api.text("host") or Api().host}
    ports = {listen.data.get("port", Listen().port), api.data.get("port", Api().port)}
    if len(ports) == 1 and 0 not in ports and (len(hosts) == 1 or not hosts.isdisjoint(_EVERYWHERE)):
        where = api if "port" in api.data else listen
        yield where.problem("RNK2237E", "port", port=ports.pop())


def _tls(api: Item, folder: Path) -> Iterator[Problem]:
    for key, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
        if api.text(key) is not None and api.text(other) is None:
            yield api.problem("RNK2235E", key, key=key, other=other)
    yield from file_problems(api, "tls_certificate", folder, secret=False)
