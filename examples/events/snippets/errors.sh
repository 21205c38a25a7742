#!/bin/sh
# What a refusal looks like: every broken rule with its field, the value masked.
set -eu
curl --silent --show-error ${RENKEI_HEADERS:+--header @"$RENKEI_HEADERS"} \
  --header 'content-type: application/cloudevents+json' --header 'accept-language: ja' \
  --data-binary @- "${RENKEI_URL:-http://127.0.0.1:9461}/v1/332020/interfaces/moved_in/events" <<'JSON'
{"specversion": "1.0", "id": "broken-1", "source": "/332020/register", "type": "jp.example.moved_in",
 "data": {"atenabango": "12", "rirekibango": "1", "jumin_shubetsu": "7", "shimei": "倉敷　太郎", "jusho": "倉敷市", "ido_ymd": "2026-02-30"}}
JSON
echo
