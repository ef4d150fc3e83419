//! Expressions that name a secret are evaluated by a worker, wherever they stand (§3 of the
//! design).

use windlass_proto::id::FrameId;
use windlass_proto::problem::Standard;
use windlass_proto::secret::{SecretName, SecretUse};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Field, Work};

use super::driver::{Run, problem};
use crate::engine::{Fact, Input, Journaled, Rejection, decode, encode};

/// Runs with the secrets `key` and `flag`; gives the run and the fields that went to a worker.
fn run(body: &str, input: &str) -> (Run, Vec<Field>) {
    let text = format!("use: {{secrets: [key, flag]}}\n{body}");
    let run = Run::of(&text).input(input).secrets(r#"{"key": 7, "flag": true}"#).go();
    let fields = run
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::EvaluationRequested { field, .. } => Some(*field),
            _ => None,
        })
        .collect();
    (run, fields)
}

#[test]
fn every_field_that_names_a_secret_goes_to_a_worker_and_the_flow_goes_on() {
    use Field::{Condition, Definition, ExportAs, InputFrom, OutputAs};
    for (body, fields, output) in [
        ("do: [{a: {if: $secrets.flag, set: {n: 1}}}]", vec![Condition], "{\"n\":1}"),
        (
            "do: [{a: {if: '$secrets.flag | not', set: {n: 1}}}, {b: {set: {m: 2}}}]",
            vec![Condition],
            "{\"m\":2}",
        ),
        (
            "do: [{a: {if: '$secrets.flag | not', set: {n: 1}, then: end}}, {b: {set: {m: 2}}}]",
            vec![Condition],
            "{\"m\":2}",
        ),
        (
            "do: [{a: {input: {from: '.n + $secrets.key'}, set: '${ . * 2 }'}}]",
            vec![InputFrom],
            "16",
        ),
        (
            "do: [{a: {input: {from: '{s: $secrets.key}'}, do: [{b: {set: '${ .s }'}}]}}]",
            vec![InputFrom],
            "7",
        ),
        ("do: [{a: {input: {from: $secrets.key}, wait: PT1S}}]", vec![InputFrom], "7"),
        (
            "do: [{a: {set: {n: '${ .n + $secrets.key }', m: 1}}}]",
            vec![Definition],
            "{\"n\":8,\"m\":1}",
        ),
        (
            "do: [{a: {set: {n: 1}, output: {as: '.n + $secrets.key'}}}, {b: {set: '${ . + 1 }'}}]",
            vec![OutputAs],
            "9",
        ),
        (
            "do: [{a: {set: {n: 1}, export: {as: '{k: (.n + $secrets.key)}'}}}, {b: {set: '${ $context.k }'}}]",
            vec![ExportAs],
            "8",
        ),
        (
            "do: [{s: {switch: [{x: {when: .n > $secrets.key, then: a}}, {y: {when: .n < $secrets.key, then: b}}]}}, \
             {a: {set: {r: a}, then: end}}, {b: {set: {r: b}, then: end}}]",
            vec![Definition],
            "{\"r\":\"b\"}",
        ),
        (
            "do: [{s: {switch: [{x: {when: .n > $secrets.key, then: a}}], then: b}}, \
             {a: {set: {r: a}, then: end}}, {b: {set: {r: b}, then: end}}]",
            vec![Definition],
            "{\"r\":\"b\"}",
        ),
        // The chosen case survives evaluations of output and export.
        (
            "do: [{s: {switch: [{x: {when: .n == 1, then: b}}], output: {as: '. + {k: $secrets.key}'}, \
             export: {as: '{k: $secrets.key}'}}}, {a: {set: {r: a}, then: end}}, {b: {set: '${ [.k, $context.k] }'}}]",
            vec![OutputAs, ExportAs],
            "[7,7]",
        ),
        // So does `catch.then`.
        (
            "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], \
             catch: {do: [{c: {set: {n: 2}}}], then: b}, output: {as: '.n + $secrets.key'}}}, \
             {a: {set: {r: a}, then: end}}, {b: {set: '${ . }'}}]",
            vec![OutputAs],
            "9",
        ),
        (
            "do: [{t: {try: [{r: {raise: {error: {type: 'https://example.com/${ $secrets.key }', status: '${ 400 + $secrets.key }', \
             detail: 'k ${ $secrets.key }'}}}}], catch: {do: [{c: {set: '${ [$error.type, $error.status, $error.detail] }'}}]}}}]",
            vec![Definition],
            "[\"https://example.com/7\",407,\"k 7\"]",
        ),
        (
            "do: [{e: {emit: {event: {with: {type: t, data: {k: '${ $secrets.key }'}}}}, output: {as: .data.k}}}]",
            vec![Definition],
            "7",
        ),
        (
            "do: [{f: {for: {in: '[.n, $secrets.key]'}, do: [{x: {set: '${ [., $item] }'}}]}}]",
            vec![Definition],
            "[[{\"n\":1},1],7]",
        ),
        // The loop's variables are bound in its own output even at the worker.
        (
            "do: [{f: {for: {each: x, in: '[1, 2]'}, do: [{y: {set: {n: 1}}}], output: {as: '[$x, $secrets.key]'}}}]",
            vec![OutputAs],
            "[2,7]",
        ),
        (
            "do: [{f: {for: {each: x, in: '[1, 2]'}, do: [{y: {if: '$x < $secrets.key', set: '${ $x }'}}]}}]",
            vec![Condition, Condition],
            "2",
        ),
        // A branch may be skipped by a worker's word.
        (
            "do: [{f: {fork: {branches: [{a: {if: '$secrets.flag | not', set: {n: 5}}}, {b: {set: {n: 6}}}]}}}]",
            vec![Condition],
            "[{\"n\":1},{\"n\":6}]",
        ),
        (
            "do: [{f: {fork: {compete: true, branches: [{a: {if: '$secrets.flag | not', set: {n: 5}}}, {b: {set: {n: '${ $secrets.key }'}}}]}}}]",
            vec![Condition, Definition],
            "{\"n\":7}",
        ),
        // All of one task, in order.
        (
            "do: [{a: {if: $secrets.flag, input: {from: '.n + $secrets.key'}, set: '${ [., $secrets.key, $input] }', \
             output: {as: '. + [$secrets.key, $input]'}, export: {as: '{k: $secrets.key, o: $output, i: $input}'}}}]\noutput: {as: '[., $context]'}",
            vec![Condition, InputFrom, Definition, OutputAs, ExportAs],
            "[[8,7,8,7,8],{\"k\":7,\"o\":[8,7,8,7,8],\"i\":8}]",
        ),
        // A call's own expressions are the worker's anyway; what comes after is asked for.
        (
            "do: [{a: {if: $secrets.flag, call: work, with: '${ $secrets.key }', export: {as: '{k: (. + $secrets.key)}'}}}]\noutput: {as: '[., $context.k]'}",
            vec![Condition, ExportAs],
            "[7,14]",
        ),
    ] {
        let (run, asked) = run(body, "{\"n\": 1}");
        assert_eq!(run.output(), output, "{body}");
        assert_eq!(asked, fields, "{body}");
    }
}

#[test]
fn arguments_of_a_function_may_name_a_secret() {
    let body = "use: {secrets: [key], functions: {f: {set: '${ .k + 1 }'}}}\ndo: [{a: {call: f, with: {k: '${ $secrets.key }'}}}]";
    let run = Run::of(body).secrets("{\"key\": 7}").go();
    assert_eq!(run.output(), "8");
}

#[test]
fn the_input_of_a_child_may_name_a_secret() {
    let body = "do: [{c: {run: {workflow: {namespace: test, name: child, version: 1.0.0, input: {k: '${ $secrets.key }', n: '${ .n }'}}}}}]";
    let (run, fields) = run(body, "{\"n\": 1}");
    assert_eq!(run.output(), "{\"k\":7,\"n\":1}");
    assert_eq!(fields, [Field::Definition]);
    let [(workflow, input, true)] = run.children.as_slice() else { panic!("{:?}", run.children) };
    assert_eq!((&*workflow[1], input.to_json()), ("child", "{\"k\":7,\"n\":1}".to_owned()));
}

#[test]
fn where_no_worker_can_evaluate_it_a_secret_is_an_error() {
    for body in [
        "input: {from: $secrets.key}\ndo: []",
        "output: {as: $secrets.key}\ndo: []",
        "timeout: {after: '${ $secrets.key }'}\ndo: []",
        "do: [{a: {wait: '${ $secrets.key }'}}]",
        "do: [{a: {for: {in: '[1]'}, while: $secrets.flag, do: []}}]",
        "do: [{a: {set: {n: 1}, timeout: {after: '${ $secrets.key }'}}}]",
        "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {when: $secrets.flag}}}]",
        "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {errors: {with: {title: '${ $secrets.key }'}}}}}]",
        "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {retry: {when: $secrets.flag}}}}]",
        "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {retry: {delay: '${ $secrets.key }'}}}}]",
        "do: [{l: {listen: {to: {one: {with: {type: '${ $secrets.key }'}}}}}}]",
        "do: [{l: {listen: {to: {one: {with: {type: t}, correlate: {k: {from: $secrets.key}}}}}}}]",
        "do: [{l: {listen: {to: {one: {with: {type: t}, correlate: {k: {from: .data, expect: '${ $secrets.key }'}}}}}}}]",
        "do: [{c: {run: {workflow: {namespace: test, name: '${ $secrets.key }', version: 1.0.0}}}}]",
    ] {
        let (run, fields) = run(body, "{}");
        let problem = run.problem();
        assert_eq!(problem.status, 400, "{body}: {problem:?}");
        assert!(problem.kind.ends_with("/configuration"), "{body}: {problem:?}");
        assert!(problem.detail.as_deref().unwrap().contains("secret"), "{body}");
        assert!(fields.is_empty(), "{body}");
    }
}

#[test]
fn a_refused_secret_can_be_caught() {
    let body = "
use: {secrets: [key]}
do:
  - t:
      try: [{a: {set: {n: '${ $secrets.key }'}}}]
      catch: {errors: {with: {type: authorization}}, do: [{c: {set: '${ $error.status }'}}]}";
    let mut run = Run::of(body);
    run.hold();
    run.begin();
    let job = run.jobs[0].clone();
    assert_eq!(job.work, Work::Evaluate(Field::Definition));
    let result = Err(problem(Standard::Authorization, 403));
    let secrets = Vec::new();
    let (frame, delivery) = (job.frame, job.delivery);
    run.feed(Input::Reported { frame, delivery, result, secrets, retry_after_ms: None }).unwrap();
    assert_eq!(run.output(), "403");
    assert!(run.cancelled.is_empty(), "who has answered need not be called off");
}

#[test]
fn the_report_of_an_evaluation_is_not_taken_for_that_of_the_task() {
    let body =
        "use: {secrets: [flag]}\ndo: [{a: {if: $secrets.flag, call: work, output: {as: '.'}}}]";
    let mut run = Run::of(body);
    run.hold();
    run.begin();
    let job = run.jobs[0].clone();
    let report = || Input::Reported {
        frame: job.frame,
        delivery: job.delivery,
        result: Ok(Value::Bool(true)),
        secrets: Vec::new(),
        retry_after_ms: None,
    };
    run.feed(report()).unwrap();
    assert_eq!(run.jobs[1].work, Work::Perform);
    assert_eq!(run.jobs[1].frame, job.frame);
    assert_eq!(run.feed(report()), Err(Rejection::Stale), "a repeat of the first report");
    assert!(run.state.ending.is_none());
}

#[test]
fn an_evaluation_is_sent_again_after_a_crash_with_all_it_needs() {
    let body = "use: {secrets: [key]}
do: [{f: {for: {each: x, in: '[1, 2]'}, do: [{y: {set: {n: 1}}}], output: {as: '[$x, $index, $secrets.key]'}}}]";
    let mut run = Run::of(body).secrets("{\"key\": 7}");
    run.hold();
    run.begin();
    run.crash();
    let [first, second] = run.jobs.as_slice() else { panic!("{:?}", run.jobs) };
    assert_eq!((first.delivery, second.delivery), (1, 1));
    assert!(second.recovered && second.work == first.work);
    assert_eq!(first.variables, second.variables);
    assert_eq!(second.variable("x"), "2");
    assert_eq!(second.variable("secrets"), "absent", "no secret is the coordinator's to give");
}

#[test]
fn a_wait_behind_an_evaluation_waits_like_any_other() {
    let body = "use: {secrets: [key]}\ndo: [{a: {input: {from: '{k: $secrets.key}'}, wait: PT1H}}]";
    let mut run = Run::of(body).secrets("{\"key\": 7}");
    run.begin();
    run.wait(1_000);
    assert_eq!(run.state.status(), crate::status::Status::Waiting);
    assert_eq!(run.state.outstanding, 0);
}

/// `name` or `name@version`.
fn used(text: &str) -> SecretUse {
    let (name, version) = text.split_once('@').unzip();
    SecretUse { name: SecretName(name.unwrap_or(text).into()), version: version.map(Into::into) }
}

#[test]
fn uses_of_declared_secrets_are_kept_before_what_comes_of_them() {
    let mut run = Run::of("use: {secrets: [key, flag]}\ndo: [{a: {call: work}}]");
    run.hold();
    run.begin();
    let job = run.jobs[0].clone();
    let report = |delivery, secrets| Input::Reported {
        frame: job.frame,
        delivery,
        result: Ok(Value::Int(1)),
        secrets,
        retry_after_ms: None,
    };
    let too_long = format!("key@{}", "9".repeat(129));
    let told = ["key@7", "undeclared@1", &too_long, "flag"].map(used).to_vec();
    assert_eq!(run.feed(report(job.delivery + 1, told.clone())), Err(Rejection::Stale));
    run.feed(report(job.delivery, told)).unwrap();
    let at = |wanted: fn(&Fact) -> bool| run.facts.iter().position(wanted).unwrap();
    let kept = at(|it| matches!(it, Fact::SecretsUsed { .. }));
    assert_eq!(
        run.facts[kept],
        Fact::SecretsUsed { frame: job.frame, secrets: vec![used("key@7"), used("flag")] }
    );
    assert!(kept < at(|it| matches!(it, Fact::TaskCompleted { .. })));
}

#[test]
fn uses_of_secrets_are_read_back() {
    let secrets = vec![used("key@7"), used("flag")];
    let turn = Journaled {
        at: Timestamp(1),
        facts: vec![Fact::SecretsUsed { frame: FrameId(1), secrets }, Fact::Continued],
    };
    let mut entry = Vec::new();
    encode(&turn, &mut entry).unwrap();
    assert_eq!(decode(&entry).unwrap(), [turn]);
}
