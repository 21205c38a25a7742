#!/bin/sh
# Publish one event: CloudEvents attributes in headers (binary mode), the record as the body.
# The same id may be sent again at any time: it is in effect once. curl does so by itself while trouble may pass.
set -eu
url=${RENKEI_URL:-http://127.0.0.1:9461}
id=${1:-change-2026-000123}   # the number of the change in your own database, and nothing about the person

# With sign-in: a file of mode 0600 that holds the line "authorization: Bearer <key>" keeps the key off the command line.
curl --silent --show-error --fail-with-body --max-time 30 --retry 8 --retry-connrefused \
  ${RENKEI_HEADERS:+--header @"$RENKEI_HEADERS"} \
  --header 'content-type: application/json' \
  --header 'ce-specversion: 1.0' \
  --header "ce-id: $id" \
  --header 'ce-source: /332020/register' \
  --header 'ce-type: jp.example.moved_in' \
  --data-binary @- "$url/v1/332020/interfaces/moved_in/events" <<'JSON'
{"atenabango": "000000000000012", "rirekibango": "1", "jumin_shubetsu": "1", "shimei": "倉敷　太郎",
 "jusho_yubinbango": "7108565", "jusho": "岡山県倉敷市西中新田６４０番地", "ido_ymd": "2026-11-20"}
JSON
echo
