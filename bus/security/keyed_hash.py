"""Keyed hashes of personal identifiers, per tenant.

Owns: the secret file and what is derived from it. An 宛名番号 that serves as a key in the journal, a key file, the broker or a log is
this hash and never the number itself: without the secret nobody can try all numbers, and the same person of two tenants has two hashes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from bus.durable import sync
from bus.errors import JournalError

SECRET_BYTES: Final = 32


class KeyedHash:
    """Hashes texts under one secret. The secret is never shown, not even in `repr`."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: 32 to 64 random bytes.

        Raises:
            ValueError: the secret has another length.
        """
        if not SECRET_BYTES <= len(secret) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise ValueError("a secret has 32 to 64 bytes")
        self._secret = secret

    @staticmethod
    def open(path: Path) -> KeyedHash:
        """The keyed hash of the secret in `path`; the file is made (random, mode 0600, durable) when there is none.

        Raises:
            JournalError: the file cannot be read or made, has a wrong length, or others than its owner may read it.
        """
        try:
            if not path.exists():
                _make(path)
            mode = path.stat().st_mode
            secret = path.read_bytes()
        except OSError as error:
            raise JournalError("RNK3031E", path=str(path), reason=error.strerror or str(error)) from error
        if len(secret) != SECRET_BYTES or mode & 0o077:
            raise JournalError("RNK3032E", path=str(path), mode=f"{mode & 0o777:04o}", bytes=len(secret))
        return KeyedHash(secret)

    def of(self, tenant: str, text: str) -> str:
        """The hash of `text` for `tenant`: 32 hex digits, the same for ever under one secret."""
        return hashlib.blake2b(text.encode(), key=self._of_tenant(tenant, b"text"), digest_size=16).hexdigest()

    def seed(self, tenant: str) -> int:
        """A number from 0 to 2**64 - 1, secret and fixed per tenant, that seeds the fast hashing of whole columns.

        Those fast hashes are not cryptographic: they may stand in scratch files of a batch, never in the journal or in a log.
        """
        return int.from_bytes(self._of_tenant(tenant, b"seed")[:8], "little")

    def _of_tenant(self, tenant: str, purpose: bytes) -> bytes:
        return hashlib.blake2b(tenant.encode(), key=self._secret, person=purpose, digest_size=32).digest()

    def __repr__(self) -> str:
        return "KeyedHash(secret=***)"


def _make(path: Path) -> None:
    """Write the secret beside its place and link it there: a second process that does the same finds the first one's secret."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.write(descriptor, os.urandom(SECRET_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            return
    finally:
        fresh.unlink()
    sync(path.parent)
