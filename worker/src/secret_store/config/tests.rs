#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use windlass_proto::secret::SecretName;

use super::{PathTemplate, SecretsConfig, VaultAuth, VaultEngine};
use crate::DevelopmentSecrets;
use crate::secret_store::template::Values;
use crate::testing::secret_context;

fn parse(text: &str) -> Result<SecretsConfig, String> {
    let path = Path::new("folder/secrets.toml");
    SecretsConfig::parse(text, path, None).map_err(|error| error.to_string())
}

const AUTH: &str = "[vault.auth]\nmethod = \"jwt\"\n";

fn vault(more: &str) -> Result<SecretsConfig, String> {
    parse(&format!("store = \"vault\"\n[vault]\naddress = \"http://127.0.0.1:1\"\n{more}\n"))
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = vault(AUTH).unwrap().vault.unwrap();
    assert_eq!(config.timeout, Duration::from_secs(5));
    assert_eq!((config.concurrency, config.requests_per_second), (64, 2_000));
    assert_eq!((config.cache, config.ca_file, config.namespace), (Duration::ZERO, None, None));
    assert_eq!(config.auth, VaultAuth::Jwt { mount: "windlass".into(), role: "task".into() });
    assert_eq!((config.paths.engine, &*config.paths.mount), (VaultEngine::Kv2, "secret"));
    assert_eq!(config.paths.path, PathTemplate::path("{environment}/{namespace}/{name}").unwrap());
    assert_eq!(config.transit_mount, "transit");

    let path = Path::new("secrets.toml");
    let text = format!("store = \"vault\"\n[vault]\n{AUTH}");
    let address = Some("https://vault:8200".to_owned());
    let config = SecretsConfig::parse(&text, path, address).unwrap().vault.unwrap();
    assert_eq!(config.address.as_str(), "https://vault:8200/");
}

#[test]
fn everything_can_be_said() {
    let text = r#"
store = "vault"
[vault]
address = "https://vault:8200"
namespace = "team"
ca-file = "ca.pem"
timeout = "2s"
concurrency = 3
requests-per-second = 4
cache = "1m"
[vault.auth]
method = "approle"
role-id = "id"
secret-id-file = "secret-id"
[vault.paths]
engine = "kv1"
mount = "/kv/"
path = "{workflow}-{name}"
field = "value"
[vault.secret.orders-db]
engine = "database"
path = "orders-ro"
[vault.secret.certificate]
engine = "pki"
path = "web"
common-name = "{workflow}.example.com"
alt-names = "{namespace}.example.com"
ttl = "10m"
[vault.transit]
mount = "seal"
[sealing]
key-file = "/seal.key"
"#;
    let config = parse(text).unwrap();
    assert_eq!(config.sealing_key_file.as_deref(), Some(Path::new("/seal.key")));
    let vault = config.vault.unwrap();
    assert_eq!(vault.ca_file.as_deref(), Some(Path::new("folder/ca.pem")));
    assert_eq!(vault.cache, Duration::from_secs(60));
    assert_eq!((&*vault.paths.mount, &*vault.transit_mount), ("kv", "seal"));
    assert_eq!(vault.secrets["orders-db"].mount, "database");
    assert_eq!(vault.secrets["certificate"].pki.as_ref().unwrap().ttl.unwrap().as_secs(), 600);
    let VaultAuth::AppRole { mount, secret_id_file, .. } = vault.auth else { unreachable!() };
    assert_eq!((&*mount, &*secret_id_file), ("approle", Path::new("folder/secret-id")));
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, expected) in [
        ("store = \"vault\"\nstroe = 1", "folder/secrets.toml:2:1: unknown field `stroe`"),
        ("store = \"volt\"", "folder/secrets.toml:1:9: unknown variant `volt`"),
        ("store = \"vault", "folder/secrets.toml:1:"),
        ("store = \"vault\"", "folder/secrets.toml: it has no [vault]"),
        (
            "store = \"environment\"\n[vault]\n[vault.auth]\nmethod = \"jwt\"",
            "a [vault] but another store",
        ),
        ("store = \"vault\"\n[vault]\n[vault.auth]\nmethod = \"jwt\"", "needs an `address`"),
    ] {
        let message = parse(text).err().unwrap();
        assert!(message.contains(expected), "{text}\n{message}");
    }
    for (more, expected) in [
        ("", "missing field `auth`"),
        ("timeout = \"soon\"\n[vault.auth]\nmethod = \"jwt\"", ":4:11: a duration is written"),
        ("timeout = \"1m\"\n[vault.auth]\nmethod = \"jwt\"", "`timeout` of [vault]"),
        ("cache = \"1h\"\n[vault.auth]\nmethod = \"jwt\"", "`cache` of [vault] is at most 300s"),
        ("concurrency = 0\n[vault.auth]\nmethod = \"jwt\"", "`concurrency` is 1 to 10000"),
        ("[vault.auth]\nmethod = \"jwt\"\nroll = \"x\"", "unknown field `roll`"),
        ("[vault.auth]\nmethod = \"magic\"", "unknown variant `magic`"),
        ("[vault.auth]\nmethod = \"approle\"\nrole-id = \"x\"", "missing field `secret-id-file`"),
    ] {
        let message = vault(more).err().unwrap();
        assert!(message.contains(expected), "{more}\n{message}");
    }
    for (more, expected) in [
        ("[vault.paths]\npath = \"fixed\"", "must have a {name}"),
        ("[vault.paths]\npath = \"{name}/{stage}\"", "{workflow} and {name} only"),
        ("[vault.paths]\npath = \"../{name}\"", "is not a path"),
        ("[vault.paths]\npath = \"a//{name}\"", "is not a path"),
        ("[vault.paths]\npath = \"a*/{name}\"", "characters that no path may have"),
        ("[vault.paths]\nmount = \"{name}\"", "is not the path of a mount"),
        ("[vault.secret.x]\nengine = \"pki\"\npath = \"web\"", "needs a `common-name`"),
        ("[vault.secret.x]\nengine = \"database\"", "[vault.secret.x]: it needs a `path`"),
        ("[vault.secret.x]\npath = \"x\"\nttl = \"1m\"", "are for certificates"),
    ] {
        let message = vault(&format!("{AUTH}{more}")).err().unwrap();
        assert!(message.contains(expected), "{more}\n{message}");
    }
}

#[test]
fn a_credential_at_the_wrong_place_is_not_shown() {
    for text in ["store = \"c4nary\"", "store = \"vault\"\n[vault]\nconcurrency = \"c4nary\""] {
        let message = parse(text).err().unwrap();
        let names_a_store = message.contains("unknown variant");
        assert!(names_a_store || !message.contains("c4nary"), "{message}");
    }
    let path = Path::new("missing/secrets.toml");
    assert!(SecretsConfig::load(path).err().unwrap().to_string().contains("missing/secrets.toml"));
}

#[test]
fn stores_that_are_not_here_say_so() {
    assert!(parse("store = \"environment\"").unwrap().source(DevelopmentSecrets::new()).is_ok());
    let vault = vault(&format!("ca-file = \"missing.pem\"\n{AUTH}")).unwrap();
    let error = vault.source(DevelopmentSecrets::new()).err().unwrap();
    assert!(error.to_string().contains("missing.pem"), "{error}");
}

#[test]
fn nothing_in_a_definition_can_leave_its_part_of_a_path() {
    let template = PathTemplate::path("/{environment}/{namespace}/w-{workflow}/{name}/").unwrap();
    let mapped = |context: &_, name: &str| template.expand(Values::of(context, name));
    let mut context = secret_context();
    let found = mapped(&context, "api.key-1_x").unwrap();
    assert_eq!(found.0, "default/test/w-test/api.key-1_x");
    for name in [
        "", ".", "..", "a/b", "../x", "a..b", "a\nb", "a\0", "*", "a+", "{name}", "a%2fb", "a?b",
        "a#b", "a\\b", " a", "a ",
    ] {
        assert_eq!(mapped(&context, name), None, "{name:?}");
    }
    context.workflow.namespace = "a/b".into();
    assert_eq!(mapped(&context, "key"), None);
}

#[test]
fn a_login_is_shared_when_all_that_may_be_read_with_it_says_so() {
    let shares = |more: &str, namespace: &str, secrets: &[&str]| {
        let text = format!("address = \"http://vault\"\n{more}\n[vault.auth]\nmethod = \"jwt\"\n");
        let text = format!(
            "store = \"vault\"\n[vault]\n{text}[vault.secret.db]\nengine = \"database\"\npath = \"ro\"\n"
        );
        let config = parse(&text).unwrap().vault.unwrap();
        let names: Vec<_> = secrets.iter().map(|it| SecretName((*it).into())).collect();
        config.shares_login(namespace, &names)
    };
    assert!(!shares("", "shop", &["key"]), "each attempt for itself, unless it is said");
    let all = "login = \"shared\"";
    assert!(shares(all, "shop", &["key", "other"]) && shares(all, "shop", &[]));
    assert!(!shares(all, "shop", &["key", "db"]), "what is leased ends with its attempt");
    let some = "namespace-logins = { shop = \"shared\" }\nsecret-logins = { key = \"attempt\", open = \
                \"shared\" }";
    assert!(shares(some, "shop", &["other"]) && shares(some, "shop", &[]));
    assert!(!shares(some, "shop", &["key"]) && !shares(some, "shop", &["open", "key"]));
    assert!(shares(some, "evil", &["open"]) && !shares(some, "evil", &["open", "other"]));
    let but = "login = \"shared\"\nnamespace-logins = { bank = \"attempt\" }";
    assert!(shares(but, "shop", &["key"]) && !shares(but, "bank", &["key"]));
}

#[test]
fn what_cannot_be_shared_is_refused() {
    for (vault, more, expected) in [
        ("login = \"shared\"", "[vault.auth]\nmethod = \"token\"\ntoken-file = \"t\"", "`jwt`"),
        (
            "secret-logins = { db = \"shared\" }",
            "[vault.auth]\nmethod = \"jwt\"\n[vault.secret.db]\nengine = \"database\"\npath = \"ro\"",
            "the login for the secret \"db\"",
        ),
        ("login = \"often\"", "[vault.auth]\nmethod = \"jwt\"", "unknown variant"),
    ] {
        let text =
            format!("store = \"vault\"\n[vault]\naddress = \"http://vault\"\n{vault}\n{more}\n");
        let error = parse(&text).err().unwrap_or_default();
        assert!(error.contains(expected), "{vault}: {error}");
    }
}
