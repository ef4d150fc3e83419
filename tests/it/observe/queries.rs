//! Whether a PromQL query asks for what the table has.

use std::collections::BTreeSet;

use windlass_proto::metric::{Family, Kind};

use super::samples;

/// Labels that Prometheus adds, or that are of its own.
const ADDED: [&str; 2] = ["instance", "job"];

/// What begins a list of labels.
const LISTS: [&str; 5] = ["by", "without", "on", "ignoring", "group_left"];

/// What is wrong with a query: metrics and labels that the table does not have.
pub(super) fn wrong(query: &str) -> Vec<String> {
    let (mut wrong, mut known) = (Vec::new(), BTreeSet::new());
    let samples = samples();
    for (name, labels) in selectors(query) {
        let Some(family) = samples.get(name) else {
            if name.starts_with("windlass") {
                wrong.push(format!("no metric {name}"));
            }
            continue;
        };
        let labels_of = labels_of(family, name);
        let strange = labels.iter().filter(|it| !labels_of.contains(*it));
        wrong.extend(strange.map(|it| format!("{name} has no label {it}")));
        known.extend(labels_of);
    }
    known.extend(ADDED);
    let strange = lists(query).into_iter().filter(|it| !known.contains(it));
    wrong.extend(strange.map(|it| format!("none of the metrics has a label {it}")));
    wrong
}

/// The metrics of Windlass that a query names.
pub(super) fn metrics(query: &str) -> BTreeSet<String> {
    let named = selectors(query).into_iter().map(|it| it.0);
    named.filter(|it| it.starts_with("windlass_")).map(str::to_owned).collect()
}

fn labels_of(family: &Family, name: &str) -> BTreeSet<&'static str> {
    let bound = matches!(family.kind, Kind::Histogram(_)) && name.ends_with("_bucket");
    family.labels.iter().copied().chain(ADDED).chain(bound.then_some("le")).collect()
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The words of a query with what follows each, those within quotes and braces left out.
fn words(query: &str) -> Vec<(&str, &str)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(letter) = query[at..].chars().next() {
        match letter {
            '"' => at += query[at + 1..].find('"').expect("an open quote") + 2,
            '{' => at += closing(&query[at..]) + 1,
            _ if is_word(letter) => {
                let end = query[at..].find(|it| !is_word(it)).map_or(query.len(), |it| at + it);
                found.push((&query[at..end], query[end..].trim_start()));
                at = end;
            }
            _ => at += letter.len_utf8(),
        }
    }
    found
}

/// Where the brace at the beginning is closed.
fn closing(text: &str) -> usize {
    let mut quoted = false;
    let end = text.char_indices().find(|(_, letter)| {
        quoted ^= *letter == '"';
        !quoted && *letter == '}'
    });
    end.expect("an open brace").0
}

/// Metrics, with the labels they are selected by.
fn selectors(query: &str) -> Vec<(&str, Vec<&str>)> {
    let is_metric = |(word, after): &(&str, &str)| {
        (word.starts_with("windlass") || *word == "up") && !after.starts_with('(')
    };
    words(query)
        .into_iter()
        .filter(is_metric)
        .map(|(word, after)| {
            let inside = after.strip_prefix('{').map_or("", |_| &after[1..closing(after)]);
            (word, matchers(inside))
        })
        .collect()
}

/// The labels in braces.
fn matchers(inside: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), inside);
    while let Some(at) = rest.find('=') {
        let label = rest[..at].trim_matches(|it: char| !is_word(it));
        let value = rest[at..].find('"').map_or("", |from| &rest[at + from + 1..]);
        found.push(label);
        rest = value.find('"').map_or("", |end| &value[end + 1..]);
    }
    found
}

/// The labels that results are grouped or matched by.
fn lists(query: &str) -> Vec<&str> {
    let lists = words(query).into_iter().filter(|(word, _)| LISTS.contains(word));
    let inside = lists.filter_map(|(_, after)| after.strip_prefix('(')?.split(')').next());
    inside.flat_map(|it| it.split(',')).map(str::trim).filter(|it| !it.is_empty()).collect()
}

#[test]
fn mistakes_are_found() {
    let fine = "histogram_quantile(0.9, sum by (le, pool) (rate(windlass_task_run_seconds_bucket{pool=~\"a|b}\", \
                le!=\"1.0\"}[5m]))) > on (instance) up{job=\"x\"}";
    assert_eq!(wrong(fine), Vec::<String>::new());
    assert_eq!(metrics(fine), ["windlass_task_run_seconds_bucket".to_owned()].into());
    for (query, expected) in [
        ("rate(windlass_task_run_seconds[5m])", "no metric windlass_task_run_seconds"),
        ("windlass_workers{poool=\"a\"}", "windlass_workers has no label poool"),
        ("windlass_workers{le=\"1\"}", "windlass_workers has no label le"),
        ("sum by (poll) (windlass_workers)", "none of the metrics has a label poll"),
        ("windlass_nothing > 1", "no metric windlass_nothing"),
    ] {
        assert_eq!(wrong(query), [expected.to_owned()], "{query}");
    }
}
