"""Seals: how the plain bytes of a payload part become the bytes that are stored.

Owns: the seal called `identity`, used until keys exist. It adds no header, so the stored original is the file as it came, bit for bit;
that a part belongs to its tenant and message is proven by the manifest in the journal and by its path (`bus.payloads`).
"""

from __future__ import annotations

from typing import Final

from bus.ports import Binding


class IdentitySeal:
    """Leaves the bytes as they are."""

    name: Final = "identity"

    def seal(self, plain: bytes, binding: Binding) -> bytes:  # noqa: ARG002 - the port binds; this seal has nothing to bind with
        """`plain` itself."""
        return plain

    def open(self, sealed: bytes, binding: Binding) -> bytes:  # noqa: ARG002 - see seal
        """`sealed` itself."""
        return sealed
