//! `run.container` with a real engine: what it gives, what it may do, and that no container
//! outlives its task.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::definition;
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::leak::Needles;
use crate::support::nats::Nats;
use crate::support::podman::{IMAGE, Podman};
use crate::support::until::{SOON, until, within};

/// What no place but a container may see.
const SECRET: &str = "s3cret-of-a-container";

/// A workflow whose task runs the image with `container` and, around that, `more`.
fn container(name: &str, container: &str, more: &str) -> String {
    let task = format!("{{run: {{container: {{image: '{IMAGE}', {container}}}{more}}}}}");
    definition(name, &task)
}

fn flags(podman: &Podman, more: &[&str]) -> Vec<String> {
    let url = podman.url();
    let flags = ["--allow", "container", "--container-engine", &url, "--container-network", "none"];
    flags.iter().chain(more).map(|it| (*it).to_owned()).collect()
}

/// How the task of `text` ends.
async fn run(dev: &Dev, text: &str) -> Value {
    let workflow = dev.api.deploy(text).await;
    dev.api.run(&workflow, &json!({"word": "hello"})).await
}

const ALWAYS: &str = "lifetime: {cleanup: always}";

#[tokio::test(flavor = "multi_thread")]
async fn containers_give_what_their_task_returns_and_may_do_little() {
    let Some(podman) = Podman::start("containers").await else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "mounted").unwrap();
    let data = folder.path().display().to_string();
    let volume = format!("{data}:ro");
    let dev = Dev::with(&flags(&podman, &["--container-volume", &volume])).await;
    assert!(dev.stderr().contains("container tasks are allowed and run in the engine at unix://"));
    let all = ", return: all";
    let mounted = format!(
        "command: 'cat /in/file; touch /in/other || echo \" refused\"', volumes: {{'{data}': /in}}"
    );
    for (name, with, more, expected) in [
        (
            "example",
            "command: 'input=$(cat); echo \"$input $1 $2\"', stdin: '${ .word }', \
             arguments: [Foo, Bar]",
            "",
            json!("hello Foo Bar\n"),
        ),
        (
            "everything",
            "command: 'echo $A; echo err >&2; exit 3', environment: {A: '${ .word }'}",
            all,
            json!({"code": 3, "stdout": "hello\n", "stderr": "err\n"}),
        ),
        ("code", "command: 'exit 137'", ", return: code", json!(137)),
        ("none", "command: 'echo x'", ", return: none", Value::Null),
        ("program", "arguments: [/bin/sh, -c, 'echo plain']", "", json!("plain\n")),
        ("mounted", &mounted, "", json!("mounted refused\n")),
        (
            "bounded",
            "command: 'grep -c -e \"CapEff:.*[1-9a-f]\" -e \"NoNewPrivs:.*0\" /proc/self/status'",
            ", return: all",
            json!({"code": 1, "stdout": "0\n", "stderr": ""}),
        ),
    ] {
        let view = run(&dev, &container(name, &format!("{with}, {ALWAYS}"), more)).await;
        assert_eq!((&view["status"], &view["output"]), (&json!("completed"), &expected), "{view}");
    }
    let text = container("goes-on", &format!("command: 'exit 0', {ALWAYS}"), ", await: false");
    assert_eq!(run(&dev, &text).await["output"], json!({"word": "hello"}));
    podman.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_fail_say_why_and_secrets_stay_in_them() {
    let Some(podman) = Podman::start("containers that fail").await else { return };
    let secret = format!("key={SECRET}");
    let dev = Dev::with(&flags(&podman, &["--secret", &secret])).await;
    let failed = async |name: &str, text: &str, kind: &str, said: &str| {
        let view = run(&dev, text).await;
        let error = view["error"].to_string();
        assert!(error.contains(kind) && error.contains(said), "{name}: {view}");
    };
    let words = format!("command: 'echo last words >&2; exit 4', {ALWAYS}");
    failed("words", &container("words", &words, ""), "/runtime", "exit code 4: last words").await;
    let task = "{run: {container: {image: 'localhost/no:1', pullPolicy: never}}}";
    failed("never", &definition("never", task), "/runtime", "pullPolicy: never").await;
    // Nothing listens there.
    let task = "{run: {container: {image: '127.0.0.1:1/no:1', pullPolicy: always}}}";
    failed("pull", &definition("pull", task), "/runtime", "cannot be pulled").await;
    let text = container("mount", "volumes: {/etc: /in}", "");
    failed("mount", &text, "/authorization", "--container-volume").await;
    let much = format!("command: 'cat /dev/zero', {ALWAYS}");
    failed("much", &container("much", &much, ""), "/runtime", "it wrote more than").await;
    podman.has(0).await;

    // By default one is kept when it has ended, and its name with it.
    let text = container("kept", "name: kept, command: 'exit 0'", "");
    assert_eq!(run(&dev, &text).await["status"], "completed");
    assert_eq!(podman.has(1).await, ["exited kept"]);
    failed(
        "taken",
        &container("taken", "name: kept, command: 'exit 0'", ""),
        "/runtime",
        "is called `kept`",
    )
    .await;
    assert_eq!(podman.has(1).await, ["exited kept"]);

    // One that was told a secret is not.
    let with = "command: 'cat; echo $IT >&2', stdin: '${ $secrets.key }', \
                environment: {IT: '${ $secrets.key }'}";
    let text = container("told", with, ", return: all").replacen(
        "do:\n",
        "use: {secrets: [key]}\ndo:\n",
        1,
    );
    let workflow = dev.api.deploy(&text).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    let view = dev.api.ends(&id).await;
    assert_eq!((&view["status"], &view["output"]["code"]), (&json!("completed"), &json!(0)));
    let history = dev.api.history(&id).await;
    let needles = Needles::of([("key", &json!(SECRET))]);
    for text in [view.to_string(), json!(history).to_string(), dev.stderr(), dev.stdout()] {
        needles.absent_from("what is told", text.as_bytes());
    }
    for file in std::fs::read_dir(dev.data()).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            needles.absent_from(&file.display().to_string(), &std::fs::read(&file).unwrap());
        }
    }
    assert_eq!(podman.has(1).await, ["exited kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_container_outlives_its_task() {
    let Some(podman) = Podman::start("containers that end").await else { return };
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 1).coordinator(&["--lease", "500ms"]);
    let mut fleet = Fleet::with(layout.worker(&flags(&podman, &[]))).await;
    let sleeps = "command: 'sleep 36000', lifetime: {cleanup: never}";

    let workflow = fleet.api.deploy(&container("cancelled", sleeps, "")).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    podman.has(1).await;
    fleet.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    podman.has(0).await;

    let text = container("late", sleeps, "");
    let text = text.trim_end().strip_suffix('}').unwrap().to_owned() + ", timeout: {after: PT3S}}";
    let workflow = fleet.api.deploy(&text).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    let view = fleet.api.ends(&id).await;
    assert!(view["error"].to_string().contains("/errors/timeout"), "{view}");
    podman.has(0).await;

    // A killed worker leaves one, which the next removes: that of a task that is over.
    let workflow = fleet.api.deploy(&container("left", sleeps, "")).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    let left = until(SOON, "a container that runs", || async {
        let all = podman.containers().await;
        (all.len() == 1 && all[0].starts_with("running left-")).then_some(all)
    })
    .await;
    fleet.workers[0].kill().await;
    fleet.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    assert_eq!(podman.containers().await, left);
    fleet.workers[0].launch();
    fleet.joins(0, 1).await;
    podman.has(0).await;

    // That of a task that is sent again goes before it begins again.
    let id = fleet.api.start(&workflow, &json!({})).await;
    let first = podman.has(1).await;
    fleet.workers[0].kill().await;
    fleet.workers[0].launch();
    until(SOON, "the second container", || async {
        let all = podman.containers().await;
        (all.len() == 1 && all != first && all[0].starts_with("running")).then_some(())
    })
    .await;
    fleet.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    podman.has(0).await;
}

/// Nor does the task fail: it begins again.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_ends_with_a_worker_that_is_told_to() {
    let Some(podman) = Podman::start("containers of a worker that ends").await else { return };
    let mut dev = Dev::with(&flags(&podman, &[])).await;
    let workflow = dev.api.deploy(&container("stopped", "command: 'sleep 36000'", "")).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    let first = runs(&podman).await;
    dev.process().signal(Signal::TERM);
    assert!(dev.process().wait().await.success(), "{}", dev.stderr());
    // At once: it was gone before the worker was.
    assert_eq!(podman.containers().await, Vec::<String>::new());
    dev.restart().await;
    assert_ne!(runs(&podman).await, first);
    assert_eq!(dev.api.show(&id).await["status"], "running");
    dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    podman.has(0).await;
}

/// Waits until there is one container, which runs.
async fn runs(podman: &Podman) -> Vec<String> {
    until(SOON, "a container that runs", || async {
        let all = podman.containers().await;
        (all.len() == 1 && all[0].starts_with("running ")).then_some(all)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_engine_is_away_takes_no_containers() {
    let nats = Nats::start().await;
    let engine = "unix:///nowhere/engine.sock";
    let flags = ["--allow", "container", "--container-engine", engine];
    let fleet = Fleet::with(Layout::on(&nats.url(), 1).worker(&flags)).await;
    let told = fleet.workers[0].stderr();
    assert!(told.contains("there is none at unix:///nowhere/engine.sock"), "{told}");
    let workflow = fleet.api.deploy(&container("waits", "command: 'exit 0'", "")).await;
    fleet.api.start(&workflow, &json!({})).await;
    let said = |line: &str| line.contains("offers `container`").then_some(());
    let log = fleet.coordinator.lines();
    within(SOON, "the warning", log.find(said)).await.expect("it goes on");
}
