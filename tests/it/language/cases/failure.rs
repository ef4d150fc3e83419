//! raise, try, catch, retry, timeouts.

use serde_json::json;

use super::super::{Case, fails, gives};

pub(super) fn cases() -> Vec<Case> {
    vec![
        fails(
            "raise-by-name-with-expressions",
            "use: { errors: { late: { type: 'https://x.example/late', status: 410, title: Late, detail: 'since ${ .days } days' } } }\ndo:\n  - a: { raise: { error: late } }",
            json!({"days": 3}),
            json!({"type": "https://x.example/late", "status": 410, "title": "Late", "detail": "since 3 days", "instance": "/do/0/a"}),
        ),
        gives(
            "catch-filters-by-every-field",
            "do:\n  - t:\n      try: [ { a: { raise: { error: { type: 'https://x.example/e', status: 409, title: T, detail: D } } } } ]\n      catch: { errors: { with: { type: 'https://x.example/e', status: 409, title: T, details: D, instance: /do/0/t/try/0/a } }, do: [ { c: { set: { type: '${ $error.type }', input: '${ .k }' } } } ] }",
            json!({"k": 1}),
            json!({"type": "https://x.example/e", "input": 1}),
        ),
        fails(
            "catch-passes-other-errors-on",
            "do:\n  - t:\n      try: [ { a: { raise: { error: { type: 'https://x.example/e', status: 409 } } } } ]\n      catch: { errors: { with: { status: 500 } }, do: [ { c: { set: { x: 1 } } } ] }",
            json!({}),
            json!({"status": 409}),
        ),
        fails(
            "catch-filters-by-the-detail",
            "do:\n  - t:\n      try: [ { a: { raise: { error: { type: 'https://x.example/e', status: 409, title: T, detail: D } } } } ]\n      catch: { errors: { with: { status: 409, details: other } }, do: [ { c: { set: { x: 1 } } } ] }",
            json!({}),
            json!({"status": 409, "detail": "D"}),
        ),
        gives(
            "both-spellings-of-a-standard-type-are-one",
            "do:\n  - t:\n      try: [ { a: { call: http, with: { method: get, endpoint: BASE/status/418 } } } ]\n      catch: { errors: { with: { type: 'https://open-workflow-specification.org/spec/1.0.0/errors/communication' } }, as: e, do: [ { c: { set: { status: '${ $e.status }', type: '${ $e.type }' } } } ] }",
            json!({}),
            json!({"status": 418, "type": "https://serverlessworkflow.io/spec/1.0.0/errors/communication"}),
        ),
        gives(
            "catch-when-and-except-when",
            "do:\n  - outer:\n      try:\n        - t:\n            try: [ { a: { raise: { error: { type: 'https://x.example/e', status: 503 } } } } ]\n            catch: { exceptWhen: $error.status == 503, do: [ { c: { set: { by: inner } } } ] }\n      catch: { when: .status == 503, do: [ { d: { set: { by: outer } } } ] }",
            json!({}),
            json!({"by": "outer"}),
        ),
        gives(
            "an-error-caught-without-a-handler-is-swallowed",
            "do:\n  - t: { try: [ { a: { raise: { error: { type: 'https://x.example/e', status: 500 } } } } ], catch: {} }",
            json!({"x": 1}),
            json!({"x": 1}),
        ),
        gives(
            "catch-then-directs-the-flow",
            "do:\n  - t: { try: [ { a: { raise: { error: { type: 'https://x.example/e', status: 500 } } } } ], catch: { then: c } }\n  - b: { set: { path: b }, then: end }\n  - c: { set: { path: c } }",
            json!({}),
            json!({"path": "c"}),
        ),
        fails(
            "an-error-in-the-handler-goes-outward",
            "do:\n  - t:\n      try: [ { a: { raise: { error: { type: 'https://x.example/e', status: 500 } } } } ]\n      catch: { do: [ { c: { raise: { error: { type: 'https://x.example/f', status: 501 } } } } ] }",
            json!({}),
            json!({"status": 501, "instance": "/do/0/t/catch/do/0/c"}),
        ),
        fails(
            "retries-are-counted-then-the-error-goes-outward",
            "do:\n  - t: { try: [ { a: { call: http, with: { method: get, endpoint: BASE/status/503 } } } ], catch: { retry: { delay: { milliseconds: 5 }, backoff: { linear: {} }, limit: { attempt: { count: 3 } } } } }",
            json!({}),
            json!({"type": "communication", "status": 503, "instance": "/do/0/t/try/0/a"}),
        ),
        gives(
            "retry-policies-have-names-and-conditions",
            "use: { retries: { some: { when: $error.status == 500, delay: PT0.01S, limit: { attempt: { count: 2 } } } } }\ndo:\n  - t: { try: [ { a: { raise: { error: { type: 'https://x.example/e', status: 404 } } } } ], catch: { retry: some, do: [ { c: { set: { caught: '${ $error.status }' } } } ] } }",
            json!({}),
            json!({"caught": 404}),
        ),
        fails(
            "a-task-times-out",
            "do:\n  - a: { wait: PT1H, timeout: { after: { milliseconds: 60 } } }",
            json!({}),
            json!({"type": "timeout", "status": 408, "instance": "/do/0/a"}),
        ),
        fails(
            "a-call-times-out",
            "use: { timeouts: { short: { after: { milliseconds: 80 } } } }\ndo:\n  - a: { call: http, with: { method: get, endpoint: BASE/slow }, timeout: short }",
            json!({}),
            json!({"type": "timeout", "status": 408, "instance": "/do/0/a"}),
        ),
        gives(
            "a-timeout-is-caught-outside",
            "do:\n  - t:\n      try: [ { a: { do: [ { w: { wait: PT1H } } ], timeout: { after: PT0.05S } } } ]\n      catch: { errors: { with: { type: timeout } }, as: e, do: [ { c: { set: { at: '${ $e.instance }' } } } ] }",
            json!({}),
            json!({"at": "/do/0/t/try/0/a"}),
        ),
        fails(
            "a-timeout-ends-the-retries-inside",
            "do:\n  - a:\n      do: [ { t: { try: [ { f: { raise: { error: { type: 'https://x.example/e', status: 500 } } } } ], catch: { retry: { delay: PT0.01S } } } } ]\n      timeout: { after: { milliseconds: 80 } }",
            json!({}),
            json!({"type": "timeout", "status": 408, "instance": "/do/0/a"}),
        ),
        fails(
            "a-workflow-times-out-whatever-it-catches",
            "timeout: { after: { milliseconds: 80 } }\ndo:\n  - t: { try: [ { w: { wait: PT1H } } ], catch: { do: [ { c: { set: { x: 1 } } } ] } }",
            json!({}),
            json!({"type": "timeout", "status": 408, "instance": "/"}),
        ),
        fails(
            "each-attempt-has-its-own-time",
            "do:\n  - t: { try: [ { w: { wait: PT1H } } ], catch: { retry: { limit: { attempt: { count: 2, duration: { milliseconds: 50 } } } } } }",
            json!({}),
            json!({"type": "timeout", "status": 408}),
        ),
    ]
}
