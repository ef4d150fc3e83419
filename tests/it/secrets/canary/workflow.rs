//! A workflow that takes one secret through everything a task can do, and fail at.

/// Where its tasks send things.
pub(super) struct Servers {
    /// Answers with what it was sent, in many encodings.
    pub(super) echo: String,
    /// Nobody listens here.
    pub(super) closed: String,
    /// The port of a gRPC server that answers with what it was sent.
    pub(super) grpc: u64,
    /// The port of a NATS server that is not the fleet's.
    pub(super) bus: u16,
    /// A port at which nobody listens.
    pub(super) dead: u16,
}

/// Tasks with `S` in the place of the secret: each is tried, and its error kept.
const TASKS: &[(&str, &str)] = &[
    (
        "set",
        "set: {direct: '${ S }', base64: '${ S | tostring | @base64 }', uri: '${ S | tostring | @uri }', json: '${ S | tojson }', text: 'Bearer ${ S | tostring }'}",
    ),
    ("echo_body", "call: http\nwith: {method: post, endpoint: 'ECHO/echo', body: {it: '${ S }'}}"),
    (
        "echo_text",
        "call: http\nwith: {method: post, endpoint: 'ECHO/echo', headers: {content-type: text/plain}, body: '${ S | tostring }'}",
    ),
    (
        "echo_header",
        "call: http\nwith: {method: get, endpoint: 'ECHO/echo', headers: {x-it: '${ S | tostring }'}, output: response}",
    ),
    (
        "echo_query",
        "call: http\nwith: {method: get, endpoint: 'ECHO/echo', query: {it: '${ S | tostring }'}, output: response}",
    ),
    (
        "echo_path",
        "call: http\nwith: {method: get, endpoint: '${ \"ECHO/echo/\" + (S | tostring | @uri) }', output: response}",
    ),
    (
        "echo_raw",
        "call: http\nwith: {method: post, endpoint: 'ECHO/echo', body: {it: '${ S }'}, output: raw}",
    ),
    // Nobody is asked with one.
    ("asks", "call: windlass.approval\nwith: {title: 'Use ${ S | tostring }?'}"),
    ("refused", "call: http\nwith: {method: post, endpoint: 'ECHO/fail', body: {it: '${ S }'}}"),
    ("broken", "call: http\nwith: {method: post, endpoint: 'ECHO/broken', body: {it: '${ S }'}}"),
    (
        "closed",
        "call: http\nwith: {method: get, endpoint: '${ \"CLOSED/\" + (S | tostring | @uri) }'}",
    ),
    (
        "redirected",
        "call: http\nwith: {method: get, endpoint: '${ \"ECHO/redirect?to=\" + (S | tostring | @uri) }', redirect: true}",
    ),
    ("no_url", "call: http\nwith: {method: get, endpoint: '${ S | tostring }'}"),
    (
        "basic",
        "call: http\nwith: {method: get, endpoint: {uri: 'ECHO/echo', authentication: {basic: {username: me, password: '${ S | tostring }'}}}}",
    ),
    (
        "bearer",
        "call: http\nwith: {method: get, endpoint: {uri: 'ECHO/echo', authentication: {bearer: {token: '${ S | tostring }'}}}}",
    ),
    (
        "digest",
        "call: http\nwith: {method: get, endpoint: {uri: 'ECHO/digest', authentication: {digest: {username: me, password: '${ S | tostring }'}}}}",
    ),
    (
        "oauth2",
        "call: http\nwith: {method: get, endpoint: {uri: 'ECHO/echo', authentication: {oauth2: {authority: 'ECHO', grant: client_credentials, client: {id: me, secret: '${ S | tostring }'}}}}}",
    ),
    (
        "assertion",
        "call: http\nwith: {method: get, endpoint: {uri: 'ECHO/echo', authentication: {oauth2: {authority: 'ECHO', grant: client_credentials, client: {id: me, authentication: private_key_jwt, assertion: '${ S | tostring }'}}}}}",
    ),
    (
        "oauth2_certificate",
        "call: http\nwith: {method: get, endpoint: {uri: 'ECHO/echo', authentication: {oauth2: {authority: 'ECHO', grant: client_credentials, client: {id: '${ S | tostring }', authentication: tls_client_auth, certificate: {use: NAME}}}}}}",
    ),
    (
        "out_of_reach",
        "call: http\nwith: {method: get, endpoint: '${ \"http://10.11.12.13/\" + (S | tostring | @uri) }', headers: {x-it: '${ S | tostring | @uri }'}}",
    ),
    (
        "out_of_bounds",
        "call: http\nwith: {method: get, endpoint: '${ \"http://\" + (S | tostring | @base64 | gsub(\"[+]\"; \"-\") | gsub(\"/\"; \"_\") | gsub(\"=\"; \"\")) + \".denied.test/\" + (S | tostring | @uri) }'}",
    ),
    (
        "openapi",
        "call: openapi\nwith: {document: {endpoint: 'ECHO/openapi.json'}, operationId: echo, parameters: {it: '${ S | tostring }'}}",
    ),
    (
        "mcp",
        "call: mcp\nwith: {method: tools/call, parameters: {name: it, arguments: {it: '${ S }'}}, transport: {http: {endpoint: {uri: 'ECHO/mcp', authentication: {bearer: {token: '${ S | tostring }'}}}, headers: {x-it: '${ S | tostring | @uri }'}}}}",
    ),
    (
        "mcp_failed",
        "call: mcp\nwith: {method: tools/call, parameters: {name: '${ S | tostring }'}, transport: {http: {endpoint: 'ECHO/mcp?fail=yes'}}}",
    ),
    (
        "mcp_older",
        "call: mcp\nwith: {protocolVersion: '2025-06-18', method: tools/call, parameters: {name: it, arguments: {it: '${ S }'}}, client: {name: '${ S | tostring }', version: v}, transport: {http: {endpoint: 'ECHO/mcp'}}}",
    ),
    (
        "mcp_program",
        "call: mcp\nwith: {method: tools/call, parameters: {name: it, arguments: {it: '${ S }'}}, transport: {stdio: {command: sh, arguments: ['-c', 'read -r a; echo ''{\"id\":1,\"result\":{\"supportedVersions\":[\"2026-07-28\"]}}''; read -r b; printf \"%s\" \"$IT\" \"$b\" >&2; printf ''{\"id\":3,\"result\":{\"content\":[],\"echo\":%s}}\\n'' \"$b\"', '${ S | tostring }'], environment: {IT: '${ S | tostring }'}}}}",
    ),
    (
        "mcp_program_dies",
        "call: mcp\nwith: {method: tools/list, transport: {stdio: {command: sh, arguments: ['-c', 'read -r a; printf \"%s\" \"$IT\" >&2; exit 3'], environment: {IT: '${ S | tostring }'}}}}",
    ),
    (
        "a2a",
        "call: a2a\nwith: {method: message/send, server: {uri: 'ECHO/a2a', authentication: {bearer: {token: '${ S | tostring }'}}}, parameters: {message: {parts: [{kind: text, text: '${ S | tostring }'}], metadata: {it: '${ S }'}}}}",
    ),
    (
        "a2a_failed",
        "call: a2a\nwith: {method: message/send, server: 'ECHO/a2a?fail=yes', parameters: {message: {messageId: '${ S | tostring }', parts: []}}}",
    ),
    (
        "a2a_refused",
        "call: a2a\nwith: {method: tasks/get, server: 'ECHO/a2a', parameters: {id: '${ S | tostring }'}}",
    ),
    (
        "a2a_by_card",
        "call: a2a\nwith: {method: message/send, agentCard: {endpoint: {uri: 'ECHO/agent-card', authentication: {basic: {username: me, password: '${ S | tostring }'}}}}, parameters: {message: {parts: [{kind: text, text: '${ S | tostring }'}]}}}",
    ),
    (
        "a2a_stream",
        "call: a2a\nwith: {method: message/stream, agentCard: {endpoint: '${ \"ECHO/agent-card?it=\" + (S | tostring | @uri) }'}, parameters: '${ {message: {parts: [{kind: \"data\", data: {it: S}}]}} }'}",
    ),
    (
        "grpc",
        "call: grpc\nwith: {proto: {endpoint: 'ECHO/echo.proto'}, service: {name: acme.echo.v1.Echo, host: localhost, port: RPC}, method: Say, arguments: {text: '${ S | tostring }'}}",
    ),
    (
        "grpc_types",
        "call: grpc\nwith: {proto: {endpoint: 'ECHO/echo.proto'}, service: {name: acme.echo.v1.Echo, host: localhost, port: RPC}, method: All, arguments: {exact: '${ [S | .. | numbers][0] }', raw: '${ [S | .. | strings | select(test(\"^[A-Za-z0-9_-]{24,}$\"))][0] | if . and length < 100 then . else null end }', text: '${ S | tostring }'}}",
    ),
    (
        "grpc_refused",
        "call: grpc\nwith: {proto: {endpoint: 'ECHO/echo.proto'}, service: {name: acme.echo.v1.Echo, host: localhost, port: RPC}, method: Fail, arguments: {status: 3, message: '${ S | tostring }'}}",
    ),
    (
        "grpc_bearer",
        "call: grpc\nwith: {proto: {endpoint: 'ECHO/echo.proto'}, service: {name: acme.echo.v1.Echo, host: localhost, port: RPC, authentication: {bearer: {token: '${ S | tostring }'}}}, method: Say, arguments: {text: denied}}",
    ),
    (
        "grpc_reflection",
        "call: grpc\nwith: {proto: {endpoint: 'grpc-reflection://localhost:RPC'}, service: {name: acme.echo.v1.Echo, host: localhost, port: RPC, authentication: {bearer: {token: '${ S | tostring }'}}}, method: Say, arguments: {text: '${ S | tostring }'}}",
    ),
    (
        "grpc_wrong",
        "call: grpc\nwith: {proto: {endpoint: 'ECHO/echo.proto'}, service: {name: acme.echo.v1.Echo, host: localhost, port: RPC}, method: Fail, arguments: {status: '${ S | tostring }'}}",
    ),
    (
        "asyncapi",
        "call: asyncapi\nwith: {document: {endpoint: 'ECHO/asyncapi.json'}, operation: say, server: {name: web, variables: {it: '${ S | tostring }'}}, message: {payload: {it: '${ S }'}, headers: {x-it: '${ S | tostring | @uri }'}}}",
    ),
    (
        "asyncapi_bearer",
        "call: asyncapi\nwith: {document: {endpoint: 'ECHO/asyncapi.json'}, operation: say, server: {name: web, variables: {it: x}}, message: {payload: {}}, authentication: {bearer: {token: '${ S | tostring }'}}}",
    ),
    (
        "asyncapi_heard",
        "call: asyncapi\nwith: {document: {endpoint: 'ECHO/asyncapi.json'}, operation: hear, server: {name: web, variables: {it: '${ S | tostring }'}}, subscription: {filter: '${ .payload != S }', consume: {while: '${ .payload == S }'}, foreach: {output: {as: '${ {it: S, more: .} }'}}}}",
    ),
    (
        "asyncapi_nats",
        "call: asyncapi\nwith: {document: {endpoint: 'ECHO/asyncapi.json'}, operation: tell, server: {name: bus, variables: {port: BUS}}, message: {payload: {it: '${ S }'}, headers: {x-it: '${ S | tostring | @uri }'}}, authentication: {basic: {username: me, password: '${ S | tostring }'}}}",
    ),
    (
        "asyncapi_refused",
        "call: asyncapi\nwith: {document: {endpoint: 'ECHO/asyncapi.json'}, operation: measure, server: {name: broker, variables: {port: DEAD, it: '${ S | tostring | @uri }'}}, message: {payload: {it: '${ S }'}}, authentication: {basic: {username: '${ S | tostring }', password: '${ S | tostring }'}}}",
    ),
    (
        "asyncapi_unreachable",
        "call: asyncapi\nwith: {document: {endpoint: 'ECHO/asyncapi.json'}, operation: ship, server: {name: rabbit, variables: {port: DEAD, it: '${ S | tostring | @uri }'}}, message: {payload: {it: '${ S }'}, headers: {x-it: '${ S | tostring }'}}, authentication: {basic: {username: '${ S | tostring }', password: '${ S | tostring }'}}}",
    ),
    (
        "asyncapi_kafka",
        "call: asyncapi\nwith: {document: {endpoint: 'ECHO/asyncapi.json'}, operation: note, server: {name: log, variables: {port: DEAD, it: '${ S | tostring | @uri }'}}, message: {payload: {it: '${ S }'}, headers: {x-it: '${ S | tostring }', kafka-key: '${ S | tostring }'}}, authentication: {basic: {username: '${ S | tostring }', password: '${ S | tostring }'}}}",
    ),
    (
        "asyncapi_talk",
        "call: asyncapi\nwith: {document: {endpoint: 'ECHO/asyncapi.json'}, operation: talk, server: {name: socket, variables: {it: '${ S | tostring }'}}, message: {payload: {it: '${ S }'}, headers: {x-it: '${ S | tostring | @uri }'}}}",
    ),
    (
        "asyncapi_wrong",
        "call: asyncapi\nwith: {document: {endpoint: 'ECHO/asyncapi.json'}, operation: tell, server: {name: bus, variables: {port: '${ S | tostring }'}}, message: {payload: {}}}",
    ),
    (
        "shell",
        "run: {shell: {command: 'printf \"%s\" \"$IT\"; printf \"%s\" \"$IT\" | base64 -w0 >&2', environment: {IT: '${ S | tostring }'}}, return: all}",
    ),
    ("shell_argument", "run: {shell: {command: echo, arguments: ['${ S | tostring }']}}"),
    ("shell_stdin", "run: {shell: {command: 'cat; cat >&2; exit 3', stdin: '${ S | tostring }'}}"),
    (
        "shell_killed",
        "run: {shell: {command: 'printf \"%s\" \"$IT\"; kill -9 $$', environment: {IT: '${ S | tostring }'}}}",
    ),
    (
        "javascript",
        "run: {script: {language: js, code: 'console.log(process.env.IT); console.error(process.env.IT); throw new Error(process.env.IT)', environment: {IT: '${ S | tostring }'}}}",
    ),
    (
        "python",
        "run: {script: {language: python, code: 'import os; print(os.environ[\"IT\"]); raise ValueError(os.environ[\"IT\"])', environment: {IT: '${ S | tostring }'}}}",
    ),
    ("function", "call: echo\nwith: {it: '${ S }'}"),
    ("log", "call: log\nwith: {message: 'log-marker ${ S | tostring }'}"),
    ("log_error", "call: logError\nwith: {message: '${ S | tostring }', it: '${ S }'}"),
    (
        "raise",
        "raise: {error: {type: 'https://example.com/errors/it', status: 400, title: '${ S | tostring }', detail: 'it is ${ S | tostring }'}}",
    ),
    (
        "emit",
        "emit: {event: {with: {source: /canary, type: com.example.canary, data: {it: '${ S }'}}}}",
    ),
    ("loop", "for: {each: it, in: '${ [S, \"other\"] }'}\ndo:\n- inside: {set: {it: '${ $it }'}}"),
    (
        "switch",
        "switch:\n- same: {when: '${ (S | tostring) == \"x\" }', then: continue}\n- other: {then: continue}",
    ),
    ("condition", "if: '${ S != null }'\nset: {done: true}"),
    ("raised_by_jq", "set: {it: '${ S | tostring | error }'}"),
    ("no_number", "set: {it: '${ [S | tostring] | tonumber }'}"),
    ("added", "set: {it: '${ {a: S} + 1 }'}"),
    ("input_from", "input: {from: '${ {it: S} }'}\ncall: echo\nwith: {it: '${ .it }'}"),
    ("output_as", "call: echo\nwith: {it: 1}\noutput: {as: '${ {it: S, more: .} }'}"),
    (
        "child",
        "run: {workflow: {namespace: canary, name: child, version: '1.0.0', input: {it: '${ $context.set.direct }'}}}",
    ),
    (
        "hears_itself",
        "fork:\n  branches:\n  - hear: {listen: {to: {one: {with: {type: com.example.NAME}}}}}\n  - say: {emit: {event: {with: {source: /canary, type: com.example.NAME, data: {it: '${ $context.set.direct }'}}}}}",
    ),
    (
        "used_again",
        "call: http\nwith: {method: post, endpoint: 'ECHO/again', body: {it: '${ $context.set.text }'}}",
    ),
];

/// The workflow for the secret `name`.
pub(super) fn text(name: &str, servers: &Servers) -> String {
    let mut text = format!(
        "document: {{dsl: '1.0.3', namespace: canary, name: through-{name}, version: '1.0.0'}}
use: {{secrets: [{name}]}}
output: {{as: '${{ $context }}'}}
do:
"
    );
    for (task, body) in TASKS {
        let body = body
            .replace("NAME", name)
            .replace("ECHO", &servers.echo)
            .replace("CLOSED", &servers.closed)
            .replace("RPC", &servers.grpc.to_string())
            .replace("BUS", &servers.bus.to_string())
            .replace("DEAD", &servers.dead.to_string());
        let secret = format!("$secrets[\"{name}\"]");
        // `S` alone is the secret; letters around it make other words.
        let body: String = body
            .split_inclusive(|it: char| !it.is_ascii_alphanumeric())
            .map(|word| match word.strip_prefix('S') {
                Some(rest) if rest.chars().all(|it| !it.is_ascii_alphanumeric()) => {
                    format!("{secret}{rest}")
                }
                _ => word.to_owned(),
            })
            .collect();
        text.push_str(&format!("- {task}:\n    try:\n    - {task}_itself:\n"));
        for line in body.lines() {
            text.push_str(&format!("        {line}\n"));
        }
        text.push_str(&format!(
            "    catch:\n      as: e\n      do:\n      - {task}_caught: {{set: {{caught: '${{ $e }}'}}}}\n    \
             export: {{as: '${{ ($context // {{}}) + {{{task}: .}} }}'}}\n"
        ));
    }
    text
}

/// Would listen for what the tasks emit, which is kept for it.
pub(super) const LATE: &str = "\
document: {dsl: '1.0.3', namespace: canary, name: late, version: '1.0.0', metadata: {windlass: {keepEvents: P1D}}}
do:
- hear: {listen: {to: {one: {with: {type: com.example.canary}}}}}
";

/// What the `child` task runs.
pub(super) fn child(servers: &Servers) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: canary, name: child, version: '1.0.0'}}
do:
- send: {{call: http, with: {{method: post, endpoint: '{}/again', body: {{it: '${{ .it }}'}}}}}}
",
        servers.echo
    )
}
