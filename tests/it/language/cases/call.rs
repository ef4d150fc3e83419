//! call http.

use serde_json::json;

use super::super::{Case, fails, gives};

pub(super) fn cases() -> Vec<Case> {
    vec![
        gives(
            "http-sends-what-it-is-told",
            "do:\n  - a:\n      call: http\n      with: { method: PUT, endpoint: 'BASE/echo', headers: { X-A: '${ .n }', x-b: b }, query: { q: '${ .q }', list: [1, 2] }, body: { n: '${ .n }' } }\n      output: { as: '{ method, query, body: (.body | fromjson), a: .headers[\"x-a\"], b: .headers[\"x-b\"], type: .headers[\"content-type\"] }' }",
            json!({"n": 7, "q": "a&c"}),
            json!({"method": "PUT", "query": "q=a%26c&list=1&list=2", "body": {"n": 7}, "a": "7", "b": "b", "type": "application/json"}),
        ),
        gives(
            "uri-templates-take-top-level-values",
            "do:\n  - a: { call: http, with: { method: get, endpoint: 'BASE/{path}?x={x}&none={none}' }, output: { as: .query } }",
            json!({"path": "echo", "x": "a/b c"}),
            json!("x=a%2Fb%20c&none="),
        ),
        gives(
            "uri-templates-have-operators-and-modifiers",
            "do:\n  - a: { call: http, with: { method: get, endpoint: 'BASE{/path}{?x,none,tags*}{&x:1}' }, output: { as: .query } }",
            json!({"path": "echo", "x": "a/b c", "tags": ["p", "q"]}),
            json!("x=a%2Fb%20c&tags=p&tags=q&x=a"),
        ),
        fails(
            "uri-templates-take-no-objects",
            "do:\n  - a: { call: http, with: { method: get, endpoint: 'BASE/{path}' } }",
            json!({"path": {"a": 1}}),
            json!({"type": "expression", "status": 400}),
        ),
        gives(
            "data-in-an-endpoint-stays-data",
            "do:\n  - a: { call: http, with: { method: get, endpoint: 'BASE/${ .path }?q=${ .q }&last=1' }, output: { as: .query } }",
            json!({"path": "echo", "q": "a&last=2#c/d?e"}),
            json!("q=a%26last%3D2%23c%2Fd%3Fe&last=1"),
        ),
        gives(
            "data-in-an-endpoint-is-no-path-and-no-query",
            "do:\n  - a: { try: [ b: { call: http, with: { method: get, endpoint: 'BASE/${ .path }' } } ], catch: { as: e, do: [ c: { set: '${ $e.status }' } ] } }",
            json!({"path": "echo?q=1"}),
            json!(404),
        ),
        gives(
            "an-endpoint-that-encodes-by-itself-is-left-alone",
            "do:\n  - a: { call: http, with: { method: get, endpoint: 'BASE/echo?${ [ .q[] | @uri ] | join(\"&\") }' }, output: { as: .query } }",
            json!({"q": ["a b", "c/d"]}),
            json!("a%20b&c%2Fd"),
        ),
        fails(
            "data-in-an-endpoint-does-not-climb",
            "do:\n  - a: { call: http, with: { method: get, endpoint: 'BASE/x/${ .path }/echo' } }",
            json!({"path": ".."}),
            json!({"type": "expression", "status": 400}),
        ),
        gives(
            "an-endpoint-may-be-an-expression",
            "do:\n  - a: { call: http, with: { method: get, endpoint: '${ \"BASE/\" + .p }' } }",
            json!({"p": "text"}),
            json!("plain words"),
        ),
        gives(
            "basic-authentication-by-name",
            "use: { authentications: { me: { basic: { username: ada, password: '${ .p }' } } } }\ndo:\n  - a: { call: http, with: { method: get, endpoint: { uri: BASE/basic, authentication: { use: me } } } }",
            json!({"p": "haul"}),
            json!("basic"),
        ),
        gives(
            "bearer-authentication-in-line",
            "do:\n  - a: { call: http, with: { method: get, endpoint: { uri: BASE/bearer, authentication: { bearer: { token: '${ .t }' } } } } }",
            json!({"t": "t0k"}),
            json!("bearer"),
        ),
        gives(
            "an-idempotency-key-is-sent",
            "do:\n  - a: { call: http, with: { method: post, endpoint: BASE/echo }, output: { as: '.headers[\"idempotency-key\"] | contains(\"/do/0/a/\")' } }",
            json!({}),
            json!(true),
        ),
        gives(
            "the-authors-idempotency-key-wins",
            "do:\n  - a: { call: http, with: { method: post, endpoint: BASE/echo, headers: { Idempotency-Key: mine } }, output: { as: '.headers[\"idempotency-key\"]' } }",
            json!({}),
            json!("mine"),
        ),
        gives(
            "text-comes-as-text",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/text } }",
            json!({}),
            json!("plain words"),
        ),
        gives(
            "bytes-come-as-base64",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/bytes } }",
            json!({}),
            json!("AAH+/w=="),
        ),
        gives(
            "raw-is-base64",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/text, output: raw } }",
            json!({}),
            json!("cGxhaW4gd29yZHM="),
        ),
        gives(
            "vendor-json-is-json",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/vendor } }",
            json!({}),
            json!({"a": [1]}),
        ),
        gives(
            "nothing-is-null",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/empty } }",
            json!({}),
            json!(null),
        ),
        gives(
            "response-tells-all",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/text, output: response }, output: { as: '[.statusCode, .content, .request.method, (.request.uri | endswith(\"/text\")), (.headers | type)]' } }",
            json!({}),
            json!([200, "plain words", "GET", true, "object"]),
        ),
        fails(
            "json-that-is-none",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/broken } }",
            json!({}),
            json!({"type": "communication", "instance": "/do/0/a"}),
        ),
        fails(
            "a-redirect-is-an-error",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/moved } }",
            json!({}),
            json!({"type": "communication", "status": 302}),
        ),
        gives(
            "a-redirect-is-followed-when-wanted",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/moved, redirect: true } }",
            json!({}),
            json!("plain words"),
        ),
        fails(
            "redirects-end",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/circle, redirect: true } }",
            json!({}),
            json!({"type": "communication"}),
        ),
        fails(
            "a-status-is-told",
            "do:\n  - a: { call: http, with: { method: get, endpoint: BASE/status/429 } }",
            json!({}),
            json!({"type": "communication", "status": 429, "instance": "/do/0/a"}),
        ),
        fails(
            "nobody-there",
            "do:\n  - a: { call: http, with: { method: get, endpoint: 'http://127.0.0.1:1/' } }",
            json!({}),
            json!({"type": "communication", "status": 500, "instance": "/do/0/a"}),
        ),
        gives(
            "the-echo-function",
            "do:\n  - a: { call: echo, with: { x: '${ .n }' } }",
            json!({"n": 1}),
            json!({"x": 1}),
        ),
    ]
}
