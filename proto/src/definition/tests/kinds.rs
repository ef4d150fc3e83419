//! What each kind of task, and each part beside tasks, becomes.

use super::{DOCUMENT, first, kind_of, loaded, plan, references, warned};
use crate::cron::Cron;
use crate::definition::{Loaded, Options, load};
use crate::expression::Template;
use crate::plan::{
    Authentication, Backoff, ClientAuthentication, Consume, Credentials, Duration, Flow,
    FunctionTarget, Grant, GrpcTypes, HttpOutput, Kind, McpTransport, McpVersion, OnFault, ReadAs,
    Return, SchemaSource, ScriptBody, Strategy, Token, Until,
};
use crate::value::Value;

fn text(template: &Template) -> &str {
    match template {
        Template::Constant(Value::String(text)) => text,
        Template::Expression(program) => program.source(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_document_and_what_stands_beside_it() {
    let plan = plan(
        "  title: T\n  summary: S\n  tags: { a: b }\n  metadata: { c: 1 }\n\
         input: { schema: { document: { type: object } }, from: .x }\n\
         output: { as: { y: '${ .z }' } }\n\
         timeout: { after: PT1M }\nevaluate: { language: jq, mode: strict }\n\
         schedule: { every: { hours: 1 }, cron: '0 0 * * *', after: PT1S, on: { one: { with: { type: t } } }, read: raw }\n\
         do: []\n",
    );
    assert_eq!(plan.id.to_string(), "test/sample:1.0.0");
    assert_eq!((plan.title.as_deref(), plan.summary.as_deref()), (Some("T"), Some("S")));
    assert_eq!(plan.tags.to_json(), r#"{"a":"b"}"#);
    assert_eq!(plan.metadata.to_json(), r#"{"c":1}"#);
    assert!(matches!(plan.input.schema, Some(SchemaSource::Inline(_))));
    assert!(matches!(&plan.input.from, Some(Template::Expression(it)) if it.source() == ".x"));
    assert!(matches!(&plan.output.transform, Some(Template::Object(it)) if it.len() == 1));
    assert!(matches!(plan.timeout, Some(Duration::Fixed(60_000))));
    let schedule = plan.schedule.as_ref().unwrap();
    assert_eq!(schedule.every, Some(3_600_000));
    assert_eq!(schedule.after, Some(1_000));
    assert_eq!(schedule.cron.as_ref().map(Cron::text), Some("0 0 * * *"));
    let on = schedule.on.as_ref().unwrap();
    let Kind::Listen(listen) = &on.task(on.root[0]).kind else { panic!("{on:?}") };
    assert!(matches!(listen.strategy, Strategy::One(_)));
    assert_eq!(listen.read, ReadAs::Raw);
    assert_eq!((&on.id, &on.definition), (&plan.id, &plan.definition));
    assert_eq!(
        plan.definition.get("document").unwrap().get("version").unwrap().as_str(),
        Some("1.0.0")
    );
}

#[test]
fn the_common_properties_of_a_task() {
    let plan = plan(
        "use: { timeouts: { t: { after: { seconds: 2 } } } }\n\
         do:\n  - a:\n      if: .ok\n      input: { from: '${ .i }' }\n      set: { x: 1 }\n      output: { as: .o }\n      \
         export: { as: '$context + .', schema: { resource: { name: s, endpoint: 'http://a/{id}' } } }\n      \
         timeout: t\n      metadata: { m: 1 }\n      then: c\n  - b: { set: '${ .b }' }\n  - c: { set: { x: 1 }, then: end }\n",
    );
    let task = first(&plan);
    assert_eq!((&*task.name, &*task.reference), ("a", "/do/0/a"));
    assert_eq!(task.condition.as_ref().unwrap().source(), ".ok");
    assert_eq!(text(task.input.from.as_ref().unwrap()), "${ .i }");
    assert_eq!(text(task.output.transform.as_ref().unwrap()), ".o");
    assert_eq!(text(task.export.transform.as_ref().unwrap()), "$context + .");
    assert!(
        matches!(&task.export.schema, Some(SchemaSource::External(it)) if it.name.as_deref() == Some("s"))
    );
    assert!(matches!(task.timeout, Some(Duration::Fixed(2_000))));
    assert_eq!(task.metadata.to_json(), r#"{"m":1}"#);
    assert_eq!(task.then, Flow::Task(2));
    assert_eq!(task.definition.get("then").unwrap().as_str(), Some("c"));
    assert!(matches!(&plan.tasks[1].kind, Kind::Set(Template::Expression(_))));
    assert_eq!(plan.tasks[2].then, Flow::End);
    assert!(task.variables.is_empty());
}

#[test]
fn a_document_says_how_long_its_instances_are_kept() {
    let kept = |retention: &str| {
        let text = format!(
            "document: {{ dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: {{ windlass: \
             {{ {retention} }} }} }}\ndo: []\n"
        );
        load(&text, &Options::default()).plan.map(|it| it.retention)
    };
    assert_eq!(kept("retention: P7D"), Some(Some(7 * 86_400_000)));
    assert_eq!(kept("retention: { hours: 1 }"), Some(Some(3_600_000)));
    assert_eq!(kept(""), Some(None));
    assert_eq!(kept("retention: soon"), None);
    // A finding says that an expression is not supported here; it keeps nothing.
    assert_eq!(kept("retention: '${ .x }'"), Some(None));
}

#[test]
fn what_becomes_of_errors_is_said_of_the_document_and_of_tasks() {
    let text = "document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: { windlass: { onFault: suspend } } }\n\
                do:\n  - a: { set: { x: 1 }, metadata: { windlass: { onFault: fault } } }\n  \
                - b: { set: { x: 1 } }\n";
    let plan = load(text, &Options::default()).plan.unwrap();
    let of_tasks: Vec<_> = plan.tasks.iter().map(|it| it.on_fault).collect();
    assert_eq!((plan.on_fault, of_tasks), (OnFault::Suspend, vec![Some(OnFault::Fault), None]));
    let plain = load(
        &text.replace(", metadata: { windlass: { onFault: suspend } }", ""),
        &Options::default(),
    );
    assert_eq!(plain.plan.unwrap().on_fault, OnFault::Fault);
}

#[test]
fn a_task_goes_to_its_own_pool_or_to_the_documents() {
    let text = |pool: &str| {
        format!(
            "document: {{ dsl: 1.0.0, namespace: a, name: b, version: 1.0.0{pool} }}\n\
             use: {{ functions: {{ f: {{ set: {{ x: 1 }} }} }} }}\n\
             do:\n  - a: {{ set: {{ x: 1 }}, metadata: {{ windlass: {{ pool: gpu_2 }} }} }}\n  \
             - b: {{ call: f, metadata: {{ windlass: {{}} }} }}\n  \
             - c: {{ set: {{ x: 1 }}, metadata: {{ windlass: {{ pool: default }} }} }}\n"
        )
    };
    let pools = |pool: &str| {
        let plan = load(&text(pool), &Options::default()).plan.unwrap();
        let all = plan
            .tasks
            .iter()
            .map(|it| (it.name.to_string(), it.pool.as_deref().map(str::to_owned)));
        let mut all: Vec<_> = all.collect();
        all.sort();
        all.into_iter().map(|it| it.1.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(pools(""), ["gpu_2", "", "", ""]);
    assert_eq!(pools(", metadata: { windlass: { pool: eu-1 } }"), ["gpu_2", "eu-1", "", "eu-1"]);
    for (name, fits) in [("a".repeat(64), true), ("a".repeat(65), false), ("é".into(), false)] {
        assert_eq!(crate::plan::is_pool_name(&name), fits, "{name}");
    }
}

#[test]
fn wait_set_and_raise() {
    let plan = plan(
        "use: { errors: { broken: { type: http://a/broken, status: 500, title: '${ .t }', instance: /do/0 } } }\n\
         do:\n  - a: { wait: PT0.5S }\n  - b: { wait: { minutes: 1, milliseconds: 5 } }\n  - c: { wait: '${ .d }' }\n  \
         - d: { raise: { error: broken } }\n  - e: { raise: { error: { type: runtime, status: 404, detail: gone } } }\n",
    );
    assert!(matches!(plan.tasks[0].kind, Kind::Wait(Duration::Fixed(500))));
    assert!(matches!(plan.tasks[1].kind, Kind::Wait(Duration::Fixed(60_005))));
    assert!(matches!(plan.tasks[2].kind, Kind::Wait(Duration::Computed(_))));
    let Kind::Raise(raise) = &plan.tasks[3].kind else { panic!() };
    assert_eq!(text(&raise.kind.template), "http://a/broken");
    assert_eq!(text(raise.instance.as_ref().unwrap()), "/do/0");
    assert!(matches!(raise.title, Some(Template::Expression(_))));
    let Kind::Raise(raise) = &plan.tasks[4].kind else { panic!() };
    assert!(matches!(raise.status, Template::Constant(Value::Int(404))));
    assert_eq!(text(raise.detail.as_ref().unwrap()), "gone");
    assert!(raise.instance.is_none());
}

#[test]
fn switch_cases_keep_their_order() {
    let plan = plan(
        "do:\n  - a:\n      switch:\n        - x: { when: .k == 1, then: b }\n        - y: { then: exit }\n        - z: { when: '${ .k == 2 }', then: continue }\n  - b: { do: [] }\n",
    );
    let Kind::Switch(cases) = kind_of(&plan) else { panic!() };
    let flows: Vec<_> = cases.iter().map(|case| (&*case.name, case.then)).collect();
    assert_eq!(flows, [("x", Flow::Task(1)), ("y", Flow::Exit), ("z", Flow::Continue)]);
    assert!(cases[1].when.is_none() && cases[2].when.is_some());
}

#[test]
fn loops_bind_their_variables_for_body_condition_and_output() {
    let plan = plan(
        "do:\n  - l:\n      for: { each: pet, in: .pets, at: n }\n      while: $n < 5\n      do:\n        - c: { set: { x: '${ $pet.id }' } }\n      \
         output: { as: '[$pet, $n]' }\n      export: { as: $pet }\n  - m: { for: { in: [ { a: 1 } ] }, do: [ d: { if: $item.a == $index, set: { x: 1 } } ] }\n",
    );
    let Kind::For(it) = kind_of(&plan) else { panic!() };
    assert_eq!((&*it.each, &*it.at), ("pet", "n"));
    assert_eq!(it.condition.as_ref().unwrap().variables(), ["n".into()]);
    assert!(matches!(it.items, Template::Expression(_)));
    assert_eq!(it.body.len(), 1);
    let Kind::For(it) = &plan.task(plan.root[1]).kind else { panic!() };
    assert_eq!((&*it.each, &*it.at), ("item", "index"));
    assert!(matches!(it.items, Template::Constant(Value::Array(_))));
    // Outside they are unknown, `for.in` included.
    for text in [
        "do: [ l: { for: { each: p, in: $p }, do: [] } ]",
        "do: [ l: { for: { each: p, in: .x }, if: $p, do: [] } ]",
        "do: [ l: { for: { each: p, in: .x }, do: [] }, m: { set: { x: '${ $p }' } } ]",
        "do: [ t: { try: [], catch: { as: e, errors: {} }, output: { as: $e } } ]",
        "do: [ a: { listen: { to: { any: [] } }, foreach: { item: e }, output: { as: $e } } ]",
        "use: { functions: { f: { set: { x: '${ $item }' } } } }\ndo: []",
    ] {
        let found = loaded(text).diagnostics;
        assert_eq!(found[0].code, "WL0401", "{text} {found:?}");
    }
}

#[test]
fn fork_and_try() {
    let plan = plan(
        "use: { retries: { often: { delay: PT1S, backoff: { linear: {} }, limit: { attempt: { count: 3, duration: PT5S }, duration: PT1M }, jitter: { from: PT0S, to: PT1S }, when: $problem.status > 1 } } }\n\
         do:\n  - f: { fork: { compete: true, branches: [ a: { set: { x: 1 } }, b: { set: { x: 2 } } ] } }\n  \
         - t:\n      try: [ a: { set: { x: 1 } } ]\n      catch:\n        errors: { with: { type: http://a, status: 404, title: T } }\n        \
         as: problem\n        when: $problem.status == 404\n        exceptWhen: .x\n        retry: often\n        do: [ r: { set: { x: '${ $problem }' } } ]\n        then: f\n  \
         - u: { try: [], catch: { retry: { backoff: { exponential: { multiplier: 1.5, maxDelay: PT9S } } } } }\n",
    );
    let Kind::Fork(fork) = kind_of(&plan) else { panic!() };
    assert!(fork.compete && fork.branches.len() == 2);
    let Kind::Try(it) = &plan.task(plan.root[1]).kind else { panic!() };
    let catch = &it.clauses[0];
    assert_eq!(&*catch.variable, "problem");
    assert!(matches!(catch.errors[0].status, Some(Template::Constant(Value::Int(404)))));
    assert_eq!(text(catch.errors[0].kind.as_ref().unwrap()), "http://a");
    assert_eq!(catch.then, Some(Flow::Task(0)));
    assert_eq!(catch.body.as_ref().unwrap().len(), 1);
    let retry = catch.retry.as_ref().unwrap();
    assert_eq!((retry.backoff, retry.attempts), (Backoff::Linear, Some(3)));
    assert!(matches!(retry.attempt_duration, Some(Duration::Fixed(5_000))));
    assert!(matches!(retry.duration, Some(Duration::Fixed(60_000))));
    assert!(matches!(retry.jitter, Some((Duration::Fixed(0), Duration::Fixed(1_000)))));
    let Kind::Try(it) = &plan.task(plan.root[2]).kind else { panic!() };
    assert!(it.clauses[0].body.is_none() && it.clauses[0].errors.is_empty());
    assert_eq!(
        it.clauses[0].retry.as_ref().unwrap().backoff,
        Backoff::Exponential { multiplier: 1.5, longest: Some(9_000) }
    );
}

#[test]
fn numbers_of_a_backoff_have_bounds() {
    let found = |accepted, backoff: &str| {
        let text = format!(
            "{DOCUMENT}do:\n  - t: {{ try: [ a: {{ set: {{ x: 1 }} }} ], catch: {{ retry: {{ backoff: {backoff} }} }} }}\n"
        );
        load(&text, &Options { accepted, ..Options::default() })
    };
    let of = |found: &Loaded| {
        let plan = found.plan.as_ref().unwrap();
        let Kind::Try(it) = &plan.task(plan.root[0]).kind else { panic!() };
        it.clauses[0].retry.as_ref().unwrap().backoff
    };
    for (written, taken) in [
        ("1e300", 1e300),
        ("1000.1", 1_000.1),
        ("0.5", 1.0),
        ("0", 1.0),
        ("-3", 1.0),
        ("'3'", 2.0),
        ("99999999999999999999", 2.0),
        ("~", 2.0),
    ] {
        let backoff = format!("{{ exponential: {{ multiplier: {written} }} }}");
        let refused = found(false, &backoff);
        assert!(refused.plan.is_none(), "{written}");
        assert_eq!(refused.diagnostics[0].code, "WL0138", "{:?}", refused.diagnostics);
        // What an earlier version has accepted means what it meant then.
        let Backoff::Exponential { multiplier, longest: None } = of(&found(true, &backoff)) else {
            panic!()
        };
        assert!((multiplier / taken - 1.0).abs() < 1e-9, "{written} is {multiplier}");
    }
    for written in ["5", "PT", "P200Y", "{ seconds: -1 }", "'${ .x }'", "~"] {
        let backoff = format!("{{ exponential: {{ maxDelay: {written} }} }}");
        let refused = found(false, &backoff);
        assert_eq!(refused.diagnostics[0].code, "WL0129", "{written} {:?}", refused.diagnostics);
        assert_eq!(
            of(&found(true, &backoff)),
            Backoff::Exponential { multiplier: 2.0, longest: None }
        );
    }
    for backoff in [
        "{ exponential: { factor: 1e300 } }",
        "{ linear: { increment: PT5S } }",
        "{ constant: { delay: PT5S } }",
    ] {
        let found = found(false, backoff);
        assert_eq!(found.diagnostics.len(), 1, "{:?}", found.diagnostics);
        assert_eq!(found.diagnostics[0].code, "WL0236");
        assert!(found.plan.is_some(), "the specification lets it have any");
    }
}

#[test]
fn emit_and_listen() {
    let plan = plan(
        "do:\n  - e: { emit: { event: { with: { type: t, source: http://a, data: { x: '${ .x }' } } } } }\n  \
         - l:\n      listen:\n        read: envelope\n        to:\n          any:\n            - with: { type: t, data: '${ .x > 1 }' }\n              correlate: { room: { from: .room, expect: '${ .r }' }, k: { from: .data.k } }\n          until: ( . | length ) > 3\n      \
         foreach:\n        item: event\n        at: i\n        do: [ s: { set: { x: '${ [$event, $i] }' } } ]\n        output: { as: $event.x }\n        export: { as: '$context + [$i]' }\n  \
         - m: { listen: { to: { any: [], until: { one: { with: { type: z } } } } } }\n  - n: { listen: { to: { all: [ { with: { type: a } }, { with: { type: b } } ] } } }\n",
    );
    assert!(matches!(kind_of(&plan), Kind::Emit(Template::Object(_))));
    let Kind::Listen(it) = &plan.task(plan.root[1]).kind else { panic!() };
    assert_eq!(it.read, ReadAs::Envelope);
    let Strategy::Any { filters, until: Some(Until::Condition(until)) } = &it.strategy else {
        panic!()
    };
    assert_eq!(until.source(), "( . | length ) > 3");
    assert_eq!(&*filters[0].with[1].0, "data");
    let keys: Vec<_> =
        filters[0].correlate.iter().map(|it| (&*it.key, it.expect.is_some())).collect();
    assert_eq!(keys, [("room", true), ("k", false)]);
    let each = it.each.as_ref().unwrap();
    assert_eq!((&*each.item, &*each.at, each.body.len()), ("event", "i", 1));
    assert!(each.output.transform.is_some() && each.export.transform.is_some());
    let Kind::Listen(it) = &plan.task(plan.root[2]).kind else { panic!() };
    assert!(
        matches!(&it.strategy, Strategy::Any { filters, until: Some(Until::Consumed(_)) } if filters.is_empty())
    );
}

#[test]
fn http_calls() {
    let plan = plan(
        "do:\n  - a:\n      call: http\n      with:\n        method: post\n        endpoint: http://a/{id}\n        headers: { X-A: '${ .a }' }\n        \
         query: '${ .q }'\n        body: { n: [ 1, '${ .n }' ] }\n        output: response\n        redirect: true\n  \
         - b: { call: http, with: { method: '${ .m }', endpoint: '${ .uri }' } }\n",
    );
    let Kind::Http(call) = kind_of(&plan) else { panic!() };
    assert_eq!(text(&call.method), "POST");
    assert_eq!(call.output, HttpOutput::Response);
    assert!(call.redirect && call.headers.is_some());
    assert!(matches!(call.query, Some(Template::Expression(_))));
    let Kind::Http(call) = &plan.tasks[1].kind else { panic!() };
    assert!(matches!(call.method, Template::Expression(_)));
    assert!(matches!(call.endpoint.uri.template, Template::Expression(_)));
}

#[test]
fn authentications_are_resolved() {
    let plan = plan(
        "use:\n  secrets: [ s ]\n  authentications:\n    basic: { basic: { username: u, password: '${ $secrets.s }' } }\n    \
         secret: { basic: { use: s } }\n    digest: { digest: { use: s } }\n    bearer: { bearer: { token: '${ .t }' } }\n    \
         oauth: { oauth2: { authority: http://a, grant: client_credentials, client: { id: i, secret: x, authentication: client_secret_basic }, scopes: [ a, b ], request: { encoding: application/json }, endpoints: { token: /t }, subject: { token: x, type: y } } }\n    \
         oidc: { oidc: { use: s } }\n    shown: { certificate: { use: s } }\n    \
         tls: { oauth2: { authority: http://a, grant: client_credentials, client: { id: i, authentication: self_signed_tls_client_auth, certificate: { use: s } } } }\n\
         do:\n  - a: { call: http, with: { method: get, endpoint: { uri: http://a, authentication: { use: oauth } } } }\n  \
         - b: { call: http, with: { method: get, endpoint: { uri: http://a, authentication: { bearer: { use: s } } } } }\n",
    );
    let policy = |name| &**plan.authentications.get(name).unwrap();
    assert!(matches!(policy("basic"), Authentication::Basic(Credentials::Inline { .. })));
    assert!(
        matches!(policy("secret"), Authentication::Basic(Credentials::Secret(it)) if &*it.0 == "s")
    );
    assert!(matches!(policy("digest"), Authentication::Digest(Credentials::Secret(_))));
    assert!(matches!(policy("bearer"), Authentication::Bearer(Token::Inline(_))));
    assert!(matches!(policy("oidc"), Authentication::OidcFromSecret(_)));
    assert!(matches!(policy("shown"), Authentication::Certificate(it) if &*it.0 == "s"));
    let Authentication::OAuth2(tls) = policy("tls") else { panic!() };
    assert_eq!(tls.client_authentication, ClientAuthentication::Tls);
    assert_eq!(tls.client_certificate.as_ref().map(|it| &*it.0), Some("s"));
    let Kind::Http(call) = kind_of(&plan) else { panic!() };
    let Some(Authentication::OAuth2(it)) = call.endpoint.authentication.as_deref() else {
        panic!()
    };
    assert_eq!(
        (it.grant, it.client_authentication),
        (Grant::ClientCredentials, ClientAuthentication::Basic)
    );
    assert_eq!(text(&it.endpoints.token.template), "/t");
    assert_eq!(text(&it.endpoints.revocation.template), "/oauth2/revoke");
    assert!(it.json_request && it.scopes.len() == 2 && it.subject.is_some());
    assert_eq!(plan.secrets.len(), 1);
}

#[test]
fn a_service_is_asked_for_its_types_at_its_own_host_and_port() {
    let of = |endpoint: &str, port: &str| {
        let text = format!(
            "do:\n  - g: {{ call: grpc, with: {{ proto: {{ endpoint: '{endpoint}' }}, method: m, \
             service: {{ name: S, host: h.test{port} }} }} }}\n"
        );
        let plan = plan(&text);
        let Kind::Grpc(call) = kind_of(&plan) else { panic!() };
        matches!(call.types, GrpcTypes::Reflection)
    };
    assert!(of("grpc-reflection://h.test", ""));
    assert!(of("grpc-reflection://H.test:443/", ""));
    assert!(of("grpc-reflection://h.test", ", port: 443"));
    assert!(of("grpc-reflection://h.test:5", ", port: 5"));
    assert!(!of("https://h.test/grpc-reflection://", ""));
}

#[test]
fn the_other_protocols() {
    let plan = plan(
        "do:\n  - o: { call: openapi, with: { document: { endpoint: http://a }, operationId: op, parameters: { a: '${ .a }' }, output: raw } }\n  \
         - g: { call: grpc, with: { proto: { endpoint: file://a }, service: { name: S, host: h, port: 5 }, method: m, arguments: { a: 1 } }, metadata: { windlass: { tls: true } } }\n  \
         - a: { call: asyncapi, with: { document: { endpoint: http://a }, operation: op, message: { payload: { a: '${ .a }' } } } }\n  \
         - s: { call: asyncapi, with: { document: { endpoint: http://a }, channel: c, subscription: { filter: '.x', consume: { amount: 3, for: PT1S }, foreach: { item: m, do: [ d: { set: { x: '${ $m }' } } ] } } } }\n  \
         - b: { call: a2a, with: { method: message/send, server: http://a, parameters: { a: 1 } } }\n  \
         - m: { call: mcp, with: { method: tools/call, transport: { http: { endpoint: 'http://a/{x}', headers: { H: v } } }, timeout: PT1S, client: { name: n, version: v } } }\n  \
         - p: { call: mcp, with: { method: tools/list, protocolVersion: '2025-06-18', transport: { stdio: { command: x, arguments: [a], environment: { E: v } } } } }\n",
    );
    let Kind::OpenApi(call) = kind_of(&plan) else { panic!() };
    assert_eq!((&*call.operation, call.output), ("op", HttpOutput::Raw));
    let task = |at: usize| &plan.task(plan.root[at]).kind;
    let Kind::Grpc(call) = task(1) else { panic!() };
    assert_eq!((&*call.service, &*call.host, call.port, &*call.method), ("S", "h", Some(5), "m"));
    assert_eq!(call.tls, Some(true));
    assert!(matches!(&call.types, GrpcTypes::File(_)));
    assert!(matches!(task(2), Kind::AsyncApi(call) if call.subscription.is_none()));
    let Kind::AsyncApi(call) = task(3) else { panic!() };
    let subscription = call.subscription.as_ref().unwrap();
    assert!(matches!(subscription.consume, Consume::Amount(3)));
    assert!(matches!(subscription.duration, Some(Duration::Fixed(1_000))));
    let body = subscription.each.as_ref().unwrap().body[0];
    assert_eq!(&*plan.task(body).reference, "/do/3/s/with/subscription/foreach/do/0/d");
    assert!(matches!(task(4), Kind::A2a(call) if &*call.method == "message/send"));
    let Kind::Mcp(call) = task(5) else { panic!() };
    assert!(call.version.is_none() && call.client.is_some() && call.timeout.is_some());
    assert!(matches!(call.transport, McpTransport::Http { headers: Some(_), .. }));
    let Kind::Mcp(call) = task(6) else { panic!() };
    assert_eq!(call.version, Some(McpVersion::V2025_06));
    let McpTransport::Stdio { arguments, environment, .. } = &call.transport else { panic!() };
    assert!(arguments.is_some() && environment.is_some());
}

#[test]
fn functions_are_found_where_they_are() {
    let (plan, found) = warned(
        "use:\n  catalogs: { mine: { endpoint: http://a } }\n  functions:\n    double: { set: { x: '${ .x * 2 }' } }\n    \
         twice: { do: [ one: { call: double }, two: { call: twice, with: { x: 1 }, then: one } ] }\n\
         do:\n  - a: { call: twice }\n  - b: { call: 'f:1.0.0@mine' }\n  - c: { call: 'https://a@b/function.yaml' }\n  \
         - d: { call: 'log:1.0.0@default' }\n  - e: { call: mine, with: { m: '${ $context.x }' } }\n",
    );
    let codes: Vec<_> = found.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["WL0314", "WL0314", "WL0307"]);
    let target = |at: usize| match &plan.task(plan.root[at]).kind {
        Kind::Function(call) => &call.target,
        other => panic!("{other:?}"),
    };
    assert!(
        matches!(target(0), FunctionTarget::Defined(index) if *index == plan.functions["twice"])
    );
    assert!(matches!(target(1), FunctionTarget::Cataloged(it) if &**it == "f:1.0.0@mine"));
    assert!(
        matches!(target(2), FunctionTarget::Cataloged(it) if &**it == "https://a@b/function.yaml")
    );
    assert!(matches!(target(3), FunctionTarget::Registered(it) if &**it == "log"));
    assert_eq!(&*plan.task(plan.root[4]).variables, ["context".into()]);
    let function = plan.task(plan.functions["twice"]);
    assert_eq!((&*function.name, &*function.reference), ("twice", ""));
    let Kind::Do(list) = &function.kind else { panic!() };
    assert_eq!(&*plan.task(list[1]).reference, "/do/1/two");
    let (plan, _) = warned(
        "use: { catalogs: { default: { endpoint: http://a } } }\ndo: [ a: { call: 'log:1.0.0' }, b: { call: 'log:1.0.0@default' } ]\n",
    );
    for (at, name) in [(0, "log:1.0.0"), (1, "log:1.0.0@default")] {
        let Kind::Function(call) = &plan.tasks[at].kind else { panic!() };
        assert!(matches!(&call.target, FunctionTarget::Cataloged(it) if &**it == name));
    }
}

#[test]
fn people_are_asked_by_a_function_that_is_built_in() {
    let asks = "do:\n  - a: { call: windlass.approval, with: { title: 'Pay ${ .n }?', form: { type: object }, assignees: { roles: [ boss ] } } }\n";
    let loaded = plan(asks);
    let Kind::Approval(it) = kind_of(&loaded) else { panic!() };
    let form = it.form.as_ref().unwrap();
    assert!(form.schema.validate(&crate::value::Value::Int(1)).is_err());
    assert_eq!(form.document.to_json(), r#"{"type":"object"}"#);
    assert_eq!((it.roles.len(), it.users.len(), it.description.is_none()), (1, 0, true));
    assert!(!kind_of(&loaded).is_dispatched());
    assert_eq!((kind_of(&loaded).word(), kind_of(&loaded).detail()), ("call", Some("approval")));
    // Whoever defines a function of that name means theirs.
    let own =
        format!("use: {{ functions: {{ windlass.approval: {{ set: {{ a: 1 }} }} }} }}\n{asks}");
    assert!(matches!(kind_of(&plan(&own)), Kind::Function(_)));
}

#[test]
fn a_document_names_what_is_started_when_it_faults() {
    let text = |on_fault: &str| {
        format!(
            "document: {{ dsl: 1.0.0, namespace: a, name: b, version: 1.0.0, metadata: {{ windlass: {{ onFault: {on_fault} }} }} }}\ndo: []\n"
        )
    };
    for (on_fault, version) in
        [("{ workflow: w }", "latest"), ("{ workflow: w, version: 2.0.0 }", "2.0.0")]
    {
        let plan = load(&text(on_fault), &Options::default()).plan.unwrap();
        let started = plan.fault_workflow.as_ref().unwrap();
        assert_eq!((&*started.name, &*started.version), ("w", version));
        assert_eq!(plan.on_fault, OnFault::Fault);
    }
    for wrong in [
        "{ version: 1.0.0 }",
        "{ workflow: '-' }",
        "{ workflow: w, version: x }",
        "{ workflow: w, x: 1 }",
    ] {
        assert!(load(&text(wrong), &Options::default()).plan.is_none(), "{wrong}");
    }
    // It is the workflow that faults, and no task.
    let task = "document: { dsl: 1.0.0, namespace: a, name: b, version: 1.0.0 }\ndo: [ a: { set: {}, metadata: { windlass: { onFault: { workflow: w } } } } ]\n";
    assert!(load(task, &Options::default()).plan.is_none());
}

#[test]
fn processes() {
    let plan = plan(
        "do:\n  - c: { run: { container: { image: i, name: '${ .n }', command: 'echo ${HOME}', environment: { A: 1 }, arguments: [ a ], lifetime: { cleanup: eventually, after: PT1M }, pullPolicy: always }, await: false } }\n  \
         - s: { run: { script: { language: js, code: 'x = `${y}`', arguments: [ '${ .a }' ], environment: { A: 1 }, stdin: '${ . }' }, return: all } }\n  \
         - p: { run: { script: { language: python, source: { endpoint: http://a } } } }\n  \
         - h: { run: { shell: { command: 'echo ${HOME}', arguments: [ x ] }, return: code } }\n  \
         - w: { run: { workflow: { namespace: n, name: m, version: 1.0.0, input: { x: '${ .x }' } }, return: none } }\n",
    );
    let Kind::Container(it) = kind_of(&plan) else { panic!() };
    assert!(!it.wait && matches!(&it.with, Template::Object(members) if members.len() == 7));
    let Kind::Script(it) = &plan.tasks[1].kind else { panic!() };
    assert_eq!((&*it.language, it.output, it.wait), ("js", Return::All, true));
    assert!(matches!(&it.body, ScriptBody::Inline(code) if &**code == "x = `${y}`"));
    assert!(
        matches!(&plan.tasks[2].kind, Kind::Script(it) if matches!(it.body, ScriptBody::External(_)))
    );
    assert!(matches!(&plan.tasks[3].kind, Kind::Shell(it) if it.output == Return::Code));
    let Kind::Workflow(it) = &plan.tasks[4].kind else { panic!() };
    assert_eq!((text(&it.version), it.output), ("1.0.0", Return::None));
}

#[test]
fn pointers_are_canonical() {
    let (plan, _) = warned(
        "use:\n  extensions:\n    - ext: { extend: all, when: '.x', before: [ b: { set: { x: 1 } } ], after: [ a: { set: { x: '${ $output }' } } ] }\n\
         do:\n  - 'a/b~c': { do: [ x: { set: { y: 1 } } ] }\n  - t: { try: [ y: { set: { y: 1 } } ], catch: { do: [ z: { set: { y: 1 } } ] } }\n  \
         - u: { try: [ y: { set: { y: 1 } } ], catch: [ {}, { do: [ z: { set: { y: 1 } } ] } ] }\n  - f: { fork: { branches: [ b: { set: { y: 1 } } ] } }\n  \
         - loop: { for: { in: .x }, do: [ c: { set: { y: 1 } } ] }\n  - l: { listen: { to: { any: [] } }, foreach: { do: [ x: { set: { y: 1 } } ] } }\n",
    );
    assert_eq!(
        references(&plan),
        [
            "/use/extensions/0/ext/before/0/b",
            "/use/extensions/0/ext/after/0/a",
            "/do/0/a~1b~0c",
            "/do/0/a~1b~0c/do/0/x",
            "/do/1/t",
            "/do/1/t/try/0/y",
            "/do/1/t/catch/do/0/z",
            "/do/2/u",
            "/do/2/u/try/0/y",
            "/do/2/u/catch/1/do/0/z",
            "/do/3/f",
            "/do/3/f/fork/branches/0/b",
            "/do/4/loop",
            "/do/4/loop/do/0/c",
            "/do/5/l",
            "/do/5/l/foreach/do/0/x",
        ]
    );
    for (at, task) in plan.tasks.iter().enumerate() {
        assert_eq!(task.index.0 as usize, at);
    }
    assert_eq!((plan.extensions[0].before.len(), &*plan.extensions[0].extend), (1, "all"));
}

#[test]
fn dispatched_tasks_name_the_variables_they_need() {
    let plan = plan(
        "use: { secrets: [ k ], authentications: { p: { bearer: { token: '${ $secrets.k }' } } } }\n\
         do:\n  - a:\n      input: { from: '$workflow.id' }\n      call: http\n      with: { method: get, endpoint: { uri: 'http://a/${ $context.x }', authentication: { use: p } }, body: { x: '${ [$input, $context] }' } }\n      \
         output: { as: $task.name }\n      export: { as: $runtime }\n      if: $runtime\n  - b: { set: { x: '${ $context }' } }\n",
    );
    let expected = ["context", "input", "secrets", "task", "workflow"].map(Into::into);
    assert_eq!(&*first(&plan).variables, expected);
    assert!(plan.tasks[1].variables.is_empty());
}

#[test]
fn errors_of_expressions_stand_inside_their_scalars() {
    for marked in [
        "do:\n  - a: { if: .x §+* 1, set: { x: 1 } }\n",
        "do:\n  - a: { if: \"\\\"ä\\\" §+* 1\", set: { x: 1 } }\n",
        "do:\n  - a: { if: '\"''\" §+* 1', set: { x: 1 } }\n",
        "do:\n  - a:\n      set:\n        x: |\n          ${\n            .x §+* 1\n          }\n",
        "do:\n  - a:\n      set:\n        x: >-\n          ${\n          .x\n          §+* 1 }\n",
        "do:\n  - a:\n      set: { x: [ 1, { y: '${ .x §+* 1 }' } ] }\n",
    ] {
        let before = marked.split('§').next().unwrap();
        let line = 6 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap().chars().count();
        let found = loaded(&marked.replace('§', "")).diagnostics;
        assert_eq!(found.len(), 1, "{marked} {found:?}");
        let place = (found[0].code, found[0].line, found[0].column, found[0].length);
        assert_eq!(place, ("WL0401", line, column, 2), "{marked}\n{found:?}");
    }
}
