"""Whether a host is this machine itself: what never leaves it needs no encryption.

Owns: the one answer, without asking a name server: a name that might stand for this machine is not it, but for `localhost`.
"""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Of a name or an address; one of IPv6 with or without its brackets."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
