"""The broker that the nodes of these tests share."""

from __future__ import annotations

from tests.services.rabbitmq import rabbitmq

__all__ = ["rabbitmq"]
