//! Tokens of the server's own.

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::json;

use super::{Asking, greet, waits, wanted};
use crate::support::client::Api;
use crate::support::command::{finish, spawn, windlass_under};
use crate::support::until::{SOON, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_listed_used_and_revoked() {
    let asking = Asking::start("").await;
    asking.root.deploy(&greet("shop")).await;
    let url = asking.dev.api.base();
    let as_root = [("WINDLASS_URL", &url), ("WINDLASS_TOKEN", &asking.admin)];
    let flags = ["--role", "starter", "--namespace", "shop", "--expires", "1h", "--name", "ci"];
    let made = windlass_under(&as_root, &[&["token", "create"], &flags[..]].concat()).await;
    let made = made.exits(0);
    let token = made.stdout.trim().to_owned();
    assert!(token.starts_with("wlt_") && !made.stderr.contains(&token), "{made:?}");

    let file = asking.folder.path().join("ci.token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let file = file.display().to_string();
    let as_ci = [("WINDLASS_URL", &url), ("WINDLASS_TOKEN_FILE", &file)];
    windlass_under(&as_ci, &["start", "shop/greet", "--wait", "30s"]).await.exits(0);
    windlass_under(&as_ci, &["auth", "can-i", "start", "shop/greet"]).await.exits(0);
    let no = windlass_under(&as_ci, &["auth", "can-i", "instance.operate", "shop/greet"]).await;
    assert_eq!(no.code, Some(1), "{no:?}");
    let denied = windlass_under(&as_ci, &["token", "list"]).await.exits(1);
    assert!(denied.stderr.contains("WL0545") && denied.stderr.contains("token.manage"));

    let list = windlass_under(&as_root, &["token", "list"]).await.exits(0);
    let listed = list.json()["items"][0].clone();
    assert_eq!(listed["name"], "ci");
    assert_eq!(listed["createdBy"], "token:root");
    assert!(listed["lastUsedAt"].is_string(), "{listed}");
    assert!(!list.stdout.contains(&token), "a list told the token");

    let id = listed["id"].as_str().unwrap();
    windlass_under(&as_root, &["token", "revoke", id]).await.exits(0);
    let ended = windlass_under(&as_ci, &["list"]).await.exits(1);
    assert!(ended.stderr.contains("WL0544"), "{ended:?}");
    assert!(!asking.dev.stderr().contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_outlive_the_process_as_hashes() {
    let mut asking = Asking::start("").await;
    asking.root.deploy(&greet("shop")).await;
    let token = asking.token("viewer", "shop").await;
    let data = asking.dev.data().to_owned();
    asking.dev.restart().await;
    let ada = asking.dev.api.bearing(&token);
    let listed = ada.get("/v1/workflows").await.ok();
    assert_eq!(listed["items"][0]["namespace"], "shop");
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        let holds = bytes.windows(token.len()).any(|it| it == token.as_bytes());
        assert!(!holds, "{} has the token", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_token_that_may_more_than_they_do() {
    let own =
        "[roles.tokens]\npermissions = [\"token.manage\", \"instance.read\", \"instance.start\"]\n";
    let asking = Asking::start(own).await;
    let some = asking.with_role("tokens", "*").await;
    let grant = |role: &str| json!({"role": role, "namespaces": ["shop"]});
    some.post("/v1/tokens", &wanted("fine", &[grant("starter")])).await.ok();
    let refused = some.post("/v1/tokens", &wanted("more", &[grant("operator")])).await.problem(403);
    assert!(refused["detail"].as_str().unwrap().contains("workflow.read"), "{refused}");
    let twice = wanted("more", &[grant("starter"), grant("admin")]);
    some.post("/v1/tokens", &twice).await.problem(403);
    for (what, body) in [
        ("a role", wanted("a", &[grant("amdin")])),
        ("a name", wanted("", &[grant("starter")])),
        ("grants", wanted("a", &[])),
        ("patterns", wanted("a", &[json!({"role": "starter", "namespaces": []})])),
        ("an end", json!({"name": "a", "grants": [grant("starter")], "expiresAt": "tomorrow"})),
        ("a near end", {
            let then = "2099-01-01T00:00:00Z";
            json!({"name": "a", "grants": [grant("starter")], "expiresAt": then})
        }),
    ] {
        let answer = asking.root.post("/v1/tokens", &body).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_the_token_that_it_was_begun_with() {
    let asking = Asking::start("").await;
    let workflow = asking.root.deploy(&waits("shop")).await;
    let id = asking.root.start(&workflow, &json!({})).await;
    let token = asking.token("viewer", "shop").await;
    let ada = asking.dev.api.bearing(&token);
    let request = ada.request(Method::GET, &format!("/v1/instances/{id}/watch"));
    let watch = request.send().await.unwrap();
    assert_eq!(watch.status(), 200);
    let mut stream = watch.bytes_stream();
    assert!(stream.next().await.unwrap().is_ok(), "the history so far");
    let file = asking.folder.path().join("ada.token");
    std::fs::write(&file, &token).unwrap();
    let (url, file) = (asking.dev.api.base(), file.display().to_string());
    let arguments = ["watch", &id, "--url", &url, "--token-file", &file];
    let watching = spawn(asking.folder.path(), &arguments);
    until(SOON, "the first line of the command", async || {
        (!watching.stdout().text().is_empty()).then_some(())
    })
    .await;
    let tokens = asking.root.get("/v1/tokens").await.ok();
    let revoked = format!("/v1/tokens/{}", tokens["items"][0]["id"].as_str().unwrap());
    let delete = asking.root.request(Method::DELETE, &revoked);
    assert_eq!(Api::send(delete).await.unwrap().status, 204);
    let told = within(SOON, "the end of the command", finish(watching)).await.exits(1);
    assert!(told.stderr.contains("WL0544"), "{told:?}");
    within(SOON, "the end of the watch", async {
        while let Some(part) = stream.next().await {
            // Keep-alives may come before the end, which breaks nothing off.
            part.unwrap();
        }
    })
    .await;
    ada.get(&format!("/v1/instances/{id}")).await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_counts_as_soon_as_it_is_changed() {
    let asking = Asking::start("").await;
    asking.root.deploy(&greet("shop")).await;
    let token = windlass_coordinator::access::generate().unwrap().expose().clone();
    let ada = asking.dev.api.bearing(&token);
    ada.get("/v1/workflows").await.problem(401);
    let grant = |role: &str| {
        let hash = windlass_coordinator::access::sha256(&token);
        format!(
            "[[token]]\nname = \"ada\"\nsha256 = \"{hash}\"\n\
             grants = [{{ role = \"{role}\", namespaces = [\"shop\"] }}]\n"
        )
    };
    asking.rewrite(&grant("viewer"));
    let comes = async |status: u16| {
        until(SOON, "the changed file", async || {
            (ada.get("/v1/workflows").await.status == status).then_some(())
        })
        .await;
    };
    comes(200).await;
    // A mistake leaves the old one in force.
    asking.rewrite(&grant("viewre"));
    until(SOON, "a word on the mistake", async || {
        let said = asking.dev.stderr();
        (said.contains("access rules not reloaded") && said.contains("did you mean `viewer`"))
            .then_some(())
    })
    .await;
    comes(200).await;
    asking.rewrite(&grant("publisher"));
    comes(403).await;
    asking.rewrite("");
    comes(401).await;
    let trail = asking.root.get("/v1/audit?limit=1000").await.ok().to_string();
    assert!(trail.contains("access.changed"), "{trail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_told_with_who_did_it_before_it_happens() {
    let asking = Asking::start("").await;
    asking.root.deploy(&waits("shop")).await;
    let ops = asking.with_role("operator", "shop").await;
    let start = json!({"workflow": {"namespace": "shop", "name": "waits"}});
    let id = ops.post("/v1/instances", &start).await.ok()["id"].as_str().unwrap().to_owned();
    let order = |what: &str| format!("/v1/instances/{id}/{what}");
    let reason = json!({"reason": "the till is closed"});
    for what in ["suspend", "resume", "cancel"] {
        ops.post(&order(what), &reason).await.ok();
    }
    ops.post("/v1/workflows/shop/waits/suspend", &reason).await.ok();
    ops.get("/v1/tokens").await.problem(403);
    asking.dev.api.bearing("wlt_guessed").get("/v1/instances").await.problem(401);
    let told = until(SOON, "all of it in the trail", async || {
        let trail = asking.root.get("/v1/audit?limit=1000").await.ok();
        let mut items = trail["items"].as_array().unwrap().clone();
        // What came of it is told apart.
        items.retain(|it| it["intent"].is_null());
        items.iter().any(|it| it["action"] == "access.failed").then_some(items)
    })
    .await;
    let of = |action: &str| -> Vec<_> { told.iter().filter(|it| it["action"] == action).collect() };
    let started = of("instance.started");
    assert!(started.len() == 1 && started[0]["detail"].as_str().unwrap().contains(&id));
    let changed = of("instance.changed");
    assert_eq!(changed.len(), 3);
    let closed = changed.iter().chain(&of("starts.changed")).cloned().cloned().collect::<Vec<_>>();
    for event in closed.iter().chain(started.iter().copied()) {
        let actor = json!({"issuer": "token", "subject": "operator", "method": "token"});
        assert_eq!(event["actor"], actor, "{event}");
        assert!(event["address"] == "127.0.0.1" && event["namespace"] == "shop", "{event}");
    }
    assert!(closed.iter().all(|it| it["detail"].as_str().unwrap().contains("till is closed")));
    let denied = of("access.denied");
    assert!(denied.len() == 1 && denied[0]["success"] == false, "{denied:?}");
    assert_eq!(of("access.failed").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_and_foreign_workflows_are_deployed_by_who_may() {
    let asking = Asking::start("").await;
    asking.root.deploy(&greet("bank")).await;
    let text = |task: &str| {
        format!(
            "document: {{ dsl: '1.0.3', namespace: shop, name: it, version: '1.0.0' }}\n\
             do:\n- it: {{ {task} }}\n"
        )
    };
    let author = asking.with_role("author", "shop").await;
    let shell = text("run: { shell: { command: 'true' } }");
    let refused = author.deploy_text(&shell).await.problem(403);
    assert!(refused["detail"].as_str().unwrap().contains("workflow.deploy-processes"));
    let theirs = "run: { workflow: { namespace: bank, name: greet, version: '1.0.0' } }";
    let refused = author.deploy_text(&text(theirs)).await.problem(403);
    assert!(refused["detail"].as_str().unwrap().contains("instance.start for bank/greet"));
    author.deploy_text(&text("set: { a: 1 }")).await.ok();
    let other = asking.with_role("process-author", "shop").await;
    other.deploy_text(&shell.replace("name: it", "name: other")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_body_asks_for_in_vain_is_told_as_well() {
    let asking = Asking::start("").await;
    asking.root.deploy(&greet("bank")).await;
    let author = asking.with_role("author", "shop").await;
    let start = json!({"workflow": {"namespace": "bank", "name": "greet"}});
    author.post("/v1/instances", &start).await.problem(404);
    author.deploy_text(&greet("bank")).await.problem(403);
    let managing = "[roles.managing]\npermissions = [\"token.manage\"]\n";
    asking.rewrite(managing);
    let manager = until(SOON, "the role", async || {
        let grant = json!({"role": "managing", "namespaces": ["*"]});
        let made = asking.root.post("/v1/tokens", &wanted("managing", &[grant])).await;
        made.body["token"].as_str().map(|it| asking.dev.api.bearing(it))
    })
    .await;
    let grant = json!({"role": "admin", "namespaces": ["*"]});
    manager.post("/v1/tokens", &wanted("more", &[grant])).await.problem(403);
    until(SOON, "each of them in the trail", async || {
        let trail = asking.root.get("/v1/audit?limit=1000").await.ok();
        let denied: Vec<_> = trail["items"].as_array().unwrap().to_vec();
        let denied: Vec<_> = denied.iter().filter(|it| it["action"] == "access.denied").collect();
        let of = |what: &str| denied.iter().any(|it| it["detail"].as_str().unwrap().contains(what));
        (of("POST /v1/instances: no workflow bank/greet")
            && of("POST /v1/workflows: this needs the permission workflow.deploy")
            && of("POST /v1/tokens: the role admin gives"))
        .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_grant_is_not_widened_by_what_workflows_start() {
    let asking = Asking::start("[roles.deploy]\npermissions = [\"workflow.deploy\"]\n").await;
    asking.root.deploy(&greet("shop")).await;
    let grant = json!({"role": "author", "namespaces": ["shop"], "workflows": ["x*"]});
    let made = asking.root.post("/v1/tokens", &wanted("narrow", &[grant])).await.ok();
    let narrow = asking.dev.api.bearing(made["token"].as_str().unwrap());
    let text = |name: &str, child: &str| {
        format!(
            "document: {{ dsl: '1.0.3', namespace: shop, name: {name}, version: '1.0.0' }}\ndo:\n- \
             it: {{ run: {{ workflow: {{ namespace: shop, name: {child}, version: '1.0.0' }} }} }}\n"
        )
    };
    let refused = narrow.deploy_text(&text("x1", "greet")).await.problem(403);
    assert!(refused["detail"].as_str().unwrap().contains("instance.start for shop/greet"));
    narrow.deploy_text(&text("x1", "x2")).await.ok();
    // Who may deploy alone starts nothing by a schedule, and reads no texts by a conflict.
    let deploying = asking.with_role("deploy", "shop").await;
    let scheduled = deploying.deploy_text(&super::tick("shop")).await.problem(403);
    assert!(scheduled["detail"].as_str().unwrap().contains("instance.start"), "{scheduled}");
    let other = greet("shop").replace("of: shop", "of: elsewhere");
    let conflict = deploying.deploy_text(&other).await.problem(409);
    assert!(!conflict.to_string().contains("of: shop"), "{conflict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_reads_no_files_for_tasks() {
    let asking = Asking::start("").await;
    let text = "document: { dsl: '1.0.3', namespace: shop, name: reads, version: '1.0.0' }\ndo:\n- \
                it: { call: openapi, with: { document: { endpoint: 'file:///Cargo.toml' }, \
                operationId: a } }\n";
    let ended = asking.root.run(&asking.root.deploy(text).await, &json!({})).await;
    assert_eq!(ended["status"], "faulted", "{ended}");
    let detail = ended["error"]["detail"].as_str().unwrap();
    assert!(!detail.contains("workspace") && !detail.contains("YAML"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_nobody_has_no_tokens() {
    let dev = crate::support::dev::Dev::start().await;
    let refused = dev.api.get("/v1/tokens").await.problem(409);
    assert_eq!(refused["code"], "WL0548");
    let who = dev.api.get("/v1/auth/whoami").await.ok();
    assert_eq!((&who["issuer"], &who["method"]), (&json!("anonymous"), &json!("none")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_secrets_needs_two_persons() {
    let asking = Asking::with("", &["--secret-policy-approval".to_owned()]).await;
    let officer = async |name: &str| {
        let grant = json!({"role": "secret-officer", "namespaces": ["*"]});
        let made = asking.root.post("/v1/tokens", &wanted(name, &[grant])).await.ok();
        asking.dev.api.bearing(made["token"].as_str().unwrap())
    };
    let (ada, bob) = (officer("ada").await, officer("bob").await);
    let set = |api: &Api, text: &str| {
        let request = api.request(Method::PUT, "/v1/secrets/policy");
        Api::send(request.header("content-type", "application/toml").body(text.to_owned()))
    };
    let approve = |api: &Api, tag: &str| {
        let request = api.request(Method::POST, "/v1/secrets/policy/proposal/approve");
        Api::send(request.header("if-match", format!("\"{tag}\"")))
    };
    let before = ada.get("/v1/secrets/policy").await.body;
    let waits = set(&ada, SHOP).await.unwrap();
    assert_eq!(waits.status, 202, "{}", waits.body);
    let tag = waits.ok()["tag"].as_str().unwrap().to_owned();
    assert_eq!(ada.get("/v1/secrets/policy").await.body, before, "it waits");
    let own = approve(&ada, &tag).await.unwrap().problem(403);
    assert_eq!(own["code"], "WL0586", "{own}");
    approve(&bob, "0000").await.unwrap().problem(412);
    assert_eq!(bob.get("/v1/secrets/policy/proposal").await.ok()["text"], SHOP);
    approve(&bob, &tag).await.unwrap().ok();
    assert_eq!(ada.get("/v1/secrets/policy").await.body, SHOP);
    let gone = ada.get("/v1/secrets/policy/proposal").await.problem(404);
    assert_eq!(gone["code"], "WL0585");
    let trail = asking.root.get("/v1/audit?action=secret.policy.changed").await.ok();
    let told = trail.to_string();
    assert!(told.contains("propose tag") && told.contains("proposed by token:"), "{trail}");
}

const SHOP: &str = "[[allow]]\nnamespace = \"shop\"\n";
