//! Every code: what gives it, where, and that it is explained.

use std::collections::BTreeSet;

use super::{DOCUMENT, loaded};
use crate::definition::codes::TABLE;
use crate::definition::{Loaded, Options, explain, load};

/// Code, text with `§` before the place, start of the message. Text that does not start with
/// `document` is completed.
const CASES: &[(&str, &str, &str)] = &[
    ("WL0102", "do: []\n§]\n", ""),
    ("WL0105", "do: []\n§do: []\n", "the key `do` stands twice"),
    ("WL0106", "do: []\n§---\ndo: []\n", "the text holds more than one document"),
    ("WL0107", "do: §!include x\n", "the tag `!include` is not supported here"),
    ("WL0108", "do: []\n§[a]: 1\n", "a key must be a string"),
    ("WL0109", "do: &a [ §*a ]\n", "the alias stands inside what it refers to"),
    ("WL0111", "do:\n  - a: { set: { x: §.nan } }\n", "`.nan` is not a number JSON can hold"),
    ("WL0120", "do: §x\n", "a list of tasks is needed here, not a string"),
    ("WL0120", "do: []\n§timeout:\n", "`timeout` must be a mapping, not nothing"),
    (
        "WL0120",
        "do:\n  - a: { call: grpc, with: { proto: { endpoint: file://a }, service: { name: S, host: h }, method: m, arguments: §[ {} ] } }\n",
        "`arguments` must be a mapping, or an expression that gives one, not a list",
    ),
    (
        "WL0120",
        "do:\n  - a: { fork: { branches: [], compete: §1 } }\n",
        "`compete` must be true or false",
    ),
    (
        "WL0121",
        "do:\n  - a: { call: http, with: §{ method: get } }\n",
        "the `with` of an HTTP call needs `endpoint`",
    ),
    (
        "WL0121",
        "§document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0 }\n",
        "a workflow needs `do`",
    ),
    (
        "WL0121",
        "use: { authentications: { a: { oauth2: { authority: http://a, grant: client_credentials, client: §{ id: c, authentication: tls_client_auth } } } } }\ndo: []\n",
        "a `client` with `tls_client_auth` needs `certificate`",
    ),
    ("WL0122", "do:\n  - a: { set: { x: 1 }, §foo: bar }\n", "the task `a` has no property `foo`"),
    (
        "WL0122",
        "do:\n  - a: { call: function, with: { function: f, §what: 1 } }\n",
        "`with` of `call: function` has no property `what`",
    ),
    ("WL0123", "do: []\n§outputs: {}\n", "a workflow has no property `outputs`; it is ignored"),
    (
        "WL0124",
        "do:\n  - a: { call: http, with: { method: get, endpoint: http://a, output: §body } }\n",
        "`output` cannot be `body`",
    ),
    ("WL0124", "use: { extensions: [ e: { extend: §do } ] }\ndo: []\n", "`extend` cannot be `do`"),
    (
        "WL0125",
        "document: { dsl: §1.0.0.0, namespace: a, name: b, version: 1.0.0 }\ndo: []\n",
        "`dsl` must be a semantic version, not `1.0.0.0`",
    ),
    (
        "WL0125",
        "document: { dsl: 1.0.0, namespace: a, name: §-b, version: 1.0.0 }\ndo: []\n",
        "`name` cannot be `-b`",
    ),
    (
        "WL0125",
        "document: { dsl: 1.0.0, namespace: a, name: b, version: §v1.0.0 }\ndo: []\n",
        "`version` must be a semantic version, not `v1.0.0`",
    ),
    ("WL0125", "schedule: { cron: §'* * *' }\ndo: []\n", "`* * *` is not a cron expression"),
    (
        "WL0125",
        "do:\n  - a: { call: http, with: { method: get, endpoint: §'http://a b' } }\n",
        "`endpoint` is not a URI",
    ),
    (
        "WL0125",
        "do:\n  - a: { call: http, with: { method: §'g t', endpoint: http://a } }\n",
        "`g t` is not an HTTP method",
    ),
    (
        "WL0125",
        "do:\n  - a: { emit: { event: { with: { type: t, §My-Key: 1 } } } }\n",
        "`My-Key` is no name for an attribute",
    ),
    (
        "WL0126",
        "use: { secrets: [ s ], authentications: { a: { oauth2: { authority: http://a, grant: client_credentials, client: { id: c, certificate: §{ use: s } } } } } }\ndo: []\n",
        "this client does not prove who it is with its certificate",
    ),
    ("WL0126", "do:\n  - a: { run: §{ await: true } }\n", "`run` needs one of"),
    (
        "WL0126",
        "do:\n  - a: { call: grpc, with: { proto: { endpoint: §grpc-reflection://b:1 }, service: { name: S, host: a, port: 1 }, method: m } }\n",
        "`grpc-reflection://b:1` is not where the service is",
    ),
    (
        "WL0126",
        "input: { schema: §{ format: json } }\ndo: []\n",
        "a schema needs `document` or `resource`",
    ),
    ("WL0126", "schedule: { read: §data }\ndo: []\n", "`schedule.read` needs `schedule.on`"),
    (
        "WL0127",
        "document: { dsl: §0.9.0, namespace: a, name: b, version: 1.0.0 }\ndo: []\n",
        "version 0.9.0 of the DSL is not supported",
    ),
    (
        "WL0128",
        "document: { dsl: §1.1.0, namespace: a, name: b, version: 1.0.0 }\ndo: []\n",
        "version 1.1.0 of the DSL is newer",
    ),
    (
        "WL0129",
        "do:\n  - a: { wait: §{ days: -1 } }\n",
        "`wait`: {\"days\":-1} is a negative duration",
    ),
    (
        "WL0129",
        "timeout: { after: §P101Y }\ndo: []\n",
        "`timeout.after`: \"P101Y\" is longer than a hundred years",
    ),
    ("WL0129", "do:\n  - a: { wait: §5s }\n", "`wait`: \"5s\" is not a duration"),
    (
        "WL0130",
        "do:\n  - a: { set: { x: 1 } }\n    §b: { set: { x: 1 } }\n",
        "an item must hold one task, this one has 2",
    ),
    (
        "WL0131",
        "do:\n  - a: { set: { x: 1 } }\n  - §a: { set: { x: 1 } }\n",
        "a task of this list is already called `a`",
    ),
    (
        "WL0131",
        "do: [ a: { set: { x: 1 }, then: §c }, c: { set: { x: 1 } }, c: { wait: PT1S } ]\n",
        "several tasks of this list are called `c`",
    ),
    ("WL0132", "do:\n  - §end: { set: { x: 1 } }\n", "`end` is a flow directive"),
    ("WL0133", "do:\n  - a: { §cal: http }\n", "the task `a` does not say what to do"),
    (
        "WL0134",
        "do:\n  - a: { call: http, §set: { x: 1 } }\n",
        "the task `a` is both `call` and `set`",
    ),
    ("WL0135", "do:\n  - a: { set: §{} }\n", "`set` is empty"),
    ("WL0135", "do:\n  - a: { wait: §{} }\n", "`wait` needs a unit"),
    (
        "WL0136",
        "do:\n  - a: { switch: §[ x: { then: end }, y: { then: exit } ] }\n",
        "`x` and `y` are both defaults",
    ),
    (
        "WL0137",
        "do:\n  - a: { listen: { to: { any: [], until: { any: [], until: §'true' } } } }\n",
        "`until` cannot have an `until` of its own",
    ),
    (
        "WL0138",
        "do:\n  - a: { call: grpc, with: { proto: { endpoint: file://a }, service: { name: s, host: h, port: §70000 }, method: m } }\n",
        "`port` must be between 0 and 65535",
    ),
    (
        "WL0139",
        "input: { schema: { document: §{ type: nothing } } }\ndo: []\n",
        "not a JSON Schema",
    ),
    (
        "WL0139",
        "input: { schema: { document: §{ $ref: 'http://127.0.0.1:9/x' } } }\ndo: []\n",
        "not a JSON Schema",
    ),
    (
        "WL0139",
        "input: { schema: { document: §{ pattern: '^(?!a)b' } } }\ndo: []\n",
        "not a JSON Schema: the pattern `^(?!a)b` cannot be used",
    ),
    (
        "WL0146",
        "do:\n  - a: { set: { x: 1 }, export: { schema: { document: §{ allOf: [ { not: { $ref: '#' } } ] } } } }\n",
        "this schema is too costly to check values against: it refers to itself",
    ),
    (
        "WL0140",
        "input: { schema: { format: §avro, document: {} } }\ndo: []\n",
        "schemas in the format `avro`",
    ),
    (
        "WL0142",
        "do:\n  - a: { for: { each: §my-item, in: .x }, do: [] }\n",
        "`for.each` cannot be `my-item`",
    ),
    (
        "WL0124",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { onFault: §suspended } } }\n",
        "`metadata.windlass.onFault` cannot be `suspended`",
    ),
    (
        "WL0173",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { limit: { rate: §100/w } } } }\n",
        "`limit.rate` cannot be `100/w`",
    ),
    (
        "WL0174",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { limit: §{ key: a } } } }\n",
        "`metadata.windlass.limit` limits nothing",
    ),
    (
        "WL0174",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { limit: §{ rate: 1/s, onFull: cancel-oldest } } } }\n",
        "`onFull: cancel-oldest` makes no room under a `rate` alone",
    ),
    (
        "WL0175",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { limit: { concurrency: 1, name: §'a b' } } } }\n",
        "`limit.name` cannot be `a b`",
    ),
    (
        "WL0122",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { limit: { concurrency: 1, §onfull: skip } } } }\n",
        "`metadata.windlass.limit` has no property `onfull`",
    ),
    (
        "WL0124",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { limit: { concurrency: 1, onFull: §wiat } } } }\n",
        "`limit.onFull` cannot be `wiat`",
    ),
    (
        "WL0178",
        "do:\n  - a: { call: windlass.approval, with: { title: t, assignees: §{ roles: [] } } }\n",
        "`assignees` names nobody",
    ),
    (
        "WL0177",
        "document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: { windlass: { keepEvents: §P8D } } }\ndo: []\n",
        "events cannot be kept for this long",
    ),
    (
        "WL0145",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { pool: §'a b' } } }\n",
        "`pool` cannot be `a b`",
    ),
    (
        "WL0145",
        "document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: { windlass: { pool: §'' } } }\ndo: []\n",
        "`pool` cannot be ``",
    ),
    (
        "WL0145",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { pool: §7 } } }\n",
        "`pool` must be a string, not a number",
    ),
    (
        "WL0143",
        "do:\n  - a: { raise: { error: { type: http://a, status: 1, instance: §x } } }\n",
        "`x` is not a JSON pointer",
    ),
    ("WL0150", "do:\n  - §'': { set: { x: 1 } }\n", "a task has an empty name"),
    (
        "WL0151",
        "do:\n  - a: { listen: { to: { any: [ { with: { type: §[ a, b ] } }, { with: { type: c } } ] } } }\n",
        "`type` of an event is never a list",
    ),
    (
        "WL0151",
        "schedule: { on: { one: { with: { type: a, §dataContentType: b } } } }\ndo: []\n",
        "no event has an attribute `dataContentType`",
    ),
    (
        "WL0151",
        "do:\n  - a: { listen: { to: { any: [ { with: { type: §'*' } }, { with: { type: c } } ] } } }\n",
        "`*` is no regular expression",
    ),
    (
        "WL0152",
        "do:\n  - a: { listen: { to: §{ one: { with: { type: { is: x } } } } } }\n",
        "no event can end this `listen`: its filters match no event",
    ),
    (
        "WL0152",
        "do:\n  - a: { listen: { to: { any: [], until: §'false' } } }\n",
        "no event can end this `listen`: its `until` is never true",
    ),
    (
        "WL0153",
        "do:\n  - a: { call: openapi, with: { document: { endpoint: http://a }, operationId: §'${ .x }' } }\n",
        "`operationId` is taken as it is written",
    ),
    (
        "WL0153",
        "do:\n  - a: { run: { script: { language: js, code: §'console.log(\"${ .x }\")' } } }\n",
        "code is taken as it is written",
    ),
    (
        "WL0236",
        "do:\n  - a: { try: [], catch: { retry: { backoff: { exponential: { §factor: 1e300 } } } } }\n",
        "`factor` of `backoff.exponential` has no effect",
    ),
    (
        "WL0301",
        "do:\n  - a: { set: { x: 1 }, then: §b }\n",
        "there is no task `b` in the same list",
    ),
    (
        "WL0301",
        "do:\n  - a: { fork: { branches: [ x: { set: { x: 1 }, then: §y }, y: { set: { x: 1 } } ] } }\n",
        "there is no task `y`",
    ),
    (
        "WL0302",
        "do:\n  - a: { call: http, with: { method: get, endpoint: { uri: http://a, authentication: { use: §x } } } }\n",
        "there is no authentication `x`",
    ),
    ("WL0303", "do:\n  - a: { try: [], catch: { retry: §x } }\n", "there is no retry policy `x`"),
    ("WL0304", "timeout: §PT5S\ndo: []\n", "there is no timeout `PT5S`"),
    ("WL0305", "do:\n  - a: { raise: { error: §x } }\n", "there is no error `x`"),
    ("WL0307", "do:\n  - a: { call: §charge }\n", "the function `charge` is not defined here"),
    ("WL0308", "do:\n  - a: { call: §'f:1.0.0@x' }\n", "there is no catalog `x`"),
    (
        "WL0309",
        "do:\n  - a: { call: http, with: { method: get, endpoint: { uri: http://a, authentication: { basic: { use: §x } } } } }\n",
        "the secret `x` is not declared",
    ),
    (
        "WL0310",
        "do:\n  - a: { set: { x: '${ $secrets.§x }' } }\n",
        "the secret `x` is not declared",
    ),
    (
        "WL0312",
        "use: { secrets: [ good, §team+db ] }\ndo: []\n",
        "the name of the secret `team+db` cannot be a part of a path",
    ),
    (
        "WL0311",
        "use: { authentications: { a: { use: §b } } }\ndo: []\n",
        "an authentication in `use.authentications`",
    ),
    ("WL0401", "do:\n  - a: { if: '.x §+* 1', set: { x: 1 } }\n", ""),
    ("WL0402", "evaluate: { language: §js }\ndo: []\n", "expressions in `js` are not supported"),
    (
        "WL0403",
        "evaluate: { mode: loose }\ndo:\n  - a: { set: { day: §2026-01-31 } }\n",
        "`2026-01-31` is evaluated, as the mode is loose",
    ),
    ("WL0135", "schedule: { on: §{ all: [] } }\ndo: []\n", "`all` of `schedule.on` is empty"),
    (
        "WL0126",
        "use: { secrets: [s] }\nschedule: { on: §{ one: { with: { type: '${ $secrets.s }' } } } }\ndo: []\n",
        "no secret can be read in `schedule.on`",
    ),
    ("WL0160", "schedule: { after: §'${ .x }' }\ndo: []\n", "an expression in `after` here"),
    (
        "WL0126",
        "document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: { windlass: { schedule: §{ overlap: skip } } } }\ndo: []\n",
        "`metadata.windlass.schedule` needs a `schedule`",
    ),
    (
        "WL0124",
        "document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: { windlass: { schedule: { overlap: §never } } } }\nschedule: { every: PT1M }\ndo: []\n",
        "`overlap` cannot be `never`",
    ),
    (
        "WL0125",
        "document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: { windlass: { schedule: { timezone: §Europe/Atlantis } } } }\nschedule: { every: PT1M }\ndo: []\n",
        "there is no time zone `Europe/Atlantis`",
    ),
    (
        "WL0138",
        "document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: { windlass: { schedule: { jitter: §P2D } } } }\nschedule: { every: PT1M }\ndo: []\n",
        "`jitter` is longer than a day",
    ),
    ("WL0138", "schedule: { every: §PT0S }\ndo: []\n", "`every` is shorter than 100 ms"),
    ("WL0138", "schedule: { after: §PT0.099S }\ndo: []\n", "`after` is shorter than 100 ms"),
    (
        "WL0160",
        "do:\n  - a: { call: mcp, with: { protocolVersion: §2020-01-01, method: tools/list, transport: { http: { endpoint: http://a } } } }\n",
        "MCP of the version `2020-01-01` cannot be done by this version",
    ),
    (
        "WL0160",
        "do:\n  - a: { call: asyncapi, with: { document: { endpoint: http://a }, operation: o, protocol: §pulsar, message: {} } }\n",
        "the protocol `pulsar` of AsyncAPI cannot be done by this version",
    ),
    (
        "WL0160",
        "do:\n  - a: { call: asyncapi, with: { document: { endpoint: http://a }, operation: o, subscription: { consume: { amount: 1 }, foreach: { do: §[ b: { set: { x: 1 } } ] } } } }\n",
        "`foreach.do` of an AsyncAPI subscription cannot be done by this version",
    ),
    (
        "WL0160",
        "do:\n  - a: { call: asyncapi, with: { document: { endpoint: http://a }, operation: o, subscription: { consume: { amount: 1 }, foreach: { export: §{ as: '${ . }' } } } } }\n",
        "`foreach.export` of an AsyncAPI subscription cannot be done by this version",
    ),
    (
        "WL0160",
        "input: { schema: { resource: §{ endpoint: http://a } } }\ndo: []\n",
        "a schema at another place in `input` here cannot be done",
    ),
    (
        "WL0160",
        "do:\n  - a: { set: { x: 1 }, output: { schema: { resource: §{ endpoint: http://a } } } }\n",
        "a schema at another place in `output` here",
    ),
    ("WL0306", "do:\n  - a: { call: §htpp, with: {} }\n", "there is no function `htpp`"),
    (
        "WL0313",
        "use: { catalogs: { c: { endpoint: '${ .x }' } } }\ndo:\n  - a: { call: §f:1.0.0@c }\n",
        "the endpoint of the catalog `c` is an expression",
    ),
    (
        "WL0313",
        "use: { catalogs: { c: { endpoint: http://a } } }\ndo:\n  - a: { call: §f:../x@c }\n",
        "`../x` cannot be a name or version of a function",
    ),
    (
        "WL0314",
        "use: { catalogs: { c: { endpoint: http://a } } }\ndo:\n  - a: { call: §f:1.0.0@c }\n",
        "the function `f:1.0.0@c` is not fetched here from http://a/functions/f/1.0.0/function.yaml",
    ),
    (
        "WL0315",
        "do:\n  - a: { call: §f:1.0.0 }\n--- # functions of catalogs, pinned when this was deployed\n\
         [{\"function\": \"f:1.0.0@default\", \"text\": \"set: 1\", \"digest\": \
         \"9c7cefe0b9245c0c1e08d25738e8de686261025d4c6372f0655569da449309b1\"}]\n",
        "the function at f:1.0.0@default cannot be used: line 1, column 6: ",
    ),
    (
        "WL0317",
        "do: []\n§--- # functions of catalogs, pinned when this was deployed\n[]}\n",
        "the functions that are pinned to this text cannot be used: ",
    ),
    (
        "WL0122",
        "do:\n  - a: { set: { x: 1 }, metadata: { windlass: { §tls: true } } }\n",
        "`metadata.windlass` has no property `tls`",
    ),
    (
        "WL0122",
        "document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: { windlass: { §pol: x } } }\ndo: []\n",
        "`metadata.windlass` has no property `pol`",
    ),
    (
        "WL0410",
        "do:\n  - a: { set: { x: 1 }, output: { as: '{ a: §$output.x }' } }\n",
        "`$output` is always null here",
    ),
    (
        "WL0410",
        "do:\n  - a: { set: { x: 1 }, input: { from: §$input.x } }\n",
        "`$input` is always null here",
    ),
    ("WL0410", "output: { as: §$task }\ndo: []\n", "`$task` is always null here"),
    ("WL0411", "do:\n  - a: { set: { x: §.count+1 } }\n", "`.count+1` is a text here"),
    (
        "WL0411",
        "do:\n  - a: { call: http, with: { method: get, endpoint: http://a, query: { q: [ §$context.x ] } } }\n",
        "`$context.x` is a text here",
    ),
    ("WL0412", "do:\n  - a: { if: §.ok = true, set: { x: 1 } }\n", "`if` assigns"),
    (
        "WL0412",
        "do:\n  - a: { set: { x: §'${ [ .[] | select(.ok = true) ] }' } }\n",
        "a condition in it assigns",
    ),
    (
        "WL0413",
        "do:\n  - a: { switch: [ x: { when: §.items | length, then: end } ] }\n",
        "`when` gives a number",
    ),
    (
        "WL0413",
        "do:\n  - a: { for: { in: .x }, while: §'.a == 1 or \"b\"', do: [] }\n",
        "`while` gives a text",
    ),
    (
        "WL0414",
        "do:\n  - a: { if: §'type == \"order\"', set: { x: 1 } }\n",
        "`type` is compared with a text",
    ),
    (
        "WL0420",
        "do:\n  - a: { call: http, with: { method: get, endpoint: 'http://a/{x}/{user§ name}${ .y }' } }\n",
        "` ` cannot stand here in the name `user name`",
    ),
    (
        "WL0420",
        "do:\n  - a: { call: http, with: { method: get, endpoint: { uri: 'http://a/?q={§\"a\":1}' } } }\n",
        "`\"` cannot stand here",
    ),
    (
        "WL0420",
        "do:\n  - a: { emit: { event: { with: { type: t, source: '/a/{x§:0}' } } } }\n",
        "`:0` is no prefix",
    ),
    (
        "WL0420",
        "do:\n  - a: { emit: { event: { with: { type: t, source: /a, dataschema: 'http://a/§{x' } } } }\n",
        "`{` is not closed",
    ),
    (
        "WL0420",
        "do:\n  - a: { call: openapi, with: { operationId: o, document: { endpoint: 'http://a/{§!x}' } } }\n",
        "RFC 6570 gives the operator `!` no meaning",
    ),
    (
        "WL0421",
        "do:\n  - a: { for: { in: .all }, do: [ b: { call: http, with: { method: get, endpoint: 'http://a/§{item}' } } ] }\n",
        "`{item}` is a property of the input, not the variable `$item`",
    ),
    (
        "WL0421",
        "do:\n  - a: { call: http, with: { method: get, endpoint: 'http://a/{x}/§{y,order.id}' } }\n",
        "`{order.id}` is the property whose name has a dot in it",
    ),
    (
        "WL0421",
        "do:\n  - a: { call: http, with: { method: get, endpoint: { uri: 'http://a/§{.id}' } } }\n",
        "`{.id}` puts a dot before the value",
    ),
];

/// Codes that other tests of this module or of `text` and `deviations` give, and those of files of
/// tests, which the command line reads.
const ELSEWHERE: &[&str] =
    &["WL0101", "WL0103", "WL0104", "WL0110", "WL0144", "WL0170", "WL0171", "WL0172", "WL0316"];

fn check(code: &str, text: &str, message: &str) {
    let full = if text.trim_start_matches('§').starts_with("document") {
        text.to_owned()
    } else {
        format!("{DOCUMENT}{text}")
    };
    let before = full.split('§').next().unwrap();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    let Loaded { plan, diagnostics, .. } = load(&full.replace('§', ""), &Options::default());
    let found = diagnostics.iter().find(|it| it.code == code && it.message.starts_with(message));
    let found = found.unwrap_or_else(|| panic!("{code} {text}\n{diagnostics:#?}"));
    assert_eq!((found.line, found.column), (line, column), "{text}\n{found:#?}");
    assert!(
        diagnostics.iter().all(|it| it.line == line || matches!(it.code, "WL0120" | "WL0160")),
        "{diagnostics:#?}"
    );
    let refused = diagnostics.iter().any(|it| it.severity == crate::definition::Severity::Error);
    assert_eq!(plan.is_none(), refused);
}

#[test]
fn every_finding_stands_at_its_place() {
    for (code, text, message) in CASES {
        check(code, text, message);
    }
}

#[test]
fn every_code_is_explained_once_and_tested() {
    let tested: BTreeSet<_> =
        CASES.iter().map(|it| it.0).chain(ELSEWHERE.iter().copied()).collect();
    let mut before = "";
    for (code, text) in TABLE {
        assert!(*code > before, "{code} is out of order");
        before = code;
        assert!(explain(code).is_some_and(|it| it == *text && it.len() > 60), "{code}");
        assert!(code.starts_with("WL02") || tested.contains(code), "{code} has no test");
    }
    assert_eq!(explain("WL9999"), None);
}

#[test]
fn nothing_at_all_is_a_finding() {
    for text in ["", "# only a comment\n", "---\n", "\u{feff}"] {
        let found = load(text, &Options::default());
        assert!(found.plan.is_none());
        assert!(matches!(found.diagnostics[0].code, "WL0110" | "WL0120"), "{text:?}");
    }
    for text in ["null", "3", "[]", "do"] {
        assert_eq!(load(text, &Options::default()).diagnostics[0].code, "WL0120", "{text}");
    }
}

#[test]
fn what_was_accepted_before_is_run_as_far_as_it_can_be() {
    let text = format!(
        "{DOCUMENT}input: {{ schema: {{ document: {{ not: {{ $ref: '#' }} }} }} }}\ndo:\n  \
         - a: {{ wait: {{ days: -1 }} }}\n  - b: {{ wait: {{ days: 99999 }} }}\n"
    );
    let found = load(&text, &Options::default());
    assert!(found.plan.is_none());
    assert_eq!(found.diagnostics.len(), 3, "{:#?}", found.diagnostics);
    let plan = load(&text, &Options { accepted: true, ..Options::default() }).plan.unwrap();
    let Some(crate::plan::SchemaSource::Inline(schema)) = &plan.input.schema else { panic!() };
    let refused = schema.validate(&crate::value::Value::Null).unwrap_err().to_string();
    assert!(refused.contains("refers to itself"), "{refused}");
    let waits = plan.tasks.iter().map(|task| match &task.kind {
        crate::plan::Kind::Wait(crate::plan::Duration::Fixed(milliseconds)) => *milliseconds,
        other => panic!("{other:?}"),
    });
    assert_eq!(waits.collect::<Vec<_>>(), [0, crate::limits::LONGEST_DURATION_MS]);
}

#[test]
fn schemas_of_a_definition_share_their_bounds() {
    let schema = "{ pattern: '^[a-z]{1,4000}$' }";
    let task = |it: usize| {
        format!(
            "  - t{it}: {{ set: {{ x: 1 }}, output: {{ schema: {{ document: {schema} }} }} }}\n"
        )
    };
    let text =
        |count: usize| format!("{DOCUMENT}do:\n{}", (0..count).map(task).collect::<String>());
    assert!(load(&text(3), &Options::default()).plan.is_some());
    let found = load(&text(60), &Options::default());
    assert!(found.plan.is_none());
    assert_eq!(found.diagnostics[0].code, "WL0146", "{:#?}", found.diagnostics[0]);
    assert!(found.diagnostics[0].line > 20, "{:#?}", found.diagnostics[0]);
}

#[test]
fn known_functions_make_an_unknown_one_an_error() {
    let text = format!(
        "{DOCUMENT}do:\n  - a: {{ call: lgo }}\n  - b: {{ call: 'log:1.0.0' }}\n  - c: {{ call: htpp }}\n"
    );
    let options = Options { functions: Some(vec!["log".into()]), ..Options::default() };
    let found = load(&text, &options).diagnostics;
    let found: Vec<_> =
        found.iter().map(|it| (it.code, it.line, it.hint.as_deref().unwrap())).collect();
    assert_eq!(
        found,
        [("WL0306", 7, "did you mean `log`?"), ("WL0306", 9, "did you mean `http`?")]
    );
}

#[test]
fn all_findings_are_collected() {
    let found = loaded(
        "do:\n  - a: { call: http, with: { metod: get, endpoint: 5 } }\n  - b: { wait: x, then: c }\n  - d: { sett: 1 }\n",
    )
    .diagnostics;
    let codes: Vec<_> = found.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["WL0121", "WL0122", "WL0120", "WL0129", "WL0301", "WL0133"]);
}

#[test]
fn what_cannot_be_done_is_refused_where_that_is_asked_for() {
    let text = format!("{DOCUMENT}schedule: {{ after: '${{ .x }}' }}\ndo: []\n");
    let strict = Options { strict: true, ..Options::default() };
    let deployed = Options { refuse_unsupported: true, ..Options::default() };
    for (options, accepted) in [(Options::default(), true), (strict, false), (deployed, false)] {
        let Loaded { plan, diagnostics, .. } = load(&text, &options);
        assert_eq!(plan.is_some(), accepted, "{options:?}");
        let codes: Vec<_> = diagnostics.iter().map(|it| it.code).collect();
        assert_eq!(codes, ["WL0160"], "{options:?}");
    }
    let external = format!(
        "{DOCUMENT}do:\n  - a: {{ run: {{ shell: {{ command: ls }} }}, \
         output: {{ schema: {{ resource: {{ endpoint: http://a }} }} }} }}\n"
    );
    let done = load(&external, &Options { refuse_unsupported: true, ..Options::default() });
    assert!(done.plan.is_some(), "{:#?}", done.diagnostics);
}
