"""Dashboards as Grafana reads them; written by `python -m monitoring.dashboards`, never by hand."""
