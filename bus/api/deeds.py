"""The operations that may be asked for by name over a node's private socket, and the names of their arguments in order.

Owns: the list alone, so that a command need not load the whole node to ask one that runs. A test holds it against `bus.operations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "submit": ("path", "interface", "tenant"),
    "intake_progress": ("intake",),
    "messages": ("tenant", "interface", "business_date", "state", "limit"),
    "trace": ("message",),
    "deliveries": ("tenant", "subscription", "message", "state", "limit"),
    "resend": ("message", "subscription"),
    "quarantine_list": ("tenant", "kind", "message", "state", "limit"),
    "quarantine_show": ("quarantine_id", "limit"),
    "quarantine_export": ("quarantine_id", "path"),
    "quarantine_release": ("quarantine_id",),
    "quarantine_release_all": ("tenant", "subscription"),
    "operation_progress": ("operation",),
    "quarantine_skip": ("quarantine_id",),
    "status": (),
}
