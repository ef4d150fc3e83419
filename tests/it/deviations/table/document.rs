//! `document`, what stands beside it, and `use`.

use super::super::Frame::{Document, Root, Task, Whole, Workflow};
use super::{Part, accepted, refused, warned};

pub(super) fn parts() -> Vec<Part> {
    vec![document(), beside(), authentication()]
}

fn document() -> Part {
    Part {
        title: "The document",
        rows: vec![
            warned("a description", "WL0226", Document, "description: Takes orders"),
            warned("a property for tools", "WL0227", Document, "x-owner: team-a"),
            refused("any other property", "WL0122", Document, "author: Ada"),
            warned("a short version of the DSL", "WL0229", Document, "dsl: 1.0"),
            warned("a short version", "WL0229", Document, "version: '1.0'"),
            warned("only a major version", "WL0229", Document, "version: 1"),
            refused("a `v` before the version", "WL0125", Document, "version: v1.2.0"),
            refused("a `v` before a short version", "WL0125", Document, "version: v1"),
            refused("a date as version", "WL0125", Document, "version: '2026-01-31'"),
            refused(
                "no version (warned by `run` and `dev`, which take `0.0.0`: WL0230)",
                "WL0121",
                Whole,
                "document: { dsl: 1.0.3, namespace: shop, name: order }\ndo: []",
            ),
            warned("dots in the namespace", "WL0231", Document, "namespace: com.example.shop"),
            warned("underscores in the namespace", "WL0231", Document, "namespace: my_shop"),
            refused("spaces in a name", "WL0125", Document, "name: Take orders"),
            refused("underscores in a name", "WL0125", Document, "name: take_orders"),
            refused("the DSL before 1.0", "WL0127", Document, "dsl: 0.8.0"),
            warned("a later minor version of the DSL", "WL0128", Document, "dsl: 1.1.0"),
            accepted("a pre-release of the DSL", Document, "dsl: 1.0.0-alpha5"),
            warned("a number as title", "WL0212", Document, "title: 2026"),
            accepted("any metadata and tags", Document, "metadata: { a: [ 1 ] }, tags: { b: c }"),
        ],
    }
}

fn beside() -> Part {
    let extending = "use: { extensions: [ e: { extend: extension } ] }";
    Part {
        title: "Beside the document",
        rows: vec![
            warned("an unknown property", "WL0123", Root, "outputs: {}"),
            refused("a property that is empty", "WL0120", Root, "timeout:"),
            refused("a duration as timeout", "WL0304", Root, "timeout: PT30S"),
            accepted("loose evaluation", Root, "evaluate: { mode: loose }"),
            refused("another language", "WL0402", Root, "evaluate: { language: js }"),
            refused(
                "a cron expression of three fields",
                "WL0125",
                Root,
                "schedule: { cron: '* * *' }",
            ),
            warned("an extension of extensions", "WL0224", Root, extending),
            warned(
                "a secret whose name is a path",
                "WL0312",
                Root,
                "use: { secrets: [ team/db ] }",
            ),
        ],
    }
}

fn authentication() -> Part {
    let policy = |what, code, written| warned(what, code, Root, written);
    Part {
        title: "Authentication and secrets",
        rows: vec![
            warned(
                "a name as authentication",
                "WL0213",
                Workflow,
                "use: { authentications: { me: { bearer: { token: x } } } }\n\
                 do: [ a: { call: http, with: { method: get, endpoint: { uri: http://a, authentication: me } } } ]",
            ),
            policy("a text as bearer", "WL0214", "use: { authentications: { a: { bearer: x } } }"),
            policy(
                "a number as password",
                "WL0212",
                "use: { authentications: { a: { basic: { username: ada, password: 0123 } } } }",
            ),
            policy(
                "a grant with dashes",
                "WL0207",
                "use: { authentications: { a: { oauth2: { authority: http://a, grant: client-credentials } } } }",
            ),
            policy(
                "the address of a configuration as authority",
                "WL0215",
                "use: { authentications: { a: { oidc: { authority: http://a/.well-known/openid-configuration, grant: password } } } }",
            ),
            policy(
                "one scope that is no list",
                "WL0225",
                "use: { authentications: { a: { oauth2: { authority: http://a, grant: password, scopes: read } } } }",
            ),
            refused(
                "a policy that is another",
                "WL0311",
                Root,
                "use: { authentications: { a: { use: b } } }",
            ),
            warned(
                "a secret outside of `${ }`",
                "WL0216",
                Workflow,
                "use: { secrets: [ key ] }\ndo: [ a: { set: { x: 'Bearer $SECRETS.key' } } ]",
            ),
            warned(
                "another name of the secrets",
                "WL0217",
                Workflow,
                "use: { secrets: [ key ] }\ndo: [ a: { set: { x: '${ $secret.key }' } } ]",
            ),
            warned("a secret not declared", "WL0310", Task, "set: { x: '${ $secrets.key }' }"),
        ],
    }
}
