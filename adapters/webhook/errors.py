"""What a receiver's answer, or its absence, means to the bus.

Owns: the table from HTTP status and from the errors of httpx to Transient and Permanent. Only 410 (Gone) and what cannot be sent at all are
Permanent; every other trouble is tried again a bounded number of times and then seen by a person. Told are the endpoint, the status and
the kind of error; never a header or body, which may quote a record.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import httpx

from bus.errors import Permanent, Transient, TransportError

MOST_WAIT_SECONDS: Final = 86_400
"""A receiver may ask for a wait of a day at most; a longer one is cut."""
_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_UNSENDABLE: Final = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)
_UNREACHED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)


def of_status(endpoint: str, status: int, retry_after: str | None, now: datetime) -> TransportError | None:
    """What a status means; None: delivered. `retry_after` is the header of that name, `now` an aware time."""
    if status // 100 == 2:
        return None
    if status == HTTPStatus.GONE:
        return Permanent("RNK5602E", endpoint=endpoint, status=status)
    seconds = wait_seconds(retry_after, now) if status in _BUSY else None
    if seconds is not None:
        return Transient("RNK5603E", endpoint=endpoint, status=status, retry_after_seconds=seconds)
    return Transient("RNK5601E", endpoint=endpoint, status=status)


def wait_seconds(retry_after: str | None, now: datetime) -> int | None:
    """How long `Retry-After` (RFC 9110, section 10.2.3: seconds or a date) asks to wait; None when it does not say."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return min(int(text[:10]), MOST_WAIT_SECONDS)
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0, min(round((then - now).total_seconds()), MOST_WAIT_SECONDS))


def of_exception(endpoint: str, error: Exception) -> TransportError:
    """What an error of httpx or the operating system means."""
    untrusted = next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None)
    if untrusted is not None:
        reason = getattr(untrusted, "verify_message", "") or untrusted.reason or type(untrusted).__name__
        return Transient("RNK5607E", endpoint=endpoint, reason=reason)
    if isinstance(error, _UNSENDABLE):
        return Permanent("RNK5610E", endpoint=endpoint, error=type(error).__name__)
    if isinstance(error, _UNREACHED):
        return Transient("RNK5605E", endpoint=endpoint, error=_kind(error))
    return Transient("RNK5606E", endpoint=endpoint, error=_kind(error))


def _kind(error: Exception) -> str:
    """The operating system's name of what happened, if it has one."""
    numbers = (cause.errno for cause in _causes(error) if isinstance(cause, OSError) and cause.errno in errno.errorcode)
    number = next(numbers, None)
    return type(error).__name__ if number is None else errno.errorcode[number]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, each once; of a group, its first."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.exceptions[0] if isinstance(found, BaseExceptionGroup) else found.__cause__ or found.__context__
