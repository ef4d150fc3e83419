//! Programs that are valid and surely not meant: conditions that cannot be false, comparisons that
//! cannot be true.
//!
//! Only what holds for every input counts, so that a right program is never flagged.
//!
//! **Invariant:** recursion here is as deep as the syntax tree, which is bounded before.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::ops::Cmp;
use jaq_core::path::{Opt, Part};

type Tree<'s> = Term<&'s str>;

/// Why a program is surely not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lint {
    /// A condition assigns, so that it gives the changed value, which is true.
    Assigns,
    /// A condition gives this, and only `false` and `null` are not true.
    AlwaysTrue(Truth),
    /// What `type` gives is compared with a text that is the name of no type.
    NoType,
}

/// What a condition gives that is always true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// A number, `0` as well.
    Number,
    /// A text, be it empty.
    Text,
    /// A list, be it empty.
    List,
    /// `true`, by way of `or` or `//`.
    True,
}

/// Functions that give a number.
const NUMBERS: &[&str] = &["length", "utf8bytelength", "floor", "ceil", "round", "tonumber", "now"];

/// Functions that give a text.
const TEXTS: &[&str] = &[
    "type",
    "tostring",
    "tojson",
    "ascii_downcase",
    "ascii_upcase",
    "todate",
    "@text",
    "@json",
    "@uri",
    "@base64",
];

/// Functions that give a list.
const LISTS: &[&str] = &["keys", "keys_unsorted", "to_entries", "sort", "unique", "explode"];

/// What `type` can give.
const TYPES: &[&str] = &["null", "boolean", "number", "string", "array", "object"];

/// Why `term` is no good as a condition.
pub(super) fn condition(term: &Tree<'_>) -> Option<Lint> {
    let truth = match term {
        Term::BinOp(
            _,
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt,
            _,
        ) => return Some(Lint::Assigns),
        Term::Num(_) | Term::Neg(_) => Truth::Number,
        Term::Str(..) => Truth::Text,
        Term::Arr(_) => Truth::List,
        Term::Call(name, arguments) if arguments.is_empty() => match *name {
            "true" => Truth::True,
            name if NUMBERS.contains(&name) => Truth::Number,
            name if TEXTS.contains(&name) => Truth::Text,
            name if LISTS.contains(&name) => Truth::List,
            _ => return None,
        },
        Term::BinOp(left, op, right) => return operation(left, op, right),
        _ => return None,
    };
    Some(Lint::AlwaysTrue(truth))
}

fn operation(left: &Tree<'_>, op: &BinaryOp<&str>, right: &Tree<'_>) -> Option<Lint> {
    match op {
        // Without an output on the left there is none at all, which is null.
        BinaryOp::Pipe(None) if gives_one(left) => condition(right),
        BinaryOp::Alt => condition(right),
        BinaryOp::Or if gives_one(left) && gives_one(right) => {
            condition(left).or_else(|| condition(right))
        }
        BinaryOp::And => condition(left).and_then(|_| condition(right)),
        _ => None,
    }
}

/// Whether a condition is only `true`: somebody's way to say always.
pub(super) fn is_true(term: &Tree<'_>) -> bool {
    matches!(term, Term::Call("true", arguments) if arguments.is_empty())
}

/// The condition among the arguments of a function.
pub(super) fn argument<'t, 's>(name: &str, arguments: &'t [Tree<'s>]) -> Option<&'t Tree<'s>> {
    match (name, arguments) {
        ("select", [condition]) | ("any" | "all", [condition] | [_, condition]) => Some(condition),
        _ => None,
    }
}

/// Why a comparison is no good.
pub(super) fn comparison(left: &Tree<'_>, op: &BinaryOp<&str>, right: &Tree<'_>) -> Option<Lint> {
    let BinaryOp::Cmp(Cmp::Eq | Cmp::Ne) = op else { return None };
    let is_type = |term: &Tree<'_>| match term {
        Term::Call("type", arguments) => arguments.is_empty(),
        _ => false,
    };
    let no_type = |term: &Tree<'_>| match term {
        Term::Str(None, parts) => match parts.as_slice() {
            [StrPart::Str(text)] => !TYPES.contains(text),
            _ => false,
        },
        _ => false,
    };
    let suspicious = (is_type(left) && no_type(right)) || (no_type(left) && is_type(right));
    suspicious.then_some(Lint::NoType)
}

/// Whether a term gives exactly one output, or an error.
fn gives_one(term: &Tree<'_>) -> bool {
    match term {
        Term::Id | Term::Num(_) | Term::Str(..) | Term::Arr(_) | Term::Var(_) => true,
        Term::Neg(term) => gives_one(term),
        Term::Call(name, arguments) if arguments.is_empty() => {
            matches!(*name, "not" | "true" | "false" | "null" | "add" | "any" | "all")
                || NUMBERS.contains(name)
                || TEXTS.contains(name)
                || LISTS.contains(name)
        }
        Term::Call("map" | "has" | "test" | "contains" | "startswith" | "endswith", arguments) => {
            arguments.len() == 1
        }
        Term::Path(head, path) => {
            let one = |part: &(Part<Tree<'_>>, Opt)| match part {
                (Part::Index(index), Opt::Essential) => gives_one(index),
                _ => false,
            };
            gives_one(head) && path.0.iter().all(one)
        }
        Term::BinOp(left, BinaryOp::Pipe(None) | BinaryOp::And | BinaryOp::Or, right)
        | Term::BinOp(left, BinaryOp::Math(_) | BinaryOp::Cmp(_), right) => {
            gives_one(left) && gives_one(right)
        }
        _ => false,
    }
}
