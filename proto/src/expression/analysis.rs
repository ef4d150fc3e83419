//! What a program names: filters it calls, variables it reads, secrets it reaches.
//!
//! **Invariant:** recursion here is as deep as the syntax tree, which is bounded before parsing.

use std::collections::BTreeSet;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::{Part, Path};

use super::lint::{self, Lint};

type Tree<'s> = Term<&'s str>;

/// What was found in a program.
#[derive(Debug, Default)]
pub(crate) struct Found<'s> {
    /// Filters called, with their number of arguments; local definitions among them.
    pub(crate) calls: Vec<(&'s str, usize)>,
    /// Variables that nothing in the program binds, with `$`, in order of appearance.
    pub(crate) free: Vec<&'s str>,
    /// Variables, labels and arguments that the program binds.
    pub(crate) bindings: usize,
    /// The first key of an object that is plainly no string.
    pub(crate) key: Option<&'s str>,
    /// Names of secrets the program can reach.
    pub(crate) secrets: BTreeSet<String>,
    /// True when the program may reach any secret, since the name is computed.
    pub(crate) any_secret: bool,
    /// It defines functions, which may have the names of others.
    pub(crate) defines: bool,
    /// What is surely not meant, wherever it stands.
    pub(crate) lints: Vec<Lint>,
}

/// Variables in force at a place.
type Scope<'s> = Vec<&'s str>;

/// Filters `term` calls.
pub(crate) fn calls<'s>(term: &Tree<'s>) -> Vec<(&'s str, usize)> {
    find(term).calls
}

/// Everything `term` names.
pub(crate) fn find<'s>(term: &Tree<'s>) -> Found<'s> {
    let mut found = Found::default();
    found.term(term, &mut Scope::default());
    found.calls.sort_unstable();
    found.calls.dedup();
    if found.defines {
        found.lints.clear();
    }
    found
}

impl<'s> Found<'s> {
    fn term(&mut self, term: &Tree<'s>, scope: &mut Scope<'s>) {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Arr(None) => {}
            Term::Str(format, parts) => {
                self.calls.extend(format.map(|name| (name, 0)));
                for part in parts {
                    if let StrPart::Term(term) = part {
                        self.term(term, scope);
                    }
                }
            }
            Term::Arr(Some(term)) | Term::Neg(term) => self.term(term, scope),
            Term::Label(_, term) => {
                self.bindings += 1;
                self.term(term, scope);
            }
            Term::Obj(entries) => {
                for (key, value) in entries {
                    self.key(key, scope);
                    if let Some(value) = value {
                        self.term(value, scope);
                    }
                }
            }
            Term::BinOp(left, op, right) => {
                self.lint(lint::comparison(left, op, right));
                self.term(left, scope);
                let before = scope.len();
                if let BinaryOp::Pipe(Some(pattern)) = op {
                    self.pattern(pattern, scope);
                }
                self.term(right, scope);
                scope.truncate(before);
            }
            Term::Fold(_, source, pattern, arguments) => {
                self.fold(source, pattern, arguments, scope)
            }
            Term::TryCatch(body, handler) => {
                self.term(body, scope);
                if let Some(handler) = handler {
                    self.term(handler, scope);
                }
            }
            Term::IfThenElse(branches, last) => {
                for (condition, then) in branches {
                    self.condition(condition);
                    self.term(condition, scope);
                    self.term(then, scope);
                }
                if let Some(last) = last {
                    self.term(last, scope);
                }
            }
            Term::Def(definitions, body) => self.definitions(definitions, body, scope),
            Term::Call(name, arguments) => {
                self.calls.push((name, arguments.len()));
                lint::argument(name, arguments).into_iter().for_each(|it| self.condition(it));
                for argument in arguments {
                    self.term(argument, scope);
                }
            }
            Term::Var(name) => self.variable(name, None, scope),
            Term::Path(head, path) => self.path(head, path, scope),
        }
    }

    fn path(&mut self, head: &Tree<'s>, path: &Path<Tree<'s>>, scope: &mut Scope<'s>) {
        match (head, path.0.first()) {
            (Term::Var(name), Some((Part::Index(key), _))) => {
                self.variable(name, constant(key).as_deref(), scope);
            }
            _ => self.term(head, scope),
        }
        for (part, _) in &path.0 {
            match part {
                Part::Index(term) => self.term(term, scope),
                Part::Range(from, to) => {
                    for bound in [from, to].into_iter().flatten() {
                        self.term(bound, scope);
                    }
                }
            }
        }
    }

    fn condition(&mut self, term: &Tree<'s>) {
        if !lint::is_true(term) {
            self.lint(lint::condition(term));
        }
    }

    fn lint(&mut self, lint: Option<Lint>) {
        if let Some(lint) = lint.filter(|it| !self.lints.contains(it)) {
            self.lints.push(lint);
        }
    }

    fn definitions(
        &mut self,
        definitions: &[Def<&'s str>],
        body: &Tree<'s>,
        scope: &mut Scope<'s>,
    ) {
        self.defines = true;
        for definition in definitions {
            let before = scope.len();
            self.bindings += definition.args.len();
            scope.extend(definition.args.iter().filter(|it| it.starts_with('$')));
            self.term(&definition.body, scope);
            scope.truncate(before);
        }
        self.term(body, scope);
    }

    /// A key of an object or of a pattern for one.
    fn key(&mut self, key: &Tree<'s>, scope: &mut Scope<'s>) {
        match key {
            Term::Num(text) => _ = self.key.get_or_insert(text),
            Term::Call(name @ ("true" | "false" | "null"), arguments) if arguments.is_empty() => {
                self.key.get_or_insert(name);
            }
            _ => {}
        }
        self.term(key, scope);
    }

    fn fold(
        &mut self,
        source: &Tree<'s>,
        pattern: &Pattern<&'s str>,
        arguments: &[Tree<'s>],
        scope: &mut Scope<'s>,
    ) {
        self.term(source, scope);
        let before = scope.len();
        if let Some(initial) = arguments.first() {
            self.term(initial, scope);
        }
        self.pattern(pattern, scope);
        for argument in arguments.iter().skip(1) {
            self.term(argument, scope);
        }
        scope.truncate(before);
    }

    fn pattern(&mut self, pattern: &Pattern<&'s str>, scope: &mut Scope<'s>) {
        match pattern {
            Pattern::Var(name) => {
                self.bindings += 1;
                scope.push(name);
            }
            Pattern::Arr(patterns) => {
                for pattern in patterns {
                    self.pattern(pattern, scope);
                }
            }
            Pattern::Obj(entries) => {
                for (key, pattern) in entries {
                    self.key(key, scope);
                    self.pattern(pattern, scope);
                }
            }
        }
    }

    fn variable(&mut self, name: &'s str, key: Option<&str>, scope: &Scope<'s>) {
        if scope.contains(&name) {
            return;
        }
        if !self.free.contains(&name) {
            self.free.push(name);
        }
        if super::is_secrets(name.trim_start_matches('$')) {
            match key {
                Some(key) => {
                    self.secrets.insert(key.to_owned());
                }
                None => self.any_secret = true,
            }
        }
    }
}

/// The text of a string without interpolation.
fn constant(term: &Tree<'_>) -> Option<String> {
    let Term::Str(None, parts) = term else { return None };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(character) => text.push(*character),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}
