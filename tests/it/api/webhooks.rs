//! Services tell what happened by plain JSON, signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::definition;
use crate::support::client::{Answer, Api};
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::leak::Needles;
use crate::support::paths;

const SECRET: &str = "wh-canary-Q8vX2kT7pLw9sRd";

/// HMAC-SHA256 in hexadecimal, by other code than the server's.
fn hex(key: &str, parts: &[&str]) -> String {
    let key = EncodingKey::from_secret(key.as_bytes());
    let mac = jsonwebtoken::crypto::sign(parts.concat().as_bytes(), &key, Algorithm::HS256);
    let mac = URL_SAFE_NO_PAD.decode(mac.unwrap()).unwrap();
    mac.iter().map(|it| format!("{it:02x}")).collect()
}

/// A server with the secrets of two webhooks in the namespace `api`.
async fn served() -> (tempfile::TempDir, Dev) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("api")).unwrap();
    for name in ["github", "stripe"] {
        std::fs::write(folder.path().join("api").join(name), format!("{SECRET}\n")).unwrap();
    }
    let flags = ["--webhook-secrets".to_owned(), folder.path().display().to_string()];
    let dev = Dev::with(&flags).await;
    (folder, dev)
}

async fn create(dev: &Dev, name: &str, more: &[&str]) -> Value {
    let (place, url) = (format!("api/{name}"), dev.api.base());
    let words = ["webhook", "create", &place, "--url", &url, "--secret-file", name];
    windlass(&[&words[..], more].concat()).await.exits(0).json()
}

async fn deliver(api: &Api, name: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let request = api.request(reqwest::Method::POST, &format!("/v1/hooks/api/{name}"));
    let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
    let request = request.header("content-type", "application/json").body(body.to_owned());
    // A delivery that is refused unread ends its connection, which the next one could still take.
    let request = request.header("connection", "close");
    Api::send(request).await.unwrap()
}

/// Hears of pushes, from GitHub alone.
fn pushes() -> String {
    definition(
        "pushes",
        "  - hear:
      listen:
        to: { one: { with: { type: com.github, subject: push } } }
        read: envelope",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_delivery_is_an_event_once_and_any_other_is_none() {
    let (_folder, mut dev) = served().await;
    let workflow = dev.api.deploy(&pushes()).await;
    let map = ["--preset", "github", "--type", "com.github", "--map", "{ref: .ref}"];
    let made = create(&dev, "github", &map).await;
    assert_eq!(made["path"], "/v1/hooks/api/github");
    let body = r#"{"ref": "refs/heads/main", "pusher": {"name": "ada"}}"#;
    let signature = format!("sha256={}", hex(SECRET, &[body]));
    let signed = |event, delivery| {
        [
            ("x-hub-signature-256", signature.clone()),
            ("x-github-event", event),
            ("x-github-delivery", delivery),
        ]
    };
    let first = signed("push".to_owned(), "d-1".to_owned());
    let first: Vec<_> = first.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let id = dev.api.start(&workflow, &json!({})).await;
    dev.api.reaches(&id, "waiting").await;
    for wrong in [
        vec![],
        vec![("x-hub-signature-256", "sha256=00")],
        vec![first[0], first[0], first[1]],
        vec![("authorization", "Bearer nonsense")],
    ] {
        let refused = deliver(&dev.api, "github", &wrong, body).await.problem(401);
        assert_eq!(refused["code"], "WL0562", "{wrong:?}");
    }
    let other = body.replace("main", "evil");
    assert_eq!(deliver(&dev.api, "github", &first, &other).await.problem(401)["code"], "WL0562");
    assert_eq!(dev.api.show(&id).await["status"], "waiting");

    assert_eq!(deliver(&dev.api, "github", &first, body).await.status, 202);
    let heard = dev.api.ends(&id).await["output"][0].clone();
    assert_eq!(heard["data"], json!({"ref": "refs/heads/main"}), "{heard}");
    assert_eq!(
        (&heard["source"], &heard["deliveryid"]),
        (&json!("/webhooks/api/github"), &json!("d-1"))
    );
    dev.restart().await;
    let next = dev.api.start(&workflow, &json!({})).await;
    dev.api.reaches(&next, "waiting").await;
    let other = body.replace("main", "next");
    let signature = format!("sha256={}", hex(SECRET, &[&other]));
    let headers = [("x-hub-signature-256", signature.as_str()), ("x-github-event", "push")];
    assert_eq!(deliver(&dev.api, "github", &headers, &other).await.status, 202);
    assert_eq!(dev.api.ends(&next).await["output"][0]["data"], json!({"ref": "refs/heads/next"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_deliveries_and_what_makes_no_event_are_refused() {
    let (folder, dev) = served().await;
    let map = ["--preset", "stripe", "--type", "com.stripe", "--map", ".data.object | .id"];
    create(&dev, "stripe", &map).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let signed = |time: u64, body: &str, secret: &str| {
        format!("t={time},v1={}", hex(secret, &[&time.to_string(), ".", body]))
    };
    let body = r#"{"type": "charge.succeeded", "data": {"object": {"id": "ch_1"}}}"#;
    let send = async |header: String, body: &str| {
        deliver(&dev.api, "stripe", &[("stripe-signature", &header)], body).await
    };
    assert_eq!(send(signed(now, body, SECRET), body).await.status, 202);
    let old = send(signed(now - 400, body, SECRET), body).await.problem(401);
    assert_eq!(old["code"], "WL0562", "{old}");
    for odd in ["not json", r#"{"data": {"object": 7}}"#] {
        let refused = send(signed(now, odd, SECRET), odd).await.problem(422);
        assert_eq!(refused["code"], "WL0565", "{odd}: {refused}");
    }
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    assert_eq!(send(signed(now, &large, SECRET), &large).await.status, 413);
    // The service gets a new secret: both count meanwhile, and there is no restart.
    let file = folder.path().join("api/stripe");
    std::fs::write(&file, format!("{SECRET}\nthe-new-secret-of-it\n")).unwrap();
    let new = "the-new-secret-of-it";
    assert_eq!(send(signed(now, body, new), body).await.status, 202);
    std::fs::write(&file, format!("{new}\n")).unwrap();
    assert_eq!(send(signed(now, body, SECRET), body).await.problem(401)["code"], "WL0562");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(send(signed(now, body, new), body).await.problem(401), old, "no secret");
    let unknown = deliver(&dev.api, "none", &[], body).await.problem(401);
    assert_eq!(unknown, old, "strangers learn nothing of what there is");
    assert_eq!(deliver(&dev.api, "stripe", &[], body).await.problem(401), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_made_shown_changed_and_deleted_and_its_secret_is_nowhere() {
    let (_folder, mut dev) = served().await;
    create(&dev, "github", &["--preset", "github", "--type", "com.github"]).await;
    for (order, code) in [
        (json!({"preset": "gitlab", "secretFile": "github", "type": "a"}), 400),
        (json!({"preset": "hmac", "secretFile": "../api/github", "type": "a"}), 400),
        (json!({"preset": "hmac", "secretFile": "none", "type": "a"}), 503),
        (json!({"preset": "hmac", "secretFile": "github", "type": "a", "map": "{"}), 400),
    ] {
        let request = dev.api.request(reqwest::Method::PUT, "/v1/webhooks/api/other").json(&order);
        Api::send(request).await.unwrap().problem(code);
    }
    dev.restart().await;
    let all = dev.api.get("/v1/webhooks/api").await.ok();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    let shown = dev.api.get("/v1/webhooks/api/github").await.ok();
    assert_eq!(shown, all["items"][0]);
    assert_eq!(dev.api.get("/v1/webhooks/other/github").await.problem(404)["code"], "WL0561");
    let body = r#"{"zen": "Keep it logically awesome."}"#;
    let signature = format!("sha256={}", hex(SECRET, &[body]));
    let sent = [("x-hub-signature-256", signature.as_str()), ("x-github-event", "ping")];
    assert_eq!(deliver(&dev.api, "github", &sent, body).await.status, 202);
    deliver(&dev.api, "github", &[("x-hub-signature-256", "sha256=00")], body).await.problem(401);
    let trail = dev.api.get("/v1/audit?limit=1000").await.ok().to_string();
    assert!(trail.contains("webhook.changed"), "{trail}");

    let needles = Needles::of([("webhook", &json!(SECRET))]);
    let metrics = dev.api.get("/metrics").await.ok().to_string();
    for (place, text) in [
        ("the list", all.to_string()),
        ("the audit trail", trail),
        ("metrics", metrics),
        ("the log", dev.stderr()),
    ] {
        needles.absent_from(place, text.as_bytes());
    }
    for file in paths::files(dev.data()) {
        needles.absent_from(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
    let words = ["webhook", "delete", "api/github", "--url", &dev.api.base()].map(str::to_owned);
    windlass(&words).await.exits(0);
    deliver(&dev.api, "github", &sent, body).await.problem(401);
}
