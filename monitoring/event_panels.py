"""The panels of the dashboard "events": which question each answers, and the query that answers it.

Owns: the questions, in the order they are asked when somebody says that events do not arrive: do they come, do they leave, what is in the
way. `monitoring.dashboards` makes Grafana's JSON of them; a test asks a real Prometheus every query.
"""

from __future__ import annotations

from typing import Final

from monitoring.alert_rules import BACKLOG_DELIVERIES, PUBLISH_SECONDS, STUCK_SECONDS
from monitoring.panels import Panel, Query, good_from, good_until

_T: Final = 'tenant=~"$tenant"'
_BACKLOG: Final = f'max by (tenant, subscription, state) (renkei_deliveries{{{_T}, state!="quarantined"}})'


def _total(metric: str, *labels: str, chosen: str = "") -> str:
    """How much a counter grew within the range that is shown."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} (increase({metric}{{{_T}{chosen}}}[$__range]))"


def _percentile(metric: str, label: str) -> str:
    return f"histogram_quantile(0.99, sum by (le, {label}) (rate({metric}_bucket[$__range])))"


_ACCEPTED: Final = _total("renkei_events_total", chosen=', outcome="accepted"')
_NOT_ACCEPTED: Final = _total("renkei_events_total", "tenant", "interface", "outcome", chosen=', outcome!="accepted"')
_EXPIRED: Final = _total("renkei_event_deliveries_total", chosen=', outcome="expired"')
_TROUBLE: Final = _total("renkei_event_deliveries_total", "tenant", "subscription", "outcome", chosen=', outcome!="delivered"')

PANELS: Final = (
    # --- is anything in the way?
    Panel("stat", "受け付けたイベント", "Events accepted", "期間内 / within the range",
          (Query(f"{_ACCEPTED} or vector(0)"),), width=4, height=4),
    Panel("stat", "待っている配信", "Deliveries waiting", "すべての配信先 / all subscribers",
          (Query(f"sum({_BACKLOG}) or vector(0)"),), width=4, height=4, steps=good_until(BACKLOG_DELIVERIES)),
    Panel("stat", "期限切れ", "Expired", "期限までに届かなかった / not delivered in time",
          (Query(f"{_EXPIRED} or vector(0)"),),
          width=4, height=4, steps=good_until(1)),
    Panel("stat", "休ませている接続先", "Endpoints left alone", "失敗が続いたため / because they kept failing",
          (Query(f"sum(max by (tenant, endpoint) (renkei_breaker_open{{{_T}}})) or vector(0)"),), width=4, height=4, steps=good_until(1)),
    Panel("stat", "断った要求", "Requests turned away", "混雑のため(全団体) / because of load, all tenants",
          (Query("sum(increase(renkei_overload_refusals_total[$__range])) or vector(0)"),), width=4, height=4, steps=good_until(1)),
    Panel("stat", "ブローカー", "Broker", "つながっていないノードがあれば 0 / 0: a node is not connected",
          (Query("min(renkei_broker_connected)"),), width=4, height=4, steps=good_from(1)),
    # --- do they come?
    Panel("timeseries", "届いたイベント", "Events by what became of them", "1 秒あたり / per second",
          (Query(f"sum by (outcome) (rate(renkei_events_total{{{_T}}}[$__range]))", "{{outcome}}"),)),
    Panel("timeseries", "応答までの時間(99%)", "Time until the answer, 99 %", "0.5 秒で警告(全団体) / a warning at 0.5 s, all tenants",
          (Query(_percentile("renkei_event_publish_seconds", "via"), "{{via}}"),), unit="s", steps=good_until(PUBLISH_SECONDS)),
    Panel("table", "受け付けなかったイベント", "Events not accepted", "conflict は同じ番号で別の内容 / conflict: same id, other content",
          (Query(f"{_NOT_ACCEPTED} > 0", "{{tenant}} {{interface}} {{outcome}}"),)),
    Panel("timeseries", "ジャーナルの書き込み(99%)", "Journal commits, 99 %", "ディスクへの同期まで / with their sync",
          (Query("histogram_quantile(0.99, sum by (le) (rate(renkei_journal_commit_seconds_bucket[$__range])))", "99 %"),
           Query("histogram_quantile(0.5, sum by (le) (rate(renkei_journal_commit_seconds_bucket[$__range])))", "50 %")), unit="s"),
    # --- do they leave?
    Panel("timeseries", "配信の結果", "Attempts to deliver", "1 秒あたり / per second",
          (Query(f"sum by (outcome) (rate(renkei_event_deliveries_total{{{_T}}}[$__range]))", "{{outcome}}"),)),
    Panel("timeseries", "届くまでの時間(99%)", "Time until delivered, 99 %", "受け付けてから(全団体) / from acceptance on, all tenants",
          (Query(_percentile("renkei_event_delivery_seconds", "adapter"), "{{adapter}}"),), unit="s"),
    Panel("timeseries", "待っている配信(配信先ごと)", "Waiting by subscriber", "多い順に 10 / the ten longest",
          (Query(f"topk(10, sum by (tenant, subscription) ({_BACKLOG}))", "{{tenant}} {{subscription}}"),)),
    Panel("timeseries", "最も古い配信", "Oldest delivery", "古い順に 10 / the ten oldest",
          (Query(f"topk(10, max by (tenant, subscription) (renkei_delivery_oldest_age_seconds{{{_T}}}))", "{{tenant}} {{subscription}}"),),
          unit="s", steps=good_until(STUCK_SECONDS)),
    Panel("table", "うまくいかなかった配信", "Deliveries in trouble", "期間内 / within the range",
          (Query(f"{_TROUBLE} > 0", "{{tenant}} {{subscription}} {{outcome}}"),)),
    Panel("timeseries", "一度に書く件数", "Writes per commit", "まとめて書くほど速い / the more at once, the faster",
          (Query("sum(rate(renkei_journal_group_size_sum[$__range])) / sum(rate(renkei_journal_group_size_count[$__range]))"),)),
)  # fmt: skip
