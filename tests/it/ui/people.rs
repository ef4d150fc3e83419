//! Who sees which pages, and who may do what on them.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Browser, WAITS};
use crate::support::client::Api;
use crate::support::dev::Dev;

/// A server that asks everybody who they are; gives its administrator as well.
async fn asking() -> (Dev, Api, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let admin = windlass_coordinator::access::generate().unwrap().expose().clone();
    let hash = windlass_coordinator::access::sha256(&admin);
    let path = folder.path().join("auth.toml");
    let rules = format!(
        "[[token]]\nname = \"root\"\nsha256 = \"{hash}\"\n\
         grants = [{{ role = \"admin\", namespaces = [\"*\"] }}]\n"
    );
    std::fs::write(&path, rules).unwrap();
    let dev = Dev::with(&["--auth".to_owned(), path.display().to_string()]).await;
    let root = dev.api.bearing(&admin);
    (dev, root, folder)
}

async fn token(root: &Api, role: &str, namespace: &str) -> String {
    let grants = json!([{"role": role, "namespaces": [namespace]}]);
    token_of(root, &format!("{role}-{namespace}"), &grants).await
}

async fn token_of(root: &Api, name: &str, grants: &Value) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let then = u64::try_from(now.as_millis()).unwrap() + 3_600_000;
    let ends = windlass_proto::time::Timestamp(then).to_rfc3339();
    let body = json!({"name": name, "grants": grants, "expiresAt": ends});
    root.post("/v1/tokens", &body).await.ok()["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_has_no_forms_and_is_refused() {
    let (dev, root, _folder) = asking().await;
    root.deploy(WAITS).await;
    let id = root.start(&json!({"namespace": "odd", "name": "waits"}), &json!({})).await;
    root.reaches(&id, "waiting").await;
    let path = format!("/ui/instances/{id}");
    // Nobody is led to the page to sign in at, and back from there.
    let nobody = Browser::of(&dev.api).at("/ui/instances?status=faulted").await;
    let to = "/ui/sign-in?to=%2Fui%2Finstances%3Fstatus%3Dfaulted";
    assert_eq!((nobody.status, nobody.header("location")), (StatusCode::SEE_OTHER, to));
    let page = Browser::of(&dev.api).page(to).await;
    assert!(page.all("input").any(|it| it["name"] == "to" && it["value"].contains("faulted")));
    let wrong = Browser::of(&dev.api).post("/ui/sign-in", &[("token", "nonsense")]).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{}", wrong.words);
    assert!(wrong.header("set-cookie").is_empty());

    let viewer = Browser::signed_in(&dev.api, &token(&root, "viewer", "odd").await).await;
    let operator_token = token(&root, "operator", "odd").await;
    let operator = Browser::signed_in(&dev.api, &operator_token).await;
    let stranger = Browser::signed_in(&dev.api, &token(&root, "operator", "other").await).await;
    let seen = viewer.page(&path).await;
    assert!(seen.orders().is_empty(), "{:?}", seen.orders());
    assert!(viewer.page("/ui/definitions/odd/waits").await.orders().is_empty());
    assert!(!seen.all("a").any(|it| it["href"].starts_with("/ui/audit")));
    let page = operator.page(&path).await;
    let (suspend, cancel) = (format!("{path}/suspend"), format!("{path}/cancel"));
    assert_eq!(page.orders(), [suspend.as_str(), cancel.as_str()]);
    let form = page.token();

    // Who may only read is refused, whatever they send; strangers see nothing of it.
    let grants = json!([{"role": "viewer", "namespaces": ["odd"]},
        {"role": "operator", "namespaces": ["else"]}]);
    root.deploy(&WAITS.replace("namespace: odd", "namespace: else")).await;
    let there = root.start(&json!({"namespace": "else", "name": "waits"}), &json!({})).await;
    let both = Browser::signed_in(&dev.api, &token_of(&root, "both", &grants).await).await;
    let own = both.page(&format!("/ui/instances/{there}")).await.token();
    for (browser, form) in [(&viewer, &form), (&both, &own)] {
        let refused = browser.post(&cancel, &[("form", form), ("reason", "")]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.words);
        assert!(refused.words.contains("WL0545"), "by their role: {}", refused.words);
        refused.is_whole(&cancel);
    }
    for path in [&path, &format!("{path}/history"), &format!("{path}/watch")] {
        assert_eq!(stranger.at(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(stranger.post(&cancel, &[("form", &form)]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(stranger.at("/ui/definitions/odd/waits").await.status, StatusCode::NOT_FOUND);
    assert_eq!(stranger.at("/ui/events/odd").await.status, StatusCode::FORBIDDEN);
    assert!(!stranger.page("/ui/instances").await.words.contains("waits"));
    assert!(!stranger.page("/ui/events").await.words.contains("odd"));
    assert_eq!(viewer.at("/ui/audit").await.status, StatusCode::FORBIDDEN);
    assert_eq!(viewer.at("/ui/workers").await.status, StatusCode::FORBIDDEN);

    // A form has to be one of a page that was made for whoever sends it.
    let other = Browser::signed_in(&dev.api, &token(&root, "operator", "*").await).await;
    let of_other = other.page(&path).await.token();
    for form in [&[][..], &[("form", "")], &[("form", "a.b")], &[("form", &of_other)]] {
        let refused = operator.post(&suspend, form).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{form:?}: {}", refused.words);
        assert!(refused.words.contains("WL0640"), "{}", refused.words);
    }
    let body = json!({"reason": "by JSON"});
    let request = operator.http.post(format!("{}{suspend}", operator.base)).json(&body);
    assert_eq!(operator.send(request).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let request = operator.http.post(format!("{}{suspend}", operator.base));
    let request = request.header("origin", "https://evil.example").form(&[("form", &form)]);
    let refused = operator.send(request).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.words.contains("WL0517"), "as it is another's page: {}", refused.words);
    // The API takes no cookie.
    let api = operator.at(&format!("/v1/instances/{id}")).await;
    assert_eq!(api.status, StatusCode::UNAUTHORIZED, "{}", api.text);
    assert_eq!(root.show(&id).await["status"], "waiting", "nothing was done so far");

    // Signing out takes the cookie back.
    let out = operator.post("/ui/sign-out", &[]).await;
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{:?}", out.headers);
}

/// Pages, and the roles in a namespace that see them, `admin` aside.
const SEEN: [(&str, &[&str]); 10] = [
    ("/ui/instances", READERS),
    ("/ui/instances/ID", READERS),
    ("/ui/instances/ID/history", READERS),
    ("/ui/events", READERS),
    ("/ui/events/odd", READERS),
    ("/ui/definitions", AUTHORS),
    ("/ui/definitions/odd/waits", AUTHORS),
    ("/ui/schedules", AUTHORS),
    ("/ui/bulk", &["operator"]),
    ("/ui/audit", &["auditor", "secret-officer"]),
];
const READERS: &[&str] = &["viewer", "starter", "operator", "author", "process-author"];
const AUTHORS: &[&str] = &["viewer", "operator", "author", "process-author"];
const OTHERS: [&str; 5] = ["auditor", "secret-officer", "publisher", "worker-admin", "worker"];

#[tokio::test(flavor = "multi_thread")]
async fn each_role_sees_its_pages_and_gets_out_again() {
    let (dev, root, _folder) = asking().await;
    root.deploy(WAITS).await;
    let id = root.start(&json!({"namespace": "odd", "name": "waits"}), &json!({})).await;
    root.reaches(&id, "waiting").await;
    let path = format!("/ui/instances/{id}");
    for role in READERS.iter().chain(&OTHERS) {
        let browser = Browser::signed_in(&dev.api, &token(&root, role, "odd").await).await;
        for (path, roles) in SEEN {
            let path = path.replace("ID", &id);
            let page = browser.at(&path).await;
            let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
            let is_right = match roles.contains(role) {
                true => page.status == StatusCode::OK,
                false => refused.contains(&page.status),
            };
            assert!(is_right, "{path} as {role}: {} {}", page.status, page.words);
            page.is_whole(&path);
            let out = page.all("form").any(|it| it["action"] == "/ui/sign-out");
            assert!(out, "{path} as {role}: no way to sign out");
        }
        // Home is a page that they may see, or says that there is none.
        let home = browser.at("/ui").await;
        match home.status {
            StatusCode::SEE_OTHER => drop(browser.page(home.header("location")).await),
            _ => assert!(home.words.contains("No pages"), "{role}: {}", home.words),
        }
        if !READERS.contains(role) {
            continue;
        }
        // Who may start, but not read definitions, is shown none with an instance.
        let shown = AUTHORS.contains(role);
        let page = browser.page(&path).await;
        let graph =
            page.elements.iter().any(|(_, it)| it.get("id").is_some_and(|it| it == "graph"));
        assert_eq!(graph, shown, "{role}");
        assert_eq!(page.words.contains("alert(1)"), shown, "{role}: what it listens for");
        let linked = page.all("a").any(|it| it["href"].starts_with("/ui/definitions/odd"));
        assert_eq!(linked, shown, "{role}");
    }
}
