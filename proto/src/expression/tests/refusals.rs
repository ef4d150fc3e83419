//! What is refused when a definition is loaded, where, and with what advice.

use super::{Program, Template, names};
use crate::expression::SyntaxError;

fn refuse(text: &str) -> SyntaxError {
    Program::compile(text, &names()).expect_err(text)
}

/// The part of the text an error points at.
fn pointed<'a>(text: &'a str, error: &SyntaxError) -> &'a str {
    text.get(error.offset..error.offset + error.length).expect("a place in the text")
}

#[test]
fn unknown_names_are_pointed_at_with_the_nearest_known() {
    for (text, place, hint) in [
        ("${ $inptu.a }", "$inptu", "did you mean $input?"),
        ("$colour", "$colour", "did you mean $color?"),
        (".a | $zzzzzz", "$zzzzzz", "known here: $context"),
        ("$ENV.PATH", "$ENV", "do not see the environment"),
        ("${ .a | lenght }", "lenght", "did you mean `length`?"),
        ("ascii_downcas", "ascii_downcas", "`ascii_downcase`"),
        ("test()", ")", ""),
        (". | split", "split", "takes 1 or 2 arguments"),
        ("input", "input", "cannot reach outside"),
        ("$SECRETS.api-key-secret + $nope", "$nope", "known here"),
        ("$secrets[\"x\"] + $SECRETS.api-key + lenght", "lenght", "length"),
    ] {
        let error = refuse(text);
        assert_eq!(pointed(text, &error), place, "{text}: {error:?}");
        assert!(error.hint.unwrap_or_default().contains(hint), "{text}");
    }
}

#[test]
fn syntax_errors_are_pointed_at() {
    for (text, offset, message) in [
        ("", 0, "the expression is empty"),
        ("${ }", 3, "the expression is empty"),
        (".a |", 4, "ends where jq expects a value"),
        (".a | )", 5, "`)`"),
        ("{a: 1", 5, "`{` is not closed"),
        ("[1, 2", 5, "`[` is not closed"),
        ("\"abc", 4, "a string has no end"),
        ("${ .a", 0, "not closed"),
        ("if . then 1 else 2", 18, "expects `end`"),
        ("1 = = 2", 4, "`=`"),
        (".a && .b", 3, "`&`"),
        (". === 1", 2, "`===`"),
        ("{a = 1}", 3, "`=`"),
        ("'x'", 0, "single quote"),
        ("1e", 2, "number"),
        ("\"\\q\"", 2, "escape"),
        (".a b", 3, "`b` does not belong here"),
    ] {
        let error = refuse(text);
        assert_eq!(error.offset, offset, "{text:?}: {error:?}");
        assert!(error.message.contains(message), "{text:?}: {error:?}");
        assert!(text.len() >= error.offset + error.length);
    }
}

#[test]
fn names_bound_around_the_expression_are_known() {
    for text in [
        "$item",
        "$color",
        "${ $item.a }",
        ". as $x | $x",
        "[.[] as [$a, {$b}] | $a + $b]",
        "reduce .[] as $x (0; . + $x)",
        "def f($y): $y; f(1)",
        "label $out | 1, break $out",
        "{$item}",
        "$__loc__",
        "\"\\($item)\"",
        ". as {a: $z} | $z",
    ] {
        assert!(Program::compile(text, &names()).is_ok(), "{text}: {:?}", refuse(text));
    }
    // Bound only in what follows.
    assert!(refuse("(. as $x | $x) | $x").message.contains("$x"));
    assert!(refuse("reduce .[] as $x ($x; .)").message.contains("$x"));
}

#[test]
fn only_variables_really_used_are_asked_for() {
    for (text, variables) in [
        (".a", &[][..]),
        ("$context.a + $input.b", &["context", "input"]),
        (". as $input | $input", &[]),
        ("$SECRET.a + $secrets.b", &["secrets"]),
        ("\"\\($task.name)\"", &["task"]),
        ("{$workflow}", &["workflow"]),
        ("def f($runtime): $runtime; f($item)", &["item"]),
    ] {
        let program = Program::compile(text, &names()).expect(text);
        let found: Vec<&str> = program.variables().iter().map(|it| &**it).collect();
        assert_eq!(found, variables, "{text}");
    }
}

#[test]
fn programs_and_templates_may_cross_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Program>();
    shared::<Template>();
    shared::<crate::expression::UriTemplate>();
}

#[test]
fn any_text_whatever_is_survived() {
    // Pieces of programs in all orders of three: no panic, whatever comes of it.
    let pieces = [
        "$",
        "${",
        "}",
        "\"",
        "\\(",
        ")",
        ".a",
        "|",
        "def f:",
        ";",
        "'",
        "#",
        "[",
        "é",
        "as",
        "$SECRETS.",
        "a-b",
        "{",
        "-",
        "?",
        "//",
        "1",
        "@",
        "reduce",
        "if",
        "\u{0}",
        "\\",
        "end",
        ":",
        ",",
    ];
    for a in pieces {
        for b in pieces {
            for c in pieces {
                let text = format!("{a}{b} {c}");
                if let Err(error) = Program::compile(&text, &names()) {
                    assert!(error.offset + error.length <= text.len(), "{text:?}: {error:?}");
                    assert!(text.is_char_boundary(error.offset), "{text:?}: {error:?}");
                }
                let _ = Template::compile(&text.as_str().into(), &names());
                let _ = Template::compile_shell(&text, &names());
            }
        }
    }
}
