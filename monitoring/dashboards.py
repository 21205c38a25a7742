"""The Grafana dashboards "the night at a glance" and "events", written to `monitoring/grafana/night.json` and `events.json`.

Owns: Grafana's form. The questions and queries are in `monitoring.night_panels` and `monitoring.event_panels`; after a change there run
`python -m monitoring.dashboards`. Titles are Japanese and English side by side, so that one file serves both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monitoring import event_panels, night_panels
from monitoring.panels import Panel

_FOLDER: Final = Path(__file__).parent / "grafana"
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard. `tenants` is the metric whose tenants may be chosen, `since` the range it opens with."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    tenants: str
    since: str

    @property
    def file(self) -> Path:
        """Where it is kept."""
        return _FOLDER / f"{self.name}.json"

    def text(self) -> str:
        """Its JSON, as it is kept."""
        return json.dumps(_grafana(self), ensure_ascii=False, indent=2) + "\n"


DASHBOARDS: Final = (
    Dashboard("night", "Renkei 夜の見渡し / The night at a glance", night_panels.PANELS, "renkei_batch_window_seconds", "now-24h"),
    Dashboard("events", "Renkei イベント / Events", event_panels.PANELS, "renkei_events_total", "now-1h"),
)


def _grafana(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    x = y = row_height = 0
    panels = []
    for number, panel in enumerate(dashboard.panels, 1):
        if x + panel.width > 24:
            x, y, row_height = 0, y + row_height, 0
        panels.append({"id": number, "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height}, **_panel(panel)})
        x, row_height = x + panel.width, max(row_height, panel.height)
    return {
        "uid": f"renkei-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["renkei"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": dashboard.since, "to": "now"},
        "templating": {"list": _variables(dashboard.tenants)},
        "panels": panels,
    }


def _variables(tenants: str) -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "tenant",
            "label": "団体 / Tenant",
            "type": "query",
            "datasource": _SOURCE,
            "query": f"label_values({tenants}, tenant)",
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def _panel(panel: Panel) -> dict[str, Any]:
    at_once = panel.kind != "timeseries"
    steps = [{"value": None if value == float("-inf") else value, "color": colour} for value, colour in panel.steps]
    defaults: dict[str, Any] = {"unit": panel.unit}
    if steps:
        defaults |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
    return {
        "type": panel.kind,
        "title": f"{panel.title_ja} / {panel.title_en}",
        "description": panel.meaning,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.kind in ("stat", "bargauge") else {},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "instant": at_once,
                "range": not at_once,
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for index, query in enumerate(panel.queries)
        ],
    }


if __name__ == "__main__":
    for each in DASHBOARDS:
        each.file.write_text(each.text(), "utf-8")
