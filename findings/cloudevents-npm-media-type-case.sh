#!/usr/bin/env bash
# cloudevents 10.0.0 (npm) compares media types letter by letter: a structured event whose Content-Type has capitals, which
# mean the same by RFC 9110 section 8.3.1, is "no cloud event". Senders should write the type in lower case.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --prefix . cloudevents@10.0.0 >/dev/null
cat > read.mjs <<'JS'
import { HTTP } from 'cloudevents';
const body = JSON.stringify({ specversion: '1.0', id: '1', source: '/shop', type: 'paid', data: 1 });
for (const type of ['application/cloudevents+json', 'application/CloudEvents+JSON']) {
  try {
    console.log(type, HTTP.toEvent({ headers: { 'content-type': type }, body }).data);
  } catch (error) {
    console.log(type, error.message);
  }
}
JS
node read.mjs | tee seen
diff - seen <<'EXPECTED'
application/cloudevents+json 1
application/CloudEvents+JSON no cloud event detected
EXPECTED
