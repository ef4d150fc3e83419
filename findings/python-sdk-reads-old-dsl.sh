#!/usr/bin/env bash
# serverlessworkflow.sdk 1.0.0 (PyPI) is an SDK of specification 0.8: its model has states and functions. A DSL 1.0 document
# is read and printed without a word, and has neither states nor a start; only the number of the release looks like 1.0.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check serverlessworkflow.sdk==1.0.0
cat > read.py <<'PY'
from importlib.metadata import version
from serverlessworkflow.sdk.workflow import Workflow

workflow = Workflow.from_source("""
document: {dsl: 1.0.0, namespace: shop, name: greet, version: 1.0.0}
do:
- greet: {set: {text: hello}}
""")
print(version("serverlessworkflow.sdk"), "reads it:", list(vars(workflow))[-2:])
print("knows states:", "states" in workflow._initial_values, "and do:", "do" in Workflow.__init__.__code__.co_varnames)
PY
venv/bin/python read.py | tee seen
diff - seen <<'EXPECTED'
1.0.0 reads it: ['document', 'do']
knows states: True and do: False
EXPECTED
