//! A store whose policy knows the claims of tasks, and tasks that read from it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value as Json, json};
use windlass_proto::audit::{AuditAction, AuditEvent};
use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::plan::TaskIx;
use windlass_proto::sealed::Sealed;
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey, Grant, IdentityToken, Sealing, Work};
use windlass_worker::{
    AttemptAudit, AuditSink, DevelopmentSecrets, SecretContext, SecretData, SecretError,
    SecretSession, SecretSource, SecretValue, SecretsConfig,
};

use crate::support::bao::Bao;
use crate::support::stub::Stub;
use crate::support::until::{SOON, until};

/// Lets a task read its own secrets and seal for its own namespace; `@` stands for its claims.
const POLICY: &str = r#"
path "secret/data/@environment/@namespace/@secret_0" { capabilities = ["read"] }
path "secret/data/@environment/@namespace/@secret_1" { capabilities = ["read"] }
path "transit/encrypt/windlass-@namespace" { capabilities = ["create", "update"] }
path "transit/decrypt/windlass-@namespace" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/revoke" { capabilities = ["update"] }
path "pki/issue/web" { capabilities = ["update"] }
path "rabbitmq/creds/orders" { capabilities = ["read"] }
"#;

/// What the worker tells.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<AuditEvent>>);

impl AuditSink for Told {
    fn record(&self, event: AuditEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Told {
    pub(super) fn all(&self) -> Vec<AuditEvent> {
        self.0.lock().unwrap().clone()
    }

    /// What was told of one action.
    pub(super) fn of(&self, action: AuditAction) -> Vec<AuditEvent> {
        self.all().into_iter().filter(|it| it.action == action).collect()
    }
}

/// On whose behalf a test reads.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) namespace: &'static str,
    pub(super) environment: &'static str,
    pub(super) secrets: Vec<&'static str>,
    pub(super) instance: u128,
    /// How long its time is.
    pub(super) time: Option<Duration>,
}

/// A task of the namespace `acme` that may read the secret `key`.
pub(super) fn task() -> Task {
    Task { namespace: "acme", environment: "test", secrets: vec!["key"], instance: 7, time: None }
}

/// A store and who asks it.
pub(super) struct Setup {
    pub(super) bao: Bao,
    pub(super) told: Arc<Told>,
    pub(super) folder: tempfile::TempDir,
    signer: EncodingKey,
}

impl Setup {
    /// A store with the secret `key` of `acme` in `test`, and a login with identities of tasks.
    pub(super) async fn start() -> Self {
        Self::on(Bao::start().await, json!({})).await
    }

    /// The same, with these fields of the login's role.
    pub(super) async fn with_role(role: Json) -> Self {
        Self::on(Bao::start().await, role).await
    }

    pub(super) async fn on(bao: Bao, role: Json) -> Self {
        bao.mount_kv2("secret").await;
        bao.write("sys/mounts/transit", json!({"type": "transit"})).await;
        bao.write("secret/data/test/acme/key", json!({"data": {"value": "c4nary-1"}})).await;
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        bao.write("sys/auth/windlass", json!({"type": "jwt"})).await;
        let keys = json!({
            "jwt_validation_pubkeys": [pair.public_key_pem()],
            "bound_issuer": "http://coordinator",
        });
        bao.write("auth/windlass/config", keys).await;
        let mounts = bao.read("sys/auth").await.ok();
        let accessor = mounts["data"]["windlass/"]["accessor"].as_str().unwrap().to_owned();
        let mut policy = POLICY.to_owned();
        let mut mappings = json!({});
        for claim in ["namespace", "environment", "secret_0", "secret_1"] {
            let place = format!("{{{{identity.entity.aliases.{accessor}.metadata.{claim}}}}}");
            policy = policy.replace(&format!("@{claim}"), &place);
            mappings[format!("windlass_{claim}")] = claim.into();
        }
        bao.write("sys/policies/acl/windlass-task", json!({"policy": policy})).await;
        let mut all = json!({
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": ["windlass"],
            "claim_mappings": mappings,
            "token_policies": ["windlass-task"],
            "token_no_default_policy": true,
            "token_ttl": "60s",
        });
        all.as_object_mut().unwrap().extend(role.as_object().unwrap().clone());
        for name in ["task", "task-1", "task-4"] {
            bao.write(&format!("auth/windlass/role/{name}"), all.clone()).await;
        }
        let signer = EncodingKey::from_ed_der(pair.serialized_der());
        Self { bao, told: Arc::default(), folder: tempfile::tempdir().unwrap(), signer }
    }

    /// What a worker reads secrets with; `more` stands below `[vault]`, its tables included.
    pub(super) fn source(&self, more: &str) -> Arc<dyn SecretSource> {
        let path = self.folder.path().join("secrets.toml");
        let method =
            if more.contains("[vault.auth]") { "" } else { "[vault.auth]\nmethod = \"jwt\"\n" };
        let text = format!(
            "store = \"vault\"\n[vault]\naddress = \"{}\"\n{more}\n{method}",
            self.bao.address()
        );
        std::fs::write(&path, text).unwrap();
        let config = SecretsConfig::load(&path).unwrap();
        config.source(DevelopmentSecrets::new()).unwrap()
    }

    /// A session for `task`, with an identity as the coordinator signs it.
    pub(super) fn session(
        &self,
        source: &Arc<dyn SecretSource>,
        task: &Task,
    ) -> Box<dyn SecretSession> {
        source.session(self.context(task, self.identity(task, Duration::from_secs(60))))
    }

    /// A context with another identity.
    pub(super) fn context(&self, task: &Task, identity: Option<String>) -> SecretContext {
        let grant = Grant {
            environment: task.environment.into(),
            secrets: task.secrets.iter().map(|&it| SecretName(it.into())).collect(),
            identity: identity.map(IdentityToken::new),
            sealing: Sealing::Seal,
        };
        let assignment = assignment(task, grant);
        SecretContext {
            workflow: assignment.workflow.clone(),
            instance: assignment.key.instance,
            task: assignment.reference.clone(),
            grant: assignment.grant.clone(),
            deadline: assignment.deadline,
            began: tokio::time::Instant::now(),
            audit: AttemptAudit::new(self.told.clone(), &assignment),
        }
    }

    /// The JWT of a task, good for so long from now.
    pub(super) fn identity(&self, task: &Task, life: Duration) -> Option<String> {
        self.identity_from(task, since_epoch(), life)
    }

    /// The JWT of a task, good for so long from a moment since the epoch.
    pub(super) fn identity_from(
        &self,
        task: &Task,
        from: Duration,
        life: Duration,
    ) -> Option<String> {
        let now = from.as_secs();
        let slot = |at: usize| task.secrets.get(at).copied().unwrap_or("-");
        let scope = format!("{}:orders:1.0.0:{}", task.namespace, task.environment);
        let claims = json!({
            "iss": "http://coordinator",
            "aud": "windlass",
            "iat": now,
            "nbf": now,
            "exp": now + life.as_secs(),
            "jti": uuid::Uuid::new_v4(),
            "sub": format!("{scope}:{}", task.secrets.join("+")),
            "windlass_namespace": task.namespace,
            "windlass_environment": task.environment,
            "windlass_secret_0": slot(0),
            "windlass_secret_1": slot(1),
        });
        let header = Header::new(Algorithm::EdDSA);
        Some(jsonwebtoken::encode(&header, &claims, &self.signer).unwrap())
    }

    /// A token of a service account as a cluster makes it.
    pub(super) fn service_account() -> String {
        let now = since_epoch().as_secs();
        let claims = json!({
            "iss": "kubernetes/serviceaccount",
            "sub": "system:serviceaccount:windlass:worker",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "kubernetes.io": {
                "namespace": "windlass",
                "serviceaccount": {"name": "worker", "uid": "1-2-3"},
            },
        });
        // The kinds of keys that clusters have; whether it is the cluster's is the cluster's to
        // say.
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let signer = EncodingKey::from_ec_der(pair.serialized_der());
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &signer).unwrap()
    }

    /// How many requests with this operation and path the store has answered.
    pub(super) fn requests(&self, operation: &str, path: &str) -> usize {
        let logged = self.bao.audit_log();
        let fits = |it: &&Json| {
            it["type"] == "response"
                && it["request"]["operation"] == operation
                && it["request"]["path"] == path
        };
        logged.iter().filter(fits).count()
    }

    /// Accessors of all tokens there are.
    pub(super) async fn accessors(&self) -> Vec<String> {
        self.bao.list("auth/token/accessors").await
    }

    /// Waits until there are as many tokens as that.
    pub(super) async fn until_tokens(&self, number: usize) {
        until(SOON, "the end of tokens", || async {
            (self.accessors().await.len() == number).then_some(())
        })
        .await;
    }

    /// A token with these policies that root has made, in a file.
    pub(super) async fn token_file(&self, request: Json) -> String {
        let made = self.bao.write("auth/token/create", request).await;
        self.file("token", made["auth"]["client_token"].as_str().unwrap())
    }

    /// A file with this text; gives its name.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.folder.path().join(name), format!("{text}\n")).unwrap();
        name.to_owned()
    }

    /// Mounts an engine of certificates whose role `web` gives leases.
    pub(super) async fn certificates(&self) {
        self.bao.write("sys/mounts/pki", json!({"type": "pki"})).await;
        let authority = ["pki", "root", "generate", "internal"].join("/");
        self.bao.write(&authority, json!({"common_name": "test"})).await;
        let role = json!({
            "allow_any_name": true, "generate_lease": true, "ttl": "60s", "key_type": "ec",
            "key_bits": 256,
        });
        self.bao.write("pki/roles/web", role).await;
    }

    /// Mounts an engine that makes users of a broker, for which a stub stands, with leases of so
    /// long; gives what a worker has to know.
    pub(super) async fn broker(&self, broker: &Stub, ttl: &str) -> &'static str {
        self.bao.write("sys/mounts/rabbitmq", json!({"type": "rabbitmq"})).await;
        let connection = json!({
            "connection_uri": broker.url(""),
            "username": "admin",
            "password": "admin",
            "verify_connection": false,
        });
        self.bao.write("rabbitmq/config/connection", connection).await;
        self.bao.write("rabbitmq/config/lease", json!({"ttl": ttl, "max_ttl": "2h"})).await;
        let rights = json!({"vhosts": r#"{"/": {"configure": "", "write": "", "read": ".*"}}"#});
        self.bao.write("rabbitmq/roles/orders", rights).await;
        "[vault.secret.key]\nengine = \"database\"\nmount = \"rabbitmq\"\npath = \"orders\"\n"
    }

    /// Waits until there are as many leases of certificates as that: those of a revoked token end a
    /// moment later.
    pub(super) async fn until_leases(&self, number: usize) {
        until(SOON, "the end of leases", || async {
            (self.leases().await == number).then_some(())
        })
        .await;
    }

    /// Leases of certificates there are.
    pub(super) async fn leases(&self) -> usize {
        let path = "sys/leases/lookup/pki/issue/web?list=true";
        let root = self.bao.root_token();
        let answer = self.bao.with(root, Method::GET, path, &Json::Null).await;
        answer.body["data"]["keys"].as_array().map_or(0, Vec::len)
    }
}

pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn assignment(task: &Task, grant: Grant) -> Assignment {
    let at = |it: Duration| u64::try_from((since_epoch() + it).as_millis()).unwrap();
    Assignment {
        key: AssignmentKey {
            instance: InstanceId(uuid::Uuid::from_u128(task.instance)),
            frame: FrameId(3),
            delivery: 1,
            partition: PartitionId(0),
            epoch: 1,
        },
        workflow: WorkflowId {
            namespace: task.namespace.into(),
            name: "orders".into(),
            version: "1.0.0".into(),
        },
        digest: Digest("digest".into()),
        task: TaskIx(0),
        visit: 1,
        reference: "/do/0/task".into(),
        work: Work::Perform,
        input: Value::Null,
        variables: Vec::new(),
        now: Timestamp(0),
        deadline: task.time.map(|it| Timestamp(at(it))),
        traceparent: None,
        tracestate: None,
        pool: None,
        priority: limits::DEFAULT_PRIORITY,
        losses: 0,
        grant: Some(grant),
    }
}

/// Reads a secret.
pub(super) async fn read(
    session: &mut dyn SecretSession,
    name: &str,
) -> Result<SecretValue, SecretError> {
    session.read(&SecretName(name.into())).await
}

/// The text of a secret that is a map with one text under `value`, or that text itself.
pub(super) fn text(value: &SecretValue) -> String {
    match value.data.expose() {
        SecretData::Text(text) => text.clone(),
        SecretData::Map(entries) => match entries.iter().find(|(key, _)| key == "value") {
            Some((_, SecretData::Text(text))) => text.clone(),
            _ => panic!("the secret has no text under `value`"),
        },
        _ => panic!("the secret is neither text nor a map"),
    }
}

/// The reason of a store that is not available.
pub(super) fn unavailable<T>(result: Result<T, SecretError>) -> String {
    match result {
        Err(SecretError::Unavailable(reason)) => reason,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it is available"),
    }
}

/// One sealed text.
pub(super) async fn seal(
    session: &mut dyn SecretSession,
    text: &str,
) -> Result<Sealed, SecretError> {
    let texts = [text.as_bytes().to_vec().into()];
    session.seal(&texts).await.map(|mut it| it.remove(0))
}
