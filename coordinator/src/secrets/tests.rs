//! Who is granted what.

use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::definition;
use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId};
use windlass_proto::plan::TaskIx;
use windlass_proto::problem::Standard;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey, Field, Sealing, Work};

use super::{Granter, Secrets, SecretsOptions};
use crate::catalog::{Catalog, Unsupported};
use crate::journal::memory::MemoryJournal;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

struct Office {
    secrets: Arc<Secrets>,
    catalog: Arc<Catalog>,
    granter: Granter,
    digest: Digest,
}

/// A coordinator's view of one definition, whose `use` and `do` are in `body`.
fn office(body: &str) -> Office {
    let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
    let catalog = Arc::new(Catalog::open(journal, definition::Options::default()).unwrap());
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: acme, name: order, version: '1.0.0'}}\n{body}"
    );
    let deployed = catalog.deploy(&text, Unsupported::Allow, NOW, |_| Ok(())).ok().unwrap();
    let secrets = Arc::new(Secrets::open(SecretsOptions::default(), None).unwrap());
    let granter = Granter::new(secrets.clone(), catalog.clone());
    Office { secrets, catalog, granter, digest: deployed.digest }
}

impl Office {
    fn assignment(&self, task: u32, work: Work) -> Assignment {
        let plan = self.catalog.plan(&self.digest).unwrap();
        Assignment {
            key: AssignmentKey {
                instance: InstanceId(Uuid::nil()),
                frame: FrameId(1),
                delivery: 1,
                partition: PartitionId(0),
                epoch: 1,
            },
            workflow: plan.id.clone(),
            digest: self.digest.clone(),
            task: TaskIx(task),
            reference: plan.tasks[task as usize].reference.clone(),
            visit: 1,
            work,
            input: Value::Null,
            variables: Vec::new(),
            now: NOW,
            deadline: None,
            traceparent: None,
            tracestate: None,
            pool: None,
            priority: 5,
            losses: 0,
            grant: None,
        }
    }

    /// The names granted to a task; none without a grant.
    fn granted(&self, task: u32, work: Work) -> Option<Vec<String>> {
        let grant = self.granter.grant(&self.assignment(task, work), NOW).unwrap()?;
        assert_eq!(grant.identity.is_some(), !grant.secrets.is_empty());
        Some(grant.secrets.iter().map(ToString::to_string).collect())
    }
}

const TWO: &str = "use: {secrets: [a, b, c]}
do:
  - plain: {call: http, with: {method: get, endpoint: 'http://h'}}
  - one: {call: http, with: {method: get, endpoint: 'http://h', headers: {x: '${ $secrets.b }'}}}
  - all: {if: '$secrets != null', set: {x: 1}}
";

#[test]
fn a_task_is_granted_what_its_work_reaches_and_no_more() {
    let office = office(TWO);
    assert_eq!(office.granted(0, Work::Perform), None);
    assert_eq!(office.granted(1, Work::Perform), Some(vec!["b".to_owned()]));
    assert_eq!(office.granted(1, Work::Evaluate(Field::Condition)), None);
    let all = Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
    assert_eq!(office.granted(2, Work::Evaluate(Field::Condition)), all);
}

#[test]
fn what_the_policy_takes_away_is_left_out_at_once() {
    let office = office(TWO);
    office.secrets.policies.replace("[[allow]]\nsecrets = [\"a\", \"c\"]", None).unwrap();
    assert_eq!(office.granted(1, Work::Perform), Some(Vec::new()));
    let left = Some(vec!["a".to_owned(), "c".to_owned()]);
    assert_eq!(office.granted(2, Work::Evaluate(Field::Condition)), left);
    office.secrets.policies.replace("[[allow]]", None).unwrap();
    assert_eq!(office.granted(1, Work::Perform), Some(vec!["b".to_owned()]), "and given back");
    let policy = "[sealing]\nnamespaces = {acme = \"refuse\"}";
    office.secrets.policies.replace(policy, None).unwrap();
    let grant = office.granter.grant(&office.assignment(1, Work::Perform), NOW).unwrap().unwrap();
    assert_eq!(grant.sealing, Sealing::Refuse);
}

#[test]
fn too_many_secrets_are_a_mistake_of_the_definition() {
    let names: Vec<_> = (0..17).map(|it| format!("s{it}")).collect();
    let body = |names: &[String]| {
        format!("use: {{secrets: [{}]}}\ndo: [{{t: {{set: '${{ $secrets }}'}}}}]", names.join(","))
    };
    let work = || Work::Evaluate(Field::Definition);
    let many = office(&body(&names));
    let problem = many.granter.check(&many.assignment(0, work())).unwrap_err();
    assert!(Standard::parse(&problem.kind) == Some(Standard::Configuration), "{problem:?}");
    assert!(many.granter.grant(&many.assignment(0, work()), NOW).is_err());
    let few = office(&body(&names[..16]));
    assert_eq!(few.granted(0, work()).map(|it| it.len()), Some(16));
}

#[test]
fn uses_are_listed_with_their_tasks_and_whether_they_are_permitted() {
    let office = office(TWO);
    office.secrets.policies.replace("[[allow]]\nsecrets = [\"b\"]", None).unwrap();
    let uses = office.secrets.uses(&office.catalog);
    let told: Vec<_> = uses
        .iter()
        .map(|it| format!("{} {} {}", it.name, it.uses[0].permitted, it.uses[0].tasks.join(" ")))
        .collect();
    assert_eq!(told, ["a false /do/2/all", "b true /do/1/one /do/2/all", "c false /do/2/all"]);
    let refused = office.secrets.check(&office.catalog.plan(&office.digest).unwrap()).unwrap_err();
    assert_eq!(refused.secrets.len(), 2);
}

#[test]
fn a_task_of_an_unknown_definition_is_not_sent_with_all_rights() {
    let office = office(TWO);
    let mut assignment = office.assignment(1, Work::Perform);
    assignment.digest = Digest::of("something else");
    assert!(office.granter.check(&assignment).is_err());
    assert!(office.granter.grant(&assignment, NOW).is_err());
}
