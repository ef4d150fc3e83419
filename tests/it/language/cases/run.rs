//! run shell, script.

use serde_json::json;

use super::super::{Case, fails, gives};

pub(super) fn cases() -> Vec<Case> {
    vec![
        gives(
            "shell-gives-raw-output",
            "do:\n  - a: { run: { shell: { command: 'echo hello' } } }",
            json!({}),
            json!("hello\n"),
        ),
        gives(
            "shell-takes-arguments-environment-and-input",
            "do:\n  - a: { run: { shell: { command: 'printf \"%s-%s-%s\" \"$1\" \"$NAME\" \"$(cat)\"', arguments: [ '${ .x }' ], environment: { NAME: '${ .y }' }, stdin: '${ .z }' } } }",
            json!({"x": "1", "y": "a b", "z": "in"}),
            json!("1-a b-in"),
        ),
        gives(
            "shell-leaves-shell-variables-alone",
            "do:\n  - a: { run: { shell: { command: 'A=1; printf \"${A}${B:-2}${ .n }\"' } } }",
            json!({"n": 3}),
            json!("123"),
        ),
        gives(
            "shell-inherits-no-environment",
            "do:\n  - a: { run: { shell: { command: 'printf \"%s\" \"${CARGO_MANIFEST_DIR:-none}\"' } } }",
            json!({}),
            json!("none"),
        ),
        gives(
            "shell-code",
            "do:\n  - a: { run: { shell: { command: 'exit 7' }, return: code } }",
            json!({}),
            json!(7),
        ),
        gives(
            "shell-all",
            "do:\n  - a: { run: { shell: { command: 'printf out; printf err >&2; exit 3' }, return: all } }",
            json!({}),
            json!({"code": 3, "stdout": "out", "stderr": "err"}),
        ),
        gives(
            "shell-none",
            "do:\n  - a: { run: { shell: { command: 'echo x' }, return: none } }",
            json!({}),
            json!(null),
        ),
        fails(
            "shell-that-fails",
            "do:\n  - a: { run: { shell: { command: 'exit 7' } } }",
            json!({}),
            json!({"type": "runtime", "status": 500, "instance": "/do/0/a"}),
        ),
        fails(
            "shell-that-hangs-is-killed",
            "do:\n  - a: { run: { shell: { command: 'sh -c \"sleep 3600\" & wait' } }, timeout: { after: PT0.2S } }",
            json!({}),
            json!({"type": "timeout", "status": 408}),
        ),
        gives(
            "not-awaited-passes-its-input-on",
            "do:\n  - a: { run: { shell: { command: 'true' }, await: false } }",
            json!({"x": 1}),
            json!({"x": 1}),
        ),
        gives(
            "python-script",
            "do:\n  - a: { run: { script: { language: python, code: 'import sys; print(sys.argv[1] + sys.stdin.read(), end=\"\")', arguments: [ '${ .a }' ], stdin: in } } }",
            json!({"a": "arg-"}),
            json!("arg-in"),
        ),
        gives(
            "python-script-sees-a-mapping-of-arguments",
            "do:\n  - a: { run: { script: { language: python, code: 'import sys; print(greeting, who[\"name\"], sys.argv[1], end=\"\")', arguments: { greeting: Hello, who: '${ . }' } } } }",
            json!({"name": "Ada"}),
            json!("Hello Ada --greeting"),
        ),
        gives(
            "js-script",
            "do:\n  - a: { run: { script: { language: js, code: 'const n = 2; process.stdout.write(`${n + 1}${process.argv[2]}`)', arguments: [ x ] } } }",
            json!({}),
            json!("3x"),
        ),
        fails(
            "a-child-that-is-not-there",
            "do:\n  - a: { run: { workflow: { namespace: nowhere, name: none, version: '1.0.0' } } }",
            json!({}),
            json!({"type": "configuration", "status": 400, "instance": "/do/0/a"}),
        ),
    ]
}
