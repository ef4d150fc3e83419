//! Sealed values flow through an instance unchanged; an expression that looks into one is asked of
//! a worker where it can be, and is a clear error where it cannot.

use windlass_proto::value::Value;
use windlass_proto::wire::{Field, Work};

use super::driver::{Answer, Run};
use super::worker::{CANARY, sealed};
use super::{check, fails, json};
use crate::engine::{Body, ChildOutcome, Ending, Fact, Input};

fn token() -> Value {
    sealed(&Value::from(format!("Bearer {CANARY}")))
}

/// `{"n": 1, "s": <sealed>}`
fn input() -> Value {
    Value::object([("n", Value::Int(1)), ("s", token())])
}

/// Runs on [`input`]; gives the run and the fields that went to a worker.
fn run(body: &str) -> (Run, Vec<Field>) {
    let run = Run::of(body).value(input()).go();
    let fields = asked(&run);
    (run, fields)
}

fn asked(run: &Run) -> Vec<Field> {
    let requested = run.facts.iter().filter_map(|fact| match fact {
        Fact::EvaluationRequested { field, .. } => Some(*field),
        _ => None,
    });
    requested.collect()
}

/// The output, opened.
fn opened(run: &Run) -> String {
    let Some(Ending::Completed(output)) = &run.state.ending else {
        panic!("not completed: {:?}", run.state.ending)
    };
    let plain =
        |it: &windlass_proto::sealed::Sealed| json(std::str::from_utf8(&it.ciphertext).unwrap());
    output.clone().map_sealed(&mut |it| plain(&it)).to_json()
}

#[test]
fn a_sealed_value_moves_through_everything_without_a_worker() {
    for body in [
        "do: [{a: {set: {s: '${ .s }'}}}]\noutput: {as: .s}",
        "input: {from: '{x: .s}'}\ndo: [{a: {set: '${ .x }'}}]",
        "do: [{a: {set: {n: 1}, export: {as: '{k: $workflow.input.s}'}}}, {b: {set: '${ $context.k }'}}]",
        "do: [{a: {input: {from: .s}, do: [{b: {set: '${ . }'}}]}}]",
        "do: [{a: {set: {n: 1}, output: {as: $task.input.s}}}]",
        "do: [{s: {switch: [{x: {when: .s != null, then: b}}]}}, {a: {set: {n: 1}, then: end}}, {b: {set: '${ .s }'}}]",
        "do: [{a: {if: .s, set: '${ .s }'}}]",
        "do: [{f: {for: {in: '[.n, .s]'}, do: [{x: {set: '${ $item }'}}]}}]",
        "do: [{f: {for: {in: '[.n]'}, while: '.s', do: [{x: {set: '${ $task.input }'}}], output: {as: .s}}}]",
        "do: [{f: {fork: {branches: [{a: {set: '${ .s }'}}, {b: {set: {n: 1}}}]}, output: {as: '.[0]'}}}]",
        "do: [{f: {fork: {branches: [{a: {set: {n: 1}, export: {as: '{k: $workflow.input.s}'}}}, {b: {set: {n: 2}, export: {as: '{j: 1}'}}}]}}}]\noutput: {as: $context.k}",
        "do: [{c: {run: {workflow: {namespace: test, name: child, version: 1.0.0, input: {k: '${ .s }'}}}}}]\noutput: {as: .k}",
        "do: [{e: {emit: {event: {with: {type: t, data: {k: '${ .s }'}}}}}}]\noutput: {as: .data.k}",
        "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {do: [{c: {set: '${ $workflow.input.s }'}}]}}}]",
        "use: {functions: {f: {set: '${ .k }'}}}\ndo: [{a: {call: f, with: {k: '${ .s }'}}}]",
        "use: {extensions: [{e: {extend: set, before: [{x: {set: '${ . }'}}], after: [{y: {set: '${ $output }'}}]}}]}\ndo: [{a: {set: '${ .s }'}}]",
    ] {
        let (run, fields) = run(body);
        assert_eq!(run.state.ending, Some(Ending::Completed(token())), "{body}");
        assert!(fields.is_empty(), "{body}: {fields:?}");
    }
}

#[test]
fn what_looks_into_a_sealed_value_is_asked_of_a_worker() {
    use Field::{Condition, Definition, ExportAs, InputFrom, OutputAs};
    for (body, fields, output) in [
        ("do: [{a: {if: '.s == \"x\"', set: {n: 1}}}]\noutput: {as: .n}", vec![Condition], "1"),
        (
            "do: [{a: {if: '.s | startswith(\"Bearer\")', set: {n: 7}}}]\noutput: {as: .n}",
            vec![Condition],
            "7",
        ),
        ("do: [{a: {input: {from: '.s | length'}, set: '${ . + 1 }'}}]", vec![InputFrom], "14"),
        (
            "do: [{a: {set: {k: '${ .s[7:] }', n: 1}}}, {b: {set: '${ .k }'}}]",
            vec![Definition],
            "\"s3cret\"",
        ),
        ("do: [{a: {set: 'to ${ .s }'}}]", vec![Definition], "\"to Bearer s3cret\""),
        (
            "do: [{a: {set: '${ .s }', output: {as: 'split(\" \")'}}}]",
            vec![OutputAs],
            "[\"Bearer\",\"s3cret\"]",
        ),
        (
            "do: [{a: {set: '${ .s }', export: {as: '{k: ascii_downcase}'}}}]\noutput: {as: $context.k}",
            vec![ExportAs],
            "\"bearer s3cret\"",
        ),
        (
            "do: [{s: {switch: [{x: {when: '.s == 1', then: a}}, {y: {when: '.s | test(\"cret\")', then: b}}]}}, \
             {a: {set: {r: a}, then: end}}, {b: {set: {r: b}, then: end}}]",
            vec![Definition],
            "{\"r\":\"b\"}",
        ),
        (
            "do: [{f: {for: {in: '.s | split(\" \")'}, do: [{x: {set: '${ $item }'}}]}}]",
            vec![Definition],
            "\"s3cret\"",
        ),
        (
            "do: [{e: {emit: {event: {with: {type: t, data: '${ .s + \"!\" }'}}}}}]\noutput: {as: .data}",
            vec![Definition],
            "\"Bearer s3cret!\"",
        ),
        (
            "do: [{c: {run: {workflow: {namespace: test, name: child, version: 1.0.0, input: {k: 'x ${ .s }'}}}}}]\noutput: {as: .k}",
            vec![Definition],
            "\"x Bearer s3cret\"",
        ),
        (
            "use: {functions: {f: {set: '${ .k }'}}}\ndo: [{a: {call: f, with: {k: '${ .s[7:] }'}}}]",
            vec![Definition],
            "\"s3cret\"",
        ),
        // The variables come along, sealed as they are.
        (
            "do: [{a: {set: {n: 1}, export: {as: '{k: $workflow.input.s}'}}}, {b: {set: '${ $context.k[7:] }'}}]",
            vec![Definition],
            "\"s3cret\"",
        ),
        (
            "do: [{a: {set: {n: 1}, export: {as: '{k: $workflow.input.s}'}}}, \
             {c: {run: {workflow: {namespace: '${ $workflow.definition.document.namespace }', name: child, version: 1.0.0, input: {k: '${ $context.k[7:] }'}}}}}]\noutput: {as: .k}",
            vec![Definition],
            "\"s3cret\"",
        ),
        // Each field by itself: what only moves the value stays here.
        (
            "do: [{a: {if: .s, input: {from: .s}, set: '${ {k: ., l: length} }', output: {as: .k}, export: {as: '{k: .}'}}}]",
            vec![Definition],
            "\"Bearer s3cret\"",
        ),
        // No `try` of the expression gets another result than at a worker.
        ("do: [{a: {set: '${ try (.s | length) catch 0 }'}}]", vec![Definition], "13"),
        ("do: [{a: {set: '${ (.s | tonumber?) // \"none\" }'}}]", vec![Definition], "\"none\""),
    ] {
        let (run, asked) = run(body);
        assert_eq!(opened(&run), output, "{body}");
        assert_eq!(asked, fields, "{body}");
        assert!(run.jobs.iter().all(|job| job.carried_sealed), "{body}");
        let shown = format!("{:?}", run.state.ending);
        assert!(!shown.contains(CANARY), "{body}: {shown}");
    }
}

#[test]
fn an_error_that_is_raised_shows_only_that_something_is_sealed() {
    let body = "do: [{r: {raise: {error: {type: 'https://example.com/e', status: 418, title: '${ .s }', detail: 'for ${ .n }'}}}}]";
    let (run, fields) = run(body);
    let problem = run.problem();
    assert_eq!(problem.title.as_deref(), Some("«sealed»"));
    assert_eq!(problem.detail.as_deref(), Some("for 1"));
    assert!(fields.is_empty());
}

#[test]
fn where_no_worker_can_evaluate_it_the_error_says_what_to_do() {
    const LISTEN: &str = "do: [{l: {listen: {to: {one: {with: {type: t}, correlate: {k: {from: .data, expect: '${ .s }'}}}}}}}]";
    for (body, kind, what) in [
        ("input: {from: '.s | length'}\ndo: []", "expression", "the workflow's input.from"),
        ("output: {as: '.s | length'}\ndo: []", "expression", "the workflow's output.as"),
        ("do: [{a: {wait: '${ .s }'}}]", "expression", "a duration"),
        ("do: [{a: {wait: {seconds: '${ .s | length }'}}}]", "expression", "a duration"),
        (
            "do: [{a: {set: {n: 1}, timeout: {after: '${ $workflow.input.s + \"S\" }'}}}]",
            "expression",
            "a duration",
        ),
        ("do: [{a: {for: {in: '[1]'}, while: '.s == 1', do: []}}]", "expression", "`while`"),
        (
            "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {when: '$workflow.input.s == 1'}}}]",
            "expression",
            "a condition of catch",
        ),
        (
            "do: [{t: {try: [{r: {raise: {error: {type: runtime, status: 500}}}}], catch: {errors: {with: {title: '${ .s }'}}}}}]",
            "expression",
            "a filter of errors",
        ),
        (LISTEN, "expression", "`correlate`"),
        (
            "do: [{e: {emit: {event: {with: {type: '${ .s }'}}}}}]",
            "expression",
            "`type` of an event",
        ),
        (
            "do: [{c: {run: {workflow: {namespace: test, name: '${ .s }', version: 1.0.0}}}}]",
            "expression",
            "the name of a workflow",
        ),
        ("do: [{f: {for: {in: .s}, do: []}}]", "expression", "«sealed»"),
        (
            "use: {extensions: [{e: {extend: set, when: '$workflow.input.s == 1', before: []}}]}\ndo: [{a: {set: {n: 1}}}]",
            "expression",
            "`when` of an extension",
        ),
    ] {
        let (run, fields) = run(body);
        let problem = run.problem();
        assert!(problem.kind.ends_with(&format!("/{kind}")), "{body}: {problem:?}");
        let detail = problem.detail.as_deref().unwrap();
        assert!(detail.contains(what) && detail.contains("sealed"), "{body}: {detail}");
        assert!(!detail.contains(CANARY), "{detail}");
        assert!(fields.is_empty(), "{body}");
    }
    // Those of the task itself can be caught.
    check(&[fails(
        "a plain text is no sealed value",
        r#"{"s": "«sealed»"}"#,
        "do: [{a: {wait: '${ .s }'}}]",
        ("expression", 400, "/do/0/a"),
    )]);
}

#[test]
fn a_schema_sees_the_text_that_is_shown() {
    let body = |schema: &str| {
        format!(
            "do: [{{a: {{set: {{k: '${{ .s }}'}}, output: {{schema: {{document: {{properties: {{k: {schema}}}}}}}}}}}}}]"
        )
    };
    let (fits, _) = run(&body("{type: string, minLength: 8}"));
    assert!(matches!(fits.state.ending, Some(Ending::Completed(_))));
    let (refused, _) = run(&body("{type: integer}"));
    assert!(refused.problem().kind.ends_with("/validation"));
}

#[test]
fn an_extension_of_a_call_sees_the_raw_input_where_only_a_worker_knows_the_other() {
    let body = "use: {extensions: [{e: {extend: all, before: [{x: {set: {n: '${ .n }'}}}]}}]}\n\
                do: [{a: {input: {from: '{l: (.s | length)}'}, call: work}}]";
    let (run, _) = run(body);
    assert_eq!(run.order(), "a x");
    assert_eq!(run.output(), "{\"l\":13}");
}

#[test]
fn a_consumed_event_keeps_what_is_sealed_in_it() {
    let body = "do: [{f: {fork: {branches: [\
                {l: {listen: {to: {one: {with: {type: t, data: {n: 1}}}}}}}, \
                {e: {emit: {event: {with: {type: t, data: {n: 1, k: '${ .s }'}}}}}}]}}}]\n\
                output: {as: '.[0][0].k'}";
    let (run, fields) = run(body);
    assert_eq!(run.state.ending, Some(Ending::Completed(token())));
    assert!(fields.is_empty());
}

#[test]
fn an_event_whose_filter_looks_into_what_is_sealed_does_not_match() {
    for filter in [
        "with: {type: t, data: {k: '${ . == \"x\" }'}}",
        "with: {type: t, data: {k: x}}",
        "with: {type: t}, correlate: {k: {from: .data.k}}",
    ] {
        let body = format!(
            "do: [{{f: {{fork: {{branches: [\
             {{l: {{listen: {{to: {{one: {{{filter}}}}}}}}}}}, \
             {{e: {{emit: {{event: {{with: {{type: t, data: {{k: '${{ .s }}'}}}}}}}}}}}}]}}}}}}]"
        );
        let (mut run, _) = run(&body);
        assert_eq!(run.state.ending, None, "{filter}");
        run.event_of("t", r#"{"k": "x"}"#).unwrap_or_else(|it| panic!("{filter}: {it:?}"));
    }
}

#[test]
fn an_evaluation_for_a_sealed_value_is_sent_again_with_all_it_needs() {
    let mut run = Run::of("do: [{a: {set: '${ $workflow.input.s[7:] }'}}]").value(input());
    run.hold();
    run.begin();
    run.crash();
    let [first, second] = run.jobs.as_slice() else { panic!("{:?}", run.jobs) };
    assert_eq!(first.work, Work::Evaluate(Field::Definition));
    assert!(first.carried_sealed && second.carried_sealed && second.recovered);
    assert_eq!((first.delivery, &first.variables), (second.delivery, &second.variables));
    let frame = first.frame;
    assert!(matches!(run.state.frames[&frame].body, Body::Evaluating { .. }));
    let result = Ok(token());
    run.feed(Input::Reported {
        frame,
        delivery: 1,
        result,
        secrets: Vec::new(),
        retry_after_ms: None,
    })
    .unwrap();
    assert_eq!(run.state.ending, Some(Ending::Completed(token())));
}

#[test]
fn a_childs_output_stays_sealed() {
    let body = "do: [{c: {run: {workflow: {namespace: test, name: child, version: 1.0.0}}}}]";
    let run = Run::of(body).child(|_, _| Some(ChildOutcome::Completed(token()))).go();
    assert_eq!(run.state.ending, Some(Ending::Completed(token())));
}

#[test]
fn a_task_gets_sealed_input_as_it_is() {
    let body = "do: [{a: {call: work, with: {h: '${ \"x \" + .s }'}, output: {as: .h}}}]";
    let run = Run::of(body)
        .value(input())
        .script(|job| {
            assert!(job.carried_sealed);
            assert_eq!(job.with.to_json(), "{\"h\":\"x Bearer s3cret\"}");
            Answer::Echo
        })
        .go();
    assert_eq!(opened(&run), "\"x Bearer s3cret\"");
    assert!(asked(&run).is_empty());
}
