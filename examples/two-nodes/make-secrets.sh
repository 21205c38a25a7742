#!/bin/sh
# docker-compose.yml の秘密を secrets/ に作ります。ある秘密はそのままにし、中身は一切表示しません。
# Makes the secrets of docker-compose.yml in secrets/. A secret that is there stays as it is; none is ever shown.
set -eu
umask 077
cd "$(dirname "$0")/../.."

# The containers that read them run as their owner.
owner=$(id -u):$(id -g)
if [ "$(id -u)" = 0 ]; then
    owner=${SUDO_UID:-10001}:${SUDO_GID:-10001}
fi

mkdir -p secrets
chmod 0700 secrets

# keep NAME: takes the secret from standard input, unless it is there. It is whole or not there at all.
keep() {
    if [ -e "secrets/$1" ]; then
        cat >/dev/null
    else
        cat >"secrets/.$1.new"
        mv "secrets/.$1.new" "secrets/$1"
        echo "secrets/$1"
    fi
}

random_text() { dd if=/dev/urandom bs=32 count=1 2>/dev/null | od -A n -v -t x1 | tr -d ' \n'; }

for name in postgres_password rabbitmq_password metrics_token grafana_password grafana_secret_key; do
    random_text | keep "$name"
done
{ printf 'default_pass = ' && cat secrets/rabbitmq_password && echo; } | keep rabbitmq_password.conf
# Prometheus reads the same token as a user of its own, so this copy is kept by the folder alone, which only its owner may enter.
keep prometheus_token <secrets/metrics_token

if [ "$(id -u)" = 0 ]; then
    chown -R "$owner" secrets
fi
chmod 0600 secrets/*
chmod 0644 secrets/prometheus_token
if ! grep -q '^RENKEI_USER=' .env 2>/dev/null; then
    echo "RENKEI_USER=$owner" >>.env
    echo ".env"
fi
