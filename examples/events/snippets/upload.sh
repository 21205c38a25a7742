#!/bin/sh
# Upload a file for the batch, resumable (tus 1.0.0). Run again with WHERE, it goes on where the line was cut.
set -eu
file=$1
url=${RENKEI_URL:-http://127.0.0.1:9461}

call() {
  curl --silent --show-error --fail-with-body ${RENKEI_HEADERS:+--header @"$RENKEI_HEADERS"} --header 'tus-resumable: 1.0.0' "$@"
}

# Announce it; the answer's Location is where its bytes go.
where=${WHERE:-$(call --request POST --dump-header - --output /dev/null \
  --header "upload-length: $(wc -c <"$file")" \
  --header "upload-metadata: filename $(basename "$file" | tr -d '\n' | base64 -w0)" \
  "$url/v1/332020/interfaces/month/uploads" | tr -d '\r' | sed -n 's/^location: //Ip')}
echo "WHERE=$where"

# How much is there already? Send the rest.
offset=$(call --head "$url$where" | tr -d '\r' | sed -n 's/^upload-offset: //Ip')
tail -c +$((offset + 1)) "$file" | call --request PATCH --header "upload-offset: $offset" \
  --header 'content-type: application/offset+octet-stream' --upload-file - "$url$where"

# What became of it: receiving, taking, then accepted, duplicate, held or refused.
call "$url$where"
echo
