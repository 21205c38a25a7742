"""The node finds the event adapters by entry point, and each says what it is."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pydantic import ValidationError

from adapters.webhook.sink import WebhookSink
from bus.errors import SiteInvalid
from bus.event_ports import EventAdapter, EventPlace


def adapter(name: str) -> EventAdapter:
    (point,) = entry_points(group="renkei.event_adapters", name=name)
    loaded: EventAdapter = point.load()
    return loaded


def place(tmp_path: Path, **settings: object) -> EventPlace:
    return EventPlace("332020", "welfare_hook", settings, str(tmp_path), (), ("welfare_moved_in",), None)


def test_a_webhook_is_a_sink_and_no_source(tmp_path: Path) -> None:
    found = adapter("webhook")
    assert isinstance(found.event_sink(place(tmp_path, url="https://welfare.example/", secrets=["s"])), WebhookSink)
    assert found.event_source(place(tmp_path)) is None
    with pytest.raises(ValidationError):
        found.settings_model("source").model_validate({})  # type: ignore[attr-defined]
    with pytest.raises(SiteInvalid) as caught:
        found.event_sink(place(tmp_path, url="https://u:hidden@welfare.example/", secrets=["s"]))
    assert "hidden" not in str(caught.value)


def test_http_is_served_by_the_api(tmp_path: Path) -> None:
    found = adapter("http")
    assert found.event_sink(place(tmp_path)) is None
    assert found.event_source(place(tmp_path)) is None
    assert found.settings_model("source").model_validate({})  # type: ignore[attr-defined]
    with pytest.raises(ValidationError):
        found.settings_model("sink").model_validate({"folder": "x"})  # type: ignore[attr-defined]
