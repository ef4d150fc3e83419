//! What is refused when a definition is loaded, and how it is explained.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};

use jaq_core::load::lex::{self, StrPart, Tok, Token};
use jaq_core::load::{parse, span};

use super::ARGUMENTS;
use super::tokens::place;
use crate::expression::analysis::Found;
use crate::expression::engine::library;
use crate::expression::scan::{Note, scan};
use crate::expression::{Names, SyntaxError};
use crate::limits;
use crate::suggest::nearest;

fn error(message: String, range: Range<usize>, hint: Option<&str>) -> SyntaxError {
    SyntaxError { message, offset: range.start, length: range.len(), hint: hint.map(str::to_owned) }
}

/// The error for `${` without its `}`.
pub(in crate::expression) fn unfinished(text: &str) -> SyntaxError {
    let start = text.len() - text.trim_start().len();
    let message = "`${` is not closed where the text ends".to_owned();
    error(message, start..text.trim_end().len(), Some("close the expression with `}`"))
}

/// Refuses brackets that nest so deeply that parsing them would endanger the stack.
pub(super) fn brackets(text: &str) -> Result<(), SyntaxError> {
    let found = scan(text, 0, |at, note| match note {
        Note::Open(depth) if depth > limits::EXPRESSION_DEPTH => ControlFlow::Break((at, note)),
        Note::SingleQuote => ControlFlow::Break((at, note)),
        _ => ControlFlow::Continue(()),
    });
    match found {
        None => Ok(()),
        Some((at, Note::SingleQuote)) => Err(error(
            "a single quote is not part of jq".to_owned(),
            at..at + 1,
            Some("write strings in jq with double quotes"),
        )),
        Some((at, _)) => Err(error(
            format!("brackets nest deeper than {} levels", limits::EXPRESSION_DEPTH),
            at..at + 1,
            Some("split the expression into several tasks"),
        )),
    }
}

/// Refuses programs whose syntax tree would be too deep to walk.
pub(super) fn size(text: &str, tokens: &[Token<&str>]) -> Result<(), SyntaxError> {
    if levels(tokens) <= limits::EXPRESSION_LEVELS {
        return Ok(());
    }
    Err(error(
        format!("more than {} operators are chained", limits::EXPRESSION_LEVELS),
        0..text.len(),
        Some("split the expression into several tasks, or keep its data in `set`"),
    ))
}

/// How deep a syntax tree these tokens can make, at most.
pub(super) fn levels(tokens: &[Token<&str>]) -> usize {
    // A step of a path takes a third of the stack that an operator takes.
    let (mut operators, mut steps, mut inside) = (0, 0, 0);
    for Token(text, kind) in tokens {
        match kind {
            Tok::Sym if matches!(*text, ":" | "?" | ";" | ")" | "]" | "}") => {}
            // Perhaps the alternative of a pattern, which becomes a definition, a `try` and a pipe.
            Tok::Sym if *text == "//" => operators += 3,
            Tok::Sym if text.starts_with('.') => steps += usize::from(text.len() > 1),
            Tok::Sym => operators += 1,
            Tok::Word => operators += usize::from(KEYWORDS.contains(text)),
            Tok::Block(tokens) => {
                steps += 1;
                inside = inside.max(levels(tokens));
            }
            // A literal is one part, whatever is in it; interpolations are a balanced sum of rows.
            Tok::Str(parts) => {
                let terms = parts.iter().filter_map(|part| match part {
                    StrPart::Term(Token(_, Tok::Block(tokens))) => Some(levels(tokens)),
                    _ => None,
                });
                let deepest = terms.fold(None, |deepest, one| deepest.max(Some(one + TEXT)));
                inside = inside.max(deepest.unwrap_or(0));
            }
            _ => {}
        }
    }
    operators + steps / 3 + inside
}

/// Levels of a text with interpolations: a row of 16 parts in a sum of at most 16 halvings, and 16
/// variables around.
const TEXT: usize = 48;

/// Words behind which a term nests.
const KEYWORDS: &[&str] =
    &["and", "or", "as", "if", "elif", "else", "try", "catch", "def", "label", "reduce", "foreach"];

/// Explains what is no token.
pub(super) fn lexing(text: &str, errors: &[lex::Error<&str>]) -> SyntaxError {
    let Some((expected, found)) = errors.first() else { return unexpected(text) };
    let range = span(text, found);
    let range = range.start..range.end.min(range.start + 1);
    let (message, hint) = match expected {
        lex::Expect::Delim("\"") => ("a string has no end".to_owned(), Some("close it with `\"`")),
        lex::Expect::Delim(open) => (format!("`{open}` is not closed"), None),
        lex::Expect::Escape => (
            "an unknown escape in a string".to_owned(),
            Some("jq knows \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0041 and \\(…)"),
        ),
        lex::Expect::Unicode => ("`\\u` needs four hexadecimal digits".to_owned(), None),
        lex::Expect::Digit => ("a number is not finished".to_owned(), None),
        lex::Expect::Ident => ("a name must follow here".to_owned(), None),
        _ => {
            let what = found.chars().next().map_or_else(String::new, |it| format!(" `{it}`"));
            let hint = found.starts_with('&').then_some("jq writes `and`");
            (format!("jq does not know the character{what} here"), hint)
        }
    };
    error(message, range, hint)
}

/// Explains what does not fit together.
pub(super) fn parsing(text: &str, errors: &[parse::TError<'_, &str>]) -> SyntaxError {
    let Some((expected, found)) = errors.first() else { return unexpected(text) };
    let range = found.map_or(text.len()..text.len(), |token| {
        // What was put in for syntax that the parser lacks stands nowhere.
        place(text, token.as_str()).unwrap_or(0..text.len())
    });
    let expected = expected.as_str();
    let message = match (found, expected) {
        (None, "term") if text.trim().is_empty() => "the expression is empty".to_owned(),
        (None, expected) => format!("the expression ends where jq expects {}", article(expected)),
        (Some(token), "nothing") => format!("`{}` does not belong here", short(token.as_str())),
        (Some(token), expected) => {
            format!("`{}` stands where jq expects {}", short(token.as_str()), article(expected))
        }
    };
    let word = found.map_or("", |token| token.as_str());
    let before = text.get(..range.start).unwrap_or_default().trim_end();
    let hint = match word {
        ")" if before.ends_with('(') => Some("jq calls what takes no arguments by its name alone"),
        "import" | "include" => Some("expressions cannot load modules"),
        "&&" | "&" => Some("jq writes `and`"),
        "||" => Some("jq writes `or`"),
        "!" => Some("jq writes `| not` behind the value"),
        "===" => Some("jq writes `==`"),
        _ => None,
    };
    error(message, range, hint)
}

fn article(expected: &str) -> String {
    match expected {
        "term" => "a value".to_owned(),
        "variable" | "pattern" | "key" | "string" => format!("a {expected}"),
        "identifier" | "argument" => format!("an {expected}"),
        "nothing" => "nothing more".to_owned(),
        word if word.contains(' ') => word.to_owned(),
        word => format!("`{word}`"),
    }
}

fn short(text: &str) -> String {
    let short: String = text.chars().take(30).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// Refuses keys that are no strings, and variables that do not exist.
pub(super) fn names(text: &str, found: &Found<'_>, names: &Names) -> Result<(), SyntaxError> {
    if let Some(key) = found.key {
        return Err(error(
            format!("`{key}` cannot be the key of an object: keys are strings"),
            place(text, key).unwrap_or(0..text.len()),
            Some(&format!("write \"{key}\" in quotes, or (… | tostring)")),
        ));
    }
    let bound = || names.bound.iter().map(|it| it.trim_start_matches('$'));
    for name in &found.free {
        let plain = name.trim_start_matches('$');
        if ARGUMENTS.contains(&plain) || plain == "__loc__" || bound().any(|it| it == plain) {
            continue;
        }
        let known: Vec<&str> = ARGUMENTS.iter().copied().chain(bound()).collect();
        let hint = if plain == "ENV" {
            "expressions do not see the environment; use $secrets or $runtime.metadata".to_owned()
        } else {
            let near = nearest(plain, known.iter().copied());
            match near {
                Some(near) => format!("did you mean ${near}?"),
                None => format!("known here: ${}", known.join(", $")),
            }
        };
        let message = format!("the variable `{name}` does not exist here");
        let range = place(text, name).unwrap_or(0..text.len());
        return Err(error(message, range, Some(&hint)));
    }
    Ok(())
}

/// Explains a name the compiler could not resolve.
pub(super) fn unresolved(text: &str, kind: &str, range: Range<usize>) -> SyntaxError {
    let name = text.get(range.clone()).unwrap_or_default();
    if kind != "filter" {
        return error(format!("the {kind} `{name}` does not exist"), range, None);
    }
    let arities: BTreeSet<usize> =
        library().names().filter(|it| it.0 == name).map(|it| it.1).collect();
    let hint = match name {
        "env" | "input" | "inputs" | "debug" | "stderr" | "halt" | "halt_error"
        | "input_filename" => Some("expressions cannot reach outside the workflow".to_owned()),
        _ if !arities.is_empty() => {
            let list: Vec<String> = arities.iter().map(ToString::to_string).collect();
            Some(format!("`{name}` takes {} arguments, separated by `;`", list.join(" or ")))
        }
        // A bare word where a value begins is seldom meant as a function.
        _ if begins_value(text, &range) => {
            let near = nearest(name, library().names().map(|it| it.0));
            let near = near.map(|near| format!("; or did you mean the function `{near}`?"));
            let near = near.unwrap_or_default();
            Some(format!("a property is written `.{name}`, a text `\"{name}\"`{near}"))
        }
        _ => nearest(name, library().names().map(|it| it.0))
            .map(|near| format!("did you mean `{near}`?")),
    };
    error(format!("the function `{name}` does not exist"), range, hint.as_deref())
}

/// True for a word that is neither called with arguments nor stands behind a pipe.
fn begins_value(text: &str, range: &Range<usize>) -> bool {
    let before = text.get(..range.start).unwrap_or_default().trim_end();
    let after = text.get(range.end..).unwrap_or_default().trim_start();
    !before.ends_with('|') && !after.starts_with('(')
}

/// The error when the engine refuses what was checked before.
pub(super) fn unexpected(text: &str) -> SyntaxError {
    error("this is not a jq expression".to_owned(), 0..text.len(), None)
}
