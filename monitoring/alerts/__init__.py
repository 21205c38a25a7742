"""Alert rules as Prometheus reads them; written by `python -m monitoring.alert_rules`, never by hand."""
