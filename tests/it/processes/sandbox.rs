//! What a sandbox promises, each promise tried by a program that does no harm.

mod making;
mod world;

use std::path::Path;

use serde_json::{Value, json};

use self::world::World;
use super::definition;
use crate::support::until::{SOON, until};

/// A task that runs `command` in a shell and returns all of it; `more` is what else it has.
fn all_of(command: &str, more: &str) -> String {
    let command = json!(command);
    format!("{{run: {{shell: {{command: {command}{more}}}, return: all}}}}")
}

/// What a program gave.
fn told(view: &Value) -> (i64, &str, &str) {
    assert_eq!(view["status"], "completed", "{view}");
    let text = |name: &str| view["output"][name].as_str().unwrap();
    (view["output"]["code"].as_i64().unwrap(), text("stdout"), text("stderr"))
}

fn kind_and_detail(view: &Value) -> (String, String) {
    assert_eq!(view["status"], "faulted", "{view}");
    let error = &view["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (format!("{} {}", error["status"], text("title")), text("detail"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_sees_its_own_and_changes_nothing_else() {
    let Some(world) = World::start("a_program_sees_its_own_and_changes_nothing_else").await else {
        return;
    };
    let (shown, kept) = (world.shown.display(), world.kept.display());

    // The machine's files, which nobody may write here, whoever may elsewhere.
    let view = world.shell(&format!("touch {shown}/new /new; echo kept > {kept}/file")).await;
    let (_, _, stderr) = told(&view);
    assert_eq!(stderr.matches("Read-only file system").count(), 2, "{view}");
    assert_eq!(std::fs::read_to_string(world.kept.join("file")).unwrap(), "kept\n");

    // A folder for temporary files that no other task has.
    for _ in 0..2 {
        let probe = "cat /tmp/probe /var/tmp/probe /dev/shm/probe; \
                     echo mine > /tmp/probe && cp /tmp/probe /var/tmp && cp /tmp/probe /dev/shm";
        let view = world.shell(probe).await;
        let (code, stdout, stderr) = told(&view);
        assert_eq!((code, stdout, stderr.matches("No such file").count()), (0, "", 3), "{view}");
    }
    assert!(!Path::new("/tmp/probe").exists() && !Path::new("/dev/shm/probe").exists());

    // The worker's key is hidden where all beside it can be read, and homes and sockets are empty.
    let probe = format!("cat {shown}/other; cat {shown}/worker.key; ls -A /root /run | grep .");
    let view = world.shell(&probe).await;
    let (_, stdout, stderr) = told(&view);
    assert!(stdout.starts_with("to be read"), "{view}");
    assert!(stderr.contains("Permission denied") && !view.to_string().contains("wk1_"), "{view}");

    // Nobody else's processes.
    let probe = "for it in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $it; echo; done";
    let view = world.shell(probe).await;
    let (_, stdout, _) = told(&view);
    assert!(stdout.contains("bwrap") && !stdout.contains("windlass"), "{view}");
    assert!(stdout.lines().count() < 8, "{view}");

    // No rights over the machine, and no way to get any.
    let view = world.shell("grep -E 'CapEff|NoNewPrivs' /proc/self/status").await;
    assert_eq!(told(&view).1, "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n", "{view}");

    // The machine's network for who has it, none for the other worker.
    let port = world.fleet.api.base().rsplit(':').next().unwrap().to_owned();
    let code = format!(
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', {port}), 5)\n    \
         print('through')\nexcept OSError:\n    print('refused')\n"
    );
    let script = json!({"run": {"script": {"language": "python", "code": code}}});
    assert_eq!(world.run(&script.to_string()).await["output"], "through\n");
    let mut quiet = script.clone();
    quiet["metadata"] = json!({"windlass": {"pool": "quiet"}});
    assert_eq!(world.run(&quiet.to_string()).await["output"], "refused\n");

    // People see it.
    let workers = world.fleet.api.get("/v1/workers").await.ok();
    for (pool, network) in [("default", "net=host)"), ("quiet", "net)")] {
        let items = workers["items"].as_array().unwrap();
        let worker = items.iter().find(|it| it["pool"] == pool).unwrap();
        let isolation = worker["isolation"].as_str().unwrap();
        // Where bubblewrap cannot forbid user namespaces in it, that is told.
        let user = if isolation.contains("(user(nested)") { "user(nested)" } else { "user" };
        let begins = format!("bubblewrap({user},pid,mount,ipc,uts,cgroup,{network} limits(cpu=1s,");
        assert!(isolation.starts_with(&begins), "{isolation}");
        assert!(world.fleet.workers[0].stderr().contains("isolation: bubblewrap("), "{workers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_is_told_nothing_and_no_rights_come_back() {
    let name = "the_kernel_is_told_nothing_and_no_rights_come_back";
    let Some(world) = World::start(name).await else { return };
    // Whoever the program is: root of the machine could change its settings otherwise.
    let view = world.shell("grep ' /proc/sys ' /proc/self/mountinfo | cut -d' ' -f6").await;
    assert!(told(&view).1.starts_with("ro,"), "{view}");
    let workers = world.fleet.api.get("/v1/workers").await.ok();
    let view = world.shell("unshare --user --map-root-user true").await;
    let (code, _, stderr) = told(&view);
    // A bubblewrap of before 0.8, or a container's read-only /proc/sys, forbids none: that is told.
    if !workers.to_string().contains("user(nested)") {
        assert!(code != 0 && stderr.contains("unshare"), "{view}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_what_it_is_elsewhere_within_its_limits() {
    let Some(world) = World::start("a_program_is_what_it_is_elsewhere_within_its_limits").await
    else {
        return;
    };

    // Input, outputs, exit code, arguments and variables, which are the given ones.
    let more = ", stdin: typed, arguments: [a b], environment: {GIVEN: here}";
    let command =
        "cat; echo \" $1\"; echo err >&2; env | cut -d= -f1 | sort | tr '\\n' ' '; exit 7";
    let view = world.run(&all_of(command, more)).await;
    let (code, stdout, stderr) = told(&view);
    assert_eq!((code, stderr), (7, "err\n"), "{view}");
    let (head, names) = stdout.split_once('\n').unwrap();
    assert_eq!(head, "typed a b");
    let known = ["GIVEN", "HOME", "LANG", "LC_ALL", "PATH", "PWD", "TZ", "OLDPWD", "SHLVL", "_"];
    assert!(names.split_whitespace().all(|it| known.contains(&it)), "{names}");
    assert!(names.contains("GIVEN "), "{names}");
    assert_eq!(told(&world.shell("kill -9 $$").await).0, 128 + 9);
    assert_eq!(told(&world.shell("exec /no/such/program").await).0, 127);
    // Not taken for a sandbox that failed, whatever it says.
    assert_eq!(told(&world.shell("echo bwrap: no >&2; exit 1").await).0, 1);

    let script = |language: &str, code: &str| {
        let arguments = json!({"name": "Ada"});
        let script = json!({"language": language, "code": code, "arguments": arguments});
        json!({"run": {"script": script}}).to_string()
    };
    let view = world.run(&script("js", "return `${name} ${process.argv.length}`")).await;
    assert_eq!(view["output"], "Ada 4", "{view}");
    let view = world.run(&script("python", "import sys\nprint(name, len(sys.argv))")).await;
    assert_eq!(view["output"], "Ada 3\n", "{view}");

    // Limits are told by name, or by who meets them.
    let view = world.run(&super::shell("while :; do :; done")).await;
    assert!(kind_and_detail(&view).1.contains("152 (SIGXCPU"), "{view}");
    let view = world
        .run(&super::shell(&format!("head -c 9M /dev/zero > {}/large", world.kept.display())))
        .await;
    let (_, detail) = kind_and_detail(&view);
    assert!(detail.contains("153 (SIGXFSZ") || detail.contains("File too large"), "{view}");
    let view = world.run(&script("python", "b = bytearray(900 << 20)")).await;
    assert!(kind_and_detail(&view).1.contains("MemoryError"), "{view}");
    let forks = "i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done; wait";
    let view = world.run(&super::shell(forks)).await;
    assert!(kind_and_detail(&view).1.to_lowercase().contains("fork"), "{view}");
    // Of one task, not of the user's.
    let view = world.shell("i=0; while [ $i -lt 9 ]; do sleep 0.1 & i=$((i+1)); done; wait").await;
    assert_eq!(told(&view).0, 0, "{view}");

    // Who is told to end can still do something about it; nobody reads what it says any more.
    let kept = world.kept.display();
    let command = format!(
        "exec 2> /dev/null; trap 'echo bye > {kept}/bye; exit 0' TERM; \
         while :; do sleep 0.05; done"
    );
    let task =
        all_of(&command, "").strip_suffix('}').unwrap().to_owned() + ", timeout: {after: PT1S}}";
    let view = world.run(&task).await;
    assert!(view["error"].to_string().contains("/errors/timeout"), "{view}");
    let bye = world.kept.join("bye");
    until(SOON, "last words", || async { bye.exists().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_ends_with_its_worker_and_shows_its_variables_to_nobody() {
    let test = "a_program_ends_with_its_worker_and_shows_its_variables_to_nobody";
    let Some(mut world) = World::start(test).await else { return };
    let kept = world.kept.display();
    let canary = "canary-of-a-sandbox";
    let command = format!(
        "(setsid sh -c 'trap \"\" TERM; exec sleep 36123' &)\necho there > {kept}/there\n\
         exec sleep 36124"
    );
    let task = all_of(&command, &format!(", environment: {{CANARY: {canary}}}"));
    let workflow = world.fleet.api.deploy(&definition("stays", &task)).await;
    world.fleet.api.start(&workflow, &json!({})).await;
    let both = ["sleep\u{0}36123", "sleep\u{0}36124"];
    until(SOON, "both programs", || async { both.iter().all(|it| line_of(it)).then_some(()) })
        .await;
    assert!(!line_of(canary), "a command line shows a variable");
    // Another task finds it nowhere.
    let probe = "grep -l canary-of-a-sandbo[x] /proc/[0-9]*/environ /proc/[0-9]*/cmdline";
    let view = world.shell(probe).await;
    assert_eq!(told(&view).1, "", "{view}");

    // A sandbox that cannot be made is no exit code.
    std::fs::remove_dir_all(&world.kept).unwrap();
    let view = world.shell("echo never").await;
    let (kind, detail) = kind_and_detail(&view);
    assert_eq!(kind, "503 Sandbox Error", "{view}");
    assert!(detail.contains("no sandbox") && detail.contains("bwrap: "), "{view}");

    world.fleet.workers[0].kill().await;
    until(SOON, "the end of both", || async { both.iter().all(|it| !line_of(it)).then_some(()) })
        .await;
}

/// Whether there is a process whose command line has this in it.
fn line_of(part: &str) -> bool {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|it| Some(it.ok()?.path()));
    let lines = all.filter_map(|it| std::fs::read(it.join("cmdline")).ok());
    lines.map(|it| String::from_utf8_lossy(&it).into_owned()).any(|it| it.contains(part))
}
