"""The endpoint of a system that publishes over HTTP and fetches its events itself (pull, server-sent events). The node loads `ADAPTER`."""

from adapters.http.adapter import ADAPTER

__all__ = ["ADAPTER"]
