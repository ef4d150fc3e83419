//! What the engine underneath lacks, put into a syntax tree that it can run.
//!
//! - A text is one part, whatever escapes are in it, and one with many interpolations is a balanced
//!   sum: the engine walks a text part by part down its stack.
//! - `E as A ?// B | F` tries `F` with the variables of `A`, and on an error with those of `B`.
//! - Of `E + F` with several outputs each, those of `E` change first, in texts likewise.
//! - `P |= F`, where `F` may take away what is at several places `P`, finds all places first.
//! - A definition with filters as arguments counts how deeply it calls itself: each level makes a
//!   list of bindings longer, and the engine drops such lists by recursion.
//!
//! Names made here cannot be written in jq.
//!
//! **Invariant:** recursion here is as deep as the syntax tree, which is bounded before parsing.

use jaq_core::load::Arena;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Opt, Part, Path};

use super::tokens::ALTERNATIVES;
use crate::expression::analysis;
use crate::limits;

type Tree<'s> = Term<&'s str>;
type Parts<'s> = Vec<StrPart<&'s str, Tree<'s>>>;

/// The value that alternatives take apart.
const VALUE: &str = "$!value";
/// The input of the term with alternatives.
const INPUT: &str = "$!input";
/// The definition of what runs with the variables of one of them.
const BODY: &str = "!body";
/// What a binary operator has on its right: that changes last, as in jq.
const RIGHT: &str = "$!right";
/// What a part of a text gives, with its number.
const PART: &str = "$!part";
/// How deeply the definition around calls itself.
const DEPTH: &str = "$!depth";

/// Parts of a text that are added up in a row.
const ROW: usize = 16;

/// Rewrites `term` as a whole.
pub(super) fn rewrite<'s>(arena: &'s Arena, mut term: Tree<'s>, bindings: usize) -> Tree<'s> {
    let deepest = limits::RECURSION_BINDINGS / (bindings + 1);
    let deepest = arena.alloc(deepest.max(1).to_string());
    Rewriting { arena, deepest, filters: Vec::new(), is_counted: false }.term(&mut term);
    term
}

struct Rewriting<'s> {
    arena: &'s Arena,
    /// Levels a definition with filters as arguments may call itself.
    deepest: &'s str,
    /// Definitions and arguments in force: name, arity, and whether the depth is an argument as
    /// well.
    filters: Vec<(&'s str, usize, bool)>,
    /// True inside of a definition that counts.
    is_counted: bool,
}

impl<'s> Rewriting<'s> {
    fn term(&mut self, term: &mut Tree<'s>) {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Var(_) | Term::Break(_) => {}
            Term::Arr(None) => {}
            Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => self.term(inner),
            Term::Str(format, parts) => {
                for part in parts.iter_mut() {
                    if let StrPart::Term(term) = part {
                        self.term(term);
                    }
                }
                let (format, parts) = (*format, merged(self.arena, std::mem::take(parts)));
                *term = self.text(format, parts);
            }
            Term::Obj(entries) => {
                for (key, value) in entries {
                    self.term(key);
                    value.iter_mut().for_each(|value| self.term(value));
                }
            }
            Term::BinOp(..) => self.operator(term),
            Term::Fold(_, source, pattern, arguments) => {
                self.term(source);
                self.pattern(pattern);
                arguments.iter_mut().for_each(|argument| self.term(argument));
                if let Some(patterns) = alternatives(pattern) {
                    *pattern = Pattern::Var(VALUE);
                    for argument in arguments.iter_mut().skip(1) {
                        *argument = alternating(&patterns, std::mem::take(argument));
                    }
                }
            }
            Term::TryCatch(body, handler) => {
                self.term(body);
                handler.iter_mut().for_each(|handler| self.term(handler));
            }
            Term::IfThenElse(branches, last) => {
                for (condition, then) in branches {
                    self.term(condition);
                    self.term(then);
                }
                last.iter_mut().for_each(|last| self.term(last));
            }
            Term::Def(definitions, body) => self.definitions(definitions, body),
            Term::Call(name, arguments) => self.call(name, arguments),
            Term::Path(head, path) => {
                self.term(head);
                for (part, _) in &mut path.0 {
                    match part {
                        Part::Index(term) => self.term(term),
                        Part::Range(from, to) => {
                            from.iter_mut().chain(to).for_each(|bound| self.term(bound));
                        }
                    }
                }
            }
        }
    }

    fn operator(&mut self, term: &mut Tree<'s>) {
        let Term::BinOp(left, op, right) = term else { return };
        self.term(left);
        if let BinaryOp::Pipe(Some(pattern)) = op {
            self.pattern(pattern);
        }
        self.term(right);
        if let BinaryOp::Pipe(Some(pattern)) = op
            && let Some(patterns) = alternatives(pattern)
        {
            *pattern = Pattern::Var(VALUE);
            **right = alternating(&patterns, std::mem::take(&mut **right));
        }
        let is_order_seen = matches!(op, BinaryOp::Math(_) | BinaryOp::Cmp(_));
        if is_order_seen && !is_single(left) && !is_single(right) {
            let right = std::mem::replace(&mut **right, Term::Var(RIGHT));
            *term = pipe(right, Some(Pattern::Var(RIGHT)), std::mem::take(term));
        } else if matches!(op, BinaryOp::Update) && may_vanish(right) && is_several(left) {
            let arguments = vec![std::mem::take(&mut **left), std::mem::take(&mut **right)];
            *term = Term::Call("_modify", arguments);
        }
    }

    /// A text of `parts`. Of several with several outputs each the first changes first, as in jq.
    fn text(&self, format: Option<&'s str>, mut parts: Parts<'s>) -> Tree<'s> {
        let mut several: Vec<(&'s str, Tree<'s>)> = Vec::new();
        let count = parts.iter().filter(|it| is_several_part(it)).count();
        for part in parts.iter_mut().filter(|it| (2..=ROW).contains(&count) && is_several_part(it))
        {
            let name: &str = self.arena.alloc(format!("{PART}{}", several.len()));
            let variable = StrPart::Term(Term::Var(name));
            if let StrPart::Term(term) = std::mem::replace(part, variable) {
                several.push((name, term));
            }
        }
        several.into_iter().fold(sum(format, parts), |text, (name, term)| {
            pipe(term, Some(Pattern::Var(name)), text)
        })
    }

    fn pattern(&mut self, pattern: &mut Pattern<&'s str>) {
        match pattern {
            Pattern::Var(_) => {}
            Pattern::Arr(patterns) => patterns.iter_mut().for_each(|it| self.pattern(it)),
            Pattern::Obj(entries) => {
                for (key, pattern) in entries {
                    // The key that stands for alternatives is known by its place: no new one.
                    if !is_mark(key) {
                        self.term(key);
                    }
                    self.pattern(pattern);
                }
            }
        }
    }

    fn definitions(&mut self, definitions: &mut [Def<&'s str>], body: &mut Tree<'s>) {
        let before = self.filters.len();
        for definition in definitions {
            let (name, arity) = (definition.name, definition.args.len());
            let counts = definition.args.iter().any(|it| !it.starts_with('$'));
            let (outside, is_counted) = (self.filters.len(), self.is_counted);
            self.filters.push((name, arity, counts));
            for argument in &definition.args {
                self.filters.push((argument.trim_start_matches('$'), 0, false));
            }
            self.is_counted |= counts;
            self.term(&mut definition.body);
            self.is_counted = is_counted;
            self.filters.truncate(outside);
            if counts {
                definition.name = self.arena.alloc(format!("!{name}"));
                definition.args.push(DEPTH);
            }
            self.filters.push((name, arity, counts));
        }
        self.term(body);
        self.filters.truncate(before);
    }

    fn call(&mut self, name: &mut &'s str, arguments: &mut Vec<Tree<'s>>) {
        let arity = arguments.len();
        arguments.iter_mut().for_each(|argument| self.term(argument));
        let called = self.filters.iter().rev().find(|it| it.0 == *name && it.1 == arity);
        if matches!(called, Some((_, _, true))) {
            *name = self.arena.alloc(format!("!{name}"));
            arguments.push(if self.is_counted {
                Term::Call("_deeper", vec![Term::Var(DEPTH), Term::Num(self.deepest)])
            } else {
                Term::Num("0")
            });
        }
    }
}

fn is_several_part(part: &StrPart<&str, Tree<'_>>) -> bool {
    matches!(part, StrPart::Term(term) if !is_single(term))
}

/// True for what has plainly one output or an error.
fn is_single(term: &Tree<'_>) -> bool {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) | Term::Arr(_) => true,
        Term::Neg(inner) => is_single(inner),
        Term::Str(_, parts) => !parts.iter().any(is_several_part),
        Term::BinOp(left, BinaryOp::Pipe(_) | BinaryOp::Math(_) | BinaryOp::Cmp(_), right) => {
            is_single(left) && is_single(right)
        }
        Term::Call(name, arguments) => {
            let is_known = matches!(
                *name,
                "length"
                    | "add"
                    | "keys"
                    | "type"
                    | "not"
                    | "now"
                    | "tostring"
                    | "tonumber"
                    | "floor"
                    | "ceil"
                    | "round"
                    | "sqrt"
                    | "min"
                    | "max"
                    | "first"
                    | "last"
                    | "fromdate"
                    | "todate"
                    | "null"
                    | "true"
                    | "false"
            );
            arguments.is_empty() && is_known
        }
        Term::Path(head, path) => {
            let is_one = |part: &Part<Tree<'_>>| match part {
                Part::Index(index) => is_single(index),
                Part::Range(None, None) => false,
                Part::Range(from, to) => from.iter().chain(to).all(is_single),
            };
            is_single(head) && path.0.iter().all(|(part, _)| is_one(part))
        }
        _ => false,
    }
}

/// True when updating by `change` may take away what it updates.
fn may_vanish(change: &Tree<'_>) -> bool {
    analysis::calls(change).iter().any(|call| matches!(call, ("empty", 0) | ("select", 1)))
}

/// True for several places, of which one may move when another before it is taken away.
fn is_several(places: &Tree<'_>) -> bool {
    match places {
        Term::BinOp(_, BinaryOp::Comma, _) => true,
        Term::BinOp(left, BinaryOp::Pipe(None), right) => is_several(left) || is_several(right),
        Term::Path(head, path) => {
            let is_several_in = |part: &Part<Tree<'_>>| match part {
                Part::Index(Term::Num(_) | Term::Str(..) | Term::Var(_) | Term::Neg(_)) => false,
                Part::Index(_) => true,
                Part::Range(..) => false,
            };
            is_several(head) || path.0.iter().any(|(part, _)| is_several_in(part))
        }
        _ => false,
    }
}

/// The parts of a text with its literal ones put together.
fn merged<'s>(arena: &'s Arena, parts: Parts<'s>) -> Parts<'s> {
    let mut out: Parts<'s> = Vec::new();
    let mut literal = String::new();
    let mut parts = parts.into_iter().peekable();
    while let Some(part) = parts.next() {
        match part {
            StrPart::Str(text) => literal.push_str(text),
            StrPart::Char(character) => literal.push(character),
            StrPart::Term(term) => out.push(StrPart::Term(term)),
        }
        let ends = !matches!(parts.peek(), Some(StrPart::Str(_) | StrPart::Char(_)));
        if ends && !literal.is_empty() {
            out.push(StrPart::Str(arena.alloc(std::mem::take(&mut literal))));
        }
    }
    out
}

/// A text of `parts`: of many, the sum of its halves.
fn sum<'s>(format: Option<&'s str>, mut parts: Parts<'s>) -> Tree<'s> {
    if parts.len() <= ROW {
        return Term::Str(format, parts);
    }
    let second = parts.split_off(parts.len() / 2);
    let (first, second) = (sum(format, parts), sum(format, second));
    Term::BinOp(Box::new(first), BinaryOp::Math(Math::Add), Box::new(second))
}

fn is_mark(key: &Tree<'_>) -> bool {
    let Term::Str(None, parts) = key else { return false };
    let [StrPart::Str(text)] = parts.as_slice() else { return false };
    std::ptr::eq(text.as_ptr(), ALTERNATIVES.as_ptr())
}

/// The alternatives a pattern stands for, taken out of it.
fn alternatives<'s>(pattern: &mut Pattern<&'s str>) -> Option<Vec<Pattern<&'s str>>> {
    let Pattern::Obj(entries) = pattern else { return None };
    let [(key, Pattern::Arr(patterns))] = entries.as_mut_slice() else { return None };
    is_mark(key).then(|| std::mem::take(patterns))
}

/// Adds the variables that `pattern` binds.
fn variables<'s>(pattern: &Pattern<&'s str>, names: &mut Vec<&'s str>) {
    match pattern {
        Pattern::Var(name) if names.contains(name) => {}
        Pattern::Var(name) => names.push(name),
        Pattern::Arr(patterns) => patterns.iter().for_each(|it| variables(it, names)),
        Pattern::Obj(entries) => entries.iter().for_each(|(_, it)| variables(it, names)),
    }
}

fn pipe<'s>(left: Tree<'s>, pattern: Option<Pattern<&'s str>>, right: Tree<'s>) -> Tree<'s> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(pattern), Box::new(right))
}

/// `null`, whatever the author calls so.
fn null<'s>() -> Tree<'s> {
    let first = (Part::Index(Term::Num("0")), Opt::Essential);
    Term::Path(Box::new(Term::Arr(None)), Path(vec![first]))
}

/// `body` with the variables of the first of `patterns` that [`VALUE`] fits and that no error comes
/// of. The variables of the others are null.
fn alternating<'s>(patterns: &[Pattern<&'s str>], body: Tree<'s>) -> Tree<'s> {
    let mut names = Vec::new();
    patterns.iter().for_each(|it| variables(it, &mut names));
    let attempt = |pattern: &Pattern<&'s str>| {
        let mut own = Vec::new();
        variables(pattern, &mut own);
        let argument = |name: &&'s str| if own.contains(name) { Term::Var(*name) } else { null() };
        let arguments = names.iter().map(argument).collect();
        pipe(Term::Var(VALUE), Some(pattern.clone()), Term::Call(BODY, arguments))
    };
    let mut attempts = patterns.iter().rev().map(attempt);
    let last = attempts.next().unwrap_or_default();
    let all = attempts.fold(last, |rest, attempt| {
        let rest = pipe(Term::Var(INPUT), None, rest);
        Term::TryCatch(Box::new(attempt), Some(Box::new(rest)))
    });
    let definition = Def { name: BODY, args: names.clone(), body };
    pipe(Term::Id, Some(Pattern::Var(INPUT)), Term::Def(vec![definition], Box::new(all)))
}
