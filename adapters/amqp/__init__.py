"""The AMQP face: applications publish to a tenant's exchange and consume one queue per subscription. The node loads `ADAPTER`."""

from adapters.amqp.adapter import ADAPTER

__all__ = ["ADAPTER"]
