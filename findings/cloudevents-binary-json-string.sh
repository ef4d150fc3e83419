#!/usr/bin/env bash
# cloudevents 10.0.0 (npm) and cloudevents 2.2.0 (PyPI) send a text whose datacontenttype is application/json in binary mode
# without its quotes, so that the body is not JSON. A receiver that parses by the type it was told refuses the event.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --prefix . cloudevents@10.0.0 >/dev/null
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0
cat > send.mjs <<'JS'
import { HTTP, CloudEvent } from 'cloudevents';
const sent = HTTP.binary(new CloudEvent({ type: 'paid', source: '/shop', datacontenttype: 'application/json', data: 'hi' }));
console.log('npm', sent.headers['content-type'], sent.body);
JS
cat > send.py <<'PY'
from cloudevents.core.bindings.http import to_binary_event
from cloudevents.core.v1.event import CloudEvent

event = CloudEvent({"type": "paid", "source": "/shop", "id": "1", "specversion": "1.0", "datacontenttype": "application/json"}, "hi")
sent = to_binary_event(event)
print("PyPI", {key.lower(): value for key, value in sent.headers.items()}["content-type"], sent.body.decode())
PY
{ node send.mjs; venv/bin/python send.py; } | tee seen
diff - seen <<'EXPECTED'
npm application/json hi
PyPI application/json hi
EXPECTED
