//! Functions of catalogs: fetched when their caller is deployed, and never again.

mod server;

use serde_json::json;

use crate::support::command::{Output, windlass, windlass_in};
use crate::support::dev::Dev;
use crate::support::fleet::Fleet;
use crate::support::nats::Nats;
use crate::support::stub::{Reply, Stub};

const GREET: &str = "/functions/greet/1.0.0/function.yaml";
const SHOUT: &str = "/c/functions/shout/1.0.0/function.yaml";

/// A catalog whose `greet` calls `shout` of another one, by its URL.
async fn catalog() -> Stub {
    Stub::http(|seen| match &*seen.path {
        GREET => {
            let host = seen.header("host").unwrap_or_default();
            let url = format!("http://{host}{SHOUT}");
            Reply::Text(200, format!("do:\n  - loud: {{ call: '{url}', with: '${{ . }}' }}\n"))
        }
        SHOUT => Reply::Text(200, "set: { said: '${ \"HELLO \" + .name }' }\n".to_owned()),
        "/functions/broken/1.0.0/function.yaml" => {
            Reply::Text(200, "do:\n  - a: { sett: 1 }\n".to_owned())
        }
        "/functions/closed/1.0.0/function.yaml" => match seen.header("authorization") {
            Some("Bearer s3cret-k3y-91") => Reply::Text(200, "set: { in: true }\n".to_owned()),
            given => Reply::Text(401, format!("not with {given:?}")),
        },
        _ => Reply::Text(404, "nothing here".to_owned()),
    })
    .await
}

/// A definition that calls `function` of the catalog at `endpoint`.
pub(crate) fn calling(name: &str, endpoint: &str, function: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0' }}\n\
         use:\n  secrets: [ key ]\n  catalogs: {{ c: {{ endpoint: {endpoint} }} }}\n\
         do:\n  - say:\n      call: {function}\n      with: {{ name: '${{ .name }}' }}\n"
    )
}

/// Writes a definition, and runs a command on it.
async fn with_file(text: &str, command: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("definition.yaml");
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let arguments: Vec<&str> =
        command.iter().map(|it| if *it == "FILE" { file.as_str() } else { *it }).collect();
    windlass(&arguments).await
}

#[tokio::test]
async fn what_was_deployed_is_run_by_workers_with_no_catalog_left() {
    let stub = catalog().await;
    let nats = Nats::start().await;
    let mut fleet = Fleet::start(&nats, 1).await;
    let text = calling("greets", &stub.url("/"), "greet:1.0.0@c");
    let url = fleet.api.base();
    with_file(&text, &["deploy", "FILE", "--url", &url]).await.exits(0);
    assert_eq!((stub.count(GREET), stub.count(SHOUT)), (1, 1));
    drop(stub);

    let workflow = json!({"namespace": "test", "name": "greets", "version": "1.0.0"});
    let run = async |fleet: &Fleet| {
        let ended = fleet.api.run(&workflow, &json!({"name": "Ada"})).await;
        assert_eq!(ended["output"], json!({"said": "HELLO Ada"}), "{ended}");
    };
    run(&fleet).await;
    fleet.restart_coordinator().await;
    run(&fleet).await;
    // Deployed again, the version stays what it was: nobody is asked.
    let url = fleet.api.base();
    let again = with_file(&text, &["deploy", "FILE", "--url", &url]).await.exits(0);
    assert!(again.stderr.contains("unchanged"), "{again:?}");
}

#[tokio::test]
async fn a_catalog_that_cannot_be_had_is_told_at_the_call() {
    let stub = catalog().await;
    let endpoint = stub.url("");
    let refused = async |function: &str, endpoint: &str| {
        let text = calling("fails", endpoint, function);
        let output = with_file(&text, &["validate", "FILE", "--online"]).await.exits(2);
        assert!(output.stderr.contains(":7:13"), "{output:?}");
        output.stderr
    };
    let found = refused("gone:1.0.0@c", &endpoint).await;
    assert!(found.contains("WL0314") && found.contains("answered 404"), "{found}");
    let found = refused("broken:1.0.0@c", &endpoint).await;
    assert!(found.contains("WL0315") && found.contains("line 2, column 10"), "{found}");
    assert!(found.contains("did you mean `set`?"), "{found}");
    // Not asked, it is only said that nothing was fetched.
    let text = calling("fine", &endpoint, "greet:1.0.0@c");
    let output = with_file(&text, &["validate", "FILE"]).await.exits(0);
    assert!(output.stderr.contains("WL0314"), "{output:?}");
    let output = with_file(&text, &["validate", "FILE", "--online"]).await.exits(0);
    assert!(!output.stderr.contains("WL0314"), "{output:?}");
    // What nobody fetched is not taken by a server either.
    let dev = Dev::start().await;
    let refused = dev.api.deploy_text(&text).await.problem(400);
    assert_eq!(refused["diagnostics"][0]["code"], "WL0314", "{refused}");
}

#[tokio::test]
async fn the_endpoint_of_a_catalog_gets_credentials_that_nobody_sees() {
    let stub = catalog().await;
    let bearer = |token: &str| {
        let authentication = format!("{{ bearer: {{ token: '{token}' }} }}");
        format!("{{ uri: {}, authentication: {authentication} }}", stub.url(""))
    };
    let text = calling("closed", &bearer("${ $secrets.key }"), "closed:1.0.0@c");
    let run = |secret: &'static str| {
        let text = text.clone();
        async move { with_file(&text, &["run", "FILE", "--secret", secret]).await }
    };
    let output = run("key=s3cret-k3y-91").await.exits(0);
    assert_eq!(output.json(), json!({"in": true}));
    // A catalog that tells what it was given.
    let output = run("key=0ther-k3y-17").await.exits(2);
    assert!(output.stderr.contains("answered 401"), "{output:?}");
    assert!(!format!("{output:?}").contains("0ther-k3y"), "{output:?}");
}

#[tokio::test]
async fn files_are_catalogs_below_their_definition_only() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("flows");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("flows/shared/functions/echo2/1.0.0/function.yaml", "set: { got: '${ .name }' }\n");
    write("flows/flow.yaml", &calling("file", "file:///shared", "echo2:1.0.0@c"));
    let input = ["--input", "{\"name\": \"Ada\"}"];
    let output = windlass_in(&inside, &["run", "flow.yaml", input[0], input[1]]).await.exits(0);
    assert_eq!(output.json(), json!({"got": "Ada"}));
    let output = windlass_in(&inside, &["validate", "flow.yaml"]).await.exits(0);
    assert!(!output.stderr.contains("WL0314"), "{output:?}");

    write("above/functions/echo2/1.0.0/function.yaml", "set: { got: all }\n");
    std::os::unix::fs::symlink(folder.path().join("above"), inside.join("link")).unwrap();
    write("flows/out.yaml", &calling("out", "file:///link", "echo2:1.0.0@c"));
    let output = windlass_in(&inside, &["validate", "out.yaml"]).await.exits(2);
    assert!(output.stderr.contains("outside the allowed directory"), "{output:?}");
    let root = folder.path().display().to_string();
    write("flows/wide.yaml", &calling("wide", "file:///above", "echo2:1.0.0@c"));
    let wide = ["validate", "wide.yaml", "--file-root", &root];
    windlass_in(&inside, &wide).await.exits(0);
}
