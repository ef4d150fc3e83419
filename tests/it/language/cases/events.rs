//! emit and listen within one instance: one branch of a fork listens, the other emits.

use serde_json::json;

use super::super::{Case, fails, gives};

pub(super) fn cases() -> Vec<Case> {
    vec![
        gives(
            "emit-expands-its-source-and-dataschema",
            "do:\n  - a: { emit: { event: { with: { type: com.example.x, source: '/shops/{shop}', dataschema: 'http://h/${ .n }{?v}', subject: '{shop}' } } }, output: { as: '[.source, .dataschema, .subject]' } }",
            json!({"shop": "a b", "n": 1, "v": 2}),
            json!(["/shops/a%20b", "http://h/1?v=2", "{shop}"]),
        ),
        gives(
            "emit-fills-in-what-is-missing",
            "do:\n  - a: { emit: { event: { with: { type: com.example.x, data: { n: '${ .n }' } } } }, output: { as: '[.type, .data.n, .specversion, (.id | length > 0), (.source | length > 0), (.time | type)]' } }",
            json!({"n": 1}),
            json!(["com.example.x", 1, "1.0", true, true, "string"]),
        ),
        gives(
            "listen-one-reads-data",
            "do:\n  - f: { fork: { branches: [ { l: { listen: { to: { one: { with: { type: com.example.one } } } } } }, { e: { do: [ { w: { wait: PT0.05S } }, { s: { emit: { event: { with: { source: /t, type: com.example.one, data: { n: 1 } } } } } } ] } } ] } }\n  - r: { set: '${ .[0] }' }",
            json!({}),
            json!([{"n": 1}]),
        ),
        gives(
            "listen-reads-envelopes",
            "do:\n  - f: { fork: { branches: [ { l: { listen: { to: { one: { with: { type: com.example.envelope } } }, read: envelope } } }, { e: { do: [ { w: { wait: PT0.05S } }, { s: { emit: { event: { with: { source: /t, type: com.example.envelope, data: { n: 1 } } } } } } ] } } ] } }\n  - r: { set: '${ .[0][0] | [.type, .source, .data.n] }' }",
            json!({}),
            json!(["com.example.envelope", "/t", 1]),
        ),
        gives(
            "listen-all-needs-every-one",
            "do:\n  - f: { fork: { branches: [ { l: { listen: { to: { all: [ { with: { type: com.example.all.a } }, { with: { type: com.example.all.b } } ] } } } }, { e: { do: [ { w: { wait: PT0.05S } }, { s: { emit: { event: { with: { source: /t, type: com.example.all.b, data: b } } } } }, { s2: { emit: { event: { with: { source: /t, type: com.example.all.b, data: again } } } } }, { s3: { emit: { event: { with: { source: /t, type: com.example.all.a, data: a } } } } } ] } } ] } }\n  - r: { set: '${ .[0] }' }",
            json!({}),
            json!(["b", "a"]),
        ),
        gives(
            "listen-any-until-an-event",
            "do:\n  - f: { fork: { branches: [ { l: { listen: { to: { any: [ { with: { type: com.example.until.more } } ], until: { one: { with: { type: com.example.until.stop } } } } } } }, { e: { do: [ { w: { wait: PT0.05S } }, { s: { emit: { event: { with: { source: /t, type: com.example.until.more, data: 1 } } } } }, { s2: { emit: { event: { with: { source: /t, type: com.example.until.more, data: 2 } } } } }, { s3: { emit: { event: { with: { source: /t, type: com.example.until.stop } } } } } ] } } ] } }\n  - r: { set: '${ .[0] }' }",
            json!({}),
            json!([1, 2]),
        ),
        gives(
            "listen-for-each-event",
            "do:\n  - f: { fork: { branches: [ { l: { listen: { to: { any: [ { with: { type: com.example.each } } ], until: '( . | length ) >= 2' } }, foreach: { item: it, at: i, do: [ { d: { set: { double: '${ $it.n * 2 }', at: '${ $i }' } } } ] } } }, { e: { do: [ { w: { wait: PT0.05S } }, { s: { emit: { event: { with: { source: /t, type: com.example.each, data: { n: 1 } } } } } }, { s2: { emit: { event: { with: { source: /t, type: com.example.each, data: { n: 2 } } } } } } ] } } ] } }\n  - r: { set: '${ .[0] }' }",
            json!({}),
            json!([{"double": 2, "at": 0}, {"double": 4, "at": 1}]),
        ),
        gives(
            "listen-filters-data-by-expression",
            "do:\n  - f: { fork: { branches: [ { l: { listen: { to: { one: { with: { type: com.example.filter, data: '${ .n > 38 }' } } } } } }, { e: { do: [ { w: { wait: PT0.05S } }, { s: { emit: { event: { with: { source: /t, type: com.example.filter, data: { n: 37 } } } } } }, { s2: { emit: { event: { with: { source: /t, type: com.example.filter, data: { n: 39 } } } } } } ] } } ] } }\n  - r: { set: '${ .[0] }' }",
            json!({}),
            json!([{"n": 39}]),
        ),
        fails(
            "listen-times-out",
            "do:\n  - l: { listen: { to: { one: { with: { type: com.example.never } } } }, timeout: { after: PT0.1S } }",
            json!({}),
            json!({"type": "timeout", "status": 408, "instance": "/do/0/l"}),
        ),
    ]
}
