//! Where in a text somebody is, also where it cannot be read as a whole: by its lines and how far
//! they are indented.

/// What opens something on a line.
#[derive(Debug, PartialEq, Eq)]
enum Opener<'t> {
    /// A dash, at this column.
    Item(usize),
    /// A key, at this column.
    Key(usize, &'t str),
}

/// Where somebody is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The keys and indices that lead to it.
    pub(super) path: Vec<String>,
    /// True behind a key: a value belongs there.
    pub(super) in_value: bool,
    /// The key that is written there, as far as it is.
    pub(super) key: String,
}

/// The dashes and the key that a line begins with.
fn openers(line: &str) -> Vec<Opener<'_>> {
    let mut found = Vec::new();
    let mut rest = line.trim_start();
    let mut column = line.len() - rest.len();
    if rest.starts_with('#') {
        return found;
    }
    while rest == "-" || rest.starts_with("- ") {
        found.push(Opener::Item(column));
        let after = rest.get(1..).unwrap_or_default();
        let next = after.trim_start();
        column += 1 + after.len() - next.len();
        rest = next;
    }
    if let Some(key) = key(rest) {
        found.push(Opener::Key(column, key));
    }
    found
}

/// The key that a text begins with.
fn key(text: &str) -> Option<&str> {
    let end = text.find(": ").or_else(|| text.trim_end().strip_suffix(':').map(str::len))?;
    let key = text.get(..end)?.trim_end();
    // What is in braces or quotes is told apart by its own.
    let plain = !key.starts_with(['{', '[', '&', '*', '!', '|', '>']);
    plain.then(|| key.trim_matches(['"', '\'']))
}

/// Where the column `at` (in bytes) of the line of this number is.
pub(super) fn place(text: &str, number: usize, at: usize) -> Place {
    let lines: Vec<&str> = text.lines().take(number.saturating_add(1)).collect();
    let Some(line) = lines.get(number).copied() else {
        // Behind its end: an editor may be ahead of what it has told.
        return Place { path: Vec::new(), in_value: false, key: String::new() };
    };
    let before = line.get(..at.min(line.len())).unwrap_or(line);
    let here = openers(before);
    let mut path = Vec::new();
    let in_value = matches!(here.last(), Some(Opener::Key(..)));
    let written = before.trim_start();
    let key_text = written.trim_start_matches("- ").trim_start();
    // Where what is written begins: what is further to the left leads to it.
    let mut column = match here.last() {
        Some(Opener::Key(column, _)) => *column,
        _ => before.len() - key_text.len(),
    };
    if let Some(Opener::Key(_, key)) = here.last() {
        path.push((*key).to_owned());
    }
    let mut after_item = false;
    for index in (0..=number).rev() {
        let found = if index == number { here_items(&here) } else { openers(lines[index]) };
        for opener in found.iter().rev() {
            match *opener {
                Opener::Item(at) if at < column => {
                    path.push(item_number(&lines, index, at).to_string());
                    (column, after_item) = (at, true);
                }
                Opener::Key(at, key) if at < column || (after_item && at == column) => {
                    path.push(key.to_owned());
                    (column, after_item) = (at, false);
                }
                _ => {}
            }
        }
        if column == 0 && !after_item {
            break;
        }
    }
    path.reverse();
    Place { path, in_value, key: if in_value { String::new() } else { key_text.to_owned() } }
}

/// The dashes of the line itself.
fn here_items<'t>(here: &[Opener<'t>]) -> Vec<Opener<'t>> {
    here.iter()
        .filter_map(|it| if let Opener::Item(at) = it { Some(Opener::Item(*at)) } else { None })
        .collect()
}

/// Which item of its list the one at this line and column is.
fn item_number(lines: &[&str], line: usize, column: usize) -> usize {
    let mut number = 0;
    for text in lines.iter().take(line).rev() {
        let found = openers(text);
        let Some(first) = found.first() else { continue };
        if found.contains(&Opener::Item(column)) {
            number += 1;
        }
        let (Opener::Item(at) | Opener::Key(at, _)) = first;
        if *at < column || matches!(first, Opener::Key(at, _) if *at == column) {
            // A dash further left may have this one on its line, and a list of its own with it.
            break;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::place;

    const TEXT: &str = "document:\n  dsl: 1.0.3\ndo:\n- first:\n    set: { x: 1 }\n- second:\n    call: http\n    with:\n      me\n\
                        \x20     output: \n  - odd\n";

    fn at(line: usize, column: usize) -> (String, bool, String) {
        let place = place(TEXT, line, column);
        (place.path.join("/"), place.in_value, place.key)
    }

    #[test]
    fn what_is_behind_the_end_is_the_root() {
        for text in ["", "a", "a: b\n", "\n"] {
            for number in [0, 1, 3, usize::MAX] {
                let place = place(text, number, usize::MAX);
                assert!(place.path.len() < 2, "{text:?} {number}: {place:?}");
            }
        }
        assert_eq!(at(usize::MAX, 3), (String::new(), false, String::new()));
    }

    #[test]
    fn a_place_is_known_by_the_lines_before_it() {
        assert_eq!(at(0, 2), (String::new(), false, "do".to_owned()));
        assert_eq!(at(1, 4), ("document".to_owned(), false, "ds".to_owned()));
        assert_eq!(at(1, 7), ("document/dsl".to_owned(), true, String::new()));
        assert_eq!(at(8, 8), ("do/1/second/with".to_owned(), false, "me".to_owned()));
        assert_eq!(at(9, 14), ("do/1/second/with/output".to_owned(), true, String::new()));
        assert_eq!(at(3, 4), ("do/0".to_owned(), false, "fi".to_owned()));
        assert_eq!(at(99, 3), (String::new(), false, String::new()));
        assert_eq!(place("é: x", 0, 1).key, "", "no sign is cut in two");
    }

    #[test]
    fn lists_that_are_indented_are_told_as_well() {
        let text = "do:\n  - a:\n      try:\n        - b:\n            wait: PT1S\n        - c:\n            wa\n";
        let found = place(text, 6, 14);
        assert_eq!(found.path.join("/"), "do/0/a/try/1/c");
        assert_eq!(found.key, "wa");
    }
}
