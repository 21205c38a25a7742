"""A node that runs within the process of the tests, and what a test asks of it.

Owns: the questions, over the node's HTTP API like any application's; the node itself is a real one (`bus.node`) over a copy of the site in
a temporary folder (`bus.testing.sandbox`).
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from bus.example import write_example
from bus.node import Node, running_node
from bus.testing.sandbox import webhook_secret, write_sandbox

_LONGEST_WAIT_SECONDS: Final = 30.0
_PAGE: Final = 1000


class NodeInTest:
    """A running node. All calls wait for their answer, and fail the test (AssertionError) when it is not the expected one."""

    def __init__(self, node: Node, http: httpx.Client) -> None:
        self.url = f"http://127.0.0.1:{node.api_port}"
        """where the application under test finds the bus"""
        self.tenant = next(iter(node.parts.site.tenants))
        """the tenant that is meant where a call names none: the first of the site"""
        self.folder = node.folder
        """the temporary folder that everything is in; `files/<tenant>/<endpoint>` are the folders of its file endpoints"""
        self._node = node
        self._http = http
        self._received: dict[tuple[str, str], list[Mapping[str, Any]]] = {}

    def publish(
        self,
        interface: str,
        data: Mapping[str, str | None],
        *,
        type: str,  # noqa: A002 - the attribute's name
        source: str = "/test",
        id: str | None = None,  # noqa: A002 - the attribute's name
        extensions: Mapping[str, str] | None = None,
        expect: int = 202,
        tenant: str | None = None,
    ) -> Mapping[str, Any]:
        """Publish an event; the answer's JSON. `expect`: the status that is right, e.g. 422 for a record that breaks its contract. The
        answer is then the problem, with every broken rule in `problems`."""
        event = {
            "specversion": "1.0",
            "id": id or str(uuid.uuid4()),
            "source": source,
            "type": type,
            **(extensions or {}),
            "data": dict(data),
        }
        answer = self._http.post(
            f"{self.url}/v1/{tenant or self.tenant}/interfaces/{interface}/events",
            json=event,
            headers={"content-type": "application/cloudevents+json"},
        )
        assert answer.status_code == expect, f"publishing on {interface} answered {answer.status_code}, not {expect}: {answer.text}"  # noqa: S101 - this is a test's tool
        told: Mapping[str, Any] = answer.json()
        return told

    def received(
        self, subscription: str, count: int = 0, *, wait_seconds: float = 10.0, tenant: str | None = None
    ) -> list[Mapping[str, Any]]:
        """Every event that the subscription got so far, as CloudEvents in the order of arrival; waits until there are `count`. They are
        fetched and acknowledged here, so ask only for subscriptions that the application under test does not read itself."""
        place = (tenant or self.tenant, subscription)
        kept = self._received.setdefault(place, [])
        until = time.monotonic() + wait_seconds
        while True:
            wait = min(max(0.0, until - time.monotonic()), _LONGEST_WAIT_SECONDS) if len(kept) < count else 0.0
            fetched = self._fetched(place, wait)
            kept += fetched
            if not fetched and (len(kept) >= count or time.monotonic() >= until):
                break
        assert len(kept) >= count, f"{subscription} got {len(kept)} events in {wait_seconds:g} s, not {count}"  # noqa: S101 - this is a test's tool
        return list(kept)

    def messages(self, *, interface: str | None = None, tenant: str | None = None) -> list[Mapping[str, Any]]:
        """The messages in the journal, oldest first: `id`, `identity`, `state` and more, as `renkei messages --json` shows them."""
        found = self._node.parts.operations.messages(tenant=tenant or self.tenant, interface=interface, limit=_PAGE)
        return list(reversed(found))

    def deliveries(self, subscription: str, *, tenant: str | None = None) -> list[Mapping[str, Any]]:
        """The deliveries of a subscription, oldest first: `id`, `message`, `state`, `attempts` and more."""
        found = self._node.parts.operations.deliveries(tenant=tenant or self.tenant, subscription=subscription, limit=_PAGE)
        return list(reversed(found))

    def quarantine(self, *, tenant: str | None = None) -> list[Mapping[str, Any]]:
        """What stands in quarantine, as `renkei quarantine list --json` shows it."""
        return list(self._node.parts.operations.quarantine_list(tenant=tenant or self.tenant))

    def webhook_secret(self, endpoint: str) -> str:
        """The secret that this endpoint's webhooks are signed with."""
        return webhook_secret(endpoint)

    def _fetched(self, place: tuple[str, str], wait_seconds: float) -> list[Mapping[str, Any]]:
        tenant, subscription = place
        where = f"{self.url}/v1/{tenant}/subscriptions/{subscription}"
        pulled = self._http.post(f"{where}/pull", json={"max": _PAGE, "wait_seconds": wait_seconds}, timeout=wait_seconds + 30)
        assert pulled.status_code == 200, f"pulling {subscription} answered {pulled.status_code}: {pulled.text}"  # noqa: S101 - this is a test's tool
        lent = pulled.json()["events"]
        if lent:
            named = [{"delivery": each["delivery"], "fence": each["fence"]} for each in lent]
            self._http.post(f"{where}/ack", json={"deliveries": named}).raise_for_status()
        return [each["event"] for each in lent]


@contextlib.contextmanager
def node_in_test(site: Path | None, folder: Path, webhooks: Mapping[str, str] | None = None) -> Iterator[NodeInTest]:
    """A node over a copy of `site` (`site.yaml` or its folder; None: the example that comes with Renkei) in `folder`, an empty one.

    Raises:
        DocumentInvalid, SiteInvalid, OSError: the site's configuration.
    """
    if site is None:
        site = folder / "example"
        write_example(site)
    write_sandbox(site / "site.yaml" if site.is_dir() else site, folder / "site", webhooks or {})
    with running_node(folder / "site") as node, httpx.Client(trust_env=False, timeout=30) as http:
        yield NodeInTest(node, http)
