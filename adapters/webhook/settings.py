"""The `settings:` of an endpoint whose adapter is `webhook`.

Owns: the words and their checks. Paths are absolute or relative to the folder of `site.yaml`.
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from adapters.webhook.signing import MUST_HOLD, holds_secret
from bus.loopback import is_loopback
from contracts.model import Strict

PathName = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]+$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=100)]
"""A token (RFC 9110, section 5.6.2)."""
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=1000)]
"""Visible ASCII with blanks inside (RFC 9110, section 5.5): no line break, so no second header."""

_OWN: Final = re.compile(
    r"accept-encoding|connection|content-.*|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|user-agent|webhook-.*",
    re.IGNORECASE,
)
_SECRET: Final = re.compile(r"auth|cookie|credential|key|passw|secret|session|token", re.IGNORECASE)


def _holds_secret(name: str, info: ValidationInfo) -> str:
    """Looks into the file when the check says, by `folder` in its context, where relative paths begin."""
    folder = (info.context or {}).get("folder")
    if folder is not None and not holds_secret(folder / name):
        raise ValueError(f"the file {name} holds no secret: {MUST_HOLD}")
    return name


class WebhookSettings(Strict):
    """Where and how a system is told of its events.

    `url` is `https`; `http` only on this machine, or until the last day `allow_plain_until` (UTC). `secrets` are files with one
    `whsec_...` each, readable by the node's user alone; every one of them signs, the first is the current one, the others are on their
    way in or out. `timeout_seconds` covers a whole attempt. `ca_file` (PEM) holds the certificate authorities to believe instead of the
    system's. `headers` are sent with every event and may hold no secret: secrets stand in files.
    """

    url: Annotated[str, StringConstraints(max_length=2000)]
    secrets: list[Annotated[PathName, AfterValidator(_holds_secret)]] = Field(min_length=1, max_length=5)
    timeout_seconds: float = Field(default=15.0, gt=0, le=300)
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict, max_length=20)
    ca_file: PathName | None = None
    allow_plain_until: datetime.date | None = None

    @field_validator("url")
    @classmethod
    def _can_be_called(cls, url: str) -> str:
        if not re.fullmatch(r"[!-~]+", url):
            raise ValueError("a URL is written in ASCII without blanks")
        parts = urlsplit(url)
        if parts.scheme not in {"https", "http"} or not parts.hostname or not _port_is_good(parts):
            raise ValueError("a webhook's URL is https://host/path")
        if "@" in parts.netloc:
            raise ValueError("a URL may hold no user name or password")
        if parts.fragment:
            raise ValueError("a URL to call has no fragment (#...)")
        return url

    @field_validator("headers")
    @classmethod
    def _are_free(cls, headers: dict[str, str]) -> dict[str, str]:
        for name in headers:
            if _OWN.fullmatch(name):
                raise ValueError(f"the header {name} is set by the bus itself")
            if _SECRET.search(name):
                raise ValueError(f"the header {name} looks like a secret, which may not stand in the configuration")
        return headers

    @model_validator(mode="after")
    def _is_not_overheard(self) -> WebhookSettings:
        if self.plain and self.allow_plain_until is None:
            raise ValueError("http:// is only for this machine; use https://, or name the last day with allow_plain_until")
        return self

    @property
    def plain(self) -> bool:
        """Whether events leave this machine unencrypted."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")


class ReceivesOnly(Strict):
    """What a webhook endpoint cannot be: a source."""

    @model_validator(mode="before")
    @classmethod
    def _no_source(cls, _: object) -> object:
        raise ValueError("a webhook endpoint only receives; a system publishes at an endpoint whose adapter is http or amqp")


def _port_is_good(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False
