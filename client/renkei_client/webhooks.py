"""Verifying that a webhook comes from the bus (Standard Webhooks specification 1.0).

Needs nothing but Python: use it in whatever serves your webhook's URL. Verify the body's bytes as they came, before reading them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Final

from renkei_client.errors import WebhookRefused
from renkei_client.event import Event

TOLERANCE_SECONDS: Final = 300
_PREFIX: Final = "whsec_"


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secrets: str | Sequence[str],
    tolerance_seconds: float = TOLERANCE_SECONDS,
    *,
    now_seconds: float | None = None,
) -> Event:
    """The event in a webhook, once its signature and time are found good.

    The same event may come again after trouble: `event.delivery` (the header `webhook-id`) is the same then. Store it with the effect, and
    answer 2xx to a repeat without doing anything.

    Args:
        headers: the request's headers; names in any case.
        body: the request's body, exactly as it came.
        secrets: the `whsec_...` secret, or several while they are changed: one that fits is enough.
        tolerance_seconds: how far the webhook's time may be from this machine's, either way.
        now_seconds: the time of day, for tests.

    Raises:
        WebhookRefused: answer 400 and forget it. ValueError: one of `secrets` is none.
    """
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise ValueError("verifying needs a secret")
    known = {name.lower(): value for name, value in headers.items()}
    webhook_id, timestamp, signatures = (known.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (webhook_id and timestamp and signatures):
        raise WebhookRefused("it lacks one of the headers webhook-id, webhook-timestamp, webhook-signature")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        raise WebhookRefused("its timestamp is no number of seconds")
    now = time.time() if now_seconds is None else now_seconds
    content = f"{webhook_id}.{timestamp}.".encode() + body
    if not _signed(content, signatures, keys):
        raise WebhookRefused("it is not signed with a known secret")
    if abs(now - int(timestamp)) > tolerance_seconds:
        raise WebhookRefused(f"its time is more than {tolerance_seconds:g} s away from this machine's")
    try:
        return Event.of_json(json.loads(body))
    except ValueError as error:
        raise WebhookRefused(f"it is signed, but no event: {error}") from None


def _signed(content: bytes, signatures: str, keys: Sequence[bytes]) -> bool:
    """Whether one of the signatures fits one of the keys; takes as long whether it does or not."""
    expected = [base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()) for key in keys]
    good = False
    for signature in signatures.split(" ")[:20]:
        version, _, value = signature.partition(",")
        for each in expected:
            good |= version == "v1" and hmac.compare_digest(each, value.encode("utf-8", "replace"))
    return good


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("a webhook secret is whsec_ and base64")
    return key
