"""Files dropped into and picked up from local folders. The node loads `ADAPTER` by entry point; nothing else is for outsiders."""

from adapters.files.adapter import ADAPTER

__all__ = ["ADAPTER"]
