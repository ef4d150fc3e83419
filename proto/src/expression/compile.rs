//! From text to a program that can run.

pub(super) mod check;
pub(super) mod secret_names;
pub(super) mod tokens;
mod tree;

use std::sync::Arc;

use jaq_core::Filter;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::Term;
use jaq_core::load::{Arena, Lexer, Parser};
use jaq_core::path::{Opt, Part};

use super::engine::{self, Jq, Unresolved};
use super::equality::{self, Equality};
use super::lint::{self, Lint};
use super::{Names, SecretNames, SyntaxError, analysis, is_secrets, scan};
use crate::limits;
use crate::value::Value;

/// What [`super::Program`] shares.
pub(crate) struct Compiled {
    pub(super) source: Arc<str>,
    /// Variables it asks for, `secrets` for all spellings.
    pub(super) variables: Arc<[Arc<str>]>,
    /// For each global variable of the jq program, its place in `variables`.
    pub(super) globals: Vec<usize>,
    pub(super) secrets: SecretNames,
    /// True when messages must show no values.
    pub(super) blind: bool,
    /// What in it is surely not meant.
    pub(super) lints: Box<[Lint]>,
    /// Why it is no good as a condition.
    pub(super) condition: Option<Lint>,
    /// What must be equal in its input for it to be true.
    pub(super) equalities: Box<[Equality]>,
    /// It uses `@uri`.
    pub(super) encodes: bool,
    /// It uses `@sh`.
    pub(super) quotes: bool,
    pub(super) code: Code,
}

/// How a program runs.
pub(super) enum Code {
    /// It gives always the same.
    Constant(Value),
    /// It follows a path of keys and indices.
    Path(Root, Box<[Value]>),
    /// Anything else.
    Jq(Filter<Jq>),
}

/// Where a path starts.
pub(super) enum Root {
    Input,
    /// The only variable of the program.
    Variable,
}

/// The specification's arguments.
const ARGUMENTS: &[&str] = &[
    "context",
    "input",
    "output",
    "secrets",
    "secret",
    "SECRETS",
    "SECRET",
    "task",
    "workflow",
    "runtime",
    "authorization",
];

/// Compiles `text`, bare or in `${ }`.
pub(super) fn compile(text: &str, names: &Names) -> Result<Compiled, SyntaxError> {
    if text.len() > limits::EXPRESSION_BYTES {
        let message = format!("the expression is longer than {} bytes", limits::EXPRESSION_BYTES);
        return Err(SyntaxError { message, offset: 0, length: text.len(), hint: None });
    }
    let (offset, body) = match scan::whole(text) {
        Some(found) => found,
        None if text.trim_start().starts_with("${") => return Err(check::unfinished(text)),
        None => (0, text),
    };
    let shift = |error: SyntaxError| SyntaxError { offset: error.offset + offset, ..error };
    compile_body(text, body, names).map_err(shift)
}

/// Compiles a reference to a secret inside a text: its name and the keys behind it.
pub(super) fn compile_secret(source: &str, keys: &[&str]) -> Result<Compiled, SyntaxError> {
    let keys: String =
        keys.iter().map(|key| format!("[{}]", Value::from(*key).to_json())).collect();
    let text = secret_names::Rewritten::plain(format!("$secrets{keys} | _secret"));
    compile_rewritten(source, &text, &Names::default())
}

fn compile_body(source: &str, body: &str, names: &Names) -> Result<Compiled, SyntaxError> {
    check::brackets(body)?;
    let declared = secret_names::rewrite(body, names, false);
    let first = with_stack(source, &declared, names);
    match first {
        Err(_) if secret_names::has_dashes(body) => {
            let greedy = secret_names::rewrite(body, names, true);
            with_stack(source, &greedy, names).or(first)
        }
        first => first,
    }
}

/// Compiles here, or for a long program on a thread with stack enough to walk its syntax tree.
fn with_stack(
    source: &str,
    text: &secret_names::Rewritten,
    names: &Names,
) -> Result<Compiled, SyntaxError> {
    let tokens = Lexer::new(&text.text).lex();
    let levels = tokens.as_deref().map_or(0, check::levels);
    if levels <= limits::COMPILE_SHALLOW_LEVELS || levels > limits::EXPRESSION_LEVELS {
        return compile_rewritten(source, text, names);
    }
    std::thread::scope(|scope| {
        let compile = || compile_rewritten(source, text, names);
        let thread = std::thread::Builder::new().stack_size(limits::COMPILE_STACK_BYTES);
        let result = thread.spawn_scoped(scope, compile).ok().and_then(|it| it.join().ok());
        result.unwrap_or_else(|| Err(check::unexpected(&text.text)))
    })
}

fn compile_rewritten(
    source: &str,
    text: &secret_names::Rewritten,
    names: &Names,
) -> Result<Compiled, SyntaxError> {
    let place = |error: SyntaxError| text.place(error);
    let tokens =
        Lexer::new(&text.text).lex().map_err(|errors| place(check::lexing(&text.text, &errors)))?;
    check::size(&text.text, &tokens).map_err(place)?;
    let tokens = tokens::rewrite(&text.text, tokens);
    let term = Parser::new(&tokens)
        .parse(|parser| parser.term())
        .map_err(|errors| place(check::parsing(&text.text, &errors)))?;
    let found = analysis::find(&term);
    check::names(&text.text, &found, names).map_err(place)?;

    let mut variables: Vec<Arc<str>> = Vec::new();
    let mut globals = Vec::new();
    for name in &found.free {
        let plain = name.trim_start_matches('$');
        let canonical = if is_secrets(plain) { "secrets" } else { plain };
        globals.push(match variables.iter().position(|it| &**it == canonical) {
            Some(at) => at,
            None if plain == "__loc__" => usize::MAX,
            None => {
                variables.push(canonical.into());
                variables.len() - 1
            }
        });
    }
    let arena = Arena::default();
    let (free, bindings) = (found.free.clone(), found.bindings);
    let suspicious = !found.defines && !lint::is_true(&term);
    let condition = if suspicious { lint::condition(&term) } else { None };
    let calls = |format: &str| found.calls.iter().any(|(name, _)| *name == format);
    let (encodes, quotes) = (calls("@uri"), calls("@sh"));
    let equalities = equality::find(&term).into();
    let term = tree::rewrite(&arena, term, bindings);
    let code = match plain(&term) {
        Some(code) => code,
        None => {
            let filter = engine::compile(&arena, &text.text, term, &free);
            Code::Jq(filter.map_err(|error| {
                place(match error {
                    Unresolved::Name(kind, range) => check::unresolved(&text.text, kind, range),
                    Unresolved::Other => check::unexpected(&text.text),
                })
            })?)
        }
    };
    let secrets = SecretNames {
        names: found.secrets.iter().map(|it| it.as_str().into()).collect(),
        dynamic: found.any_secret,
    };
    let blind = variables.iter().any(|it| matches!(&**it, "secrets" | "authorization"));
    Ok(Compiled {
        source: source.into(),
        variables: variables.into(),
        globals,
        secrets,
        blind,
        lints: found.lints.into(),
        condition,
        equalities,
        encodes,
        quotes,
        code,
    })
}

/// Programs simple enough to run without jq.
pub(super) fn plain(term: &Term<&str>) -> Option<Code> {
    match term {
        Term::Id => Some(Code::Path(Root::Input, Box::default())),
        Term::Var(name) if *name != "$__loc__" => Some(Code::Path(Root::Variable, Box::default())),
        Term::Path(head, path) => {
            let root = match &**head {
                Term::Id => Root::Input,
                Term::Var(name) if *name != "$__loc__" => Root::Variable,
                _ => return None,
            };
            let steps = path.0.iter().map(|part| match part {
                (Part::Index(index), Opt::Essential) => match scalar(index)? {
                    index @ (Value::String(_) | Value::Int(_)) => Some(index),
                    _ => None,
                },
                _ => None,
            });
            Some(Code::Path(root, steps.collect::<Option<_>>()?))
        }
        term => scalar(term).map(Code::Constant),
    }
}

fn scalar(term: &Term<&str>) -> Option<Value> {
    match term {
        Term::Num(digits) => jaq_core::ValT::from_num(digits).ok(),
        Term::Neg(inner) => match scalar(inner)? {
            Value::Int(number) => Some(Value::Int(-number)),
            _ => None,
        },
        Term::Str(None, parts) => {
            let mut text = String::new();
            for part in parts {
                match part {
                    StrPart::Str(part) => text.push_str(part),
                    StrPart::Char(character) => text.push(*character),
                    StrPart::Term(_) => return None,
                }
            }
            Some(Value::from(text))
        }
        Term::Call("null", arguments) if arguments.is_empty() => Some(Value::Null),
        Term::Call("true", arguments) if arguments.is_empty() => Some(Value::Bool(true)),
        Term::Call("false", arguments) if arguments.is_empty() => Some(Value::Bool(false)),
        _ => None,
    }
}
