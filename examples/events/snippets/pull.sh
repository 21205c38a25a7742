#!/bin/sh
# Fetch what is due, handle it, acknowledge it. What is not acknowledged within the lease comes again.
set -eu
url=${RENKEI_URL:-http://127.0.0.1:9461}/v1/332020/subscriptions/tax_moved_in

call() {
  curl --silent --show-error --fail-with-body --max-time 60 --retry 8 --retry-connrefused \
    ${RENKEI_HEADERS:+--header @"$RENKEI_HEADERS"} --header 'content-type: application/json' --data-binary @- "$@"
}

pulled=$(echo '{"max": 100, "lease_seconds": 60, "wait_seconds": 20}' | call "$url/pull") || { printf '%s\n' "$pulled" >&2; exit 1; }
printf '%s\n' "$pulled" | jq -r '.events[] | "\(.delivery) \(.event.data.atenabango)"'   # here: store it, by .delivery, once
printf '%s\n' "$pulled" | jq '{deliveries: [.events[] | {delivery, fence}]} | select(.deliveries != [])' >acknowledged.json
if [ -s acknowledged.json ]; then
  call "$url/ack" <acknowledged.json
  echo
fi
