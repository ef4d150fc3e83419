//! Equalities that must hold for a program to be true, so that whoever waits for an input can be
//! found by what it holds: `.order == $input.order and .total > 5` is not true unless `.order` is
//! that.
//!
//! Only what surely holds is found; a program that is not understood has none.
//!
//! **Invariant:** recursion here is as deep as the syntax tree, which is bounded before.

use std::sync::Arc;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::ops::Cmp;
use jaq_core::path::{Opt, Part};

use super::compile::{self, Code, Root};
use super::{Scope, is_secrets};
use crate::value::Value;

type Tree<'s> = Term<&'s str>;

/// Something in the input is equal to something that does not depend on the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equality {
    /// Keys from the input to what is compared.
    pub path: Box<[Arc<str>]>,
    /// What that is compared with.
    pub operand: Operand,
}

/// A value that is the same for every input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// It is in the text.
    Constant(Value),
    /// A variable without `$`, and keys and indices into it.
    Variable(Arc<str>, Box<[Value]>),
}

impl Operand {
    /// The value in `scope`; `None` where the variable has no such part.
    #[must_use]
    pub fn value(&self, scope: &dyn Scope) -> Option<Value> {
        match self {
            Self::Constant(value) => Some(value.clone()),
            Self::Variable(name, steps) => {
                steps.iter().try_fold(scope.variable(name), |value, step| {
                    value.find(step).ok().map(Option::unwrap_or_default)
                })
            }
        }
    }

    /// What a program gives whatever its input, where that is plain from it. None of a program that
    /// reads secrets.
    pub(super) fn of(program: &compile::Compiled) -> Option<Self> {
        match &program.code {
            Code::Constant(value) => Some(Self::Constant(value.clone())),
            Code::Path(Root::Variable, steps) if !program.blind => {
                Some(Self::Variable(program.variables.first()?.clone(), steps.clone()))
            }
            Code::Path(..) | Code::Jq(_) => None,
        }
    }
}

/// The keys along which a program goes from its input, when that is all it does.
pub(super) fn path_of(program: &compile::Compiled) -> Option<Vec<Arc<str>>> {
    match &program.code {
        Code::Path(Root::Input, steps) => keys(steps),
        _ => None,
    }
}

/// The equalities without which `term` gives nothing that is true.
pub(super) fn find(term: &Tree<'_>) -> Vec<Equality> {
    let mut found = Vec::new();
    collect(term, &mut found);
    found
}

fn collect(term: &Tree<'_>, found: &mut Vec<Equality>) {
    match term {
        // Of several outputs an array is made, and that is true whatever is in it.
        Term::BinOp(left, BinaryOp::And, right) if gives_one(left) && gives_one(right) => {
            collect(left, found);
            collect(right, found);
        }
        Term::BinOp(left, BinaryOp::Cmp(Cmp::Eq), right) => {
            let equality = equality(left, right).or_else(|| equality(right, left));
            found.extend(equality);
        }
        _ => {}
    }
}

fn equality(left: &Tree<'_>, right: &Tree<'_>) -> Option<Equality> {
    let Some(Code::Path(Root::Input, steps)) = compile::plain(left) else { return None };
    let operand = match compile::plain(right)? {
        Code::Constant(value) => Operand::Constant(value),
        Code::Path(Root::Variable, steps) => Operand::Variable(variable(right)?.into(), steps),
        Code::Path(Root::Input, _) | Code::Jq(_) => return None,
    };
    Some(Equality { path: keys(&steps)?.into(), operand })
}

/// The variable that a path starts from; none that holds secrets.
fn variable<'s>(term: &Tree<'s>) -> Option<&'s str> {
    let name = match term {
        Term::Var(name) => name,
        Term::Path(head, _) => return variable(head),
        _ => return None,
    };
    let name = name.trim_start_matches('$');
    (!is_secrets(name) && name != "authorization").then_some(name)
}

fn keys(steps: &[Value]) -> Option<Vec<Arc<str>>> {
    let key = |step: &Value| match step {
        Value::String(key) => Some(key.clone()),
        _ => None,
    };
    steps.iter().map(key).collect()
}

/// Functions without an argument that give one output.
const GIVE_ONE: &[&str] = &[
    "not",
    "true",
    "false",
    "null",
    "length",
    "type",
    "tostring",
    "tonumber",
    "floor",
    "ceil",
    "round",
    "keys",
    "ascii_downcase",
    "ascii_upcase",
];

/// Functions that give one output for one of their argument.
const GIVE_ONE_FOR_ONE: &[&str] = &["has", "test", "contains", "startswith", "endswith"];

/// Whether a term surely gives exactly one output, or an error.
fn gives_one(term: &Tree<'_>) -> bool {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) | Term::Arr(_) => true,
        Term::Str(_, parts) => parts.iter().all(|part| match part {
            StrPart::Term(term) => gives_one(term),
            StrPart::Str(_) | StrPart::Char(_) => true,
        }),
        Term::Neg(term) => gives_one(term),
        Term::Call(name, arguments) => match arguments.as_slice() {
            [] => GIVE_ONE.contains(name),
            [argument] => GIVE_ONE_FOR_ONE.contains(name) && gives_one(argument),
            _ => false,
        },
        Term::BinOp(left, op, right) => {
            let one = matches!(
                op,
                BinaryOp::Pipe(None)
                    | BinaryOp::And
                    | BinaryOp::Or
                    | BinaryOp::Math(_)
                    | BinaryOp::Cmp(_)
            );
            one && gives_one(left) && gives_one(right)
        }
        Term::Path(head, path) => {
            let one = |part: &(Part<Tree<'_>>, Opt)| match part {
                (Part::Index(index), Opt::Essential) => gives_one(index),
                _ => false,
            };
            gives_one(head) && path.0.iter().all(one)
        }
        _ => false,
    }
}
