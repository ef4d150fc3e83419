//! Setting Vault up by the command line, and asking it what is there.

use serde_json::json;
use tokio::process::Command;

use super::house::{House, Wishes};
use crate::support::bao::Bao;
use crate::support::command::{Output, windlass, windlass_under};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, within};
use crate::support::{paths, tools};

/// A secret with a place of its own, so that there is a group.
const CONFIG: &str = "[vault.secret.orders-db]\nengine = \"database\"\npath = \"readonly\"\n";

/// What the command did, a word a line.
fn done(output: &Output) -> Vec<&str> {
    let lines = output.stderr.lines().filter_map(|it| it.strip_prefix("windlass: "));
    lines.map(|it| it.split(' ').next().unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_that_is_done_again_changes_only_what_differs() {
    let house = House::with(Wishes { config: CONFIG.to_owned(), ..Wishes::default() }).await;
    let again = house.set_up(&[]).await.exits(0);
    assert!(done(&again).len() > 6, "{again:?}");
    assert!(done(&again).iter().all(|it| *it == "unchanged"), "{again:?}");
    let narrower =
        house.set_up(&["--environment".to_owned(), "production".to_owned()]).await.exits(0);
    let changed = done(&narrower).iter().filter(|it| **it == "changed").count();
    assert_eq!(changed, 3, "the roles: {narrower:?}");

    let address = house.bao.address();
    let apply = ["secret", "setup", "vault", "--apply", "--address", &address];
    let refused = windlass_under(&[("VAULT_TOKEN", "s.nobody")], &apply).await.exits(1);
    assert!(refused.stderr.contains("WL0710") && refused.stderr.contains("403"), "{refused:?}");

    // The keys are fetched when the store is told of them, so the coordinator has to be there.
    let nobody = ["--issuer", "http://127.0.0.1:1"];
    let early = [&apply[..], &nobody].concat();
    let early = windlass_under(&[("VAULT_TOKEN", house.bao.root_token())], &early).await.exits(1);
    for part in ["WL0710", "http://127.0.0.1:1/.well-known/jwks.json", "Start the coordinator"] {
        assert!(early.stderr.contains(part), "{part}: {early:?}");
    }

    // What is not there refuses nothing, and what is no Vault neither.
    let other = Stub::http(|_| Reply::Text(404, "<html>no such page</html>".to_owned())).await;
    for (address, what) in [("http://127.0.0.1:1", "onnection refused"), (&other.url(""), "404")] {
        let apply = ["secret", "setup", "vault", "--apply", "--address", address];
        let unreached = windlass_under(&[("VAULT_TOKEN", "s.nobody")], &apply).await.exits(1);
        let said = &unreached.stderr;
        assert!(said.contains("WL0714") && said.contains(what), "{unreached:?}");
        assert!(said.contains(address.trim_end_matches('/')), "{unreached:?}");
    }
}

#[tokio::test]
async fn the_script_works_in_the_namespace_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.toml");
    let script = async |namespace: &str| {
        let text = format!(
            "store = \"vault\"\n[vault]\naddress = \"http://127.0.0.1:8200\"\n{namespace}\
             [vault.auth]\nmethod = \"jwt\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        windlass(&["secret", "setup", "vault", "--secrets-config", &file]).await.exits(0).stdout
    };
    let without = script("").await;
    assert!(!without.contains("NAMESPACE"), "{without}");
    let within = script("namespace = \"team a/it's\"\n").await;
    // Up to its first command, and then what that would see.
    let first = within.find("\"$VAULT\"").unwrap();
    let set = within[..first].to_owned() + "printf '%s|%s' \"$VAULT_NAMESPACE\" \"$BAO_NAMESPACE\"";
    let said = Command::new("sh").args(["-c", &set]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "team a/it's|team a/it's", "{within}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_makes_what_the_command_makes() {
    let bao = Bao::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.toml");
    let text = format!(
        "store = \"vault\"\n[vault]\naddress = \"{}\"\n[vault.auth]\nmethod = \"jwt\"\n{CONFIG}",
        bao.address()
    );
    std::fs::write(&file, text).unwrap();
    let key = folder.path().join("key.pem");
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    std::fs::write(&key, pair.public_key_pem()).unwrap();
    let (file, key) = (file.display().to_string(), key.display().to_string());
    let command = ["secret", "setup", "vault", "--secrets-config", &file, "--public-key", &key];
    let script = windlass(&command).await.exits(0).stdout;

    for _ in 0..2 {
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("VAULT", tools::program(&tools::OPENBAO).await);
        for name in ["VAULT_ADDR", "BAO_ADDR"] {
            shell.env(name, bao.address());
        }
        for name in ["VAULT_TOKEN", "BAO_TOKEN"] {
            shell.env(name, bao.root_token());
        }
        let ran = within(SOON, "the script", shell.kill_on_drop(true).output()).await.unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    let mut apply = command.to_vec();
    apply.push("--apply");
    let applied = windlass_under(&[("VAULT_TOKEN", bao.root_token())], &apply).await.exits(0);
    assert!(done(&applied).iter().all(|it| *it == "unchanged"), "{applied:?}\n{script}");
}

#[tokio::test]
async fn the_script_in_deploy_is_what_the_command_prints() {
    let printed = windlass(&["secret", "setup", "vault"]).await.exits(0).stdout;
    let path = paths::root().join("deploy/vault/setup.sh");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == printed, "write the output of the command into {}:\n{printed}", path.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_is_there_without_reading_it() {
    let house = House::with(Wishes { config: CONFIG.to_owned(), ..Wishes::default() }).await;
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    let text = "document: {dsl: '1.0.3', namespace: shop, name: pay, version: '1.0.0'}\n\
                use: {secrets: [there, missing, deleted, orders-db]}\n\
                do: [{a: {set: {x: '${ $secrets.there }'}}}]\n";
    std::fs::write(file.path(), text).unwrap();
    house.put("shop", "there", json!({"value": "c4nary"})).await;
    house.put("shop", "deleted", json!({"value": "c4nary"})).await;
    house.bao.delete("secret/data/production/shop/deleted").await;
    // May look at what there is, and read none of it.
    let policy = "path \"secret/metadata/*\" { capabilities = [\"read\", \"list\"] }\n\
                  path \"database/roles/*\" { capabilities = [\"read\"] }\n";
    house.bao.write("sys/policies/acl/looks", json!({"policy": policy})).await;
    let made = house.bao.write("auth/token/create", json!({"policies": ["looks"]})).await;
    let token = made["auth"]["client_token"].as_str().unwrap();
    house.bao.write("sys/mounts/database", json!({"type": "database"})).await;

    let url = house.fleet.api.base();
    let (path, config) = (file.path().display().to_string(), house.config_file());
    let arguments =
        ["secret", "check", &path, "--url", &url, "--secrets-config", &config, "--output", "json"];
    let checked = windlass_under(&[("VAULT_TOKEN", token)], &arguments).await.exits(1);
    let found: Vec<_> = checked.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["secret"].as_str().unwrap().to_owned(), it["exists"].as_bool()))
        .collect();
    let expected = [("deleted", false), ("missing", false), ("orders-db", false), ("there", true)];
    assert_eq!(found, expected.map(|(name, exists)| (name.to_owned(), Some(exists))));
    assert!(checked.stderr.contains("deleted, missing, orders-db"), "{checked:?}");
    assert!(!format!("{checked:?}").contains("c4nary"));
}
