//! Functions of catalogs: what is wanted, and what becomes of what is pinned.

use super::DOCUMENT;
use crate::definition::pins::{self, Pins};
use crate::definition::{Loaded, Location, Options, load};
use crate::limits;
use crate::plan::{FunctionTarget, Kind, Plan};

const CATALOG: &str = "use: { catalogs: { c: { endpoint: 'http://c/' } }, secrets: [ token ] }\n";

fn url(function: &str) -> String {
    format!("http://c/functions/{function}/1.0.0/function.yaml")
}

/// A workflow with `tasks`, and these functions of the catalog `c` pinned to it.
fn pinned(tasks: &str, functions: &[(&str, &str)]) -> Loaded {
    let pins: Pins =
        functions.iter().map(|(name, text)| (url(name).into(), (*text).into())).collect();
    let text = pins::join(&format!("{DOCUMENT}{CATALOG}do:\n{tasks}"), &pins);
    load(&text, &Options { functions_pinned: true, ..Options::default() })
}

fn target(plan: &Plan, task: usize) -> usize {
    let Kind::Function(call) = &plan.tasks[task].kind else { panic!("{:?}", plan.tasks[task]) };
    let FunctionTarget::Defined(index) = call.target else { panic!("{:?}", call.target) };
    index.0 as usize
}

#[test]
fn what_is_called_is_wanted_once_with_its_place() {
    let tasks = "use: { catalogs: { c: { endpoint: { uri: 'http://c', authentication: { bearer: { \
                 token: x } } } } } }\ndo:\n  - a: { call: 'f:1.0.0@c' }\n  - b: { call: \
                 'f:1.0.0@c' }\n  - d: { call: 'g:2@http://me@d/x' }\n  - e: { call: 'http://h/f@1' \
                 }\n  - h: { call: 'i:1.0.0' }\n";
    let loaded = load(&format!("{DOCUMENT}{tasks}"), &Options::default());
    let wanted: Vec<_> = loaded.wanted.iter().map(|it| it.location.to_string()).collect();
    let places = [
        "http://c/functions/f/1.0.0/function.yaml",
        "http://me@d/x/functions/g/2/function.yaml",
        "http://h/f@1",
        "i:1.0.0@default",
    ];
    assert_eq!(wanted, places);
    assert!(matches!(&loaded.wanted[3].location, Location::Default(it) if &**it == "i:1.0.0"));
    assert!(loaded.wanted[0].authentication.is_some());
    let failed = loaded.wanted[0].failed("it is gone", "look");
    assert_eq!((failed.line, failed.column, &*failed.pointer), (8, 16, "/do/0/a/call"));
    assert_eq!(failed.message, "the function `f:1.0.0@c` cannot be fetched: it is gone");
    assert!(loaded.plan.is_some(), "they are warnings");
    let strict = Options { functions_pinned: true, ..Options::default() };
    assert!(load(&format!("{DOCUMENT}{tasks}"), &strict).plan.is_none(), "here they are not");
}

#[test]
fn pinned_functions_are_tasks_of_the_plan_and_call_each_other() {
    let tasks = "  - a: { call: 'f:1.0.0@c', with: { n: 1 } }\n  - b: { call: 'f:1.0.0@c' }\n";
    let f = "do:\n  - inner: { call: 'g:1.0.0@c' }\n  - again: { call: 'f:1.0.0@c' }\n";
    let loaded = pinned(tasks, &[("f", f), ("g", "set: { x: '${ .n }' }")]);
    let plan = loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
    let [a, b] = [0, 1].map(|at: usize| target(&plan, plan.root[at].0 as usize));
    assert_eq!(a, b);
    let function = &plan.tasks[a];
    assert_eq!((&*function.name, &*function.reference), ("f:1.0.0", ""));
    let Kind::Do(list) = &function.kind else { panic!() };
    assert_eq!(&*plan.task(list[0]).reference, "/do/0/inner");
    assert!(matches!(plan.tasks[target(&plan, list[0].0 as usize)].kind, Kind::Set(_)));
    // What calls itself is compiled once; how deep it goes is bounded where it runs.
    assert_eq!(target(&plan, list[1].0 as usize), a);
    assert_eq!(plan.functions.len(), 2);
}

#[test]
fn a_function_of_a_catalog_sees_nothing_of_its_caller() {
    let call = "  - a: { for: { in: '${ [1] }' }, do: [ b: { call: 'f:1.0.0@c' } ] }\n";
    let refused = |text: &str| {
        let found = pinned(call, &[("f", text)]).diagnostics;
        let found = found.into_iter().find(|it| it.code == "WL0315");
        found.unwrap_or_else(|| panic!("{text}")).message
    };
    let http = |rest: &str| format!("call: http\nwith: {{ method: get, endpoint: {rest} }}\n");
    let secrets = [
        "set: { x: '${ $secrets.token }' }",
        "set: { x: '${ $secrets }' }",
        "set: '${ {} | . + {a: $SECRETS.token} }'",
        "set: { x: 1 }\nif: '$secrets.token'",
        "set: { x: 1 }\ninput: { from: '$secrets' }",
        "set: { x: 1 }\noutput: { as: '${ $secrets }' }",
        "set: { x: 1 }\nexport: { as: '${ $secrets }' }",
        "run: { shell: { command: 'echo ${ $secrets.token }' } }",
        &http("'http://a/${ $secrets.token }'"),
        &http("{ uri: 'http://a', authentication: { bearer: { token: '${ $secrets.token }' } } }"),
    ];
    for text in secrets {
        let message = refused(text);
        assert!(message.contains("no secrets of its own"), "{text}: {message}");
    }
    let named = http("{ uri: 'http://a', authentication: { basic: { use: token } } }");
    assert!(refused(&named).contains("`token`"));
    assert!(refused("set: { x: '${ $item }' }").contains("line 1, column"));
    assert!(refused("set: [").contains("cannot be used: line "));
    assert!(refused("[]").contains("must be a mapping"));
    assert!(refused("do: [ a: { set: { x: 1 }, then: gone } ]").contains("gone"));
}

#[test]
fn functions_are_bounded_in_number_and_in_all() {
    let chain = |length: usize| {
        let texts: Vec<_> = (0..length)
            .map(|at| {
                let next = format!("call: 'f{}:1.0.0@c'", at + 1);
                let text = if at + 1 == length { "set: { x: 1 }".to_owned() } else { next };
                (format!("f{at}"), text)
            })
            .collect();
        let texts: Vec<_> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
        pinned("  - a: { call: 'f0:1.0.0@c' }\n", &texts)
    };
    let most = limits::PINNED_FUNCTIONS;
    assert!(chain(most).plan.is_some());
    let refused = chain(most + 1);
    assert!(refused.plan.is_none() && refused.diagnostics[0].code == "WL0316");
    // All texts count as one definition: what an alias expands to as well.
    let many = format!("set: {{ a: &a [{}], b: *a }}", "1,".repeat(limits::DEFINITION_NODES / 4));
    let tasks = "  - a: { call: 'f:1.0.0@c' }\n  - b: { call: 'g:1.0.0@c' }\n";
    assert!(pinned("  - a: { call: 'f:1.0.0@c' }\n", &[("f", &many)]).plan.is_some());
    let refused = pinned(tasks, &[("f", &many), ("g", &many)]).diagnostics;
    assert!(refused[0].message.contains("more than"), "{refused:#?}");
}
