#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::any;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use windlass_proto::audit::{AuditAction, AuditEvent};
use windlass_proto::plan::{FunctionCall, FunctionTarget, Kind, SchemaSource, Task};
use windlass_proto::problem::Problem;
use windlass_proto::schema::Schema;
use windlass_proto::sealed::Sealed;
use windlass_proto::secret::SecretName;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, Field, Grant, Sealing, Work};
use zeroize::Zeroizing;

use crate::testing::{
    Given, assignment, http, in_ms, json, kind_of, no_proxy, plan, serve, source, task, template,
    text,
};
use crate::{
    AuditSink, CancellationToken, SecretContext, SecretError, SecretSession, SecretSource,
    SecretStore, SecretValue, Worker, WorkerAccess,
};

const CANARY: &str = "c4nary/\"sécret+1";

/// What was told, and asked of the store.
#[derive(Clone, Default)]
struct Seen {
    events: Arc<Mutex<Vec<AuditEvent>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl AuditSink for Seen {
    fn record(&self, event: AuditEvent) {
        self.events.lock().unwrap().push(event);
    }
}

impl Seen {
    /// `opened; sealed`, and so on, since it was asked last, without the reading of secrets.
    fn told(&self) -> String {
        let mut events = self.events.lock().unwrap();
        let told = events.drain(..).filter_map(|event| {
            let name = name(event.action)?;
            let detail = event.detail.as_deref().unwrap_or_default().to_owned();
            let done = if event.success { "" } else { "not " };
            assert!(event.task.is_some());
            Some(format!("{done}{name} {detail}").trim().to_owned())
        });
        told.collect::<Vec<_>>().join("; ")
    }

    fn asked(&self) -> String {
        self.requests.lock().unwrap().drain(..).collect::<Vec<_>>().join(" ")
    }
}

fn name(action: AuditAction) -> Option<&'static str> {
    Some(match action {
        AuditAction::Sealed => "sealed",
        AuditAction::Opened => "opened",
        AuditAction::Refused => "refused",
        AuditAction::Exposed => "exposed",
        _ => return None,
    })
}

/// Counts requests to a store.
struct Counting(WorkerAccess, Seen);

struct CountingSession(Box<dyn SecretSession>, Seen);

impl SecretSource for Counting {
    fn session(&self, context: SecretContext) -> Box<dyn SecretSession> {
        Box::new(CountingSession(self.0.session(context), self.1.clone()))
    }
}

impl CountingSession {
    fn note(&self, what: String) {
        self.1.requests.lock().unwrap().push(what);
    }
}

impl SecretSession for CountingSession {
    fn read<'a>(
        &'a mut self,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        self.note(format!("read:{}", name.0));
        self.0.read(name)
    }

    fn seal<'a>(
        &'a mut self,
        texts: &'a [Zeroizing<Vec<u8>>],
    ) -> BoxFuture<'a, Result<Vec<Sealed>, SecretError>> {
        self.note(format!("seal:{}", texts.len()));
        self.0.seal(texts)
    }

    fn open<'a>(
        &'a mut self,
        sealed: &'a [Sealed],
    ) -> BoxFuture<'a, Result<Vec<Zeroizing<Vec<u8>>>, SecretError>> {
        self.note(format!("open:{}", sealed.len()));
        self.0.open(sealed)
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.0.release()
    }
}

/// One worker for all tasks of a test, so that what one seals another can open.
struct Bench {
    source: Arc<dyn SecretSource>,
    seen: Seen,
}

impl Bench {
    fn new() -> Self {
        let login =
            Value::object([("username", Value::from("somebody")), ("pin", Value::Int(987_654))]);
        let given = Given(vec![("key", Ok(Value::from(CANARY))), ("login", Ok(login))]);
        Self::of(Arc::new(given))
    }

    fn of(store: Arc<dyn SecretStore>) -> Self {
        let seen = Seen::default();
        Self { source: Arc::new(Counting(WorkerAccess::new(store), seen.clone())), seen }
    }

    async fn run(&self, task: Task, assignment: Assignment) -> Result<Value, Problem> {
        let worker = Worker::builder()
            .secret_source(self.source.clone())
            .audit(Arc::new(self.seen.clone()))
            .http(no_proxy())
            .plans(source(Arc::new(plan(task))))
            .build()
            .unwrap();
        worker.perform(assignment, CancellationToken::new()).await.result
    }

    /// What `echo` with these arguments gives.
    async fn echo(&self, with: &str, input: Value) -> Result<Value, Problem> {
        self.run(task(echo(Some(with))), assignment(input)).await
    }

    /// A sealed `Bearer <secret>`.
    async fn token(&self) -> Value {
        let value = self.echo(r#""Bearer ${ $secrets.key }""#, Value::Null).await.unwrap();
        assert!(matches!(value, Value::Sealed(_)));
        self.seen.told();
        self.seen.asked();
        value
    }
}

fn echo(with: Option<&str>) -> Kind {
    let target = FunctionTarget::Registered("echo".into());
    Kind::Function(FunctionCall { target, with: with.map(template) })
}

fn granted(policy: Sealing, input: Value) -> Assignment {
    let secrets = ["key", "login"].map(|it| SecretName(it.into())).to_vec();
    let grant = Grant { environment: "test".into(), secrets, identity: None, sealing: policy };
    Assignment { grant: Some(grant), ..assignment(input) }
}

fn held(token: &Value) -> Value {
    Value::object([("n", Value::Int(1)), ("t", token.clone())])
}

#[tokio::test]
async fn a_result_is_sealed_once_and_opened_by_a_later_task() {
    let bench = Bench::new();
    let with = r#"{"a": "x ${ $secrets.key }", "b": ["x ${ $secrets.key }", "${ $secrets.login.pin }"], "c": 1}"#;
    let output = bench.echo(with, Value::Null).await.unwrap();
    assert_eq!(output.to_json(), r#"{"a":"«sealed»","b":["«sealed»","«sealed»"],"c":1}"#);
    assert_eq!(bench.seen.asked(), "read:key read:login seal:2");
    assert_eq!(bench.seen.told(), "sealed");
    let Some(Value::Sealed(sealed)) = output.get("a") else { panic!("{output}") };
    assert_eq!(
        (&*sealed.namespace, sealed.instance),
        ("test", assignment(Value::Null).key.instance)
    );

    let with = r#"{"l": "${ .a | length }", "n": "${ .b[1] + 1 }", "same": "${ .a == .b[0] }"}"#;
    let length = "x ".len() + CANARY.chars().count();
    assert_eq!(
        bench.echo(with, output).await.unwrap(),
        json(&format!(r#"{{"l":{length},"n":987655,"same":true}}"#))
    );
    assert_eq!(bench.seen.asked(), "open:2");
    assert_eq!(bench.seen.told(), "opened");
}

#[tokio::test]
async fn what_is_cut_out_of_an_opened_value_is_sealed_again() {
    let bench = Bench::new();
    let input = held(&bench.token().await);
    for (with, expected) in [
        (r#""${ .t | ltrimstr(\"Bearer \") }""#, "«sealed»"),
        (r#""${ .t + \"!\" }""#, "«sealed»"),
        (r#""${ .t | @base64 }""#, "«sealed»"),
        (r#"["${ .t | split(\" \") }"]"#, r#"[["Bearer","«sealed»"]]"#),
        (r#""${ {(.t): 1} }""#, r#"{"Bearer «sealed»":1}"#),
        (r#""${ .t | startswith(\"Bearer\") }""#, "true"),
    ] {
        let output = bench.echo(with, input.clone()).await.unwrap();
        assert_eq!(output.to_text(), expected, "{with}");
        assert!(!output.to_json().contains("c4nary"));
        bench.seen.asked();
    }
    // Once more around: the part alone is still known after the next opening.
    let cut = bench.echo(r#""${ .t | ltrimstr(\"Bearer \") }""#, input).await.unwrap();
    let again = bench.echo(r#"["${ .[2:] }", "${ \"<\" + . + \">\" }"]"#, cut).await.unwrap();
    let Some([Value::String(_), Value::Sealed(_)]) = again.as_array() else { panic!("{again}") };
}

#[tokio::test]
async fn an_opened_value_that_is_given_on_is_what_it_was() {
    let bench = Bench::new();
    let token = bench.token().await;
    let output = bench.run(task(echo(None)), assignment(held(&token))).await.unwrap();
    assert_eq!(output, held(&token));
    assert_eq!(bench.seen.asked(), "open:1", "code gets the value itself");
    assert_eq!(bench.seen.told(), "opened");
}

#[tokio::test]
async fn only_work_that_looks_at_its_input_opens_it() {
    let bench = Bench::new();
    let token = bench.token().await;
    let server = serve(Router::new().fallback(any(|| async { "pong" }))).await;
    let ping = Kind::Http(Box::new(http("get", &format!("http://{server}/"))));
    let output = bench.run(task(ping), assignment(held(&token))).await;
    assert_eq!(output, Ok(Value::from("pong")));
    assert_eq!(bench.seen.asked(), "");
    let named = Kind::Http(Box::new(http("get", &format!("http://{server}/{{n}}"))));
    bench.run(task(named), assignment(held(&token))).await.unwrap();
    assert_eq!(bench.seen.asked(), "open:1");
}

#[tokio::test]
async fn variables_are_opened_too() {
    let bench = Bench::new();
    let token = bench.token().await;
    let given = Assignment {
        variables: vec![("x".into(), held(&token)), ("context".into(), token.clone())],
        ..assignment(token)
    };
    let with = r#""${ [. , $x.t, $context] | unique | length }""#;
    assert_eq!(bench.run(task(echo(Some(with))), given).await, Ok(Value::Int(1)));
    assert_eq!(bench.seen.asked(), "open:1", "each value once");
}

#[tokio::test]
async fn a_later_call_sends_the_real_value_and_what_comes_back_is_sealed() {
    let bench = Bench::new();
    let input = held(&bench.token().await);
    let sent = Arc::new(Mutex::new(String::new()));
    let keep = sent.clone();
    let router = Router::new().fallback(any(move |headers: HeaderMap, body: String| async move {
        let given = headers.get("x-token").unwrap().to_str().unwrap().to_owned();
        *keep.lock().unwrap() = body.clone();
        format!("{{\"echo\": {body}, \"given\": \"{given}\", \"ok\": true}}")
    }));
    let server = serve(router).await;
    let mut call = http("post", &format!("http://{server}/"));
    call.headers = Some(template(r#"{"X-Token": "${ .t | @uri }"}"#));
    call.body = Some(text("${ .t | tojson }"));
    let mut calling = task(Kind::Http(Box::new(call)));
    // It works on the answer itself, before anything is sealed.
    calling.output.transform =
        Some(template(r#"{"length": "${ fromjson | .echo | length }", "body": "${ . }"}"#));
    let output = bench.run(calling, assignment(input)).await.unwrap();
    assert_eq!(*sent.lock().unwrap(), Value::from(format!("Bearer {CANARY}")).to_json());
    let length = "Bearer ".len() + CANARY.chars().count();
    assert_eq!(output.to_json(), format!(r#"{{"length":{length},"body":"«sealed»"}}"#));
}

#[tokio::test]
async fn fields_evaluated_for_the_coordinator_are_opened_and_sealed() {
    let bench = Bench::new();
    let token = bench.token().await;
    let evaluate = |field, input| Assignment { work: Work::Evaluate(field), ..assignment(input) };
    let set = task(Kind::Set(template(r#"{"k": "${ .t[7:] }", "n": "${ .n }"}"#)));
    let output = bench.run(set, evaluate(Field::Definition, held(&token))).await.unwrap();
    assert_eq!(output.to_json(), r#"{"k":"«sealed»","n":1}"#);
    let mut conditional = task(echo(None));
    let names = windlass_proto::expression::Names::default();
    let program = windlass_proto::expression::Program::compile(".t | test(\"can\")", &names);
    conditional.condition = Some(program.unwrap());
    let verdict = bench.run(conditional, evaluate(Field::Condition, held(&token))).await;
    assert_eq!(verdict, Ok(Value::Bool(false)));
}

#[tokio::test]
async fn a_schema_at_a_worker_sees_the_real_value() {
    let bench = Bench::new();
    let token = bench.token().await;
    let mut checked = task(echo(Some(r#""${ .n }""#)));
    let schema = json(r#"{"properties": {"t": {"pattern": "^Bearer "}}}"#);
    checked.input.schema = Some(SchemaSource::Inline(Schema::compile(&schema).unwrap()));
    assert_eq!(bench.run(checked, assignment(held(&token))).await, Ok(Value::Int(1)));
}

#[tokio::test]
async fn the_policy_of_the_namespace_decides() {
    let bench = Bench::new();
    let with = r#"{"a": "${ $secrets.key }"}"#;
    let run = |policy| bench.run(task(echo(Some(with))), granted(policy, Value::Null));
    let plain = Value::object([("a", Value::from(CANARY))]);
    assert_eq!(run(Sealing::Expose).await, Ok(plain));
    assert_eq!(bench.seen.told(), "exposed");
    let problem = run(Sealing::Refuse).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("authorization".into(), 403));
    assert!(!problem.to_string().contains("key"), "{problem}");
    assert_eq!(bench.seen.told(), "refused");
    assert!(run(Sealing::Seal).await.unwrap().has_sealed());
    // What contains none is nobody's business.
    let with = r#""${ $secrets.key | length }""#;
    let refusing = granted(Sealing::Refuse, Value::Null);
    assert_eq!(bench.run(task(echo(Some(with))), refusing).await, Ok(Value::Int(16)));
}

#[tokio::test]
async fn an_error_never_shows_what_was_opened() {
    let bench = Bench::new();
    let input = held(&bench.token().await);
    for policy in [Sealing::Seal, Sealing::Expose] {
        let failing = task(echo(Some(r#""${ error(.t) }""#)));
        let problem = bench.run(failing, granted(policy, input.clone())).await.unwrap_err();
        assert!(!problem.to_string().contains("c4nary"), "{problem}");
    }
}

#[tokio::test]
async fn a_value_of_another_namespace_is_not_opened() {
    let bench = Bench::new();
    let token = bench.token().await;
    let mut there = assignment(held(&token));
    there.workflow.namespace = "other".into();
    let problem = bench.run(task(echo(None)), there).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("authorization".into(), 403));
    assert_eq!(bench.seen.asked(), "", "it is not even asked for");
    assert!(bench.seen.told().starts_with("not opened"));
}

#[tokio::test]
async fn a_value_sealed_with_another_key_says_so() {
    let token = Bench::new().token().await;
    let problem = Bench::new().run(task(echo(None)), assignment(token)).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("configuration".into(), 400));
    let detail = problem.detail.unwrap();
    assert!(detail.contains("process-") && detail.contains("same key file"), "{detail}");
}

/// A store that gives secrets and cannot encrypt.
struct Failing;

struct FailingSession(Instant);

impl SecretSource for Failing {
    fn session(&self, _context: SecretContext) -> Box<dyn SecretSession> {
        Box::new(FailingSession(Instant::now()))
    }
}

impl SecretSession for FailingSession {
    fn read<'a>(
        &'a mut self,
        _name: &'a SecretName,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        let data = crate::SecretData::Text(CANARY.to_owned());
        Box::pin(std::future::ready(Ok(SecretValue::new(data))))
    }

    fn seal<'a>(
        &'a mut self,
        _texts: &'a [Zeroizing<Vec<u8>>],
    ) -> BoxFuture<'a, Result<Vec<Sealed>, SecretError>> {
        Box::pin(std::future::ready(Err(SecretError::Unavailable("it is away".into()))))
    }

    fn open<'a>(
        &'a mut self,
        _sealed: &'a [Sealed],
    ) -> BoxFuture<'a, Result<Vec<Zeroizing<Vec<u8>>>, SecretError>> {
        Box::pin(std::future::ready(Ok(vec![Zeroizing::new(b"not ours".to_vec())])))
    }

    fn ends(&self) -> Option<Instant> {
        Some(self.0 + std::time::Duration::from_secs(60))
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_sealed_nothing_leaves() {
    let seen = Seen::default();
    let bench = Bench { source: Arc::new(Failing), seen };
    let begun = Instant::now();
    let problem = bench.echo(r#""${ $secrets.key }""#, Value::Null).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 503));
    let tried = begun.elapsed().as_millis();
    assert!(tried > 50_000 && tried < 60_000, "until what it holds of the store ends: {tried} ms");
    // With the task at the latest, and not a moment longer.
    let late = Assignment { deadline: Some(in_ms(20_000)), ..assignment(Value::Null) };
    let problem = bench.run(task(echo(Some(r#""${ $secrets.key }""#))), late).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("timeout".into(), 408));
    let token = Bench::new().token().await;
    let problem = bench.echo(r#""${ . }""#, token).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 500));
}

/// A store that is away for the first so many requests to seal.
struct Returning(WorkerAccess, Arc<Mutex<usize>>);

struct ReturningSession(Box<dyn SecretSession>, Arc<Mutex<usize>>);

impl SecretSource for Returning {
    fn session(&self, context: SecretContext) -> Box<dyn SecretSession> {
        Box::new(ReturningSession(self.0.session(context), self.1.clone()))
    }
}

impl SecretSession for ReturningSession {
    fn read<'a>(
        &'a mut self,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        self.0.read(name)
    }

    fn seal<'a>(
        &'a mut self,
        texts: &'a [Zeroizing<Vec<u8>>],
    ) -> BoxFuture<'a, Result<Vec<Sealed>, SecretError>> {
        let mut away = self.1.lock().unwrap();
        if let Some(left) = away.checked_sub(1) {
            *away = left;
            return Box::pin(async { Err(SecretError::Unavailable("it is away".into())) });
        }
        self.0.seal(texts)
    }

    fn open<'a>(
        &'a mut self,
        sealed: &'a [Sealed],
    ) -> BoxFuture<'a, Result<Vec<Zeroizing<Vec<u8>>>, SecretError>> {
        self.0.open(sealed)
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.0.release()
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_kept_until_it_can_be_sealed_and_nothing_is_done_twice() {
    let given = Given(vec![("key", Ok(Value::from(CANARY)))]);
    let away = Arc::new(Mutex::new(12));
    let source = Arc::new(Returning(WorkerAccess::new(Arc::new(given)), away.clone()));
    let calls = Arc::new(Mutex::new(0));
    let count = calls.clone();
    let pay = move |secret: String, _: crate::Call| {
        *count.lock().unwrap() += 1;
        async move { Ok(secret) }
    };
    let target = FunctionTarget::Registered("pay".into());
    let with = Some(template(r#""${ $secrets.key }""#));
    let worker = Worker::builder()
        .secret_source(source)
        .function("pay", pay)
        .plans(crate::testing::source(Arc::new(plan(task(Kind::Function(FunctionCall {
            target,
            with,
        }))))))
        .build()
        .unwrap();
    let report = worker.perform(assignment(Value::Null), CancellationToken::new()).await;
    assert!(matches!(report.result, Ok(Value::Sealed(_))), "{report:?}");
    assert_eq!((*away.lock().unwrap(), *calls.lock().unwrap()), (0, 1));
}

#[tokio::test]
async fn results_that_sealing_makes_too_large_are_refused() {
    let large = "0123456789abcdef".repeat(4_000);
    let bench = Bench::of(Arc::new(Given(vec![("key", Ok(Value::from(large)))])));
    let with = r#""${ [range(150) as $n | \"\\($n)\" + $secrets.key] }""#;
    let problem = bench.echo(with, Value::Null).await.unwrap_err();
    assert!(problem.detail.as_deref().unwrap().contains("larger than"), "{problem}");
}
