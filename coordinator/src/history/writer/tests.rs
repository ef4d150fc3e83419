use windlass_proto::definition::{Options, load};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::secret::{SecretName, SecretUse};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::{HistoryWriter, Page};
use crate::engine::{DeliveryLoss, Fact, Input, Instance, LossReason, Origin, create, decide};

fn tell_all(writer: &mut HistoryWriter<'_>, facts: Vec<Fact>) {
    for fact in facts {
        assert!(writer.write(Timestamp(1), &fact).is_continue());
    }
}

#[test]
fn a_lost_delivery_is_told_with_its_number_and_the_next_one_after_it() {
    let text = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}\n\
                do: [{a: {call: work}}]\n";
    let functions = Some(vec!["work".into()]);
    let plan = load(text, &Options { functions, ..Options::default() }).plan.unwrap();
    let (id, at) = (InstanceId(uuid::Uuid::nil()), Timestamp(1));
    let (mut state, begun) = create(&plan, id, at, Value::Null, Origin::default());
    let (worker, reason) = (Some("a-1".into()), Some(LossReason::Silent));
    let loss = DeliveryLoss { blamed: true, worker, reason };
    let lost = Input::Lost { frame: FrameId(1), delivery: 1, loss, most: 5 };
    let lost = decide(&plan, &mut state, at, lost).unwrap();
    let facts: Vec<_> = begun.facts.into_iter().chain(lost.facts).collect();
    let mut writer = HistoryWriter::new(&plan, Instance::not_started(id), Page::new(0, usize::MAX));
    tell_all(&mut writer, facts);
    let told: Vec<String> = writer
        .page
        .entries
        .iter()
        .map(|it| {
            let task = it.task.as_deref().unwrap_or("");
            format!("{} {task} {}", it.event, it.data.to_json())
        })
        .collect();
    assert_eq!(
        told[2..],
        [
            r#"task.scheduled /do/0/a {"delivery":1}"#,
            r#"task.lost /do/0/a {"delivery":1,"blamed":true,"worker":"a-1","reason":"the worker was not heard for a lease"}"#,
            r#"task.scheduled /do/0/a {"delivery":2}"#,
        ]
    );
    writer.forget_ended();
    let live: Vec<_> = writer.page.entries.iter().filter_map(|it| it.sent).collect();
    assert_eq!(live, [(FrameId(1), 2)], "only where this one is can be asked");
}

#[test]
fn secrets_are_told_with_their_versions() {
    let text = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}\n\
                use: {secrets: [api-key]}\ndo: [{a: {call: work}}]\n";
    let functions = Some(vec!["work".into()]);
    let plan = load(text, &Options { functions, ..Options::default() }).plan.unwrap();
    let (id, at) = (InstanceId(uuid::Uuid::nil()), Timestamp(1));
    let (mut state, begun) = create(&plan, id, at, Value::Null, Origin::default());
    let name = SecretName("api-key".into());
    let secrets = vec![SecretUse { name, version: Some("7".into()) }];
    let (frame, result) = (FrameId(1), Ok(Value::Null));
    let report = Input::Reported { frame, delivery: 1, result, secrets, retry_after_ms: None };
    let reported = decide(&plan, &mut state, at, report).unwrap();
    let facts: Vec<_> = begun.facts.into_iter().chain(reported.facts).collect();
    let mut writer = HistoryWriter::new(&plan, Instance::not_started(id), Page::new(0, usize::MAX));
    tell_all(&mut writer, facts);
    let told = writer.page.entries.iter().find(|it| it.event == "task.secrets").unwrap();
    assert_eq!(told.task.as_deref(), Some("/do/0/a"));
    assert_eq!(told.data.to_json(), r#"{"secrets":["api-key@7"]}"#);
}
