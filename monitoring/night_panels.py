"""The panels of the dashboard "the night at a glance": which question each answers, and the query that answers it.

Owns: the questions, in the order an operator asks them in the morning. `monitoring.dashboards` makes Grafana's JSON of them; a test asks
a real Prometheus every query.
"""

from __future__ import annotations

from typing import Final

from monitoring.alert_rules import JOB, STUCK_SECONDS
from monitoring.panels import Panel, Query, good_from, good_until

AVAILABILITY_TARGET: Final = 0.995
"""Of a month: the target figure of the programme."""
_T: Final = 'tenant=~"$tenant"'


def _newest(metric: str) -> str:
    """A gauge of the last batch, from the node that saw it."""
    last = f"topk by (tenant, interface) (1, renkei_batch_last_success_timestamp_seconds{{{_T}}})"
    return f"max by (tenant, interface) ({metric}{{{_T}}} and on (tenant, interface, instance) {last})"


_SUCCESS: Final = f"max by (tenant, interface) (renkei_batch_last_success_timestamp_seconds{{{_T}}})"
_FAILURE: Final = f"max by (tenant, interface) (renkei_batch_last_failure_timestamp_seconds{{{_T}}})"
_DURATION: Final = _newest("renkei_batch_duration_seconds")
_MARGIN: Final = _newest("renkei_batch_rerun_margin_seconds")
_WINDOW: Final = f"max by (tenant, interface) (renkei_batch_window_seconds{{{_T}}})"
_BACKLOG: Final = f"max by (tenant, subscription, state) (renkei_deliveries{{{_T}}})"
_GIVEN_UP: Final = f'max by (tenant, subscription) (renkei_deliveries{{{_T}, state="quarantined"}})'
_QUARANTINE: Final = f"max by (tenant, kind) (renkei_quarantine_open_records{{{_T}}})"
_RECORDS: Final = f"sum by (tenant, interface, outcome) (increase(renkei_records_total{{{_T}}}[$__range]))"

PANELS: Final = (
    # --- may everybody sleep on?
    Panel("stat", "異常終了", "Failed batches", "最後の終了が異常だったバッチ / batches whose last end was abnormal",
          (Query(f"count({_FAILURE} > {_SUCCESS}) or vector(0)"),), width=4, height=4, steps=good_until(1)),
    Panel("stat", "遅延", "Late batches", "時間枠が終わっても済んでいない / not done when the window ended",
          (Query(f"sum(max by (tenant, interface) (renkei_batch_late{{{_T}}})) or vector(0)"),), width=4, height=4, steps=good_until(1)),
    Panel("stat", "再実行の余裕(最小)", "Least re-run margin", "負なら再実行は収まらない / negative: one more run does not fit",
          (Query(f"min({_MARGIN})"),), unit="s", width=4, height=4, steps=good_from(0)),
    Panel("stat", "あきらめた配信", "Deliveries given up", "人が解除するまで進まない / stand until a person releases them",
          (Query(f"sum({_GIVEN_UP}) or vector(0)"),), width=4, height=4, steps=good_until(1)),
    Panel("stat", "隔離中のレコード", "Records in quarantine", "人の判断を待つもの / waiting for a person",
          (Query(f"sum({_QUARANTINE}) or vector(0)"),), width=4, height=4, steps=good_until(1)),
    Panel("stat", "稼働率(30日)", "Availability, 30 days", "目標 99.5% / target 99.5 %",
          (Query(f'avg(avg_over_time(up{{job="{JOB}"}}[30d]))'),), unit="percentunit", width=4, height=4,
          steps=good_from(AVAILABILITY_TARGET)),
    # --- the night, batch by batch
    Panel("bargauge", "時間枠の使用率", "Share of the window used", "最後の長さ ÷ 時間枠 / last duration over its window",
          (Query(f"{_DURATION} / {_WINDOW}", "{{tenant}} {{interface}}"),),
          unit="percentunit", steps=((float("-inf"), "green"), (0.5, "red"))),
    Panel("table", "最後の正常終了からの時間", "Time since the last normal end", "行がなければ一度も終わっていない / no row: never ended",
          (Query(f"time() - ({_SUCCESS} > 0)", "{{tenant}} {{interface}}"),),
          unit="s", steps=good_until(90_000)),
    Panel("timeseries", "バッチの長さ", "Batch duration", "受信から最後の配信まで / received until the last delivery",
          (Query(_DURATION, "{{tenant}} {{interface}}"),), unit="s"),
    Panel("timeseries", "再実行の余裕", "Re-run margin", "残り − 最後の長さ / left after one more run",
          (Query(_MARGIN, "{{tenant}} {{interface}}"),), unit="s", steps=good_from(0)),
    Panel("timeseries", "工程の長さ(95%)", "Stage duration, 95 %", "遅い工程(全団体) / slow stages, all tenants",
          (Query("histogram_quantile(0.95, sum by (le, stage) (rate(renkei_batch_stage_seconds_bucket[$__range])))",
                 "{{stage}}"),), unit="s"),
    Panel("timeseries", "届いたファイル", "Arrivals", "ファイルがどうなったか / what became of each file",
          (Query(f"sum by (tenant, interface, outcome) (increase(renkei_receipts_total{{{_T}}}[$__range]))",
                 "{{tenant}} {{interface}} {{outcome}}"),)),
    # --- do the totals agree?
    Panel("table", "受け取ったレコード", "Records taken in", "受け取った全件 = good + rejected / all that came = good + rejected",
          (Query(_RECORDS, "{{tenant}} {{interface}} {{outcome}}"),)),
    Panel("table", "配信したレコード", "Records delivered", "good = out + filtered + refused、配信先ごと / per subscriber",
          (Query(f"sum by (tenant, subscription, outcome) (increase(renkei_delivered_records_total{{{_T}}}[$__range]))",
                 "{{tenant}} {{subscription}} {{outcome}}"),)),
    Panel("timeseries", "入出力", "Bytes in and out", "1 秒あたり / per second",
          (Query(f"sum by (direction) (rate(renkei_bytes_total{{{_T}}}[$__range]))", "{{direction}}"),), unit="Bps"),
    Panel("timeseries", "異常終了の回数", "Abnormal ends", "期間内 / within the range",
          (Query(f"sum by (tenant, interface) (increase(renkei_batch_failures_total{{{_T}}}[$__range]))", "{{tenant}} {{interface}}"),)),
    # --- what is stuck, for whom?
    Panel("timeseries", "終わっていない配信", "Unfinished deliveries", "状態ごと / by state",
          (Query(_BACKLOG, "{{tenant}} {{subscription}} {{state}}"),)),
    Panel("timeseries", "最も古い配信", "Oldest delivery", "30 分で警告 / a warning after 30 minutes",
          (Query(f"max by (tenant, subscription) (renkei_delivery_oldest_age_seconds{{{_T}}})", "{{tenant}} {{subscription}}"),),
          unit="s", steps=good_until(STUCK_SECONDS)),
    Panel("table", "隔離の内訳", "Quarantine by kind", "renkei quarantine list で中身を見る / look inside with renkei quarantine list",
          (Query(_QUARANTINE, "{{tenant}} {{kind}}"),)),
    Panel("stat", "動いているノード", "Nodes running", "",
          (Query(f'sum(up{{job="{JOB}"}})'), Query("sum(renkei_series_left_out)", "series left out")), height=8),
)  # fmt: skip
