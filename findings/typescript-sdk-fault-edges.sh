#!/usr/bin/env bash
# @serverlessworkflow/sdk 1.0.1 (npm), buildGraph: the edges of faults are not those of the specification. A `raise`, which
# never goes on, has an edge to the task behind it; a `try` that succeeds can only leave through its `catch`, because there
# is an edge from the end of `try` to `catch` and none around it. A view of runs must compute the edges itself.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --prefix . @serverlessworkflow/sdk@1.0.1 >/dev/null
cat > edges.mjs <<'JS'
import sdk from '@serverlessworkflow/sdk';
const workflow = sdk.Classes.Workflow.deserialize(`
document: { dsl: 1.0.0, namespace: shop, name: pay, version: 1.0.0 }
do:
  - charge:
      try: [ { ask: { set: { paid: true } } } ]
      catch: { do: [ { note: { set: { paid: false } } } ] }
  - stop: { raise: { error: { type: https://example.com/late, status: 400 } } }
  - ship: { set: { shipped: true } }
`);
const all = (graph) => [...graph.edges, ...graph.nodes.filter((it) => it.nodes).flatMap(all)];
const edges = all(sdk.buildGraph(workflow)).map((it) => `${it.sourceId} -> ${it.destinationId}`);
const leaving = (from) => edges.filter((it) => it.startsWith(`${from} `)).sort();
console.log(leaving('/do/1/stop').join('\n'));
console.log(leaving('/do/0/charge/try-exit-node').join('\n'));
JS
node edges.mjs | tee seen
diff - seen <<'EXPECTED'
/do/1/stop -> /do/2/ship
/do/0/charge/try-exit-node -> /do/0/charge/catch/do-entry-node
EXPECTED
