//! Each form accepted beside the specification: the code it gives and what it becomes.

use super::{loaded, warned};
use crate::definition::{Options, load};

/// Code, accepted form, the specification's form. Both without `document`.
const CASES: &[(&str, &str, &str)] = &[
    (
        "WL0201",
        "do: [ a: { try: { do: [ x: { set: { y: 1 } } ] }, catch: {} } ]",
        "do: [ a: { try: [ x: { set: { y: 1 } } ], catch: {} } ]",
    ),
    (
        "WL0202",
        "do: [ a: { try: { set: { y: 1 } }, catch: {} } ]",
        "do: [ a: { try: [ try: { set: { y: 1 } } ], catch: {} } ]",
    ),
    (
        "WL0204",
        "do: [ a: { try: [], catch: { error: http://a/b } } ]",
        "do: [ a: { try: [], catch: { errors: { with: { type: http://a/b } } } } ]",
    ),
    (
        "WL0204",
        "do: [ a: { try: [], catch: { error: { status: 404, details: x } } } ]",
        "do: [ a: { try: [], catch: { errors: { with: { status: 404, detail: x } } } } ]",
    ),
    (
        "WL0205",
        "do: [ a: { try: [], catch: { handle: [ b: { set: { y: 1 } } ], as: e } } ]",
        "do: [ a: { try: [], catch: { do: [ b: { set: { y: 1 } } ], as: e } } ]",
    ),
    (
        "WL0206",
        "use: { functions: { f: { set: { y: 1 } } } }\ndo: [ a: { call: function, with: { function: f, arguments: { m: 1 } } } ]",
        "use: { functions: { f: { set: { y: 1 } } } }\ndo: [ a: { call: f, with: { m: 1 } } ]",
    ),
    (
        "WL0206",
        "use: { functions: { f: { set: { y: 1 } } } }\ndo: [ a: { call: function, with: { function: f } } ]",
        "use: { functions: { f: { set: { y: 1 } } } }\ndo: [ a: { call: f, with: {} } ]",
    ),
    (
        "WL0207",
        "use: { authentications: { a: { oauth2: { authority: http://a, grant: client-credentials } } } }\ndo: []",
        "use: { authentications: { a: { oauth2: { authority: http://a, grant: client_credentials } } } }\ndo: []",
    ),
    (
        "WL0208",
        "do: [ a: { run: { script: { language: JavaScript, code: x } } } ]",
        "do: [ a: { run: { script: { language: js, code: x } } } ]",
    ),
    (
        "WL0208",
        "do: [ a: { run: { script: { language: python3, code: x } } } ]",
        "do: [ a: { run: { script: { language: python, code: x } } } ]",
    ),
    (
        "WL0210",
        "do: [ a: { call: http, with: { method: get, uri: http://a } } ]",
        "do: [ a: { call: http, with: { method: get, endpoint: http://a } } ]",
    ),
    (
        "WL0210",
        "do: [ a: { call: http, with: { method: get, uri: http://a, authentication: { bearer: { token: x } } } } ]",
        "do: [ a: { call: http, with: { method: get, endpoint: { uri: http://a, authentication: { bearer: { token: x } } } } } ]",
    ),
    ("WL0211", "do: [ a: { wait: { Seconds: 5 } } ]", "do: [ a: { wait: { seconds: 5 } } ]"),
    (
        "WL0212",
        "use: { authentications: { a: { basic: { username: true, password: 0123 } } } }\ndo: []",
        "use: { authentications: { a: { basic: { username: 'true', password: '0123' } } } }\ndo: []",
    ),
    (
        "WL0212",
        "do: [ a: { call: http, with: { method: get, endpoint: http://a, headers: { X: 1.10 } } } ]",
        "do: [ a: { call: http, with: { method: get, endpoint: http://a, headers: { X: '1.10' } } } ]",
    ),
    (
        "WL0213",
        "use: { authentications: { p: { bearer: { token: x } } } }\ndo: [ a: { call: http, with: { method: get, endpoint: { uri: http://a, authentication: p } } } ]",
        "use: { authentications: { p: { bearer: { token: x } } } }\ndo: [ a: { call: http, with: { method: get, endpoint: { uri: http://a, authentication: { use: p } } } } ]",
    ),
    (
        "WL0214",
        "use: { authentications: { a: { bearer: '${ .token }' } } }\ndo: []",
        "use: { authentications: { a: { bearer: { token: '${ .token }' } } } }\ndo: []",
    ),
    (
        "WL0215",
        "use: { authentications: { a: { oidc: { authority: 'http://a/.well-known/openid-configuration', grant: password } } } }\ndo: []",
        "use: { authentications: { a: { oidc: { authority: 'http://a', grant: password } } } }\ndo: []",
    ),
    (
        "WL0218",
        "do: [ a: { run: { workflow: { name: n } } } ]",
        "do: [ a: { run: { workflow: { name: n, namespace: test, version: latest } } } ]",
    ),
    (
        "WL0221",
        "do: [ a: { raise: { error: { type: http://a, status: 400, details: x } } } ]",
        "do: [ a: { raise: { error: { type: http://a, status: 400, detail: x } } } ]",
    ),
    (
        "WL0225",
        "use: { authentications: { a: { oauth2: { authority: http://a, grant: password, scopes: read } } } }\ndo: []",
        "use: { authentications: { a: { oauth2: { authority: http://a, grant: password, scopes: [ read ] } } } }\ndo: []",
    ),
    (
        "WL0228",
        "input: { schema: { type: object, required: [ x ] } }\ndo: []",
        "input: { schema: { document: { type: object, required: [ x ] } } }\ndo: []",
    ),
    (
        "WL0228",
        "do: [ a: { set: { x: 1 }, output: { schema: { format: json, properties: { x: {} } } } } ]",
        "do: [ a: { set: { x: 1 }, output: { schema: { format: json, document: { properties: { x: {} } } } } } ]",
    ),
    (
        "WL0228",
        "do: [ a: { set: { x: 1 }, export: { schema: { type: string, format: email } } } ]",
        "do: [ a: { set: { x: 1 }, export: { schema: { document: { type: string, format: email } } } } ]",
    ),
    ("WL0232", "do: [ a: { wait: { duration: PT5S } } ]", "do: [ a: { wait: PT5S } ]"),
    (
        "WL0232",
        "do: [ a: { wait: { duration: { seconds: 5 } } } ]",
        "do: [ a: { wait: { seconds: 5 } } ]",
    ),
    (
        "WL0233",
        "do: [ a: { run: { script: { language: js, code: x, args: [ a ] } } } ]",
        "do: [ a: { run: { script: { language: js, code: x, arguments: [ a ] } } } ]",
    ),
    (
        "WL0234",
        "do: [ a: { call: http, with: { method: get, endpoint: { url: http://a } } } ]",
        "do: [ a: { call: http, with: { method: get, endpoint: { uri: http://a } } } ]",
    ),
    (
        "WL0234",
        "do: [ a: { call: http, with: { method: get, url: http://a } } ]",
        "do: [ a: { call: http, with: { method: get, endpoint: http://a } } ]",
    ),
    (
        "WL0212",
        "do: [ a: { listen: { to: { any: [ { with: { type: 1.10 } } ] } } } ]",
        "do: [ a: { listen: { to: { any: [ { with: { type: '1.10' } } ] } } } ]",
    ),
];

/// Code, the members of `document` as accepted, and as the specification writes them.
const DOCUMENTS: &[(&str, &str, &str)] = &[
    (
        "WL0226",
        "dsl: 1.0.3, namespace: n, name: a, version: 1.0.0, description: d",
        "dsl: 1.0.3, namespace: n, name: a, version: 1.0.0, summary: d",
    ),
    (
        "WL0226",
        "dsl: 1.0.3, namespace: n, name: a, version: 1.0.0, description: d, summary: s",
        "dsl: 1.0.3, namespace: n, name: a, version: 1.0.0, summary: s",
    ),
    (
        "WL0229",
        "dsl: 1.0, namespace: n, name: a, version: '1'",
        "dsl: 1.0.0, namespace: n, name: a, version: 1.0.0",
    ),
    (
        "WL0229",
        "dsl: '1', namespace: n, name: a, version: 1.10",
        "dsl: 1.0.0, namespace: n, name: a, version: 1.10.0",
    ),
];

/// Code and an accepted form that stays as it is written.
const KEPT: &[(&str, &str)] = &[
    ("WL0203", "do: [ a: { try: [], catch: [ { do: [] } ] } ]"),
    ("WL0209", "do: [ a: { run: { script: { language: js, code: x, arguments: { a: 1 } } } } ]"),
    ("WL0219", "do: [ a: { for: { in: .x } } ]"),
    ("WL0220", "do: [ a: { for: { each: $x, in: .x }, do: [] } ]"),
    ("WL0222", "do: [ a: { raise: { error: { type: http://a, status: '404' } } } ]"),
    ("WL0223", "do: [ a: { wait: { seconds: '${ .x }' } } ]"),
    ("WL0224", "use: { extensions: [ e: { extend: extension } ] }\ndo: []"),
    ("WL0212", "do: [ a: { if: true, set: { x: 1 } } ]"),
    (
        "WL0216",
        "use: { secrets: [ api-key ] }\ndo: [ a: { set: { x: 'Bearer $SECRETS.api-key' } } ]",
    ),
    ("WL0216", "use: { secrets: [ api-key ] }\ndo: [ a: { set: { x: $SECRETS.api-key } } ]"),
    ("WL0217", "use: { secrets: [ key ] }\ndo: [ a: { if: $SECRET.key, set: { x: 1 } } ]"),
    ("WL0217", "use: { secrets: [ key ] }\ndo: [ a: { set: { x: '${ $SECRETS.key }' } } ]"),
    ("WL0131", "do: [ a: { set: { x: 1 } }, a: { set: { x: 2 } } ]"),
    ("WL0235", "do: [ a: { run: { shell: { command: 'echo \"${ .n }\"' } } } ]"),
    ("WL0235", "do: [ a: { run: { shell: { command: '${ \"echo \" + .n }' } } } ]"),
    (
        "WL0236",
        "do: [ a: { try: [], catch: { retry: { backoff: { exponential: { factor: 3 } } } } } ]",
    ),
    ("WL0236", "do: [ a: { try: [], catch: { retry: { backoff: { linear: { step: PT1S } } } } } ]"),
    ("WL0412", "do: [ a: { if: .approved = true, set: { x: 1 } } ]"),
    ("WL0413", "do: [ a: { if: .approved // true, set: { x: 1 } } ]"),
    ("WL0414", "do: [ a: { if: 'type != \"order\"', set: { x: 1 } } ]"),
];

/// Code and a `document` that is accepted and stays as it is.
const KEPT_DOCUMENTS: &[(&str, &str)] = &[
    ("WL0227", "dsl: 1.0.3, namespace: n, name: a, version: 1.0.0, x-owner: [ me ]"),
    ("WL0231", "dsl: 1.0.3, namespace: com.example_shop, name: a, version: 1.0.0"),
];

#[test]
fn every_form_is_accepted_as_what_the_specification_writes() {
    for (code, accepted, canonical) in CASES {
        let (plan, found) = warned(accepted);
        assert!(!found.is_empty() && found.iter().all(|it| it.code == *code), "{code} {found:#?}");
        assert!(found.iter().all(|it| it.hint.is_some()));
        let expected = super::plan(canonical);
        assert_eq!(plan.definition.to_json(), expected.definition.to_json(), "{code}");
        assert_eq!(plan.tasks.len(), expected.tasks.len());
        assert_ne!(plan.digest, expected.digest);
    }
}

#[test]
fn every_document_is_accepted_as_what_the_specification_writes() {
    let text = |document: &str| format!("document: {{ {document} }}\ndo: []\n");
    let strict = Options { strict: true, ..Options::default() };
    let pairs = DOCUMENTS.iter().copied();
    for (code, accepted, canonical) in
        pairs.chain(KEPT_DOCUMENTS.iter().map(|it| (it.0, it.1, it.1)))
    {
        let found = load(&text(accepted), &Options::default());
        let codes = &found.diagnostics;
        assert!(!codes.is_empty() && codes.iter().all(|it| it.code == code), "{code} {codes:#?}");
        let expected = load(&text(canonical), &Options::default()).plan.unwrap();
        let plan = found.plan.unwrap();
        assert_eq!(plan.definition.to_json(), expected.definition.to_json(), "{code}");
        assert_eq!((&plan.id, &plan.summary), (&expected.id, &expected.summary));
        assert!(load(&text(accepted), &strict).plan.is_none(), "{accepted}");
    }
}

#[test]
fn a_version_may_be_missing_where_a_workflow_is_run_on_the_spot() {
    let text = "document: { dsl: 1.0.3, namespace: n, name: a }\ndo: []\n";
    let refused = load(text, &Options::default());
    assert!(refused.plan.is_none());
    assert_eq!(refused.diagnostics[0].code, "WL0121");
    assert!(refused.diagnostics[0].hint.as_deref().unwrap().contains("version: 0.1.0"));
    let here = Options { unversioned: true, ..Options::default() };
    // What was started there must be found by who performs it.
    for options in [here.clone(), Options { accepted: true, ..Options::default() }] {
        let found = load(text, &options);
        assert_eq!(&*found.plan.unwrap().id.version, "0.0.0");
        assert_eq!(found.diagnostics[0].code, "WL0230");
    }
    assert!(load(text, &Options { strict: true, ..here }).plan.is_none());
}

#[test]
fn what_was_accepted_strictly_runs_on_when_more_becomes_a_deviation() {
    let text = "document: { dsl: 1.0.0, namespace: n, name: a, version: 1.0.0, metadata: { compat: strict } }\n\
                do: [ a: { run: { shell: { command: 'echo ${ .n }' } } } ]";
    assert!(load(text, &Options::default()).plan.is_none());
    assert!(load(text, &Options { accepted: true, ..Options::default() }).plan.is_some());
}

#[test]
fn mappings_of_arguments_are_right_for_the_versions_that_had_them() {
    for (dsl, right) in [("1.0.0-alpha5", true), ("1.0.0", true), ("1.0.1", true), ("1.0.2", false)]
    {
        for process in ["script: { language: js, code: x,", "shell: { command: x,"] {
            let text = format!(
                "document: {{ dsl: {dsl}, namespace: n, name: a, version: 1.0.0 }}\n\
                 do: [ a: {{ run: {{ {process} arguments: {{ a: 1 }} }} }} }} ]"
            );
            let found = load(&text, &Options::default());
            assert!(found.plan.is_some());
            assert_eq!(found.diagnostics.is_empty(), right, "{text} {:#?}", found.diagnostics);
        }
    }
}

#[test]
fn what_may_well_be_meant_is_not_doubted() {
    for text in [
        "do: [ a: { if: '.ok == true', set: { x: 1 } } ]",
        "do: [ a: { if: '(.a = 1) | .b == 2', set: { x: 1 } } ]",
        "do: [ a: { if: 'true', set: { x: 1 } } ]",
        "do: [ a: { if: '.items[] | length', set: { x: 1 } } ]",
        "do: [ a: { if: '(.items | length) > 0', set: { x: 1 } } ]",
        "do: [ a: { if: '.a // false', set: { x: 1 } } ]",
        "do: [ a: { if: '.a // .b', set: { x: 1 } } ]",
        "do: [ a: { if: 'type == \"object\"', set: { x: 1 } } ]",
        "do: [ a: { if: '.type == \"order\"', set: { x: 1 } } ]",
        "do: [ a: { if: 'def type: .t; type == \"order\"', set: { x: 1 } } ]",
        "do: [ a: { set: { x: '${ .a = 1 }' } } ]",
        "do: [ a: { set: { x: 1 }, export: { as: $output } } ]",
        "do: [ a: { set: { x: '${ $input }' }, output: { as: '$input + .' } } ]",
        "do: [ a: { for: { each: output, in: .x }, do: [ b: { set: { x: '${ $output }' } } ] } ]",
        "use: { extensions: [ e: { extend: set, after: [ b: { set: { x: '${ $output }' } } ] } ] }\ndo: []",
        "do: [ a: { set: { text: 'Read the .env file.', price: $5, path: ./x, more: ... } } ]",
        "do: [ a: { listen: { to: { any: [], until: 'false' }, read: data }, timeout: { after: PT5S } } ]",
        "do: [ a: { listen: { to: { one: { with: { type: 'com.example.*', data: { a: [ 1 ] } } } } } } ]",
        "do: [ a: { run: { shell: { command: 'echo ${ .n | @sh } ${HOME} $1', arguments: [ '${ .n }' ] } } } ]",
        "do: [ a: { run: { script: { language: js, code: 'console.log(`${x} ${ y }`)' } } } ]",
    ] {
        super::plan(text);
    }
}

#[test]
fn forms_without_another_spelling_are_only_named() {
    for (code, accepted) in KEPT {
        let (_, found) = warned(accepted);
        let codes: Vec<_> = found.iter().map(|it| it.code).collect();
        assert_eq!(codes, [*code], "{accepted}\n{found:#?}");
    }
}

#[test]
fn every_deviation_is_an_error_when_strict() {
    let metadata = "document: { dsl: 1.0.3, namespace: test, name: n, version: 1.0.0, metadata: { compat: strict } }\n";
    let strict = Options { strict: true, ..Options::default() };
    for accepted in CASES.iter().map(|it| it.1).chain(KEPT.iter().map(|it| it.1)) {
        let text = format!("{}{accepted}", super::DOCUMENT);
        assert!(load(&text, &strict).plan.is_none(), "{accepted}");
        let text = format!("{metadata}{accepted}");
        assert!(load(&text, &Options::default()).plan.is_none(), "{accepted}");
    }
    for canonical in CASES.iter().map(|it| it.2) {
        assert!(load(&format!("{}{canonical}", super::DOCUMENT), &strict).plan.is_some());
    }
}

#[test]
fn every_code_of_a_deviation_has_a_case() {
    for (code, _) in crate::definition::codes::TABLE {
        let kept = KEPT.iter().chain(KEPT_DOCUMENTS).map(|it| it.0);
        let mut tested = CASES.iter().chain(DOCUMENTS).map(|it| it.0).chain(kept).chain(["WL0230"]);
        assert!(!code.starts_with("WL02") || tested.any(|it| it == *code), "{code}");
    }
}

#[test]
fn what_either_schema_accepts_is_no_deviation() {
    for text in [
        "do: [ a: { try: [], catch: { errors: { with: { details: x } } } } ]",
        "do: [ a: { emit: { event: { with: { type: t } } } } ]",
        "do: [ a: { for: { in: [ { x: 1 } ] }, do: [] } ]",
        "do: [ a: { try: [], catch: { then: end } } ]",
        "schedule: { on: { one: { with: { type: t } } }, read: envelope }\ndo: []",
        "do: [ a: { raise: { error: { type: http://a, status: 400 } }, then: end } ]",
    ] {
        super::plan(text);
    }
}

#[test]
fn a_function_called_function_keeps_its_meaning() {
    let plan = super::plan(
        "use: { functions: { function: { set: { y: 1 } } } }\ndo: [ a: { call: function, with: { function: f } } ]",
    );
    assert_eq!(
        plan.tasks[1].definition.to_json(),
        r#"{"call":"function","with":{"function":"f"}}"#
    );
}

#[test]
fn both_spellings_at_once_are_refused() {
    for text in [
        "do: [ a: { try: [], catch: { handle: [], do: [] } } ]",
        "do: [ a: { try: [], catch: { error: http://a, errors: {} } } ]",
        "do: [ a: { call: http, with: { method: get, uri: http://a, endpoint: http://a } } ]",
    ] {
        let found = loaded(text);
        assert!(found.plan.is_none(), "{text}");
        assert!(found.diagnostics.iter().any(|it| it.code == "WL0122"), "{text}");
    }
}
