//! Every operation of the API for every role, in their own namespace and in a foreign one.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Asking, greet, tick};
use crate::support::client::{Answer, Api};
use crate::support::until::until;

const SOON: std::time::Duration = std::time::Duration::from_secs(30);

/// Whether a request is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Let {
    Through,
    /// 403
    Forbidden,
    /// 404, as for what was never there
    Hidden,
}

/// What an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Nothing that needs a right.
    All,
    /// The whole server.
    Server,
    /// What all share.
    Shared,
    /// A list, which shows what its reader may see.
    List,
    /// A namespace.
    Namespace,
    /// A workflow, its schedule or an instance of it.
    Workflow,
    /// A workflow named in the body, or by a digest: asked for after a right somewhere.
    Inside(Let),
    /// Events.
    Events,
}

/// What each operation is about, and the roles that may, `admin` aside. Written by hand, on
/// purpose: what the server does is held against it.
fn expected() -> BTreeMap<&'static str, (About, Vec<&'static str>)> {
    const READ: [&str; 4] = ["viewer", "operator", "author", "process-author"];
    let with = |more: &[&'static str]| [&READ[..], more].concat();
    let operator = || vec!["operator"];
    let authors = || vec!["author", "process-author"];
    let starts = || vec!["starter", "operator", "author", "process-author"];
    let inside = About::Inside(Let::Hidden);
    BTreeMap::from([
        ("getHealth", (About::All, vec![])),
        ("getReadiness", (About::All, vec![])),
        ("getOpenApi", (About::All, vec![])),
        ("getIdentityKeys", (About::All, vec![])),
        ("getIdentityConfiguration", (About::All, vec![])),
        ("listIdentityProviders", (About::All, vec![])),
        ("whoAmI", (About::All, vec![])),
        ("canI", (About::All, vec![])),
        ("getMetrics", (About::Server, with(&["worker-admin"]))),
        ("listTokens", (About::Server, vec![])),
        ("createToken", (About::Server, vec![])),
        ("revokeToken", (About::Server, vec![])),
        ("listWorkflows", (About::List, with(&[]))),
        ("deployWorkflow", (About::Inside(Let::Forbidden), authors())),
        ("getLatestWorkflow", (About::Workflow, with(&[]))),
        ("getWorkflow", (About::Workflow, with(&[]))),
        ("diffWorkflow", (About::Workflow, with(&[]))),
        ("deleteWorkflow", (About::Workflow, authors())),
        ("retireWorkflow", (About::Workflow, authors())),
        ("restoreWorkflow", (About::Workflow, authors())),
        ("getDefinition", (inside, with(&[]))),
        ("listFunctions", (About::Shared, with(&[]))),
        ("getFunction", (About::Shared, with(&[]))),
        ("publishFunction", (About::Server, authors())),
        ("listInstances", (About::List, with(&["starter"]))),
        ("countInstances", (About::List, with(&["starter"]))),
        ("startInstance", (inside, starts())),
        ("getInstance", (About::Workflow, with(&["starter"]))),
        ("getInstanceOutput", (About::Workflow, with(&["starter"]))),
        ("getInstanceHistory", (About::Workflow, with(&["starter"]))),
        ("watchInstance", (About::Workflow, with(&["starter"]))),
        ("cancelInstance", (About::Workflow, operator())),
        ("deleteInstance", (About::Workflow, vec![])),
        ("suspendInstance", (About::Workflow, operator())),
        ("resumeInstance", (About::Workflow, operator())),
        ("listApprovals", (About::List, vec!["approver"])),
        ("getApproval", (About::Workflow, vec!["approver"])),
        ("approve", (About::Workflow, vec!["approver"])),
        ("reject", (About::Workflow, vec!["approver"])),
        ("listBulkJobs", (About::List, operator())),
        ("startBulkJob", (About::List, operator())),
        ("getBulkJob", (About::List, operator())),
        ("getBulkResults", (About::List, operator())),
        ("pauseBulkJob", (About::List, operator())),
        ("resumeBulkJob", (About::List, operator())),
        ("cancelBulkJob", (About::List, operator())),
        ("retryInstance", (About::Workflow, operator())),
        ("skipTask", (About::Workflow, operator())),
        ("resetInstance", (About::Workflow, operator())),
        ("cancelRoot", (About::Workflow, operator())),
        ("listSuspensions", (About::List, with(&[]))),
        ("suspendNamespace", (About::Namespace, operator())),
        ("resumeNamespace", (About::Namespace, operator())),
        ("suspendWorkflow", (About::Workflow, operator())),
        ("resumeWorkflow", (About::Workflow, operator())),
        ("listSchedules", (About::List, with(&[]))),
        ("getSchedule", (About::Workflow, with(&[]))),
        ("pauseSchedule", (About::Workflow, operator())),
        ("resumeSchedule", (About::Workflow, operator())),
        ("triggerSchedule", (About::Workflow, operator())),
        ("backfillSchedule", (About::Workflow, operator())),
        ("publishEvents", (About::Events, vec!["publisher", "operator"])),
        ("sendInstanceEvent", (About::Workflow, operator())),
        ("listKeptEvents", (About::Namespace, with(&["starter"]))),
        ("getKeptEvent", (About::Namespace, with(&["starter"]))),
        ("listWebhooks", (About::Namespace, with(&[]))),
        ("getWebhook", (About::Namespace, with(&[]))),
        ("putWebhook", (About::Events, vec![])),
        ("deleteWebhook", (About::Namespace, authors())),
        ("deliverWebhook", (About::All, vec![])),
        ("listWorkers", (About::Server, with(&["worker-admin"]))),
        ("joinWorker", (About::Server, vec!["worker"])),
        ("takeWorkerTurn", (About::Server, vec!["worker"])),
        ("listSecrets", (About::Server, vec!["secret-officer"])),
        ("getSecretPolicy", (About::Server, vec!["secret-officer"])),
        ("setSecretPolicy", (About::Server, vec!["secret-officer"])),
        ("getSecretPolicyProposal", (About::Server, vec!["secret-officer"])),
        ("approveSecretPolicy", (About::Server, vec!["secret-officer"])),
        ("withdrawSecretPolicy", (About::Server, vec!["secret-officer"])),
        ("listAuditEvents", (About::List, vec!["secret-officer", "auditor"])),
        ("showAuditKey", (About::List, vec!["secret-officer", "auditor"])),
        ("takeBackup", (About::Server, vec![])),
        ("getLog", (About::Server, with(&["worker-admin"]))),
        ("setLog", (About::Server, vec!["operator", "worker-admin"])),
    ])
}

/// The roles, and whether they see workflows at all.
const ROLES: [(&str, bool); 12] = [
    ("viewer", true),
    ("approver", true),
    ("starter", true),
    ("publisher", false),
    ("operator", true),
    ("author", true),
    ("process-author", true),
    ("secret-officer", true),
    ("auditor", true),
    ("worker-admin", false),
    ("worker", false),
    ("admin", true),
];

/// Somebody with a role, in one namespace or in all.
struct Person {
    role: &'static str,
    sees: bool,
    everywhere: bool,
    api: Api,
}

impl Person {
    fn expects(&self, about: About, roles: &[&str], foreign: bool) -> Let {
        let has = self.role == "admin" || roles.contains(&self.role);
        let let_through = |it: bool| if it { Let::Through } else { Let::Forbidden };
        let out_of_reach = foreign && !self.everywhere;
        match about {
            About::All => Let::Through,
            About::Server | About::Events => let_through(has && self.everywhere),
            About::Shared | About::List => let_through(has),
            About::Namespace => let_through(has && !out_of_reach),
            About::Workflow if out_of_reach || !self.sees => Let::Hidden,
            About::Workflow => let_through(has),
            About::Inside(otherwise) if has && out_of_reach => otherwise,
            About::Inside(_) => let_through(has),
        }
    }
}

/// What there is in a namespace.
struct Place {
    namespace: &'static str,
    instance: String,
    /// One that goes on: it is not deleted.
    open: String,
    digest: String,
}

impl Place {
    async fn make(root: &Api, namespace: &'static str) -> Self {
        let workflow = root.deploy(&greet(namespace)).await;
        root.deploy(&tick(namespace)).await;
        let ended = root.run(&workflow, &json!({})).await;
        let instance = ended["id"].as_str().unwrap().to_owned();
        let digest = root.show(&instance).await["digest"].as_str().unwrap().to_owned();
        let pausing = root.deploy(&pause(namespace).replace("name: pause", "name: rest")).await;
        let open = root.start(&pausing, &json!({})).await;
        Self { namespace, instance, open, digest }
    }

    /// The path of an operation here.
    fn path(&self, template: &str, operation: &str) -> String {
        let name = if template.starts_with("/v1/schedules") { "tick" } else { "greet" };
        let name = if operation.contains("Function") { "double" } else { name };
        let id = match operation {
            "revokeToken" => "none",
            "deleteInstance" => &self.open,
            _ => &self.instance,
        };
        let path = template
            .replace("{namespace}", self.namespace)
            .replace("{name}", name)
            .replace("{version}", "1.0.0")
            .replace("{digest}", &self.digest)
            .replace("{number}", "0")
            .replace("{key}", &"0".repeat(32))
            .replace("{session}", "0123456789abcdef0123456789abcdef")
            .replace("{id}", id);
        match operation {
            "diffWorkflow" => format!("{path}?to=1.0.0"),
            "canI" => format!("{path}?permission=start"),
            _ => path,
        }
    }

    /// The body of an operation here.
    fn body(&self, operation: &str) -> Option<(&'static str, String)> {
        let json = "application/json";
        let day = "2026-01-01T00:00:00Z";
        Some(match operation {
            "deployWorkflow" => ("application/yaml", greet(self.namespace)),
            "publishFunction" => ("application/yaml", "set: { twice: true }\n".to_owned()),
            "startInstance" => {
                let workflow = json!({"namespace": self.namespace, "name": "greet"});
                (json, json!({"workflow": workflow}).to_string())
            }
            "createToken" => {
                let grant = json!({"role": "viewer", "namespaces": ["own"]});
                (json, super::wanted("made", &[grant]).to_string())
            }
            "publishEvents" | "sendInstanceEvent" => {
                let event = json!({"specversion": "1.0", "id": "1", "source": "/", "type": "a"});
                ("application/cloudevents+json", event.to_string())
            }
            "putWebhook" => {
                let order = json!({"preset": "hmac", "secretFile": "none", "type": "a"});
                (json, order.to_string())
            }
            "startBulkJob" => {
                let order = json!({"action": "cancel", "filter": "name=greet", "preview": true});
                (json, order.to_string())
            }
            "reject" => (json, json!({"reason": "no"}).to_string()),
            "backfillSchedule" => (json, json!({"from": day, "to": day}).to_string()),
            "setSecretPolicy" => ("application/toml", "[[allow]]\n".to_owned()),
            "joinWorker" => (json, json!({"identity": "w", "functions": []}).to_string()),
            "takeWorkerTurn" => (json, "{}".to_owned()),
            "setLog" => (json, "{}".to_owned()),
            _ => return None,
        })
    }
}

/// Waits an hour.
fn pause(namespace: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: {namespace}, name: pause, version: '1.0.0' }}\n\
         do:\n  - rest: {{ wait: PT1H }}\n"
    )
}

/// Whether an answer is one of somebody who was let through.
fn seen(answer: &Answer) -> Let {
    match (answer.status.as_u16(), answer.body["code"].as_str().unwrap_or("")) {
        // Of a delivery, whose signature is its token.
        (401, "WL0562") => Let::Through,
        (401 | 403, _) => Let::Forbidden,
        // What was never there is not what is hidden.
        (404, "WL0547" | "WL0550" | "WL0560" | "WL0561" | "WL0576" | "WL0585" | "WL0650") => {
            Let::Through
        }
        (404, _) => Let::Hidden,
        _ => Let::Through,
    }
}

/// The operations of the document: method, template and name.
async fn operations(api: &Api) -> Vec<(Method, String, String)> {
    let document = api.get("/openapi.json").await.ok();
    let mut all = Vec::new();
    for (template, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let name = operation["operationId"].as_str().unwrap().to_owned();
            all.push((method, template.clone(), name));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_for_those_whose_role_has_it() {
    let asking = Asking::start("").await;
    let own = Place::make(&asking.root, "own").await;
    let foreign = Place::make(&asking.root, "foreign").await;
    let body = own.body("publishFunction").unwrap().1;
    let published = asking.root.request(Method::POST, "/v1/functions/double/1.0.0").body(body);
    Api::send(published).await.unwrap().ok();
    let mut people = Vec::new();
    for (role, sees) in ROLES {
        for (everywhere, namespace) in [(false, "own"), (true, "*")] {
            let api = asking.with_role(role, namespace).await;
            people.push(Person { role, sees, everywhere, api });
        }
    }
    let expected = expected();
    let operations = operations(&asking.dev.api).await;
    assert_eq!(operations.len(), expected.len(), "an operation has no expectation, or none has it");
    let mut wrong = Vec::new();
    for (method, template, operation) in &operations {
        let (about, roles) = &expected[operation.as_str()];
        for place in [&own, &foreign] {
            let ask = async |api: &Api| {
                let path = place.path(template, operation);
                let mut request = api.request(method.clone(), &path);
                if let Some((kind, body)) = place.body(operation) {
                    request = request.header("content-type", kind).body(body);
                }
                Api::send(request).await.unwrap()
            };
            for person in &people {
                let answer = ask(&person.api).await;
                let is_foreign = place.namespace == "foreign";
                let expects = person.expects(*about, roles, is_foreign);
                if seen(&answer) != expects {
                    let Person { role, everywhere, .. } = person;
                    wrong.push(format!(
                        "{operation} in {} as {role} (everywhere: {everywhere}): {expects:?}, not \
                         {} {}",
                        place.namespace, answer.status, answer.body
                    ));
                }
                // What suspends would refuse the starts of those who come after.
                if let "suspendNamespace" | "suspendWorkflow" = operation.as_str() {
                    let undone = place.path(template, operation).replace("suspend", "resume");
                    asking.root.post(&undone, &json!({})).await;
                }
                if operation == "retireWorkflow" {
                    let undone = place.path(template, operation).replace("retire", "restore");
                    asking.root.post(&undone, &json!({})).await;
                }
            }
            // Who shows nothing is asked who they are, whatever there is.
            let nobody = ask(&asking.dev.api).await;
            let is_open = template.starts_with("/.well-known")
                || template.starts_with("/v1/hooks/")
                || ["/healthz", "/readyz", "/openapi.json", "/v1/auth/providers"]
                    .contains(&template.as_str());
            if is_open != (nobody.status != 401) {
                wrong.push(format!("{operation} as nobody: {}", nobody.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreign_is_in_no_list() {
    let asking = Asking::start("").await;
    for namespace in ["own", "foreign"] {
        Place::make(&asking.root, namespace).await;
        let suspended = format!("/v1/workflows/{namespace}/tick/suspend");
        asking.root.post(&suspended, &json!({})).await.ok();
    }
    let ada = asking.with_role("viewer", "own").await;
    for path in ["/v1/workflows", "/v1/instances", "/v1/schedules", "/v1/suspensions"] {
        let all = asking.root.get(path).await.ok().to_string();
        assert!(all.contains("foreign") && all.contains("own"), "{path}: {all}");
        let page = ada.get(path).await.ok();
        let text = page.to_string();
        assert!(text.contains("own") && !text.contains("foreign"), "{path}: {text}");
        assert_eq!(page["next"], Value::Null, "{path}: a cursor says that there is more");
    }
    let count = async |api: &Api| api.get("/v1/instances/count").await.ok()["count"].clone();
    assert_ne!(count(&asking.root).await, count(&ada).await);
    let own = asking.root.get("/v1/instances/count?namespace=own").await.ok()["count"].clone();
    assert_eq!(count(&ada).await, own);
    let operator = asking.with_role("operator", "own").await;
    for namespace in ["own", "foreign"] {
        let workflow = asking.root.deploy(&pause(namespace)).await;
        asking.root.start(&workflow, &json!({})).await;
    }
    let order = json!({"action": "suspend", "filter": "name=pause"});
    let job = operator.post("/v1/bulk", &order).await.ok();
    assert_eq!(job["total"], 1, "{job}");
    let path = format!("/v1/bulk/{}", job["id"].as_str().unwrap());
    until(SOON, "the end of the job", || async {
        (operator.get(&path).await.ok()["status"] == "completed").then_some(())
    })
    .await;
    let suspended = asking.root.get("/v1/instances?status=suspended").await.ok();
    let namespaces: Vec<_> = suspended["items"].as_array().unwrap().iter().collect();
    assert_eq!(namespaces.len(), 1, "{suspended}");
    assert_eq!(namespaces[0]["workflow"]["namespace"], "own");
    // A job of somebody else is not there for who may not operate all.
    let other = asking.with_role("operator", "foreign").await;
    other.get(&path).await.problem(404);
    assert_eq!(other.get("/v1/bulk").await.ok()["items"], json!([]));
    let auditor = asking.with_role("auditor", "own").await;
    let trail = auditor.get("/v1/audit?limit=1000").await.ok()["items"].clone();
    let trail = trail.as_array().unwrap().clone();
    assert!(!trail.is_empty() && trail.iter().all(|it| it["namespace"] == "own"), "{trail:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_an_id_elsewhere_is_not_told_of() {
    let asking = Asking::start("").await;
    for namespace in ["own", "foreign"] {
        Place::make(&asking.root, namespace).await;
    }
    // An id can be that of a key or of a schedule of theirs: none can be chosen.
    let id = "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e40";
    let start =
        |namespace: &str| json!({"id": id, "workflow": {"namespace": namespace, "name": "greet"}});
    asking.root.post("/v1/instances", &start("foreign")).await.ok();
    let ada = asking.with_role("starter", "own").await;
    let refused = ada.post("/v1/instances", &start("own")).await.problem(403);
    assert!(!refused.to_string().contains("foreign"), "{refused}");
    let unused = start("own").to_string().replace("2e40", "2e41");
    let unused = serde_json::from_str(&unused).unwrap();
    let as_well = ada.post("/v1/instances", &unused).await.problem(403);
    assert_eq!(refused, as_well, "whether it is there is not told");
    // An instance that is not theirs is told from none by nothing.
    let foreign = Place::make(&asking.root, "foreign").await.instance;
    let never = "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f";
    let told = async |id: &str| {
        let problem = ada.get(&format!("/v1/instances/{id}")).await.problem(404);
        problem.to_string().replace(id, "ID")
    };
    assert_eq!(told(&foreign).await, told(never).await);
}
