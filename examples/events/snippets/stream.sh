#!/bin/sh
# Read a subscription as server-sent events. LAST: the number (id:) of the last event that was handled; what came after it comes again.
set -eu
exec curl --silent --show-error --fail --no-buffer \
  ${RENKEI_HEADERS:+--header @"$RENKEI_HEADERS"} \
  --header 'accept: text/event-stream' ${LAST:+--header "last-event-id: $LAST"} \
  "${RENKEI_URL:-http://127.0.0.1:9461}/v1/332020/subscriptions/tax_moved_in/events"
