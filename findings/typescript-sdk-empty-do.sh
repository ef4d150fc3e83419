#!/usr/bin/env bash
# @serverlessworkflow/sdk 1.0.1 (npm): reading `do: []` gives a list with one item that is no task, so that the object that was
# just read without complaint does not pass its own `validate`, and cannot be written again: `serialize` throws.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --prefix . @serverlessworkflow/sdk@1.0.1 >/dev/null
cat > empty.mjs <<'JS'
import sdk from '@serverlessworkflow/sdk';
const { Workflow } = sdk.Classes;
const workflow = Workflow.deserialize(`
document: { dsl: 1.0.0, namespace: shop, name: nothing, version: 1.0.0 }
do: []
`);
console.log('read', JSON.stringify(workflow.do));
for (const [name, act] of [['validate', () => workflow.validate()], ['serialize', () => Workflow.serialize(workflow)]]) {
  try {
    act();
    console.log(name, 'passes');
  } catch (error) {
    console.log(name, 'throws:', error.message.split('\n')[1]);
  }
}
JS
node empty.mjs | tee seen
diff - seen <<'EXPECTED'
read [[]]
validate throws: - /do/0 | #/items/minProperties | must NOT have fewer than 1 properties | {"limit":1}
serialize throws: - /do/0 | #/items/minProperties | must NOT have fewer than 1 properties | {"limit":1}
EXPECTED
