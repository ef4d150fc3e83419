//! What is accepted and surely or likely not meant: always a finding, never an error by itself.

use super::decoder::Decoder;
use super::node::{Data, Node};
use super::{Severity, codes};
use crate::expression::{Lint, Names, Program, Template, Truth, UriTemplate, is_secrets};
use crate::limits;
use crate::value::Value;

/// Arguments that are null where a task's `if` and `input.from` are evaluated.
pub(super) const BEFORE_INPUT: &[&str] = &["input", "output", "authorization"];
/// … where anything of a task is but its `export`.
pub(super) const INSIDE: &[&str] = &["output"];
/// … where `input.from` and `output.as` of a workflow are.
pub(super) const OUTSIDE_TASKS: &[&str] = &["input", "output", "task", "authorization"];

impl Decoder<'_> {
    /// Runs `decode` for a place where these arguments are null.
    pub(super) fn where_null<T>(
        &mut self,
        names: &'static [&'static str],
        decode: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = std::mem::replace(&mut self.nulls, names);
        let result = decode(self);
        self.nulls = before;
        result
    }

    /// What is wrong with any program, wherever it stands.
    pub(super) fn check_program(&mut self, node: &Node, program: &Program) {
        for lint in program.lints() {
            self.lint(node, *lint, "a condition in it");
        }
        for name in program.variables() {
            let bound = self.names.bound.iter().any(|it| it.trim_start_matches('$') == &**name);
            // In an extension `$output` is that of the task before.
            let extended = self.extended && &**name == "output";
            if !self.nulls.contains(&&**name) || bound || extended {
                continue;
            }
            let message = format!("`${name}` is always null here");
            let hint = match &**name {
                "input" => "the input is `.` here; `$input` is there once `input.from` made it",
                "output" => "the output is `.` in `output.as`; `$output` is there in `export.as`",
                _ => "it is there inside of tasks only",
            };
            let place = match &node.data {
                Data::Scalar { text, .. } => match text.find(&format!("${name}")) {
                    Some(at) => self.source.inside(node, at, name.len() + 1),
                    None => node.place,
                },
                _ => node.place,
            };
            self.warning(codes::ALWAYS_NULL, place, message, hint);
        }
    }

    /// What is wrong with a program that decides something.
    pub(super) fn check_condition(&mut self, node: &Node, program: &Program, what: &str) {
        if let Some(lint) = program.condition_lint() {
            self.lint(node, lint, what);
        }
    }

    fn lint(&mut self, node: &Node, lint: Lint, what: &str) {
        let (code, message, hint) = match lint {
            Lint::Assigns => (
                codes::ASSIGNMENT,
                format!("{what} assigns, so it is always true"),
                "jq compares with `==`",
            ),
            Lint::AlwaysTrue(truth) => {
                let (given, hint) = match truth {
                    Truth::Number => {
                        ("a number", "only `false` and `null` are not true; compare: `… > 0`")
                    }
                    Truth::Text => (
                        "a text",
                        "only `false` and `null` are not true; compare: `… == \"text\"`, and write a \
                         property as `.name`",
                    ),
                    Truth::List => (
                        "a list",
                        "only `false` and `null` are not true; compare: `(… | length) > 0`",
                    ),
                    Truth::True => (
                        "`true`",
                        "`.x // true` is true for `false` as well: write `.x != false`, or \
                         `if .x == null then true else .x end`",
                    ),
                };
                (codes::ALWAYS_TRUE, format!("{what} gives {given}, so it is always true"), hint)
            }
            Lint::NoType => (
                codes::NO_TYPE,
                "`type` is compared with a text that is the name of no type".to_owned(),
                "`type` is a function of jq that gives \"object\", \"array\", \"string\", \"number\", \
                 \"boolean\" or \"null\"; a property is written `.type`",
            ),
        };
        self.deviation(code, node.place, message, hint);
    }

    /// Texts of data that look as if they were meant to be evaluated.
    pub(super) fn check_texts(&mut self, node: &Node) {
        // Each text that may be one is compiled, which is only worth while somebody reads of it.
        if self.accepted || self.findings.is_full(Severity::Warning) {
            return;
        }
        match &node.data {
            Data::Sequence(items) => items.iter().for_each(|item| self.check_texts(item)),
            Data::Mapping(members) => {
                members.values().for_each(|member| self.check_texts(&member.node));
            }
            Data::Scalar { value: Value::String(text), .. } => {
                if let Some(meant) = meant(text, &self.names) {
                    let message = format!("`{text}` is a text here, not an expression");
                    let hint = format!("to evaluate it write `${{ {meant} }}`");
                    self.warning(codes::LIKE_EXPRESSION, node.place, message, &hint);
                }
            }
            Data::Scalar { .. } => {}
        }
    }

    /// Texts that are evaluated because the mode is loose, and look as if that was not meant.
    pub(super) fn check_loose(&mut self, node: &Node, template: &Template) {
        match (template, &node.data) {
            (Template::Array(items), Data::Sequence(nodes)) => {
                for (item, node) in items.iter().zip(nodes) {
                    self.check_loose(node, item);
                }
            }
            (Template::Object(members), Data::Mapping(nodes)) => {
                for (key, member) in members.iter() {
                    if let Some(found) = nodes.get(key) {
                        self.check_loose(&found.node, member);
                    }
                }
            }
            (Template::Loose(_, text), _) if is_plain(text) => {
                let message = format!("`{text}` is evaluated, as the mode is loose");
                let hint = format!("to keep the text write `${{ \"{text}\" }}`");
                self.warning(codes::LOOSE_TEXT, node.place, message, &hint);
            }
            _ => {}
        }
    }

    /// Names in the braces of a URI that likely are no properties of the input: they would expand
    /// to nothing, and so call another URL.
    pub(super) fn check_braces(&mut self, node: &Node, text: &str) {
        for (at, name, is_label) in UriTemplate::names_in(text) {
            let is_segment = text.get(..at).is_some_and(|before| before.ends_with(['/', '=']));
            let (message, hint) = if is_label && is_segment {
                (
                    format!("`{{.{name}}}` puts a dot before the value"),
                    format!("write `{{{name}}}`, or `${{ .{name} }}` for an expression"),
                )
            } else if self.names.bound.iter().any(|it| it.trim_start_matches('$') == name) {
                (
                    format!("`{{{name}}}` is a property of the input, not the variable `${name}`"),
                    format!("write `${{ ${name} }}`: braces without `$` know no variables"),
                )
            } else if name.contains('.') {
                (
                    format!("`{{{name}}}` is the property whose name has a dot in it"),
                    format!("write `${{ .{name} }}` for a property inside of another"),
                )
            } else {
                continue;
            };
            let place = self.source.inside(node, at, 1);
            self.warning(codes::DOUBTFUL_TEMPLATE, place, message, &hint);
        }
    }

    /// A property that is taken as it is written, though it holds `${ … }`.
    pub(super) fn check_literal(&mut self, node: &Node, what: &str) {
        if node.as_str().is_some_and(|text| text.contains("${")) {
            let message = format!("{what} is taken as it is written, not evaluated");
            let hint = "write the name itself; a `switch` can choose between several tasks";
            self.warning(codes::LITERAL_EXPRESSION, node.place, message, hint);
        }
    }

    /// The code of a script, which is never evaluated: `${ .x }` is no JavaScript.
    pub(super) fn check_code(&mut self, node: &Node) {
        let Some(text) = node.as_str() else { return };
        let of_jq = |(at, _): (usize, &str)| {
            text.get(at + 2..).is_some_and(|rest| rest.trim_start().starts_with('.'))
        };
        if text.match_indices("${").any(of_jq) {
            let message = "code is taken as it is written, so `${ .… }` is not evaluated in it";
            let hint = "hand data over in `arguments` or `environment`";
            self.warning(codes::LITERAL_EXPRESSION, node.place, message, hint);
        }
    }
}

/// The expression that a text looks like.
fn meant<'t>(text: &'t str, names: &Names) -> Option<&'t str> {
    let text = text.trim();
    if text.len() > limits::LINT_TEXT_CHARACTERS || text.contains("${") || text.contains('\n') {
        return None;
    }
    // jq has no such call, but people write it.
    if text == "now()" {
        return text.strip_suffix("()");
    }
    let rest = text.get(1..)?;
    let likely = match text.as_bytes().first()? {
        b'.' => rest.starts_with(|it: char| it.is_ascii_alphabetic() || "_[\"".contains(it)),
        b'$' => {
            let name = rest.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').next()?;
            !name.is_empty() && !is_secrets(name)
        }
        b'"' => text.contains("+ .") || text.contains("+ $"),
        b'a'..=b'z' => text.ends_with(')') && (text.contains("(.") || text.contains("($")),
        _ => false,
    };
    (likely && Program::compile(text, names).is_ok()).then_some(text)
}

/// True for one word, and for what has nothing but digits and signs, such as a date: jq has
/// functions of many words, and calculates dates.
fn is_plain(text: &str) -> bool {
    let text = text.trim();
    let is_word = text.chars().all(|it| it.is_ascii_alphabetic() || it == '_');
    let is_constant = matches!(text, "true" | "false" | "null");
    let is_number = text.parse::<f64>().is_ok();
    let is_calculated = text.starts_with(|it: char| it.is_ascii_digit())
        && text.chars().all(|it| it.is_ascii_digit() || "-/+*. ".contains(it));
    (is_word && !is_constant) || (is_calculated && !is_number)
}

#[cfg(test)]
mod tests {
    use super::meant;
    use crate::expression::Names;

    #[test]
    fn only_what_compiles_and_reads_data_is_taken_for_an_expression() {
        let names = Names { bound: vec!["item".into()], ..Names::default() };
        for text in [
            ".count+1",
            ".a.b",
            "$context.x",
            "$item",
            ".[0]",
            "\"Hello \" + .name",
            "map(.x)",
            "now()",
            " .x | length ",
        ] {
            assert!(meant(text, &names).is_some(), "{text}");
        }
        for text in [
            "",
            ".",
            "...",
            "./run.sh",
            ".5",
            "$5.00",
            "$other",
            "$SECRETS.key",
            "say (hello)",
            "\"quoted\"",
            "Hello ${ .name }",
            "price: $item",
            "e.g. .count",
            "call(me)",
        ] {
            assert!(meant(text, &names).is_none(), "{text}");
        }
    }
}
