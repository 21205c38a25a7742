"""Signatures of the Standard Webhooks convention, and the files their secrets stand in.

Owns: reading a secret file safely, and the three headers `webhook-id`, `webhook-timestamp`, `webhook-signature`. The signed text is
`id.timestamp.body`, keyed with HMAC-SHA256; with several secrets there is one signature each, so that a receiver that knows any of them
can verify. Source: Standard Webhooks specification 1.0, sections "Signature scheme" and "Secret rotation".
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bus.errors import Transient

PREFIX: Final = "whsec_"
MUST_HOLD: Final = "it must hold whsec_ and 24 to 64 bytes in base64"
_LEAST_KEY_BYTES: Final = 24
_MOST_KEY_BYTES: Final = 64
_MOST_FILE_BYTES: Final = 1024
_OTHERS: Final = 0o077


@dataclass(slots=True)
class SecretFile:
    """One secret, read when first asked for and again whenever its file has changed."""

    path: Path
    endpoint: str
    _seen: tuple[int, ...] = ()
    _key: bytes = field(default=b"", repr=False)

    def key(self) -> bytes:
        """The key, 24 to 64 bytes.

        Raises:
            Transient: the file is missing, readable by others, or holds no secret; nothing of what it holds is told.
        """
        try:
            now = _fingerprint(self.path.stat())
            if now != self._seen:
                self._key, self._seen = self._read()
        except OSError as error:
            raise self._unusable(error.strerror or type(error).__name__) from error
        return self._key

    def _read(self) -> tuple[bytes, tuple[int, ...]]:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # never waits, whatever stands there
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_FILE_BYTES:
                raise self._unusable("it is no small regular file")
            if found.st_mode & _OTHERS:
                raise self._unusable("others than its owner may use it; its mode must be 0600")
            text = os.read(descriptor, _MOST_FILE_BYTES)
        finally:
            os.close(descriptor)
        return self._decoded(text.strip()), _fingerprint(found)

    def _decoded(self, text: bytes) -> bytes:
        key = _key_in(text)
        if key is None:
            raise self._unusable(MUST_HOLD)
        return key

    def _unusable(self, reason: str) -> Transient:
        return Transient("RNK5608E", endpoint=self.endpoint, path=str(self.path), reason=reason)


def holds_secret(path: Path) -> bool:
    """Whether a secret stands in the file; True for one that cannot be read, too, of which others tell."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_FILE_BYTES:
            return not path.is_file()
        return _key_in(path.read_bytes().strip()) is not None
    except OSError:
        return True


def _key_in(text: bytes) -> bytes | None:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX.encode()), validate=True) if text.startswith(PREFIX.encode()) else b""
    except binascii.Error:
        return None
    return key if _LEAST_KEY_BYTES <= len(key) <= _MOST_KEY_BYTES else None


def _fingerprint(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode


def signed_headers(webhook_id: str, timestamp_seconds: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The convention's headers for `body`, with one signature per key, in the order of `keys`."""
    content = f"{webhook_id}.{timestamp_seconds}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, content, "sha256")).decode("ascii") for key in keys)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp_seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
