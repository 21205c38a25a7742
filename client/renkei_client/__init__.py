"""Client of the Renkei integration bus: publish, request, pull, subscribe, upload; verify webhooks. Depends on httpx alone.

Everything for applications is importable from here; the modules behind it may change.
"""

from renkei_client.client import Client, MessageShown, Published
from renkei_client.deliveries import Delivery, Subscribed
from renkei_client.errors import (
    Conflict,
    ContractViolated,
    Expired,
    NoReplyYet,
    NotKnown,
    NotSignedIn,
    Problem,
    Refused,
    RenkeiClientError,
    StaleDelivery,
    TooLarge,
    Unavailable,
    WebhookRefused,
)
from renkei_client.event import Event
from renkei_client.uploading import Uploaded
from renkei_client.webhooks import verify_webhook

__all__ = [
    "Client",
    "Conflict",
    "ContractViolated",
    "Delivery",
    "Event",
    "Expired",
    "MessageShown",
    "NoReplyYet",
    "NotKnown",
    "NotSignedIn",
    "Problem",
    "Published",
    "Refused",
    "RenkeiClientError",
    "StaleDelivery",
    "Subscribed",
    "TooLarge",
    "Unavailable",
    "Uploaded",
    "WebhookRefused",
    "verify_webhook",
]
