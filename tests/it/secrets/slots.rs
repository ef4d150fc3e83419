//! Names of secrets that a store's policies cannot be filled in with.

use serde_json::{Value, json};

use super::house::{House, Wishes};
use crate::support::command::{windlass, windlass_in};
use crate::support::stub::{Reply, Stub};

/// A workflow that sends these secrets to `url`, joined.
fn sending(name: &str, secrets: &[&str], url: &str) -> String {
    let quoted: Vec<String> = secrets.iter().map(|it| format!("\"{it}\"")).collect();
    let read: Vec<String> = quoted.iter().map(|it| format!("$secrets[{it}]")).collect();
    format!(
        "document: {{dsl: '1.0.3', namespace: acme, name: {name}, version: '1.0.0'}}
use: {{secrets: [{}]}}
do:
- send: {{call: http, with: {{method: get, endpoint: '{url}', headers: {{x-key: '${{ [{}] | \
         join(\",\") }}'}}}}}}
",
        quoted.join(", "),
        read.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_a_slot_spoils_no_other_and_has_a_place_of_its_own() {
    let stub = Stub::http(|seen| {
        let keys = seen.header("x-key").unwrap_or_default();
        Reply::Json(200, json!({"right": keys == "c4nary-1,c4nary-2" || keys == "c4nary-1"}))
    })
    .await;
    let config = "[vault.secret.\"team+db\"]\npath = \"{environment}/{namespace}/team-db\"\n";
    let house =
        House::with(Wishes { workers: 1, config: config.into(), ..Wishes::default() }).await;
    house.put("acme", "good", json!({"value": "c4nary-1"})).await;
    house.put("acme", "team-db", json!({"value": "c4nary-2"})).await;
    let run = async |name: &str, secrets: &[&str]| -> Value {
        let text = sending(name, secrets, &stub.url("/"));
        let workflow = house.fleet.api.deploy(&text).await;
        house.fleet.api.run(&workflow, &json!({})).await
    };
    let both = run("both", &["good", "team+db"]).await;
    assert_eq!(both["output"], json!({"right": true}), "{both}");

    // What has neither slot nor place is refused by its own name, and alone.
    for (name, bad) in [("slash", "team/db"), ("star", "z*"), ("plus", "more+"), ("dash", "-")] {
        let ended = run(name, &["good", bad]).await;
        let error = &ended["error"];
        assert_eq!(
            (&ended["status"], &error["status"]),
            (&"faulted".into(), &403.into()),
            "{ended}"
        );
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("the secret {bad} cannot be read")), "{detail}");
        let alone = run(&format!("{name}-not"), &["good"]).await;
        assert_eq!(alone["output"], json!({"right": true}), "{alone}");
    }
    house.fleet.assert_sound();

    // Set up again, nothing differs.
    let again = house.set_up(&[]).await.exits(0);
    let unchanged = |line: &str| line.starts_with("windlass: unchanged ");
    assert!(again.stderr.lines().all(unchanged), "{again:?}");
}

#[tokio::test]
async fn a_name_without_a_slot_is_found_at_load_and_at_setup() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("a.yaml"), sending("a", &["good", "team+db"], "http://h/")).unwrap();
    let shown = windlass(&["validate", &path("a.yaml")]).await.exits(0);
    let shown = format!("{}{}", shown.stdout, shown.stderr);
    assert!(shown.contains("warning[WL0312]") && shown.contains("`team+db`"), "{shown}");
    assert!(!shown.contains("`good`"), "{shown}");
    let explained = windlass(&["explain", "WL0312"]).await.exits(0);
    assert!(explained.stdout.contains("[vault.secret.\"team+db\"]"), "{explained:?}");

    let config = "store = \"vault\"\n[vault]\naddress = \"http://127.0.0.1:8200\"\n[vault.auth]\n\
                  method = \"jwt\"\n[vault.secret.\"team+db\"]\npath = \"a/{name}\"\n";
    std::fs::write(path("secrets.toml"), config).unwrap();
    let arguments = ["secret", "setup", "vault", "--secrets-config", "secrets.toml"];
    let refused = windlass_in(folder.path(), &arguments).await.exits(2);
    assert!(refused.stderr.contains("team+db") && refused.stderr.contains("{name}"), "{refused:?}");
}
