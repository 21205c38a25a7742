#!/bin/sh
# Programs that tests run besides Python: installed from Debian when missing. Ends 1, naming them, when they cannot be had:
# a test that needs one must fail, never be skipped.
set -eu

# program:package
NEEDED="prometheus:prometheus promtool:prometheus amtool:prometheus-alertmanager strace:strace wrk:wrk rabbitmq-server:rabbitmq-server docker-compose:docker-compose openssl:openssl curl:curl jq:jq"

missing=""
for pair in $NEEDED; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# PostgreSQL's server programs stand in a folder of their own version, not on the path.
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -n "$missing" ] || exit 0

missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
echo "installing for the tests: $missing" >&2
as_root=""
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
fi
# A package must not start a service of its own on the machine that runs tests.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null && $as_root chmod 755 "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
if ! { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >&2; then
    echo "cannot install: $missing (needed by tests; install by hand and run again)" >&2
    exit 1
fi
