//! What policies allow, what they refuse, and how they are replaced.

use windlass_proto::id::WorkflowId;
use windlass_proto::limits;
use windlass_proto::secret::SecretName;
use windlass_proto::wire::Sealing;

use super::{NotPermitted, Policies, Policy, ReplaceError};

fn permits(policy: &str, workflow: &str, environment: &str, secret: &str) -> bool {
    let policy = Policy::parse(policy).unwrap();
    policy.permits(&id(workflow), environment, &SecretName(secret.into()))
}

/// `namespace/name:version`
fn id(text: &str) -> WorkflowId {
    let (namespace, rest) = text.split_once('/').unwrap();
    let (name, version) = rest.split_once(':').unwrap();
    WorkflowId { namespace: namespace.into(), name: name.into(), version: version.into() }
}

#[test]
fn a_rule_allows_what_all_its_parts_fit() {
    let policy = "[[allow]]\nnamespace = \"acme\"\nworkflow = \"orders*\"\nversion = \"1.*\"\n\
                  secrets = [\"api-key\", \"db-*\"]\nenvironment = \"production\"\n";
    assert!(permits(policy, "acme/orders-eu:1.2.0", "production", "db-main"));
    for (workflow, environment, secret) in [
        ("other/orders:1.0.0", "production", "api-key"),
        ("acme/billing:1.0.0", "production", "api-key"),
        ("acme/orders:2.0.0", "production", "api-key"),
        ("acme/orders:1.0.0", "test", "api-key"),
        ("acme/orders:1.0.0", "production", "root"),
    ] {
        assert!(!permits(policy, workflow, environment, secret), "{workflow} {secret}");
    }
    let second = format!("{policy}[[allow]]\nsecrets = [\"root\"]\n");
    assert!(permits(&second, "x/y:1.0.0", "test", "root"));
}

#[test]
fn what_no_rule_allows_is_refused_and_without_a_policy_all_is_allowed() {
    assert!(!permits("", "a/b:1.0.0", "default", "c"));
    assert!(permits("[[allow]]", "a/b:1.0.0", "default", "c"));
    let none = Policy::default();
    assert!(none.permits(&id("a/b:1.0.0"), "default", &SecretName("c".into())));
    let told = Policy::parse(none.text()).unwrap();
    assert_eq!((told.tag(), told.rules()), (none.tag(), none.rules()));
}

#[test]
fn sealing_is_by_namespace() {
    let policy = "[sealing]\ndefault = \"refuse\"\nnamespaces = { dev = \"expose\" }";
    let policy = Policy::parse(policy).unwrap();
    assert_eq!(policy.sealing("dev"), Sealing::Expose);
    assert_eq!(policy.sealing("acme"), Sealing::Refuse);
    assert_eq!(Policy::default().sealing("acme"), Sealing::Seal);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let told = |text: &str| Policy::parse(text).unwrap_err().to_string();
    for (text, begin) in [
        ("[[allow]]\nsecret = [\"a\"]", "line 2, column 1: "),
        ("[[allow]]\nsecrets = \"a\"", "line 2, column 11: "),
        ("[[allow]]\nworkflow = \"ä\"\nsecrets = [\"a\", \"\"]", "line 3, column 17: a pattern"),
        ("[sealing]\ndefault = \"open\"", "line 2, column 11: "),
        ("[[allow]\n", "line 1, "),
        ("[deny]", "line 1, column 2: "),
    ] {
        assert!(told(text).starts_with(begin), "{text}: {}", told(text));
    }
    assert!(told(&"#".repeat(limits::POLICY_BYTES + 1)).contains("bytes"));
    assert!(told(&"[[allow]]\n".repeat(limits::POLICY_RULES + 1)).contains("rules"));
}

#[test]
fn a_refusal_names_the_rule_to_add() {
    let refused = NotPermitted {
        workflow: id("acme/orders:1.0.0"),
        environment: "test".into(),
        secrets: vec![SecretName("db".into())],
    };
    let text = refused.to_string();
    let rule =
        "namespace = \"acme\", workflow = \"orders\", secrets = [\"db\"], environment = \"test\"";
    assert!(text.contains("the secret db") && text.ends_with(rule), "{text}");
}

#[test]
fn a_policy_is_replaced_on_disk_and_by_who_knows_the_present_one() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("secret-policy.toml");
    let open = || Policies::open(None, Some(own.clone())).unwrap();
    let policies = open();
    let first = policies.current().tag().to_owned();
    let next = policies.replace("[[allow]]\nnamespace = \"a\"", Some(&first)).unwrap();
    assert_eq!(open().current().tag(), next.tag());
    let stale = policies.replace("", Some(&first));
    assert!(matches!(stale, Err(ReplaceError::Stale(tag)) if tag == next.tag()));
    assert!(matches!(policies.replace("x", None), Err(ReplaceError::Policy(_))));
    assert_eq!(policies.current().tag(), next.tag());

    let given = Policies::open(Some(own.clone()), None).unwrap();
    assert!(matches!(given.replace("", None), Err(ReplaceError::Given(_))));
    std::fs::write(&own, "allow = 1").unwrap();
    assert!(matches!(Policies::open(Some(own), None), Err(ReplaceError::Content(..))));
    let missing = Policies::open(Some(folder.path().join("no")), None);
    assert!(matches!(missing, Err(ReplaceError::File(..))));
}
