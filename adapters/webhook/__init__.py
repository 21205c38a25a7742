"""Webhooks: each event is posted to its receiver's URL, signed by the Standard Webhooks convention. The node loads `ADAPTER`."""

from adapters.webhook.adapter import ADAPTER

__all__ = ["ADAPTER"]
