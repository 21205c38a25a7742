#!/bin/sh
# Ask another system and wait for its reply: 200 with the reply, or 202 with the place (Location) to ask for it later.
set -eu
curl --silent --show-error --fail-with-body --max-time 60 --dump-header - \
  ${RENKEI_HEADERS:+--header @"$RENKEI_HEADERS"} \
  --header 'content-type: application/json' \
  --header 'ce-specversion: 1.0' \
  --header "ce-id: ${1:-question-$(date +%s%N)}" \
  --header 'ce-source: /332020/tax' \
  --header 'ce-type: jp.example.residence_question' \
  --data-binary '{"atenabango": "000000000000012", "kijun_ymd": "2026-01-01"}' \
  "${RENKEI_URL:-http://127.0.0.1:9461}/v1/332020/interfaces/question/requests?wait_seconds=${WAIT:-30}"
echo
