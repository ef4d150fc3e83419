//! What every store of secrets must do: the same cases over all of them.

mod fake;

use std::sync::Arc;

use serde_json::{Value, json};
use windlass_proto::audit::AuditEvent;
use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::plan::TaskIx;
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::{Assignment, AssignmentKey, Grant, Work};
use windlass_worker::{
    AttemptAudit, AuditSink, SecretContext, SecretData, SecretError, SecretStore,
};

use crate::support::until::{SOON, within};

pub(crate) use fake::{Fake, Held, Mode};

/// A value that must not be seen outside of a secret.
pub(crate) const CANARY: &str = "c4nary-7f3a";

/// What a test puts into a store.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Text(String),
    Fields(Vec<(&'static str, &'static str)>),
}

impl Content {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// What a task sees.
    fn expected(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Fields(fields) => fields.iter().map(|(key, it)| ((*key), json!(it))).collect(),
        }
    }

    /// As consoles of clouds write it: fields are a JSON object.
    pub(crate) fn document(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Fields(_) => self.expected().to_string(),
        }
    }
}

/// A store with what is behind it, where secrets can be put and faults be made.
pub(crate) trait Subject: Sized {
    /// Starts it all; reads take `timeout` at most.
    async fn start(timeout: &str) -> Self;

    fn store(&self) -> Arc<dyn SecretStore>;

    /// Puts a secret where the store's own template has that of the namespace `acme`; in place of
    /// what is there.
    async fn plant(&self, environment: &str, name: &str, content: &Content);

    /// Refuses a secret that was planted in `production`.
    async fn forbid(&self, _name: &str) {
        unimplemented!("not every store can")
    }

    /// Keeps connections and answers nothing from now on.
    async fn hang(&self) {
        unimplemented!("not every store can")
    }

    /// Is gone from now on.
    async fn stop(&mut self);

    /// Answers like a server that is broken from now on.
    async fn answer(&self, _status: u16, _body: &str) {
        unimplemented!("not every store can")
    }

    /// Takes no token that it has given or was shown so far; there are new ones.
    async fn revoke(&self) {
        unimplemented!("not every store can")
    }
}

/// Who reads: the workflow `acme/orders` in an environment.
pub(crate) fn context(environment: &str) -> SecretContext {
    struct Nowhere;
    impl AuditSink for Nowhere {
        fn record(&self, _event: AuditEvent) {}
    }
    let workflow =
        WorkflowId { namespace: "acme".into(), name: "orders".into(), version: "1.0.0".into() };
    let key = AssignmentKey {
        instance: InstanceId(uuid::Uuid::from_u128(7)),
        frame: FrameId(3),
        delivery: 1,
        partition: PartitionId(0),
        epoch: 1,
    };
    let grant = Grant {
        environment: environment.into(),
        secrets: Vec::new(),
        identity: None,
        sealing: windlass_proto::wire::Sealing::Seal,
    };
    let assignment = Assignment {
        key,
        workflow: workflow.clone(),
        digest: Digest("digest".into()),
        task: TaskIx(0),
        visit: 1,
        reference: "/do/0/pay".into(),
        work: Work::Perform,
        input: windlass_proto::value::Value::Null,
        variables: Vec::new(),
        now: Timestamp(1_700_000_000_000),
        deadline: None,
        traceparent: None,
        tracestate: None,
        pool: None,
        priority: windlass_proto::limits::DEFAULT_PRIORITY,
        losses: 0,
        grant: Some(grant),
    };
    SecretContext {
        workflow,
        instance: assignment.key.instance,
        task: assignment.reference.clone(),
        grant: assignment.grant.clone(),
        deadline: None,
        began: tokio::time::Instant::now(),
        audit: AttemptAudit::new(Arc::new(Nowhere), &assignment),
    }
}

/// A secret as a task sees it, and its version.
#[derive(Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) version: Option<String>,
    pub(crate) request: Option<String>,
}

/// Reads for the workflow `acme/orders`.
pub(crate) async fn read(
    store: &Arc<dyn SecretStore>,
    environment: &str,
    name: &str,
) -> Result<Read, SecretError> {
    let (name, context) = (SecretName(name.into()), context(environment));
    let secret = within(SOON, "a read", store.read(&name, &context)).await?;
    let value = match secret.data.expose() {
        // The rule of `$secrets`: a map with the only key `value` stands for that value.
        SecretData::Map(entries) if entries.len() == 1 && entries[0].0 == "value" => {
            plain(&entries[0].1)
        }
        data => plain(data),
    };
    let owned = |it: Option<Arc<str>>| it.map(|it| it.to_string());
    Ok(Read { value, version: owned(secret.version), request: owned(secret.request) })
}

fn plain(data: &SecretData) -> Value {
    match data {
        SecretData::Text(text) => json!(text),
        SecretData::Scalar(value) => serde_json::from_str(&value.to_json()).unwrap(),
        SecretData::List(all) => all.iter().map(plain).collect(),
        SecretData::Map(all) => all.iter().map(|(key, it)| (key.clone(), plain(it))).collect(),
    }
}

async fn holds<S: Subject>(content: Content) {
    let subject = S::start("10s").await;
    subject.plant("production", "key", &content).await;
    let read = read(&subject.store(), "production", "key").await.unwrap();
    assert_eq!(read.value, content.expected());
}

pub(crate) async fn text<S: Subject>() {
    holds::<S>(Content::text("it's \"quoted\" \\ and 12")).await;
}

pub(crate) async fn structured<S: Subject>() {
    holds::<S>(Content::Fields(vec![("password", "p"), ("user", "app"), ("ca.crt", "-\n-")])).await;
}

pub(crate) async fn unicode<S: Subject>() {
    holds::<S>(Content::text("pässwörd\tключ 鍵 🔑\u{7f}")).await;
}

pub(crate) async fn large<S: Subject>() {
    let text: String = (0..8_192_u32).map(|it| char::from(b'!' + (it * 7 % 90) as u8)).collect();
    holds::<S>(Content::text(text)).await;
}

pub(crate) async fn missing<S: Subject>() {
    let subject = S::start("10s").await;
    subject.plant("production", "key", &Content::text("x")).await;
    for name in ["keys", "ke", "key/", "../key", "*", "", "a b", "KEY\n"] {
        let read = read(&subject.store(), "production", name).await;
        assert_eq!(read, Err(SecretError::Missing), "{name:?}");
    }
}

pub(crate) async fn forbidden<S: Subject>() {
    let subject = S::start("10s").await;
    subject.plant("production", "key", &Content::text(CANARY)).await;
    subject.forbid("key").await;
    let store = subject.store();
    assert_eq!(read(&store, "production", "key").await, Err(SecretError::Forbidden));
}

/// Asserts that the store is unavailable, and that its message keeps values and places to itself.
pub(crate) fn unavailable(read: Result<Read, SecretError>) -> String {
    let Err(SecretError::Unavailable(reason)) = read else { panic!("it is available: {read:?}") };
    for word in [CANARY, "production", "acme", "key", "127.0.0.1", "http", "/"] {
        assert!(!reason.contains(word), "{word} in {reason}");
    }
    reason
}

pub(crate) async fn gone<S: Subject>() {
    let mut subject = S::start("10s").await;
    subject.plant("production", "key", &Content::text(CANARY)).await;
    subject.stop().await;
    unavailable(read(&subject.store(), "production", "key").await);
}

pub(crate) async fn slow<S: Subject>() {
    let subject = S::start("400ms").await;
    subject.plant("production", "key", &Content::text(CANARY)).await;
    subject.hang().await;
    let reason = unavailable(read(&subject.store(), "production", "key").await);
    assert!(reason.contains("did not answer"), "{reason}");
}

pub(crate) async fn broken<S: Subject>() {
    let subject = S::start("10s").await;
    subject.plant("production", "key", &Content::text("x")).await;
    let store = subject.store();
    // A token that was had before, so that the faults are the store's own.
    read(&store, "production", "key").await.unwrap();
    let body = format!(r#"{{"error":"production/acme/key is {CANARY}"}}"#);
    for status in [429, 500, 503, 302, 200] {
        subject.answer(status, &body).await;
        unavailable(read(&store, "production", "key").await);
    }
    let endless = CANARY.repeat(1 << 18);
    let answers = [(CANARY, "understood"), ("", "understood"), (endless.as_str(), "too long")];
    for (body, expected) in answers {
        subject.answer(200, body).await;
        let reason = unavailable(read(&store, "production", "key").await);
        assert!(reason.contains(expected), "{reason}");
    }
    subject.answer(403, &body).await;
    assert_eq!(read(&store, "production", "key").await, Err(SecretError::Forbidden));
    subject.answer(401, &body).await;
    assert_eq!(read(&store, "production", "key").await, Err(SecretError::Forbidden));
}

pub(crate) async fn rotated<S: Subject>() {
    let subject = S::start("10s").await;
    let store = subject.store();
    let mut versions = Vec::new();
    for value in ["one", "two"] {
        subject.plant("production", "key", &Content::text(value)).await;
        let read = read(&store, "production", "key").await.unwrap();
        assert_eq!(read.value, value);
        versions.push(read.version);
    }
    assert!(versions[0].is_none() || versions[0] != versions[1], "{versions:?}");
}

pub(crate) async fn environments<S: Subject>() {
    let subject = S::start("10s").await;
    for environment in ["production", "test"] {
        subject.plant(environment, "key", &Content::text(environment)).await;
    }
    let store = subject.store();
    for environment in ["production", "test"] {
        assert_eq!(read(&store, environment, "key").await.unwrap().value, environment);
    }
    assert_eq!(read(&store, "staging", "key").await, Err(SecretError::Missing));
}

pub(crate) async fn revoked<S: Subject>() {
    let subject = S::start("10s").await;
    let store = subject.store();
    subject.plant("production", "key", &Content::text("x")).await;
    for _ in 0..2 {
        assert_eq!(read(&store, "production", "key").await.unwrap().value, "x");
        subject.revoke().await;
    }
    assert_eq!(read(&store, "production", "key").await.unwrap().value, "x");
}

/// The cases that a store has, each as a test of its own.
macro_rules! contract {
    ($subject:ty: $($case:ident),+ $(,)?) => {
        mod contract {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    $crate::secrets::stores::$case::<$subject>().await;
                }
            )+
        }
    };
}

pub(crate) use contract;
