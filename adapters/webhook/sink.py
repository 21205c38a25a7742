"""Posts events to a receiver's URL over pooled connections.

Owns: one attempt. A 2xx status confirms the delivery, whatever becomes of the rest of the answer: its body is never kept, and a receiver
that does not end it loses the connection. Redirects are not followed, cookies not kept, the environment's proxies not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Final

import httpx

from adapters.webhook.errors import of_exception, of_status
from adapters.webhook.settings import WebhookSettings
from adapters.webhook.signing import SecretFile, signed_headers
from bus.errors import Permanent, Transient
from bus.event import OutgoingEvent
from bus.event_envelope import MEDIA_TYPE, envelope

MOST_ANSWER_BYTES: Final = 64 * 1024
"""So much of an answer is read, and thrown away, to keep its connection."""
ANSWER_SECONDS: Final = 1.0
"""So long is waited for the end of an answer whose status is known."""
_IDLE_SECONDS: Final = 4.0
"""Shorter than the 5 s after which many servers drop an idle connection."""
_LIMITS: Final = httpx.Limits(max_connections=1000, max_keepalive_connections=64, keepalive_expiry=_IDLE_SECONDS)
"""As many at once as `limits.concurrent` of an endpoint can be: the pool never makes an attempt wait."""
_CONNECTING: Final = 0.45
"""The share of an attempt's time that reaching the receiver may take, and that the TLS handshake may take. Both together end before the
attempt does, because httpx closes a connection that it gave up itself, but not one on which it was interrupted."""
_CUT: Final = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def _now() -> datetime:
    return datetime.now(UTC)


class WebhookSink:
    """The sink of one webhook endpoint. `now` tells the time of day, in UTC; the signature's timestamp is that of each attempt."""

    def __init__(self, settings: WebhookSettings, *, endpoint: str, folder: Path, now: Callable[[], datetime] = _now) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._ca_file = folder / settings.ca_file if settings.ca_file else None
        self._secrets = [SecretFile(folder / name, endpoint) for name in settings.secrets]
        self._now = now
        self._headers = {**settings.headers, "content-type": MEDIA_TYPE, "accept-encoding": "identity", "user-agent": "Renkei"}
        self._client: httpx.AsyncClient | None = None

    async def send(self, event: OutgoingEvent) -> None:
        """Post the event; returns when the receiver has answered 2xx.

        Raises:
            Transient: no answer in time, no connection, or another status; `retry_after_seconds` when the receiver asked for a wait.
            Permanent: 410, or plain HTTP after its last day.
        """
        now = self._now()
        last = self._settings.allow_plain_until
        if self._settings.plain and last is not None and now.date() > last:
            raise Permanent("RNK5609E", endpoint=self._endpoint, until=last.isoformat())
        body = envelope(event)
        signed = signed_headers(event.delivery, int(now.timestamp()), body, [secret.key() for secret in self._secrets])
        status, retry_after = await self._answer(self._opened(), body, {**self._headers, **signed})
        if (trouble := of_status(self._endpoint, status, retry_after, self._now())) is not None:
            raise trouble

    async def close(self) -> None:
        """Let connections go."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _answer(self, client: httpx.AsyncClient, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None]:
        """The status and `Retry-After` of the answer, within the time of one attempt."""
        seconds = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                response = await self._posted(client, body, headers)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Transient("RNK5604E", endpoint=self._endpoint, timeout_seconds=seconds) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise of_exception(self._endpoint, error) from error
        await _ended(response)
        return response.status_code, response.headers.get("retry-after")

    async def _posted(self, client: httpx.AsyncClient, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """The head of the answer. A kept connection that the receiver had just let go costs no attempt: it is tried once more, anew."""
        fresh = False

        async def trace(name: str, _: object) -> None:
            nonlocal fresh
            fresh = fresh or name == "connection.connect_tcp.started"

        request = client.build_request("POST", self._settings.url, content=body, headers=headers, extensions={"trace": trace})
        try:
            return await client.send(request, stream=True)
        except _CUT:
            if fresh:
                raise
        return await client.send(request, stream=True)

    def _opened(self) -> httpx.AsyncClient:
        """The client, made when it is first needed: what is wrong with `ca_file` is this endpoint's trouble alone."""
        if self._client is None:
            try:
                trust = ssl.create_default_context(cafile=self._ca_file)
            except OSError as error:  # ssl.SSLError is one
                reason = error.strerror or type(error).__name__
                raise Transient("RNK5611E", endpoint=self._endpoint, path=str(self._ca_file), reason=reason) from error
            seconds = self._settings.timeout_seconds
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
            self._client = httpx.AsyncClient(
                verify=trust,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(seconds, connect=seconds * _CONNECTING),
                limits=_LIMITS,
                cookies=no_cookies,
            )
        return self._client


async def _ended(response: httpx.Response) -> None:
    """Read the rest of a short answer so that its connection can be used again; drop the connection of any other."""
    read = 0
    with contextlib.suppress(TimeoutError, httpx.HTTPError, OSError):
        async with asyncio.timeout(ANSWER_SECONDS):
            async for part in response.aiter_raw():
                read += len(part)
                if read > MOST_ANSWER_BYTES:
                    break
    with contextlib.suppress(httpx.HTTPError, OSError):
        await response.aclose()
