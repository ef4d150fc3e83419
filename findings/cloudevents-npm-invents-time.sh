#!/usr/bin/env bash
# cloudevents 10.0.0 (npm): reading an event that has no `time`, which is optional, gives it the time of reading. Read twice,
# the same event has two times, and what is forwarded says when it was forwarded. Never tell repeats by `time`.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --prefix . cloudevents@10.0.0 >/dev/null
cat > read.mjs <<'JS'
import { HTTP } from 'cloudevents';
const body = JSON.stringify({ specversion: '1.0', id: '1', source: '/shop', type: 'paid' });
const begun = new Date().toISOString();
const event = HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body });
console.log('sent with time:', 'time' in JSON.parse(body));
console.log('read with a time of now:', event.time >= begun);
JS
node read.mjs | tee seen
diff - seen <<'EXPECTED'
sent with time: false
read with a time of now: true
EXPECTED
