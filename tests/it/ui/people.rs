//! Who sees which pages, and who may do what on them.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Browser, WAITS};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

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
    let (event, again) = (format!("{path}/events"), "/ui/definitions/odd/waits/start");
    assert_eq!(page.orders(), [suspend.as_str(), cancel.as_str(), event.as_str(), again]);
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
const SEEN: [(&str, &[&str]); 14] = [
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
    ("/ui/approvals", &["approver"]),
    ("/ui/definitions/odd/waits/diff?from=1.0.0", AUTHORS),
    // Of the whole server, and not of a namespace.
    ("/ui/secrets", &[]),
    ("/ui/who", EVERYBODY),
];
const READERS: &[&str] = &["viewer", "starter", "operator", "author", "process-author"];
const AUTHORS: &[&str] = &["viewer", "operator", "author", "process-author"];
const EVERYBODY: &[&str] = &[
    "viewer",
    "starter",
    "operator",
    "author",
    "process-author",
    "auditor",
    "secret-officer",
    "publisher",
    "worker-admin",
    "worker",
    "approver",
];
const OTHERS: [&str; 6] =
    ["approver", "auditor", "secret-officer", "publisher", "worker-admin", "worker"];

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

/// What only some may decide is shown to those who may see it, and decided by nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_decided_by_whom_it_is_for() {
    let (dev, root, _folder) = asking().await;
    let asks = "
document: { dsl: '1.0.3', namespace: odd, name: asks, version: '1.0.0' }
do:
- sign: { call: windlass.approval, with: { title: 'Pay?', assignees: { users: ['token:other'] } } }
- again: { call: windlass.approval, with: { title: 'Sure?' } }
";
    root.deploy(asks).await;
    let id = root.start(&json!({"namespace": "odd", "name": "asks"}), &json!({})).await;
    let view = root.reaches(&id, "waiting").await;
    let path = |view: &Value| {
        let open = view["open"][0]["approval"].as_str().unwrap();
        let (instance, number) = open.split_once('.').unwrap();
        format!("/ui/instances/{instance}/approvals/{number}")
    };
    let first = path(&view);
    let approver = Browser::signed_in(&dev.api, &token(&root, "approver", "odd").await).await;
    let stranger = Browser::signed_in(&dev.api, &token(&root, "approver", "else").await).await;
    let viewer = Browser::signed_in(&dev.api, &token(&root, "viewer", "odd").await).await;
    // It is another's: they see it, and no forms.
    let page = approver.page(&first).await;
    assert!(page.words.contains("It is for others") && page.orders().is_empty(), "{}", page.words);
    assert!(approver.page("/ui/approvals").await.words.contains("Pay?"));
    assert!(!approver.page("/ui/approvals?mine=true").await.words.contains("Pay?"));
    assert!(!stranger.page("/ui/approvals").await.words.contains("Pay?"));
    assert_eq!(stranger.at(&first).await.status, StatusCode::NOT_FOUND);
    assert_eq!(viewer.at(&first).await.status, StatusCode::FORBIDDEN);
    let seen = viewer.page(&format!("/ui/instances/{id}")).await;
    assert!(!seen.all("a").any(|it| it["href"].contains("/approvals/")), "no way there");
    let grants = json!([{"role": "approver", "namespaces": ["odd"]}]);
    let other = Browser::signed_in(&dev.api, &token_of(&root, "other", &grants).await).await;
    let form = other.page(&first).await.token();
    let approve = format!("{first}/approve");
    for (who, form) in [(&approver, "a.b"), (&approver, &*form)] {
        let refused = who.post(&approve, &[("form", form)]).await;
        assert!(refused.words.contains("WL0640"), "{}", refused.words);
    }
    let decided = other.post(&approve, &[("form", &form), ("reason", "as agreed")]).await;
    assert_eq!(decided.header("location"), "/ui/approvals", "they may not read the instance");
    // The next one is for whoever may decide.
    let second = until(SOON, "the next question", || async {
        let view = root.show(&id).await;
        view["open"][0]["approval"].is_string().then(|| path(&view)).filter(|it| *it != first)
    })
    .await;
    let form = approver.page(&second).await.token();
    let reject = format!("{second}/reject");
    approver.post(&reject, &[("form", &form), ("reason", "no")]).await;
    assert_eq!(root.ends(&id).await["output"]["approved"], false);
}

/// Where orders of pages go, and the roles in a namespace that may give them.
#[tokio::test(flavor = "multi_thread")]
async fn orders_of_pages_are_for_whom_those_of_the_api_are() {
    let (dev, root, _folder) = asking().await;
    for text in [WAITS, super::TICK] {
        root.deploy(text).await;
    }
    let id = root.start(&json!({"namespace": "odd", "name": "waits"}), &json!({})).await;
    root.reaches(&id, "waiting").await;
    let operate = format!("/ui/instances/{id}");
    let orders = [
        (format!("{operate}/skip"), "operator"),
        (format!("{operate}/reset"), "operator"),
        (format!("{operate}/events"), "operator"),
        ("/ui/bulk".to_owned(), "operator"),
        ("/ui/schedules/odd/tick/pause".to_owned(), "operator"),
        ("/ui/schedules/odd/tick/resume".to_owned(), "operator"),
        ("/ui/schedules/odd/tick/trigger".to_owned(), "operator"),
        ("/ui/schedules/odd/tick/backfill".to_owned(), "operator"),
        ("/ui/definitions".to_owned(), "author"),
        ("/ui/definitions/odd/waits/retire".to_owned(), "author"),
        ("/ui/definitions/odd/waits/restore".to_owned(), "author"),
        ("/ui/events".to_owned(), "publisher"),
    ];
    let viewer = Browser::signed_in(&dev.api, &token(&root, "viewer", "odd").await).await;
    for path in [
        "/ui/definitions",
        "/ui/definitions/odd/waits",
        "/ui/schedules/odd/tick",
        "/ui/events/odd",
        "/ui/instances?filter=name%3Dwaits",
        &operate,
    ] {
        let page = viewer.page(path).await;
        assert!(page.orders().is_empty(), "{path}: {:?}", page.orders());
    }
    for (path, role) in orders {
        let refused = viewer.post(&path, &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}: {}", refused.words);
        assert!(refused.words.contains("WL0545"), "by their role: {path}: {}", refused.words);
        let name = format!("{role}-{}", path.len() + path.rfind('/').unwrap() * 100);
        let grants = json!([{"role": role, "namespaces": ["odd"]}]);
        let may = Browser::signed_in(&dev.api, &token_of(&root, &name, &grants).await).await;
        // Without the token of a page, nothing is done for them either.
        let stale = may.post(&path, &[]).await;
        assert!(stale.words.contains("WL0640"), "{path} as {role}: {}", stale.words);
    }
    assert_eq!(root.show(&id).await["status"], "waiting", "nothing was done");
}
