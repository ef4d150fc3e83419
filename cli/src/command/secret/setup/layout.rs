//! What a Vault must have so that every attempt of a task can read its own secrets and no others.
//!
//! A policy is a text with places to fill in, and Vault fills them from what a token's JWT claimed
//! (`identity.entity.aliases.<accessor>.metadata`). Those are texts and no lists, so a JWT names
//! its secrets in numbered slots, and the policy has a stanza for each. Vault reads it and fills
//! all of them in at every request, so there are roles and policies with few slots for tasks with
//! few secrets, and what has no places stands in a policy of its own, which Vault reads once.

use serde_json::{Value as Json, json};
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::secret::name_for_slots;

/// Stands for the accessor of the JWT mount, which Vault makes when the mount is enabled.
pub(super) const ACCESSOR: &str = "${ACCESSOR}";

/// How Vault knows a JWT for genuine.
#[derive(Debug)]
pub(super) enum Trust {
    /// Vault fetches the coordinator's public keys itself, and follows their rotation.
    Jwks(String),
    /// These public keys, in PEM: for a Vault that cannot reach the coordinator. A rotation needs
    /// another setup.
    Keys(Vec<String>),
}

/// What the setup depends on, beside the mapping of names.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where Vault takes JWTs: `auth/<mount>`.
    pub(super) auth: String,
    /// The role tasks log in with.
    pub(super) role: String,
    /// Whom Vault believes.
    pub(super) trust: Trust,
    /// `iss` of the JWTs.
    pub(super) issuer: String,
    /// `aud` of the JWTs.
    pub(super) audience: String,
    /// The environments that may be claimed; any when empty.
    pub(super) environments: Vec<String>,
    /// Where sealed values are encrypted.
    pub(super) transit: String,
    /// Seconds after which a token ends even if it is renewed.
    pub(super) longest: u64,
    /// Whether tokens are batch tokens: cheaper, and impossible to revoke.
    pub(super) batch: bool,
    /// Where secrets are found by their names.
    pub(super) default: Place,
    /// Secrets that are found elsewhere, by name.
    pub(super) others: Vec<(String, Place)>,
}

/// Where in Vault something is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The kind of engine.
    pub(super) engine: Engine,
    /// Where it is mounted.
    pub(super) mount: String,
    /// The path below, with places for `{environment}`, `{namespace}`, `{workflow}` and `{name}`.
    pub(super) path: String,
}

/// A kind of engine, as far as paths and rights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// KV, version 2
    Kv2,
    /// KV, version 1
    Kv1,
    /// Whatever makes credentials when `creds` is read.
    Credentials,
    /// Certificates
    Pki,
}

/// All that Vault must have.
#[derive(Debug)]
pub(super) struct Layout {
    /// Where Vault takes JWTs: `auth/<mount>`.
    pub(super) auth: String,
    /// Its configuration.
    pub(super) config: Json,
    /// Name and definition of each role: one for each number of slots.
    pub(super) roles: Vec<(String, Json)>,
    /// Where sealed values are encrypted.
    pub(super) transit: String,
    /// Name and text of each policy, with [`ACCESSOR`] where the accessor belongs.
    pub(super) policies: Vec<(String, String)>,
    /// Secrets with a policy of their own: a group of that name has it, and whoever claims the
    /// secret is in the group.
    pub(super) groups: Vec<Group>,
}

/// An external group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Its name, and that of its policy.
    pub(super) name: String,
    /// The secret whose name in `windlass_secrets` makes a token a member.
    pub(super) secret: String,
}

/// The policy of tasks with the most secrets; see [`name_for_slots`].
const TASK: &str = "windlass-task";

/// The policy of what every task may do with its own token, the same for all.
const OWN: &str = "windlass-own";

impl Layout {
    /// What Vault must have for `wanted`.
    pub(super) fn of(wanted: &Wanted) -> Self {
        let task_policy = |slots| (name_for_slots(TASK, slots), task_policy(wanted, slots));
        let mut policies: Vec<_> = limits::SECRET_SLOTS.map(task_policy).into();
        policies.push((OWN.to_owned(), own_policy()));
        let role = |slots| (name_for_slots(&wanted.role, slots), role(wanted, slots));
        let mut groups = Vec::new();
        for (secret, place) in &wanted.others {
            let name = format!("windlass-secret-{}", plain(secret));
            policies.push((name.clone(), stanza(place, secret)));
            groups.push(Group { name, secret: secret.clone() });
        }
        Self {
            auth: wanted.auth.clone(),
            config: config(wanted),
            roles: limits::SECRET_SLOTS.map(role).into(),
            transit: wanted.transit.clone(),
            policies,
            groups,
        }
    }
}

/// A name that stands for `secret` in paths: itself, where it can be, and else with a hash, so that
/// no two are the same.
fn plain(secret: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    if !secret.is_empty() && secret.chars().all(is_plain) {
        return secret.to_owned();
    }
    let plain: String = secret.chars().map(|it| if is_plain(it) { it } else { '_' }).collect();
    let digest = Digest::of(secret).0;
    format!("{plain}_{}", digest.get(..16).unwrap_or_default())
}

fn config(wanted: &Wanted) -> Json {
    let mut config = json!({
        "bound_issuer": wanted.issuer,
        "jwt_supported_algs": ["EdDSA"],
        "default_role": wanted.role,
    });
    match &wanted.trust {
        Trust::Jwks(url) => config["jwks_url"] = json!(url),
        Trust::Keys(keys) => config["jwt_validation_pubkeys"] = json!(keys),
    }
    config
}

fn role(wanted: &Wanted, slots: usize) -> Json {
    let mut claims = serde_json::Map::new();
    for name in ["namespace", "workflow", "version", "environment"] {
        claims.insert(format!("windlass_{name}"), json!(name));
    }
    for slot in 0..slots {
        claims.insert(format!("windlass_secret_{slot}"), json!(format!("secret_{slot}")));
    }
    let kind = if wanted.batch { "batch" } else { "service" };
    let mut role = json!({
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [wanted.audience],
        "claim_mappings": claims,
        "groups_claim": "windlass_secrets",
        "clock_skew_leeway": limits::IDENTITY_LEEWAY_S,
        "expiration_leeway": limits::IDENTITY_LEEWAY_S,
        "not_before_leeway": limits::IDENTITY_LEEWAY_S,
        "token_type": kind,
        "token_policies": [name_for_slots(TASK, slots), OWN],
        "token_no_default_policy": true,
        "token_ttl": limits::TASK_TOKEN_S,
        "token_max_ttl": wanted.longest,
    });
    let mut bound = serde_json::Map::new();
    if !wanted.environments.is_empty() {
        bound.insert("windlass_environment".to_owned(), json!(wanted.environments));
    }
    // What Vault keeps of the claims it keeps by `sub`: a login that left some out would take them
    // from all tokens of the same tasks.
    if slots < limits::SECRETS_PER_TASK {
        bound.insert("windlass_slots".to_owned(), json!([slots.to_string()]));
    }
    if !bound.is_empty() {
        role["bound_claims"] = Json::Object(bound);
    }
    role
}

fn task_policy(wanted: &Wanted, slots: usize) -> String {
    let mut text = String::from(
        "# What a task of Windlass may do: read the secrets its JWT names, seal and open values of\n\
         # its namespace.\n",
    );
    for slot in 0..slots {
        text.push_str(&stanza(&wanted.default, &claimed(&format!("secret_{slot}"))));
    }
    let (transit, namespace) = (&wanted.transit, claimed("namespace"));
    // The first value that is sealed in a namespace makes its key.
    text.push_str(&rule(&format!("{transit}/encrypt/windlass-{namespace}"), &["create", "update"]));
    text.push_str(&rule(&format!("{transit}/decrypt/windlass-{namespace}"), &["update"]));
    text
}

fn own_policy() -> String {
    let mut text = String::from(
        "# What every task of Windlass may do: look at its token, renew it and what it leased, and\n\
         # give it back.\n",
    );
    for own in ["auth/token/lookup-self", "auth/token/renew-self", "auth/token/revoke-self"] {
        text.push_str(&rule(own, &["read", "update"]));
    }
    text.push_str(&rule("sys/leases/renew", &["update"]));
    text
}

/// The right to read what `place` says for the secret `name`.
fn stanza(place: &Place, name: &str) -> String {
    let Place { engine, mount, path } = place;
    let path = path
        .replace("{environment}", &claimed("environment"))
        .replace("{namespace}", &claimed("namespace"))
        .replace("{workflow}", &claimed("workflow"))
        .replace("{name}", name);
    match engine {
        Engine::Kv2 => rule(&format!("{mount}/data/{path}"), &["read"]),
        Engine::Kv1 => rule(&format!("{mount}/{path}"), &["read"]),
        Engine::Credentials => rule(&format!("{mount}/creds/{path}"), &["read"]),
        Engine::Pki => rule(&format!("{mount}/issue/{path}"), &["create", "update"]),
    }
}

/// What Vault puts in the place of a claim.
fn claimed(name: &str) -> String {
    format!("{{{{identity.entity.aliases.{ACCESSOR}.metadata.{name}}}}}")
}

fn rule(path: &str, capabilities: &[&str]) -> String {
    let quoted: Vec<String> = capabilities.iter().map(|it| format!("\"{it}\"")).collect();
    format!("path \"{path}\" {{\n  capabilities = [{}]\n}}\n", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Engine, Group, Layout, Place, Trust, Wanted};

    fn place(engine: Engine, mount: &str, path: &str) -> Place {
        Place { engine, mount: mount.to_owned(), path: path.to_owned() }
    }

    fn wanted() -> Wanted {
        Wanted {
            auth: "windlass".to_owned(),
            role: "task".to_owned(),
            trust: Trust::Jwks("http://127.0.0.1:7400/.well-known/jwks.json".to_owned()),
            issuer: "http://127.0.0.1:7400".to_owned(),
            audience: "windlass".to_owned(),
            environments: vec!["production".to_owned()],
            transit: "transit".to_owned(),
            longest: 3600,
            batch: false,
            default: place(Engine::Kv2, "secret", "{environment}/{namespace}/{name}"),
            others: vec![(
                "orders-db".to_owned(),
                place(Engine::Credentials, "database", "{namespace}-ro"),
            )],
        }
    }

    #[test]
    fn a_policy_has_a_place_for_each_secret_of_a_task() {
        let layout = Layout::of(&wanted());
        let names: Vec<&str> = layout.policies.iter().map(|it| it.0.as_str()).take(3).collect();
        assert_eq!(names, ["windlass-task-1", "windlass-task-4", "windlass-task"]);
        let slots = |text: &str| text.matches("metadata.secret_").count();
        assert_eq!([0, 1, 2].map(|it: usize| slots(&layout.policies[it].1)), [1, 4, 16]);
        let (own, text) = &layout.policies[3];
        assert!(own == "windlass-own" && !text.contains("{{"), "it is read once: {text}");
        let text = &layout.policies[2].1;
        let data = |slot: &str| {
            let claim = |name: &str| {
                format!("{{{{identity.entity.aliases.${{ACCESSOR}}.metadata.{name}}}}}")
            };
            format!(
                "path \"secret/data/{}/{}/{}\" {{\n  capabilities = [\"read\"]\n}}\n",
                claim("environment"),
                claim("namespace"),
                claim(slot)
            )
        };
        assert!(text.contains(&data("secret_0")) && text.contains(&data("secret_15")), "{text}");
        assert!(!text.contains("secret_16"), "{text}");
        assert!(!text.contains('*'), "nothing is granted by a pattern:\n{text}");
    }

    #[test]
    fn a_secret_of_another_place_has_a_group_that_claims_make_members_of() {
        let layout = Layout::of(&wanted());
        let (name, text) = &layout.policies[4];
        assert_eq!(name, "windlass-secret-orders-db");
        assert!(text.starts_with("path \"database/creds/{{identity.entity"), "{text}");
        assert!(text.contains("metadata.namespace}}-ro\""), "{text}");
        let group = Group { name: name.clone(), secret: "orders-db".to_owned() };
        assert_eq!(layout.groups, [group]);
        assert!(layout.roles.iter().all(|it| it.1["groups_claim"] == "windlass_secrets"));
    }

    #[test]
    fn a_name_that_cannot_be_part_of_a_path_has_a_group_of_another_name() {
        let others = ["team+db", "team/db", "team_db"].map(|it| {
            (it.to_owned(), place(Engine::Kv2, "secret", "{environment}/{namespace}/team-db"))
        });
        let layout = Layout::of(&Wanted { others: others.into(), ..wanted() });
        let names: Vec<&str> = layout.groups.iter().map(|it| it.name.as_str()).collect();
        assert!(names[0].starts_with("windlass-secret-team_db_") && names[0] != names[1]);
        assert_eq!(names[2], "windlass-secret-team_db");
        assert_eq!(layout.groups[0].secret, "team+db", "what is claimed");
    }

    #[test]
    fn a_role_lives_short_and_believes_one_audience_and_environment() {
        let roles = Layout::of(&wanted()).roles;
        let names: Vec<&str> = roles.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["task-1", "task-4", "task"]);
        for (role, slots) in roles.iter().zip([Some("1"), Some("4"), None]) {
            let bound = &role.1["bound_claims"];
            assert_eq!(bound["windlass_slots"][0].as_str(), slots, "{}", role.0);
            assert_eq!(bound["windlass_environment"], serde_json::json!(["production"]));
        }
        let policies = serde_json::json!(["windlass-task-1", "windlass-own"]);
        assert_eq!(roles[0].1["token_policies"], policies);
        assert!(roles[0].1["claim_mappings"]["windlass_secret_1"].is_null());
        let (_, role) = &roles[2];
        assert_eq!(role["token_ttl"], 60);
        for leeway in ["clock_skew_leeway", "expiration_leeway", "not_before_leeway"] {
            assert_eq!(role[leeway], 30, "{leeway}");
        }
        assert_eq!(role["token_no_default_policy"], true);
        assert_eq!(role["bound_audiences"], serde_json::json!(["windlass"]));
        assert_eq!(role["bound_claims"]["windlass_environment"], serde_json::json!(["production"]));
        assert_eq!(role["user_claim"], "sub");
        // What changes with every run must not become part of the identity.
        let mapped = role["claim_mappings"].as_object().unwrap();
        for claim in ["jti", "windlass_instance", "windlass_task", "windlass_attempt"] {
            assert!(!mapped.contains_key(claim), "{claim}");
        }
    }

    #[test]
    fn each_kind_of_engine_has_its_own_path() {
        for (engine, path) in [
            (Engine::Kv2, "path \"m/data/a/key\" {\n  capabilities = [\"read\"]"),
            (Engine::Kv1, "path \"m/a/key\" {\n  capabilities = [\"read\"]"),
            (Engine::Credentials, "path \"m/creds/a/key\" {\n  capabilities = [\"read\"]"),
            (Engine::Pki, "path \"m/issue/a/key\" {\n  capabilities = [\"create\", \"update\"]"),
        ] {
            let others = vec![("key".to_owned(), place(engine, "m", "a/{name}"))];
            let layout = Layout::of(&Wanted { others, ..wanted() });
            assert!(layout.policies[4].1.starts_with(path), "{}", layout.policies[4].1);
        }
    }
}
