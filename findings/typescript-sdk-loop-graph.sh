#!/usr/bin/env bash
# @serverlessworkflow/sdk 1.0.1 (npm), buildGraph: a valid workflow whose last task goes back to an earlier one by `then`
# (the specification's own way to loop) cannot be drawn: RangeError, the stack is used up. Its validation finds nothing
# wrong. Whoever draws documents of users with it has to find cycles first.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --prefix . @serverlessworkflow/sdk@1.0.1 >/dev/null
cat > loop.mjs <<'JS'
import sdk from '@serverlessworkflow/sdk';
const workflow = sdk.Classes.Workflow.deserialize(`
document: { dsl: 1.0.0, namespace: shop, name: poll, version: 1.0.0 }
do:
  - ask: { set: { tries: '\${ (.tries // 0) + 1 }' } }
  - again: { switch: [ { enough: { when: .tries > 3, then: end } }, { more: { then: ask } } ] }
`);
workflow.validate();
console.log('valid');
try {
  console.log('nodes', sdk.buildGraph(workflow).nodes.length);
} catch (error) {
  console.log(error.name, error.message);
}
JS
node loop.mjs | tee seen
diff - seen <<'EXPECTED'
valid
RangeError Maximum call stack size exceeded
EXPECTED
