//! What `deploy/` says is what the binary, NATS and Helm understand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use saphyr_parser::Parser;
use serde_json::Value;

use crate::support::{binary, nats, paths, skip, yaml};

/// Variables that the binary reads although no option of a role has them.
const OTHER: [&str; 1] = ["WINDLASS_LOG"];

/// Public keys that nobody has the seeds of.
const NKEYS: [(&str, &str); 4] = [
    ("NATS_COORDINATOR_NKEY", "UDDZ6SBB4QRAAINFONWJF5QCMLQRZULS34MKU3CTIUQ6CJTBOLDPD3VQ"),
    ("NATS_WORKER_NKEY", "UAAIBA4G264LREJVNOCKRYP3F5ZWPI3LSHNETWMHLAMSMMWPIZA666MZ"),
    ("NATS_PRODUCER_NKEY", "UBND5MBPSKPJPQG5HGYKRM7SKAS4Y3MC5C4R3SPYJQK4QJ4CQFVOZKJB"),
    ("NATS_SYS_NKEY", "UD6JHN3MW5D27UB3EZXCCRC35PDGIUV2LXCRUMIEBCSEWT7TWE3GRNEI"),
];

/// The files of `deploy/` with their paths from there; keys somebody made for compose left out.
fn files() -> Vec<(String, String)> {
    let root = paths::root().join("deploy");
    let name = |it: &Path| it.strip_prefix(&root).unwrap().display().to_string();
    let all =
        paths::files(&root).into_iter().filter(|it| !it.starts_with(root.join("compose/secrets")));
    let all: Vec<_> = all.map(|it| (name(&it), std::fs::read_to_string(&it).unwrap())).collect();
    assert!(all.len() > 20, "only {} files found", all.len());
    all
}

fn assert_yaml(name: &str, text: &str) {
    let wrong = Parser::new_from_str(text).find_map(Result::err);
    assert!(wrong.is_none(), "{name}: {wrong:?}");
}

/// A call of `windlass` found in a text: `coordinator key`, and the options it is given.
type Call = (Vec<String>, Vec<String>);

/// The calls of a role in `line`: `windlass ROLE …` or the arguments of a container.
fn calls(line: &str) -> Vec<Call> {
    let mut found: Vec<Call> = Vec::new();
    // What follows a backtick is another command, or prose.
    for part in line.split('`') {
        let words: Vec<&str> =
            part.split(|it: char| it.is_whitespace() || "\"'[],=()".contains(it)).collect();
        let mut words = words.into_iter().filter(|it| !it.is_empty()).peekable();
        while let Some(word) = words.next() {
            let starts = word == "windlass" || word.ends_with("/windlass");
            let starts = starts || ["args:", "command:", "CMD"].contains(&word);
            let role = words.next_if(|it| starts && ["coordinator", "worker", "dev"].contains(it));
            let Some(role) = role else { continue };
            let mut call = (vec![role.to_owned()], Vec::new());
            call.0.extend(words.next_if(|it| ["key", "list"].contains(it)).map(str::to_owned));
            while let Some(word) = words.next_if(|it| !["|", ">", "&&", ";"].contains(it)) {
                call.1.extend(word.starts_with("--").then(|| word.to_owned()));
            }
            found.push(call);
        }
    }
    found
}

/// Every `WINDLASS_…` in `text`.
fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|it: char| !it.is_ascii_uppercase() && it != '_');
    words.filter(|it| it.starts_with("WINDLASS_") && !it.ends_with('_')).collect()
}

/// What `windlass … --help` prints.
fn help(command: &[String]) -> String {
    let output = Command::new(binary::windlass()).args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "`windlass {}` does not exist", command.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// The long options a help text names.
fn options(help: &str) -> BTreeSet<&str> {
    let words = help.split(|it: char| it.is_whitespace() || "=,.;:<>[]()".contains(it));
    words.filter(|it| it.starts_with("--")).collect()
}

#[test]
fn data_files_are_well_formed() {
    for (name, text) in files() {
        match name.rsplit_once('.').map(|it| it.1) {
            Some("yaml") if !name.contains("/templates/") => assert_yaml(&name, &text),
            Some("json") => drop(serde_json::from_str::<serde_json::Value>(&text).expect(&name)),
            _ => {}
        }
    }
}

#[test]
fn every_command_line_is_one_the_binary_knows() {
    let mut helps: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (name, text) in files() {
        for (command, given) in text.replace("\\\n", " ").lines().flat_map(calls) {
            let help = helps.entry(command.clone()).or_insert_with(|| help(&command));
            for option in given {
                assert!(options(help).contains(&*option), "{name}: {command:?} has no {option}");
            }
            seen.insert(command.join(" "));
        }
    }
    assert_eq!(
        seen,
        ["coordinator", "coordinator key", "worker", "worker list"].map(str::to_owned).into()
    );
}

#[test]
fn every_variable_is_one_the_binary_reads() {
    let help: String = ["coordinator", "worker"].map(|it| help(&[it.to_owned()])).concat();
    let mut known = variables(&help);
    known.extend(OTHER);
    for (name, text) in files() {
        let unknown: Vec<_> =
            variables(&text).difference(&known).copied().map(str::to_owned).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
}

#[tokio::test]
async fn nats_accepts_its_configurations() {
    let server = nats::binary().await;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    for (name, text) in files() {
        if let Some(name) = name.strip_prefix("nats/").filter(|it| it.ends_with(".conf")) {
            let text = text.replace("/etc/nats", &place).replace("/var/lib/nats", &place);
            std::fs::write(folder.path().join(name), text).unwrap();
        }
    }
    let made = rcgen::generate_simple_self_signed(["nats-1".to_owned()]).unwrap();
    let tls = folder.path().join("tls");
    std::fs::create_dir(&tls).unwrap();
    std::fs::write(tls.join("ca.crt"), made.cert.pem()).unwrap();
    std::fs::write(tls.join("server.crt"), made.cert.pem()).unwrap();
    std::fs::write(tls.join("server.key"), made.signing_key.serialize_pem()).unwrap();

    let check = |name: &str, users: &[(&str, &str)]| {
        let mut command = Command::new(&server);
        command.arg("-t").arg("-c").arg(folder.path().join(name));
        command.env("NATS_NAME", "nats-1").envs(users.iter().copied()).output().unwrap()
    };
    let accepted =
        |it: Output| assert!(it.status.success(), "{}", String::from_utf8_lossy(&it.stderr));
    accepted(check("nats.conf", &NKEYS));
    accepted(check("cluster.conf", &NKEYS));
    let both = "include nats.conf\ninclude websocket.conf\n";
    std::fs::write(folder.path().join("both.conf"), both).unwrap();
    accepted(check("both.conf", &NKEYS));
    assert!(
        !check("nats.conf", &NKEYS[1..]).status.success(),
        "starts without its coordinator's key"
    );
    let compose = paths::root().join("deploy/compose");
    for plain in ["tls.conf", "cluster.conf"] {
        std::fs::copy(compose.join(plain), folder.path().join(plain)).unwrap();
    }
    accepted(check("nats.conf", &NKEYS));
    accepted(check("cluster.conf", &NKEYS));
}

/// What `values` has and its schema does not, or has of another type, by its path.
fn unlike(values: &Value, schema: &Value, path: &str, wrong: &mut Vec<String>) {
    let kind = match values {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_another = |it: &str| it != kind && !(it == "number" && kind == "integer");
    if schema["type"].as_str().is_some_and(is_another) {
        wrong.push(format!("{path} is no {}", schema["type"]));
    }
    let (Some(members), Some(known)) = (values.as_object(), schema["properties"].as_object())
    else {
        return;
    };
    for (key, value) in members {
        let path = format!("{path}.{key}");
        match known.get(key) {
            Some(schema) => unlike(value, schema, &path, wrong),
            None => wrong.push(format!("{path} is not in the schema")),
        }
    }
}

/// Runs without Helm: each default is one that the schema takes, and each value is one that is
/// there.
#[test]
fn values_schema_templates_and_table_of_the_chart_agree() {
    let read = |name: &str| {
        let file = paths::root().join("deploy/helm/windlass").join(name);
        std::fs::read_to_string(&file).unwrap()
    };
    let values = yaml::parse(&read("values.yaml"));
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut wrong = Vec::new();
    unlike(&values, &schema, "values", &mut wrong);
    let table = read("README.md");
    let all: String = ["_helpers.tpl", "coordinator.yaml", "worker.yaml"]
        .map(|it| read(&format!("templates/{it}")))
        .concat();
    for key in schema["properties"]["coordinator"]["properties"]["cluster"]["properties"]
        .as_object()
        .unwrap()
        .keys()
    {
        let form = format!("`coordinator.cluster.{key}`");
        wrong.extend((!table.contains(&form)).then_some(form));
    }
    for group in ["nats", "telemetry"] {
        for key in schema["properties"][group]["properties"].as_object().unwrap().keys() {
            let told = |it: &str, form: String| (!it.contains(&form)).then_some(form);
            let default = values[group].get(key);
            wrong.extend(default.is_none().then(|| format!("no default of {group}.{key}")));
            wrong.extend(told(&all, format!(".Values.{group}.{key}")));
            wrong.extend(told(&table, format!("`{group}.{key}`")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_chart_renders() {
    let helm = |arguments: &[&str]| {
        let settings = [
            "--set",
            "nats.url=wss://nats:443,nats.tlsFirst=true,nats.domain=hub,worker.keda.enabled=true,\
             coordinator.cluster.name=prod",
        ];
        let chart = paths::root().join("deploy/helm/windlass");
        Command::new("helm").args(arguments).arg(chart).args(settings).output()
    };
    let Ok(lint) = helm(&["lint", "--strict"]) else {
        return skip("the_chart_renders", "helm is not installed", "helm");
    };
    assert!(lint.status.success(), "{lint:?}");
    let rendered = helm(&["template", "test"]).unwrap();
    assert!(rendered.status.success(), "{rendered:?}");
    let text = String::from_utf8(rendered.stdout).unwrap();
    assert_yaml("the rendered chart", &text);
    for part in [
        "kind: ScaledObject",
        "kind: StatefulSet",
        "kind: PodDisruptionBudget",
        "podAntiAffinity",
        "replicas: 3",
        "{ name: WINDLASS_CLUSTER, value: \"prod\" }",
        "{ name: WINDLASS_NATS_TLS_FIRST, value: \"true\" }",
        "{ name: WINDLASS_NATS_DOMAIN, value: \"hub\" }",
    ] {
        assert!(text.contains(part), "no {part}:\n{text}");
    }
}

#[test]
fn the_rules_see_what_they_look_for() {
    let owned = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    for (line, command, given) in [
        ("ExecStart=/usr/bin/windlass dev --bind a:1", vec!["dev"], vec!["--bind"]),
        ("args: [worker, --pool, \"a\"]", vec!["worker"], vec!["--pool"]),
        (
            "a `windlass coordinator key --pool x | y --z` --w",
            vec!["coordinator", "key"],
            vec!["--pool"],
        ),
    ] {
        assert_eq!(calls(line), [(owned(&command), owned(&given))], "{line}");
    }
    assert!(calls("the windlass binary, a worker --x").is_empty());
    let help = help(&owned(&["dev"]));
    assert!(options(&help).contains("--data-dir") && !options(&help).contains("--nats"));
    assert_eq!(
        variables("${WINDLASS_A_B:-x} WINDLASS_ [env: WINDLASS_C=]"),
        ["WINDLASS_A_B", "WINDLASS_C"].into()
    );
}
