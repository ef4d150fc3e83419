//! The table of shapes is what the decoder accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Here, Object, Shape, WORKFLOW, at, schema, tasks};
use crate::definition::{Options, Severity, asked, data, load};
use crate::schema::Schema;
use crate::value::Value;

/// Every object that can be reached from a workflow.
fn objects() -> Vec<&'static Object> {
    fn shape(of: &'static Shape, found: &mut BTreeMap<&'static str, &'static Object>) {
        match of {
            Shape::Of(it) => object(it, found),
            Shape::Task => tasks().iter().for_each(|(_, it)| object(it, found)),
            Shape::List(it) | Shape::One(it) | Shape::Names(it) => shape(it, found),
            Shape::Either(all) => all.iter().for_each(|it| shape(it, found)),
            _ => {}
        }
    }
    fn object(of: &'static Object, found: &mut BTreeMap<&'static str, &'static Object>) {
        if let Some(before) = found.insert(of.name, of) {
            assert!(std::ptr::eq(before, of), "two are called {}", of.name);
            return;
        }
        of.all().for_each(|it| shape(&it.shape, found));
        of.by_word.iter().flat_map(|it| it.table).for_each(|(_, it)| object(it, found));
    }
    let mut found = BTreeMap::new();
    object(&WORKFLOW, &mut found);
    found.into_values().collect()
}

fn keys(of: &Object) -> Vec<String> {
    let mut keys: Vec<_> = of.all().map(|it| it.key.to_owned()).collect();
    keys.sort();
    keys
}

/// Everything there is, once.
const ALL: &str = include_str!("all.yaml");

fn examples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut all = vec![("all.yaml".to_owned(), ALL.to_owned())];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
            all.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(all.len() > 10);
    all
}

#[test]
fn the_decoder_knows_the_keys_of_the_table_and_no_others() {
    asked::take();
    for (name, text) in examples() {
        let loaded = load(&text, &Options::default());
        let wrong: Vec<_> =
            loaded.diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
    let asked = asked::take();
    let own = objects();
    let mut unseen: BTreeSet<_> =
        own.iter().filter(|it| !it.what.is_empty()).map(|it| it.name).collect();
    for (what, sets) in &asked {
        for set in sets {
            let named = own.iter().filter(|it| it.what == what && keys(it) == *set);
            let found: Vec<_> = named.map(|it| it.name).collect();
            unseen.retain(|it| !found.contains(it));
            let is_alike = || own.iter().any(|it| keys(it) == *set) || *set == units();
            let is_partial = PARTLY.contains(&&**what);
            assert!(!found.is_empty() || is_partial || is_alike(), "{what} has {set:?}");
        }
    }
    unseen.retain(|it| !ALSO.contains(it));
    assert!(unseen.is_empty(), "the decoder never asks for {unseen:?}");
}

/// The keys of a duration.
fn units() -> Vec<String> {
    ["days", "hours", "milliseconds", "minutes", "seconds"].map(str::to_owned).to_vec()
}

/// Parts of which the decoder asks for less than there is, as what is in them is told apart first.
const PARTLY: &[&str] = &["`basic`", "`bearer`", "`metadata.windlass`", "`digest`"];

/// Shapes whose keys the decoder tells apart by itself.
const ALSO: &[&str] = &["strategy", "windlass", "definedAuthentication"];

#[test]
fn what_the_decoder_accepts_fits_the_schema() {
    let schema = serde_json::to_string(&schema(&WORKFLOW)).unwrap();
    let schema = Schema::compile(&Value::from_json(&schema).unwrap()).unwrap();
    for (name, text) in examples() {
        let value = data(&text).unwrap();
        assert_eq!(schema.validate(&value), Ok(()), "{name}");
    }
    let refused = [
        "document: {}\ndo: []",
        "do: [ a: { set: { x: 1 } } ]",
        "do: [ a: { sett: { x: 1 } } ]",
        "do: [ a: { wait: 5 } ]",
        "do: [ a: { call: http, with: { method: get } } ]",
        "do: [ a: { call: http, with: { method: get, endpoint: x, timeout: PT1S } } ]",
        "do: [ a: { run: { shell: { command: ls }, return: all, code: 1 } } ]",
        "do: [ a: { fork: { branches: [ b: { then: end } ] } } ]",
        "do: [ a: { set: { x: 1 }, metadata: { windlass: { pol: gpu } } } ]",
    ];
    let head = "document: { dsl: 1.0.3, namespace: a, name: b, version: 1.0.0 }\n";
    for text in refused {
        let text =
            if text.contains("document") { text.to_owned() } else { format!("{head}{text}") };
        let fits = schema.validate(&data(&text).unwrap()).is_ok();
        assert_eq!(fits, text.contains("{ set: { x: 1 } }"), "{text}");
    }
}

#[test]
fn every_property_is_explained() {
    for object in objects() {
        assert!(!object.about.is_empty(), "{}", object.name);
        for required in object.required {
            assert!(object.property(required).is_some(), "{}: {required}", object.name);
        }
        for property in object.all() {
            let about = property.about;
            assert!(!about.is_empty() && !about.ends_with('.'), "{}: {about}", property.key);
        }
    }
}

#[test]
fn places_tell_what_can_stand_there() {
    let text = "document: {}\ndo:\n- a: { call: http, with: { output: raw } }\n- b: {}\n- c: { try: [], catch: { retry: { backoff: {} } } }\n";
    let root = data(text).unwrap();
    let here = |path: &str| -> Option<Here> {
        let path: Vec<_> = path.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect();
        at(&WORKFLOW, &root, &path)
    };
    let keys = |path: &str| -> Vec<&str> {
        here(path).unwrap().properties().iter().map(|it| it.key).collect()
    };
    assert!(keys("").contains(&"schedule"));
    assert!(keys("/document").contains(&"namespace"));
    assert!(keys("/do/0/a").contains(&"with") && !keys("/do/0/a").contains(&"set"));
    assert!(keys("/do/0/a/with").contains(&"endpoint"));
    assert_eq!(here("/do/0/a/with/output").unwrap().words(), ["raw", "content", "response"]);
    assert!(["wait", "switch", "then"].iter().all(|it| keys("/do/1/b").contains(it)));
    assert!(keys("/do/2/c/catch/retry/backoff").contains(&"exponential"));
    assert!(here("/do/0/a/with/nothing").is_none() && here("/do/x").is_none());
    assert_eq!(here("/do/0/a/then").unwrap().words(), ["continue", "exit", "end"]);
}
