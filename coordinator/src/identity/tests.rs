//! What others can make of tokens and keys.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use serde_json::Value as Json;
use uuid::Uuid;
use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;

use super::{IdentityError, IdentityIssuer, IdentityOptions, Subject, Task};

const DAY: u64 = limits::IDENTITY_ROTATION_MS;
const NOW: Timestamp = Timestamp(1_700_000_000_500);

fn in_memory() -> IdentityIssuer {
    IdentityIssuer::open(None, IdentityOptions::default(), NOW).unwrap()
}

fn subject(secrets: &[&str]) -> Subject {
    let workflow =
        WorkflowId { namespace: "acme".into(), name: "order".into(), version: "1.2.0".into() };
    let secrets: Arc<[_]> = secrets.iter().map(|it| SecretName((*it).into())).collect();
    Subject::new(&workflow, &"test".into(), secrets)
}

fn task() -> Task<'static> {
    let instance = InstanceId(Uuid::from_u128(7));
    Task { instance, reference: "/do/0/pay", delivery: 2, deadline: None }
}

/// The claims of a token, if one of the published keys has signed it.
fn verified(token: &str, published: &Json) -> Option<Json> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let read = |part: &str| serde_json::from_slice::<Json>(&BASE64.decode(part).unwrap()).unwrap();
    let header = read(header);
    assert_eq!((&header["alg"], &header["typ"]), (&"EdDSA".into(), &"JWT".into()));
    let key = published["keys"].as_array()?.iter().find(|it| it["kid"] == header["kid"])?;
    let key: [u8; 32] = BASE64.decode(key["x"].as_str()?).unwrap().try_into().unwrap();
    let signature = Signature::from_slice(&BASE64.decode(signature).unwrap()).unwrap();
    VerifyingKey::from_bytes(&key).unwrap().verify(signed.as_bytes(), &signature).ok()?;
    Some(read(claims))
}

#[test]
fn a_token_says_who_the_task_is_and_the_published_keys_verify_it() {
    let identity = in_memory();
    let token = identity.sign(&subject(&["api-key", "db"]), &task(), NOW);
    let claims = verified(token.expose(), &identity.published(NOW)).unwrap();
    for (name, expected) in [
        ("iss", "http://127.0.0.1:7400"),
        ("aud", "windlass"),
        ("windlass_namespace", "acme"),
        ("windlass_workflow", "order"),
        ("windlass_version", "1.2.0"),
        ("windlass_instance", "00000000-0000-0000-0000-000000000007"),
        ("windlass_task", "/do/0/pay"),
        ("windlass_attempt", "2"),
        ("windlass_environment", "test"),
        ("windlass_secret_0", "api-key"),
        ("windlass_secret_1", "db"),
        ("windlass_secret_2", "-"),
        ("windlass_secret_15", "-"),
        ("windlass_slots", "4"),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert_eq!(claims["windlass_secrets"], serde_json::json!(["api-key", "db"]));
    // A store whose clock is half a minute behind takes it, and none takes it for long.
    for (name, at) in [("iat", 1_699_999_970), ("nbf", 1_699_999_970), ("exp", 1_700_000_060)] {
        assert_eq!(claims[name], serde_json::json!(at), "{name}");
    }
    assert!(claims["windlass_secret_16"].is_null());
    assert!(claims["sub"].as_str().unwrap().starts_with("acme:order:1.2.0:test:"), "{claims}");
    let forged = token.expose().replacen('.', ".e", 1);
    assert!(verified(&forged, &identity.published(NOW)).is_none());
    assert!(!format!("{token:?} {identity:?}").contains("ey"));
}

#[test]
fn a_name_that_a_store_cannot_fill_in_is_claimed_and_has_no_slot() {
    let identity = in_memory();
    let names = ["*", "-", "a/b", "good", "team+db", "z"];
    let token = identity.sign(&subject(&names), &task(), NOW);
    let claims = verified(token.expose(), &identity.published(NOW)).unwrap();
    assert_eq!(claims["windlass_secrets"], serde_json::json!(names));
    let slot = |number: usize| &claims[format!("windlass_secret_{number}")];
    assert_eq!([slot(0), slot(1), slot(2), slot(15)], ["good", "z", "-", "-"]);
}

#[test]
fn the_subject_depends_on_what_rights_depend_on_and_on_nothing_else() {
    let identity = in_memory();
    let of = |secrets: &[&str], delivery| {
        let token = identity.sign(&subject(secrets), &Task { delivery, ..task() }, NOW);
        let claims = verified(token.expose(), &identity.published(NOW)).unwrap();
        (claims["sub"].clone(), claims["jti"].clone())
    };
    assert_eq!(of(&["a"], 1).0, of(&["a"], 2).0);
    assert_ne!(of(&["a"], 1).1, of(&["a"], 1).1);
    assert_ne!(of(&["a"], 1).0, of(&["b"], 1).0);
    assert_ne!(of(&["a", "b"], 1).0, of(&["a,b"], 1).0);
}

#[test]
fn the_next_key_is_known_before_it_signs_and_the_last_one_after() {
    let identity = in_memory();
    let first = identity.sign(&subject(&[]), &task(), NOW);
    let published = identity.published(NOW);
    assert!(!identity.rotate(NOW.plus(DAY - 1)).unwrap());
    let later = NOW.plus(DAY);
    assert!(identity.rotate(later).unwrap());
    let second = identity.sign(&subject(&[]), &task(), later);
    assert!(verified(second.expose(), &published).is_some(), "it was published ahead");
    assert!(verified(first.expose(), &identity.published(later)).is_some());
    let over = later.plus(limits::IDENTITY_PUBLISHED_MS);
    assert!(verified(first.expose(), &identity.published(over)).is_none());
    assert_eq!(identity.published(over)["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn keys_outlive_the_process_and_only_their_owner_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.json");
    let open =
        |now| IdentityIssuer::open(Some(path.clone()), IdentityOptions::default(), now).unwrap();
    let token = open(NOW).sign(&subject(&["a"]), &task(), NOW);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(verified(token.expose(), &open(NOW).published(NOW)).is_some());
    // A long time off: the key that was published ahead signs, the old one is still there.
    let ahead = open(NOW).published(NOW);
    let later = NOW.plus(30 * DAY);
    let identity = open(later);
    assert!(verified(token.expose(), &identity.published(later)).is_some());
    let token = identity.sign(&subject(&["a"]), &task(), later);
    assert!(verified(token.expose(), &ahead).is_some());
    // A clock that was wrong is no reason to sign with one key for ever.
    assert_ne!(open(NOW).published(NOW), identity.published(NOW));
}

#[test]
fn a_file_of_something_else_is_left_alone_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.json");
    let good = IdentityIssuer::open(Some(path.clone()), IdentityOptions::default(), NOW);
    drop(good);
    let text = std::fs::read_to_string(&path).unwrap();
    for bad in ["", "{}", "\"hunter2\"", &text.replace("\"format\":1", "\"format\":2")] {
        std::fs::write(&path, bad).unwrap();
        let error = IdentityIssuer::open(Some(path.clone()), IdentityOptions::default(), NOW);
        let Err(error @ IdentityError::Content { .. }) = error else { panic!("{bad}") };
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), bad);
    }
    let nowhere = folder.path().join("no/identity.json");
    let error = IdentityIssuer::open(Some(nowhere), IdentityOptions::default(), NOW).err();
    assert!(matches!(error, Some(IdentityError::File { .. })));
}

/// Signing is on the way of every task with secrets.
#[test]
fn a_token_takes_little_time() {
    let (identity, subject) = (in_memory(), subject(&["api-key", "db"]));
    let began = Instant::now();
    for _ in 0..200 {
        std::hint::black_box(identity.sign(&subject, &task(), NOW));
    }
    let each = began.elapsed() / 200;
    println!("{each:?} for each token");
    assert!(each < Duration::from_millis(5), "{each:?}");
}
