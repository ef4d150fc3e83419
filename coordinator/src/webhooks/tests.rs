use std::path::Path;

use windlass_proto::time::Timestamp;

use super::{Endpoint, Headers, Webhook, WebhookError, Webhooks};

struct Of<'a>(&'a [(&'a str, &'a str)]);

impl Headers for Of<'_> {
    fn once(&self, name: &str) -> &str {
        self.0.iter().find(|(it, _)| *it == name).map_or("", |it| it.1)
    }
}

const BODY: &[u8] = b"{\"action\": \"opened\", \"number\": 7}";
/// HMAC-SHA256 of it with the secret of the tests, as OpenSSL gives it.
const SIGNATURE: &str = "sha256=de2831c73e224eecb8e5b5a37ca27710d3eacefa9ce798e105e47aae482004b9";

fn webhook() -> Webhook {
    Webhook {
        namespace: "shop".to_owned(),
        name: "github".to_owned(),
        preset: "github".to_owned(),
        secret_file: "github".to_owned(),
        r#type: "com.github".to_owned(),
        source: "/github".to_owned(),
        subject: None,
        map: Some("{n: .number}".to_owned()),
        header: None,
        created_at: Timestamp(1),
    }
}

fn secrets(folder: &Path, text: &str) {
    std::fs::create_dir_all(folder.join("secrets/shop")).unwrap();
    std::fs::write(folder.join("secrets/shop/github"), text).unwrap();
}

fn open(folder: &Path) -> Webhooks {
    Webhooks::open(Some(folder), Some(folder.join("secrets"))).unwrap()
}

#[test]
fn a_delivery_becomes_an_event_and_endpoints_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    secrets(folder.path(), "another secret of old\nwebhook-test-secret\n");
    open(folder.path()).put(Endpoint::new(webhook()).unwrap()).unwrap();
    let backed_up = crate::backup::kept_names(folder.path()).unwrap();
    assert!(backed_up.iter().any(|it| it == "webhooks.json"), "{backed_up:?}");
    let webhooks = open(folder.path());
    let headers = [
        ("x-hub-signature-256", SIGNATURE),
        ("x-github-event", "issues"),
        ("x-github-delivery", "d-1"),
    ];
    let place = ("shop", "github");
    let event = webhooks.take(place, &Of(&headers), BODY, Timestamp(5)).unwrap();
    let expected = [("type", "com.github"), ("source", "/github"), ("subject", "issues")];
    for (name, value) in expected.into_iter().chain([("deliveryid", "d-1")]) {
        assert_eq!(event.envelope().get(name).and_then(|it| it.as_str()), Some(value));
    }
    assert_eq!(event.data().to_json(), r#"{"n":7}"#);
    let again = [("x-github-delivery", "d-2")];
    let again: Vec<_> = headers[..2].iter().chain(&again).copied().collect();
    let repeat = webhooks.take(place, &Of(&again), BODY, Timestamp(9)).unwrap();
    assert_eq!(repeat.id(), event.id(), "a copy is the same event, whatever is not signed");

    let refused = webhooks.take(place, &Of(&headers), b"{}", Timestamp(5)).unwrap_err();
    assert!(matches!(refused, WebhookError::Refused), "{refused}");
    assert!(webhooks.may_come(place, &Of(&headers)).is_ok());
    assert!(webhooks.may_come(place, &Of(&headers[1..])).is_err(), "nothing is read of it");
    webhooks.remove("shop", "github").unwrap();
    for webhooks in [webhooks, open(folder.path())] {
        let gone = webhooks.take(place, &Of(&headers), BODY, Timestamp(5)).unwrap_err();
        assert!(matches!(gone, WebhookError::Refused), "{gone}");
        assert!(webhooks.may_come(place, &Of(&headers)).is_err());
    }
}

#[test]
fn secrets_are_those_of_its_namespace_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let put = |webhooks: &Webhooks| webhooks.put(Endpoint::new(webhook()).unwrap()).map(drop);
    assert!(matches!(put(&open(folder.path())), Err(WebhookError::Secret { .. })), "no file");
    for text in ["", "\n \n", "tooshort\n"] {
        secrets(folder.path(), text);
        let refused = put(&open(folder.path())).unwrap_err();
        assert!(!refused.to_string().contains("tooshort"), "{refused}");
    }
    let none = Webhooks::open(Some(folder.path()), None).unwrap();
    assert!(matches!(put(&none), Err(WebhookError::NoSecrets)));
}

#[test]
fn no_namespace_has_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    secrets(folder.path(), "webhook-test-secret\n");
    let webhooks = Webhooks::open(None, Some(folder.path().join("secrets"))).unwrap();
    let put = |namespace: &str, number: usize| {
        let (namespace, name) = (namespace.to_owned(), format!("n{number}"));
        webhooks.put(Endpoint::new(Webhook { namespace, name, ..webhook() }).unwrap()).map(drop)
    };
    for number in 0..windlass_proto::limits::WEBHOOKS_OF_NAMESPACE {
        put("shop", number).unwrap();
    }
    assert!(matches!(put("shop", 999), Err(WebhookError::TooMany)));
    put("shop", 0).unwrap();
    std::fs::create_dir_all(folder.path().join("secrets/other")).unwrap();
    std::fs::write(folder.path().join("secrets/other/github"), "webhook-test-secret").unwrap();
    put("other", 0).unwrap();
}

#[test]
fn what_is_no_endpoint_is_refused() {
    let wrong: [fn(&mut Webhook); 9] = [
        |it| it.preset = "gitlab".to_owned(),
        |it| it.namespace = "..".to_owned(),
        |it| it.name = "a/b".to_owned(),
        |it| it.secret_file = "../../etc/passwd".to_owned(),
        |it| it.secret_file = String::new(),
        |it| it.r#type = String::new(),
        |it| it.map = Some("{".to_owned()),
        |it| it.subject = Some("$secrets.a".to_owned()),
        |it| it.header = Some("x-signature".to_owned()),
    ];
    for change in wrong {
        let mut webhook = webhook();
        change(&mut webhook);
        assert!(Endpoint::new(webhook.clone()).is_err(), "{webhook:?}");
    }
}
