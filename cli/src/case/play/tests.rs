//! Files of tests, from their texts to what comes of them.

use std::path::PathBuf;
use std::sync::Arc;

use windlass_proto::definition::{Options, load};

use crate::case::judge::{Outcome, judge};
use crate::case::play::{Played, Stage, play};
use crate::case::read;
use crate::case::texts::{Text, Texts};
use crate::case::{Case, golden};

/// Definitions, each with its `document` before it: `main`, then `child`.
fn texts(bodies: &[&str]) -> Texts {
    let names = ["main", "child"];
    let read = |(body, name): (&&str, &&str)| {
        let text = format!(
            "document: {{dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0'}}\n{body}\n"
        );
        let loaded = load(&text, &Options::default());
        let plan = loaded.plan.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics));
        Text { path: PathBuf::from(format!("{name}.yaml")), text, plan: Arc::clone(&plan) }
    };
    Texts(bodies.iter().zip(&names).map(read).collect())
}

async fn played(texts: &Texts, case: &Case) -> Played {
    let stage = Stage { texts, around: &case.around, allows_calls: false };
    play(&stage, &case.start).await.unwrap()
}

/// Plays the cases of `tests`, of definitions with these bodies, each twice: what comes of them is
/// the same.
async fn outcomes(bodies: &[&str], tests: &str) -> Vec<Outcome> {
    let texts = texts(bodies);
    let text = format!("workflow: main.yaml\n{tests}");
    let suite = read::suite(&text).unwrap_or_else(|found| panic!("{text}\n{found:#?}"));
    let missing = read::targets::missing(&text, &texts);
    assert!(missing.is_empty(), "{missing:#?}");
    let mut outcomes = Vec::new();
    for case in &suite.cases {
        let first = played(&texts, case).await;
        let second = played(&texts, case).await;
        assert_eq!(golden::text(&first), golden::text(&second), "{}", case.name);
        outcomes.push(judge(case, &first, &texts));
    }
    outcomes
}

async fn pass(bodies: &[&str], tests: &str) {
    for outcome in outcomes(bodies, tests).await {
        assert!(outcome.failures.is_empty(), "{}: {:#?}", outcome.name, outcome.failures);
    }
}

/// What is said of the one case of `tests`, which fails.
async fn said(bodies: &[&str], tests: &str) -> String {
    let outcomes = outcomes(bodies, tests).await;
    let [outcome] = &outcomes[..] else { panic!("one case") };
    assert!(!outcome.failures.is_empty(), "{tests} passed");
    assert!(!outcome.before.is_empty());
    let said = outcome.failures.iter().map(|it| {
        format!(
            "{}: {}\n{}\n{}\n",
            it.line,
            it.message,
            it.detail,
            it.task.as_deref().unwrap_or("")
        )
    });
    said.collect()
}

const CALL: &str = "
do:
  - ask:
      call: http
      with: { method: get, endpoint: 'https://a.test/x/{id}', query: { q: '${ .id }' } }
      timeout: { after: PT10S }
";

#[tokio::test]
async fn calls_are_answered_by_mocks() {
    pass(
        &[CALL],
        "
mocks:
  - http: GET https://a.test/x/*
    when: .query.q == \"7\"
    answer: { body: { n: 7 }, delay: PT3S }
  - http: https://a.test/*
    answer: { compute: '{ n: .query.q, by: .method }' }
cases:
  - name: by URL and condition
    input: { id: 7 }
    expect:
      output: { n: 7 }
      duration: PT3S
      calls: [ { http: GET https://a.test/x/7, times: 1, sent: '.uri | endswith(\"?q=7\")' } ]
  - name: the next one that fits
    input: { id: 8 }
    expect: { output: { n: '8', by: GET }, duration: PT0S }
  - name: those of the case come first
    input: { id: 7 }
    mocks: [ { task: ask, answer: { output: mine } } ]
    expect: { output: mine }
  - name: an error by its status
    mocks: [ { task: /do/0/ask, answer: { status: 404, body: gone } } ]
    input: { id: 1 }
    expect: { error: { type: communication, status: 404, detail: gone }, tasks: { ask: 1 } }
  - name: an error of one's own
    mocks: [ { task: ask, answer: { error: { type: 'https://e.test/odd', status: 418 } } } ]
    expect: { error: https://e.test/odd }
  - name: later than its timeout
    mocks: [ { task: ask, answer: { output: 1, delay: P1D } } ]
    expect: { error: timeout, duration: PT10S }
  - name: never
    mocks: [ { task: ask, answer: { never: true } } ]
    expect: { error: { type: timeout }, duration: { min: PT10S, max: PT10S } }
",
    )
    .await;
}

#[tokio::test]
async fn answers_come_in_order_and_the_last_stays() {
    let body = "
do:
  - all:
      for: { in: '${ [range(5)] }' }
      do: [ { one: { call: count, with: { i: '${ $index }' } } } ]
      output: { as: . }
  - log: { call: log, with: { message: done } }
";
    pass(
        &[body],
        "
mocks:
  - function: count
    answers: [ { output: a }, { output: b, times: 2 }, { output: c } ]
cases:
  - name: five calls
    expect:
      tasks: { one: 5, log: true }
      calls:
        - { function: count, times: 5, number: 3, sent: .arguments.i == 2 }
        - { function: log, times: 1 }
",
    )
    .await;
}

#[tokio::test]
async fn what_is_not_mocked_is_named_and_not_called() {
    let said = said(&[CALL], "cases:\n  - name: a\n    input: { id: 1 }\n").await;
    assert!(said.contains("the task `ask` calls GET https://a.test/x/1?q=1"), "{said}");
    assert!(said.contains("- task: /do/0/ask\n    answer: { status: 200"), "{said}");
    assert!(said.contains("main.yaml:4 /do/0/ask"), "{said}");
    // A `try` does not hide it.
    let body = "
do:
  - t: { try: [ { s: { run: { shell: { command: date } } } } ], catch: { do: [ { x: { set: { a: 1 } } } ] } }
";
    let said = self::said(&[body], "cases:\n  - name: a\n").await;
    assert!(said.contains("the task `s` calls `shell`") && said.contains("output: {}"), "{said}");
    // The mock of a task does not answer for a document that the task needs.
    let body = "
do:
  - ask:
      call: http
      with: { method: get, endpoint: 'https://a.test/x' }
      output: { schema: { resource: { endpoint: 'https://schemas.test/x.json' } } }
";
    let tests = "mocks: [ { task: ask, answer: { body: 1 } } ]\ncases:\n  - name: a\n";
    let said = self::said(&[body], tests).await;
    assert!(said.contains("- http: GET https://schemas.test/x.json\n    answer"), "{said}");
}

#[tokio::test]
async fn events_come_when_they_should() {
    let body = "
do:
  - first: { listen: { to: { one: { with: { type: a } } } } }
  - second:
      listen: { to: { one: { with: { type: b } } } }
      timeout: { after: PT1H }
  - out: { set: { got: '${ .[0].n }' } }
";
    pass(
        &[body],
        "
cases:
  - name: as soon as something listens, in order
    events: [ { event: { type: a } }, { event: { type: b, data: { n: 1 } } } ]
    expect: { output: { got: 1 }, duration: PT0S }
  - name: at a time
    events:
      - { at: PT5M, event: { type: a } }
      - { at: PT1H4M59S, event: { type: b, data: { n: 2 } } }
    expect: { output: { got: 2 }, duration: PT1H4M59S }
  - name: too late
    events: [ { at: PT0S, event: { type: a } } ]
    expect: { error: timeout, duration: PT1H, tasks: { out: false } }
",
    )
    .await;
    let tests = "
cases:
  - name: a
    events: [ { event: { type: a } }, { event: { type: c } } ]
";
    let said = said(&[body], tests).await;
    assert!(said.contains("5: nothing took the event `c`"), "{said}");
    let said = self::said(&[body], "cases:\n  - name: a\n").await;
    assert!(said.contains("does not end") && said.contains("/do/0/first is waiting for events"));
}

#[tokio::test]
async fn children_run_or_are_mocked() {
    let main = "
do:
  - sub: { run: { workflow: { namespace: t, name: child, version: '1.0.0', input: { n: 2 } } } }
";
    let child =
        "do:\n  - w: { wait: P2D }\n  - double: { set: { n: '${ $workflow.input.n * 2 }' } }\n";
    pass(
        &[main, child],
        "
cases:
  - name: run
    expect: { output: { n: 4 }, duration: P2D, tasks: { double: 1 } }
  - name: mocked
    mocks: [ { task: sub, answer: { compute: '{ n: (.input.n + 40) }', delay: PT9S } } ]
    expect: { output: { n: 42 }, duration: PT9S, tasks: { double: false } }
  - name: faulted
    mocks: [ { task: sub, answer: { error: { type: runtime, status: 503 } } } ]
    expect: { error: { status: 503 } }
",
    )
    .await;
}

#[tokio::test]
async fn schedules_start_them_on_the_same_clock() {
    let after = "schedule: { after: PT1H }\ndo: [ { w: { wait: PT10M } }, { n: { set: { at: '${ now | todate }' } } } ]\n";
    pass(
        &[after],
        "
now: 2026-03-01T00:00:00Z
cases:
  - { name: first, schedule: 1, expect: { output: { at: '2026-03-01T00:10:00Z' }, duration: PT10M } }
  - { name: third, schedule: 3, expect: { output: { at: '2026-03-01T02:30:00Z' } } }
",
    )
    .await;
    let cron =
        "schedule: { cron: '0 9 * * MON' }\ndo: [ { n: { set: { at: '${ now | todate }' } } } ]\n";
    let tests = "
now: 2026-03-01T00:00:00Z
cases: [ { name: second, schedule: 2, expect: { output: { at: '2026-03-09T09:00:00Z' } } } ]
";
    pass(&[cron], tests).await;
    let on = "schedule: { on: { one: { with: { type: a } } } }\ndo: [ { n: { set: { got: '${ .[0].data.x }' } } } ]\n";
    let tests = "
cases:
  - name: by an event
    schedule: 1
    events: [ { event: { type: a, data: { x: 5 } } } ]
    expect: { check: .got == 5 }
";
    pass(&[on], tests).await;
}

#[tokio::test]
async fn secrets_are_what_the_test_says_and_stay_sealed() {
    let body = "
use: { secrets: [ key, role ] }
do:
  - s:
      switch:
        - admin: { when: '$secrets.role == \"administrator\"', then: ask }
        - other: { then: end }
  - ask:
      call: http
      with:
        method: post
        endpoint: { uri: 'https://a.test/x', authentication: { bearer: { token: '${ $secrets.key }' } } }
        body: { who: me }
";
    pass(
        &[body],
        "
secrets: { key: not-a-real-key-4711, role: administrator }
cases:
  - name: shown to whom it is for, and sealed in what comes back
    mocks: [ { task: ask, answer: { compute: '{ said: .headers.authorization }' } } ]
    expect:
      output: { said: «sealed» }
      calls: [ { task: ask, sent: '.headers.authorization == \"Bearer not-a-real-key-4711\"' } ]
  - name: another role
    secrets: { role: nobody-in-particular }
    expect: { tasks: { ask: false } }
",
    )
    .await;
    // Nor is it in what is said of a call that sent something else.
    let told = said(
        &[body],
        "
secrets: { key: not-a-real-key-4711, role: administrator }
mocks: [ { task: ask, answer: { body: hi } } ]
cases:
  - name: a
    expect: { calls: [ { task: ask, sent: [ .body.who == \"you\", .headers.authorization | tonumber ] } ] }
",
    )
    .await;
    assert!(told.contains("\"authorization\": \"«sealed»\""), "{told}");
    assert!(told.contains("\"who\": \"me\"") && told.contains("cannot be evaluated"), "{told}");
    assert!(!told.contains("not-a-real-key-4711"), "{told}");
    let texts = texts(&[body]);
    let text = "workflow: main.yaml\nsecrets: { key: not-a-real-key-4711, role: administrator }\n\
                mocks: [ { task: ask, answer: { body: hi } } ]\ncases: [ { name: a } ]\n";
    let suite = read::suite(text).unwrap_or_else(|found| panic!("{found:#?}"));
    let played = played(&texts, &suite.cases[0]).await;
    assert!(!golden::text(&played).contains("not-a-real-key-4711"));
    let mut coverage = crate::case::reach::Coverage::default();
    coverage.add(&played.reached);
    let summary = coverage.of(&texts);
    // A case that a worker chose counts as well.
    assert_eq!((summary.reached, summary.all), (3, 4), "{summary:?}");
    let missed = &summary.missed[0];
    assert_eq!((missed.kind, &*missed.what, &*missed.place), ("case", "other", "main.yaml:5"));
}

#[tokio::test]
async fn tokens_and_documents_are_not_fetched() {
    let body = "
do:
  - ask:
      call: http
      with:
        method: get
        endpoint:
          uri: https://a.test/x
          authentication:
            oauth2: { authority: 'https://auth.test', grant: client_credentials, client: { id: i, secret: s } }
      output: { schema: { resource: { endpoint: 'https://schemas.test/x.json' } } }
";
    pass(
        &[body],
        "
mocks:
  - { task: ask, answer: { body: { n: 1 } } }
  - { http: 'https://schemas.test/*', answer: { body: { required: [ n ] } } }
cases:
  - name: a token is made up
    expect:
      output: { n: 1 }
      calls: [ { task: ask, times: 1, sent: '.headers.authorization == \"Bearer test-token\"' } ]
  - name: unless it is mocked
    mocks: [ { http: 'POST https://auth.test/*', answer: { body: { access_token: mine } } } ]
    expect: { calls: [ { task: ask, sent: '.headers.authorization == \"Bearer mine\"' } ] }
  - name: a schema counts
    mocks: [ { task: ask, answer: { body: { m: 1 } } } ]
    expect: { error: { type: validation } }
",
    )
    .await;
    let body = "
do:
  - ask:
      call: http
      with:
        method: get
        endpoint:
          uri: https://a.test/x
          authentication:
            oidc: { authority: 'https://auth.test/r/', grant: client_credentials, client: { id: i, secret: s } }
";
    pass(
        &[body],
        "
mocks: [ { task: ask, answer: { body: 1 } } ]
cases:
  - name: where the authority has tokens is made up as well
    expect: { calls: [ { task: ask, sent: '.headers.authorization == \"Bearer test-token\"' } ] }
  - name: beside the document
    mocks: [ { http: 'POST https://auth.test/r/token', answer: { body: { access_token: mine } } } ]
    expect: { calls: [ { task: ask, sent: '.headers.authorization == \"Bearer mine\"' } ] }
  - name: unless it is mocked
    mocks:
      - http: GET https://auth.test/r/.well-known/openid-configuration
        answer: { body: { token_endpoint: 'https://tokens.test/' } }
      - { http: 'POST https://tokens.test/', answer: { body: { access_token: other } } }
    expect: { calls: [ { task: ask, sent: '.headers.authorization == \"Bearer other\"' } ] }
",
    )
    .await;
}

#[tokio::test]
async fn what_is_not_as_expected_is_said_with_its_place() {
    let body = "
do:
  - make: { set: { total: 5 } }
  - tell: { emit: { event: { with: { type: made, source: /t, data: { total: '${ .total }' } } } } }
  - end: { set: { total: 5, list: [ 1 ] } }
";
    let tests = "
cases:
  - name: a
    expect:
      output: { total: 6, list: [ 1 ] }
      check: [ .total == 5, .total > 5 ]
      tasks: { make: 2 }
      duration: PT1S
      events: [ { type: made, data: { total: 6 } } ]
";
    let told = said(&[body], tests).await;
    for wanted in [
        "6: the output is another one",
        "-  \"total\": 6,\n+  \"total\": 5,",
        "7: `.total > 5` does not hold of the output",
        "8: the task `make` ran once, expected twice",
        "9: it took PT0S, expected PT1S",
        "10: other events were emitted",
    ] {
        assert!(told.contains(wanted), "{wanted} is not in:\n{told}");
    }
    assert!(!told.contains("`.total == 5`"), "{told}");
    let told = said(&[body], "cases:\n  - { name: a, expect: { error: timeout } }\n").await;
    assert!(told.contains("it was to fault, and completed"), "{told}");
    let fault =
        "do:\n  - bad:\n      raise: { error: { type: 'https://e.test/x', status: 409 } }\n";
    let told = said(&[fault], "cases:\n  - name: a\n").await;
    assert!(told.contains("it faulted") && told.contains("main.yaml:3 /do/0/bad"), "{told}");
    let tests = "cases:\n  - { name: a, expect: { error: { type: timeout, status: 408 } } }\n";
    let told = said(&[fault], tests).await;
    assert!(told.contains("another error") && told.contains("-  \"status\": 408"), "{told}");
}

#[tokio::test]
async fn a_loop_without_end_is_given_up() {
    let texts = texts(&["do:\n  - a: { set: { x: 1 }, then: a }\n"]);
    let around = Default::default();
    let stage = Stage { texts: &texts, around: &around, allows_calls: false };
    let input = crate::case::Start::Input(windlass_proto::value::Value::Null);
    let error = play(&stage, &input).await.err().unwrap();
    assert!(error.to_string().contains("does not end"), "{error}");
}

#[tokio::test]
async fn mocks_decide_what_people_are_asked() {
    let body = "
do:
  - sign:
      call: windlass.approval
      with: { title: 'Pay ${ .n }?', assignees: { roles: [ boss ] } }
      timeout: { after: P3D }
  - done: { set: { ok: '${ .approved }', by: '${ .by }', data: '${ .data }', why: '${ .reason }' } }
";
    let tests = "
cases:
  - name: approved a day later
    input: { n: 7 }
    mocks: [ { task: sign, when: '.title == \"Pay 7?\"', answer: { output: { approved: true, by: 'corp:ada', data: 12 }, delay: P1D } } ]
    expect: { output: { ok: true, by: 'corp:ada', data: 12, why: null }, duration: P1D }
  - name: rejected
    input: { n: 7 }
    mocks: [ { task: sign, answer: { output: { reason: too dear } } } ]
    expect: { output: { ok: false, by: null, data: null, why: too dear } }
  - name: nobody decides
    input: { n: 7 }
    expect: { error: timeout, duration: P3D }
";
    pass(&[body], tests).await;
}
