"""The `webhook` adapter as the node finds it, through the entry point `renkei.event_adapters`."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from adapters.webhook.settings import ReceivesOnly, WebhookSettings
from adapters.webhook.sink import WebhookSink
from bus.errors import SiteInvalid
from bus.event_ports import EventPlace


class WebhookAdapter:
    """Makes sinks from an endpoint's settings."""

    name: Final = "webhook"

    def settings_model(self, direction: Literal["source", "sink"]) -> type[WebhookSettings] | type[ReceivesOnly]:
        """The pydantic model of `settings:` for this direction; that of a source accepts nothing."""
        return ReceivesOnly if direction == "source" else WebhookSettings

    def event_source(self, place: EventPlace) -> None:
        """None: nothing comes from a webhook."""

    def event_sink(self, place: EventPlace) -> WebhookSink:
        """A sink of this endpoint. Its secrets and certificates are read when the first event is sent.

        Raises:
            SiteInvalid: the settings are not a webhook's.
        """
        try:
            settings = WebhookSettings.model_validate(place.settings)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)[0]
            reason = f"{'.'.join(map(str, found['loc'])) or 'settings'}: {found['msg']}"
            raise SiteInvalid("RNK5600E", endpoint=place.endpoint, reason=reason) from error
        return WebhookSink(settings, endpoint=place.endpoint, folder=Path(place.folder))


ADAPTER: Final = WebhookAdapter()
