"""The Grafana dashboard "the night at a glance", written to `monitoring/grafana/night.json`.

Owns: Grafana's form. The questions and queries are in `monitoring.night_panels`; after a change there run
`python -m monitoring.dashboards`. Titles are Japanese and English side by side, so that one file serves both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from monitoring.night_panels import PANELS, Panel

FILE: Final = Path(__file__).parent / "grafana" / "night.json"
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    x = y = row_height = 0
    panels = []
    for number, panel in enumerate(PANELS, 1):
        if x + panel.width > 24:
            x, y, row_height = 0, y + row_height, 0
        panels.append({"id": number, "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height}, **_panel(panel)})
        x, row_height = x + panel.width, max(row_height, panel.height)
    return {
        "uid": "renkei-night",
        "title": "Renkei 夜の見渡し / The night at a glance",
        "tags": ["renkei"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "tenant",
            "label": "団体 / Tenant",
            "type": "query",
            "datasource": _SOURCE,
            "query": "label_values(renkei_batch_window_seconds, tenant)",
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


def dashboard_file() -> str:
    """The dashboard's JSON, as it is kept."""
    return json.dumps(dashboard(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(dashboard_file(), "utf-8")
