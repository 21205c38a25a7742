"""The client: everything an application asks of the bus over HTTP."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Final

import httpx

from renkei_client.deliveries import Delivery, Lender, Subscribed
from renkei_client.errors import Expired, NoReplyYet, Refused, Unavailable, refusal
from renkei_client.event import BATCHED, Event, time_text, to_json
from renkei_client.sending import PASSING, Call, Sender, pause_seconds, told
from renkei_client.streaming import stream
from renkei_client.uploading import Uploaded, upload

_LONGEST_WAIT_SECONDS: Final = 30.0
"""So long one call waits for a reply; a longer wait is several calls, so that no proxy on the way cuts it."""


@dataclass(frozen=True)
class Published:
    """What became of a published event: `message` is its id in the bus; `outcome` `accepted`, or `duplicate` when it was there already."""

    id: str
    message: str
    outcome: str


@dataclass(frozen=True)
class MessageShown:
    """Where a message stands: its state, and that of the delivery to each subscription."""

    message: str
    state: str
    deliveries: Mapping[str, str]


class Client:
    """Talks to the bus as one system of one tenant. Used as `async with Client(...) as client:`, or closed with `close`.

    Args:
        base_url: where the bus is, e.g. `https://bus.example:9461`.
        tenant: the municipality, 6 digits.
        key: the system's API key; never sent unencrypted, except to this machine.
        timeout_seconds: how long one answer may take.
        give_up_seconds: how long a call is tried, in all, while trouble may pass.
        ca_file: certificate authorities (PEM) to believe instead of the system's.
        transport: how to reach the bus, instead of by TCP: for tests and proxies.

    Raises:
        ValueError: a key, and a `base_url` that is neither https nor on this machine.
    """

    def __init__(
        self,
        base_url: str,
        tenant: str,
        key: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        give_up_seconds: float = 60.0,
        ca_file: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        url = httpx.URL(base_url)
        if key is not None and url.scheme != "https" and not _is_loopback(url.host):
            raise ValueError("a key is sent over https only")
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"user-agent": "renkei-client", **({} if key is None else {"authorization": f"Bearer {key}"})},
            verify=ssl.create_default_context(cafile=ca_file),
            trust_env=False,
            transport=transport,
            timeout=timeout_seconds,
        )
        self._sender = Sender(self._http, tenant, timeout_seconds=timeout_seconds, give_up_seconds=give_up_seconds)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Let connections go."""
        await self._http.aclose()

    async def publish(
        self,
        interface: str,
        data: Mapping[str, str | None],
        *,
        type: str,  # noqa: A002 - the attribute's name
        source: str,
        id: str | None = None,  # noqa: A002 - the attribute's name
        subject: str | None = None,
        time: datetime | str | None = None,
        dataschema: str | None = None,
        in_reply_to: str | None = None,
        extensions: Mapping[str, str] | None = None,
    ) -> Published:
        """Publish one event; returns when it is in the bus's journal, on disk.

        Trouble that may pass is tried again with the same id, so that the event is in effect once. To try again yourself, after a crash
        or `Unavailable`, publish with the same `id`: take one from your own data, or keep the one you gave.

        Args:
            data: one record of the interface's contract.
            type: CloudEvents type, e.g. `jp.lg.resident.moved_in`.
            source: CloudEvents source: which of your programs it is, as a URI reference.
            id: what makes the event what it is, within `source`; made anew when not given.
            subject: what it is about; never personal data.
            time: when it happened, with its zone; now when not given.
            dataschema: URI of the data's schema.
            in_reply_to: the id of the request message (`event.message`) that this answers.
            extensions: further CloudEvents attributes.

        Raises:
            ContractViolated, Conflict, TooLarge, NotKnown, NotSignedIn, Refused: it was not taken, and will not be as it is.
            Unavailable: not taken as far as known; publish again with the same id.
        """
        event = _event(data, type, source, id, subject, time, dataschema, in_reply_to, extensions)
        headers, body = event.binary()
        response = await self._sender.call(Call("POST", self._sender.path("interfaces", interface, "events"), body, headers))
        answer = response.json()
        return Published(event.id, answer["message"], answer["outcome"])

    async def publish_batch(self, interface: str, events: Sequence[Event]) -> list[Published | Refused]:
        """Publish several events in one call; what became of each, in order: taken, or why not. One that is refused stops no other.

        Events that the bus could not take for the moment are sent again with the same id.

        Raises:
            TooLarge, NotKnown, NotSignedIn, Refused: the call as a whole. Unavailable: some were perhaps not taken; publish all again.
        """
        found: dict[int, Published | Refused] = {}
        left = {place: replace(event, time=time_text(event.time or None)) for place, event in enumerate(events)}
        until, tries = monotonic() + self._sender.give_up_seconds, 0
        while left:
            tries += 1
            body = to_json([event.structured() for event in left.values()])
            path = self._sender.path("interfaces", interface, "events")
            answer = (await self._sender.call(Call("POST", path, body, {"content-type": BATCHED}))).json()
            results = dict(zip(left, answer["results"], strict=True))
            found.update({place: _result(result) for place, result in results.items() if result["status"] not in PASSING})
            left = {place: event for place, event in left.items() if place not in found}
            if left:
                pause = pause_seconds(tries, None)
                if monotonic() + pause > until:
                    raise Unavailable(f"{len(left)} of {len(events)} events were not taken")
                await asyncio.sleep(pause)
        return [found[place] for place in range(len(events))]

    async def request(
        self,
        interface: str,
        data: Mapping[str, str | None],
        *,
        type: str,  # noqa: A002 - the attribute's name
        source: str,
        id: str | None = None,  # noqa: A002 - the attribute's name
        subject: str | None = None,
        time: datetime | str | None = None,
        wait_seconds: float = 30.0,
        extensions: Mapping[str, str] | None = None,
    ) -> Event:
        """Publish a request and wait for its reply, an event on the interface that the bus's configuration names for replies.

        Raises:
            NoReplyYet: none came in `wait_seconds`; ask for it later with `reply(error.message)`. Expired: its time is over.
            And what `publish` raises.
        """
        event = _event(data, type, source, id, subject, time, None, None, extensions)
        headers, body = event.binary()
        until = monotonic() + wait_seconds
        wait = min(wait_seconds, _LONGEST_WAIT_SECONDS)
        path = self._sender.path("interfaces", interface, "requests")
        response = await self._sender.call(Call("POST", path, body, headers, {"wait_seconds": f"{wait:g}"}, wait))
        if response.status_code == 200:
            return Event.of_json(response.json())
        message = response.headers["location"].rstrip("/").split("/")[-2]
        reply = await self.reply(message, wait_seconds=max(0.0, until - monotonic()))
        if reply is None:
            raise NoReplyYet(message)
        return reply

    async def reply(self, message: str, *, wait_seconds: float = 0.0) -> Event | None:
        """The reply to the request `message`; None when none came within `wait_seconds`.

        Raises:
            Expired: its time is over, and no late reply has come. NotKnown: this system made no such request. Unavailable.
        """
        until = monotonic() + wait_seconds
        while True:
            wait = max(0.0, min(until - monotonic(), _LONGEST_WAIT_SECONDS))
            path = self._sender.path("messages", message, "reply")
            response = await self._sender.asked(Call("GET", path, params={"wait_seconds": f"{wait:g}"}, wait_seconds=wait))
            if response.status_code == 200:
                return Event.of_json(response.json())
            if response.status_code == 410:
                raise Expired(message)
            if response.status_code >= 400:
                raise refusal(response.status_code, told(response))
            if monotonic() >= until:
                return None

    async def message(self, message: str) -> MessageShown:
        """Where a message that this system published stands.

        Raises:
            NotKnown: this system published no such message. Unavailable.
        """
        answer = (await self._sender.call(Call("GET", self._sender.path("messages", message)))).json()
        return MessageShown(answer["message"], answer["state"], {each["subscription"]: each["state"] for each in answer["deliveries"]})

    async def pull(
        self,
        subscription: str,
        max: int = 100,  # noqa: A002 - as the bus calls it
        wait_seconds: float = 0.0,
        *,
        lease_seconds: int = 60,
    ) -> list[Delivery]:
        """Up to `max` (1 to 1000) events that are due, lent for `lease_seconds` (1 to 3600); when there is none, one is waited for up to
        `wait_seconds` (0 to 60). Acknowledge each when it is done: what is not comes again.

        Raises:
            NotKnown, NotSignedIn, Refused: the bus will not have it. Unavailable: nothing was got.
        """
        return await Lender(self._sender, subscription).pull(most=max, lease_seconds=lease_seconds, wait_seconds=wait_seconds)

    def subscribe(self, subscription: str, *, most: int = 20, lease_seconds: int = 60, wait_seconds: float = 30.0) -> Subscribed:
        """The subscription's deliveries, for ever: `async with client.subscribe("...") as deliveries: async for delivery in deliveries:`.
        Each is acknowledged when the body of the loop has ended without an error. See `Subscribed`.
        """
        return Subscribed(Lender(self._sender, subscription), most=most, lease_seconds=lease_seconds, wait_seconds=wait_seconds)

    def events(self, subscription: str, *, last_event_id: int | None = None, silence_seconds: float = 60.0) -> AsyncIterator[Event]:
        """The subscription's events as a stream, for ever; reconnects by itself. There is one reader per subscription at a time:
        the bus ends the stream of an earlier one, so start no second.

        Keep `event.number` with its effect and give the last one as `last_event_id` when you start again: whatever came after it comes
        again, and nothing is lost. See `renkei_client.streaming.stream`.
        """
        return stream(self._sender, subscription, last_event_id, silence_seconds)

    async def upload(self, interface: str, path: str | Path, *, name: str | None = None, wait_seconds: float = 60.0) -> Uploaded:
        """Send a file for a batch interface; goes on after trouble where it was cut. `name` is what the file is called, where the
        interface's file name pattern needs another than the file's own. Waits up to `wait_seconds` for what becomes of it: `state` is then
        `accepted`, `duplicate`, `held` or `refused`, or `taking` when that takes longer.

        Raises:
            OSError: the file cannot be read. NotKnown, NotSignedIn, Refused: the bus will not have it. Unavailable: the bus was away for
            too long; upload it again.
        """
        file = Path(path)
        return await upload(self._sender, interface, file, name or file.name, wait_seconds)


def _event(
    data: Mapping[str, str | None],
    type_: str,
    source: str,
    id_: str | None,
    subject: str | None,
    time: datetime | str | None,
    dataschema: str | None,
    in_reply_to: str | None,
    extensions: Mapping[str, str] | None,
) -> Event:
    known: dict[str, Any] = {"type": type_, "source": source, "data": data, "subject": subject or "", "dataschema": dataschema or ""}
    answers = {"inreplyto": in_reply_to} if in_reply_to else {}
    return Event(**known, id=id_ or str(uuid.uuid4()), time=time_text(time), extensions={**(extensions or {}), **answers})


def _result(told_: Mapping[str, Any]) -> Published | Refused:
    if int(told_["status"]) < 300:
        return Published(str(told_["id"]), str(told_["message"]), str(told_["outcome"]))
    return refusal(int(told_["status"]), told_)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
