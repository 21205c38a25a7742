"""An outgoing event as one structured CloudEvent in JSON.

Owns: the JSON event format (CloudEvents JSON Event Format 1.0.2) of what leaves. Adapters and the API send these bytes; nothing is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from bus.event import Attributes, OutgoingEvent

MEDIA_TYPE: Final = "application/cloudevents+json"
"""Content type of `envelope` (section 3 of the format), always UTF-8."""
BATCH_MEDIA_TYPE: Final = "application/cloudevents-batch+json"
"""Of several events in a JSON array (section 4)."""


def context(attributes: Attributes) -> Mapping[str, str]:
    """The attributes as members of the JSON object, empty ones left out; extensions stand beside the others (section 2)."""
    optional = {
        "subject": attributes.subject,
        "time": attributes.time,
        "datacontenttype": attributes.datacontenttype,
        "dataschema": attributes.dataschema,
    }
    return {
        "specversion": "1.0",
        "id": attributes.id,
        "source": attributes.source,
        "type": attributes.type,
        **{name: value for name, value in optional.items() if value},
        **attributes.extensions,
    }


def envelope(event: OutgoingEvent) -> bytes:
    """The event in JSON on one line, without a line break at its end. `data` is put in as it stands, not read again: a line break in it
    can only be space between tokens (RFC 8259, section 2), and becomes a blank.
    """
    head = json.dumps(context(event.attributes), ensure_ascii=False, separators=(",", ":")).encode()
    data = event.data.replace(b"\r", b" ").replace(b"\n", b" ")
    return head[:-1] + b',"data":' + data + b"}"
