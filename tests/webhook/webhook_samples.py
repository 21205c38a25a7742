"""Events, secrets and sinks for webhook tests."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

from adapters.webhook.settings import WebhookSettings
from adapters.webhook.sink import WebhookSink
from bus.event import Attributes, OutgoingEvent

DATA = '{"resident_id":"0000000012","family_name":"倉敷","note":"転入"}'.encode()


def secret(number: int = 1) -> str:
    """A secret in the convention's form."""
    return "whsec_" + base64.b64encode(bytes([number]) * 32).decode()


def write_secret(path: Path, text: str, mode: int = 0o600) -> str:
    """A secret file, replaced whole as an operator would; returns its path."""
    temporary = path.with_suffix(".new")
    temporary.write_text(text, "ascii")
    temporary.chmod(mode)
    temporary.replace(path)
    return str(path)


def outgoing(number: int = 1, **attributes: str) -> OutgoingEvent:
    """An event on its way out."""
    known = {"id": f"e-{number}", "source": "/332020/resident", "type": "jp.renkei.resident.moved_in", "subject": "", **attributes}
    extensions = {"renkeimessage": f"332020-m{number}", "renkeidelivery": f"332020-d{number}", "renkeinumber": str(number)}
    return OutgoingEvent(
        tenant="332020",
        subscription="welfare_moved_in",
        endpoint="welfare_hook",
        delivery=f"332020-d{number}",
        attempt=1,
        attributes=Attributes(**known, time="2026-11-20T01:02:03Z", extensions=extensions),
        data=DATA,
    )


def _now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def sink(folder: Path, url: str, *, now: Callable[[], datetime] = _now, **settings: object) -> AsyncIterator[WebhookSink]:
    """A sink with one secret of its own, unless `secrets` are given."""
    if "secrets" not in settings:
        settings["secrets"] = [write_secret(folder / "own.secret", secret())]
    checked = WebhookSettings.model_validate({"url": url, "timeout_seconds": 5, **settings})
    made = WebhookSink(checked, endpoint="welfare_hook", folder=folder, now=now)
    try:
        yield made
    finally:
        await made.close()


def pipe(path: Path) -> Path:
    """A named pipe, whose opening could wait for ever."""
    os.mkfifo(path, 0o600)
    return path
