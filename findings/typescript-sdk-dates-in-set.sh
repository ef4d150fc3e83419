#!/usr/bin/env bash
# @serverlessworkflow/sdk 1.0.1 (npm) reads YAML with timestamps, which YAML 1.2's core schema does not have: a date in `set`
# becomes a point in time and leaves `serialize` as midnight UTC, while `yes` stays text as in YAML 1.2. A workflow that
# passes through the SDK sets another value than the one its author wrote.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --prefix . @serverlessworkflow/sdk@1.0.1 >/dev/null
cat > dates.mjs <<'JS'
import sdk from '@serverlessworkflow/sdk';
const { Workflow } = sdk.Classes;
const workflow = Workflow.deserialize(`
document: { dsl: 1.0.0, namespace: shop, name: dates, version: 1.0.0 }
do:
  - start: { set: { due: 2026-12-24, confirmed: yes } }
`);
workflow.validate();
console.log(JSON.parse(Workflow.serialize(workflow, 'json')).do[0].start.set);
JS
node dates.mjs | tee seen
diff - seen <<'EXPECTED'
{ due: '2026-12-24T00:00:00.000Z', confirmed: 'yes' }
EXPECTED
