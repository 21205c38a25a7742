"""Who calls: the key of a business system, and the token of monitoring.

Owns: telling callers apart. A key is looked for among those of the one tenant that the call is about; only digests are kept, every one of
them is compared, and each in constant time. Made once per loaded configuration.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from bus.api.problems import CallRefused, nothing_there
from bus.ports import Clock
from bus.site import LoadedSite, Tenant

LONGEST_KEY: Final = 512
_SCHEME: Final = b"bearer "
_ASK: Final = {"www-authenticate": 'Bearer realm="renkei"'}


@dataclass(frozen=True, slots=True)
class Who:
    """Who calls on behalf of a tenant. Without `system` there is no sign-in, and the caller is whichever system it says."""

    tenant: str
    system: str | None

    def is_one_of(self, *systems: str) -> bool:
        """Whether the caller may act as one of these systems."""
        return self.system is None or self.system in systems


@dataclass(frozen=True, slots=True)
class _Key:
    digest: bytes
    system: str
    until_us: int
    """the end of its last day in the site's time zone"""
    ends: str


class SignIn:
    """Knows the keys of one loaded configuration. Safe to use from several threads."""

    def __init__(self, site: LoadedSite, clock: Clock) -> None:
        """Read the keys.

        Raises:
            ValueError: a last day that is no day of the calendar (`renkei check` finds it before).
        """
        self._clock = clock
        self._asks = site.site.api.sign_in == "key"
        zone = ZoneInfo(site.site.time_zone)
        self._keys = {code: _keys(loaded.tenant, zone) for code, loaded in site.tenants.items()}

    def who(self, tenant: str, authorization: bytes | None) -> Who:
        """The caller, from the `Authorization` header of its request.

        Raises:
            CallRefused: 401 without a key of this tenant, 403 with one whose last day has passed, 404 for a tenant that is not here.
        """
        keys = self._keys.get(tenant)
        if not self._asks:
            if keys is None:
                raise nothing_there()
            return Who(tenant, None)
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise CallRefused("RNK7201E", status=401, headers=_ASK)
        given = authorization[len(_SCHEME) :].strip()
        found = _found(keys or (), hashlib.sha256(given).digest()) if 0 < len(given) <= LONGEST_KEY else None
        if found is None:  # the same for a tenant that is not here: nobody learns who is
            raise CallRefused("RNK7202E", status=401, headers=_ASK)
        if self._clock.now_us() >= found.until_us:
            raise CallRefused("RNK7203E", status=403, ends=found.ends)
        return Who(tenant, found.system)


def _keys(tenant: Tenant, zone: ZoneInfo) -> tuple[_Key, ...]:
    return tuple(
        _Key(bytes.fromhex(key.sha256), system.id, _until_us(key.ends, zone), key.ends)
        for system in tenant.systems
        for key in system.api_keys
    )


def _until_us(ends: str, zone: ZoneInfo) -> int:
    following = date.fromisoformat(ends) + timedelta(days=1)
    return round(datetime(following.year, following.month, following.day, tzinfo=zone).timestamp()) * 1_000_000


def _found(keys: Sequence[_Key], digest: bytes) -> _Key | None:
    """The key of that digest. Every one is looked at, so that the time taken says nothing of where it stands."""
    found = None
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The bearer token that monitoring shows beyond loopback. The file is read anew each time, so that it can be exchanged at any time;
    an empty or unreadable one lets nobody in."""

    file: Path

    def lets_in(self, authorization: str | None) -> bool:
        """Whether the header shows the token."""
        try:
            token = self.file.read_bytes().strip()
        except OSError:
            return False
        given = (authorization or "").encode("utf-8", "replace")
        if not token or given[: len(_SCHEME)].lower() != _SCHEME:
            return False
        return hmac.compare_digest(hashlib.sha256(given[len(_SCHEME) :].strip()).digest(), hashlib.sha256(token).digest())
