//! The jq engine: which definitions and native filters a program may call.
//!
//! The library is parsed once. A program is compiled with only those definitions it can reach,
//! which makes compiling it a matter of microseconds.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jaq_core::data::HasLut;
use jaq_core::load::parse::{Def, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::native::Fun;
use jaq_core::{DataT, Filter, Lut};

use super::compile::tokens;
use super::{analysis, meter, natives};
use crate::value::Value;

/// Ties jaq to our values and to the meter.
pub(crate) struct Jq;

impl DataT for Jq {
    type V<'a> = Value;
    type Data<'a> = Metered<'a>;
}

/// The code of a program. jaq looks it up for every term it runs, which is what we charge for.
#[derive(Clone, Copy)]
pub(crate) struct Metered<'a>(pub(crate) &'a Lut<Jq>);

impl<'a> HasLut<'a, Jq> for Metered<'a> {
    fn lut(&self) -> &'a Lut<Jq> {
        meter::call();
        self.0
    }
}

/// Definitions of ours, in jq. They come last, so they replace those of the same name.
const LIBRARY: &str = include_str!("library.jq");

/// Filters of jaq that reach outside, that no budget bounds, or whose names would mislead.
const ABSENT: &[&str] = &[
    // The machine.
    "env",
    "now",
    "halt",
    "halt_error",
    "debug",
    "stderr",
    "debug_empty",
    "stderr_empty",
    "input",
    "inputs",
    "localtime",
    "strflocaltime",
    // Paths of any length, regular expressions of any cost, loops of any count.
    "path_value",
    "matches",
    "split_matches",
    "split_",
    "jn",
    "yn",
];

/// Filters of jaq that ours of the same name are made of.
const RENAMED: &[(&str, &str)] = &[("limit", "_limit"), ("skip", "_skip")];

type Signature = (&'static str, usize);

/// The parsed library.
pub(crate) struct Library {
    definitions: Vec<(Def<&'static str>, Vec<Signature>)>,
    natives: BTreeMap<Signature, usize>,
}

/// The library, parsed at first use.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(Library::parse)
}

fn native_list() -> Vec<Fun<Jq>> {
    let ours: Vec<Fun<Jq>> = natives::all();
    let replaced = |fun: &Fun<Jq>| {
        ABSENT.contains(&fun.0) || ours.iter().any(|it| it.0 == fun.0 && it.1.len() == fun.1.len())
    };
    let theirs = jaq_core::funs().chain(jaq_std::funs()).filter(|it| !replaced(it));
    let renamed = theirs.map(|(name, arguments, native)| {
        let other = RENAMED.iter().find(|(theirs, _)| *theirs == name);
        (other.map_or(name, |(_, ours)| *ours), arguments, native)
    });
    let theirs: Vec<Fun<Jq>> = renamed.collect();
    ours.into_iter().chain(theirs).collect()
}

impl Library {
    fn parse() -> Self {
        let ours = jaq_core::load::parse(LIBRARY, |parser| parser.defs()).unwrap_or_default();
        let natives: BTreeMap<Signature, usize> = native_list()
            .iter()
            .enumerate()
            .rev()
            .map(|(at, (name, arguments, _))| ((*name, arguments.len()), at))
            .collect();
        let native_names: Vec<Signature> =
            natives::all().iter().map(|(name, arguments, _)| (*name, arguments.len())).collect();
        let kept = |def: &Def<&'static str>| {
            !ABSENT.contains(&def.name) && !native_names.contains(&(def.name, def.args.len()))
        };
        let theirs = jaq_core::defs().chain(jaq_std::defs()).filter(kept);
        let definitions: Vec<_> = theirs
            .chain(ours)
            .map(|def| {
                let calls = analysis::calls(&def.body);
                (def, calls)
            })
            .collect();
        Self { definitions, natives }
    }

    /// Every filter people may call, for suggestions.
    pub(crate) fn names(&self) -> impl Iterator<Item = Signature> + '_ {
        let all = self.definitions.iter().map(|(def, _)| (def.name, def.args.len()));
        all.chain(self.natives.keys().copied()).filter(|(name, _)| !name.starts_with('_'))
    }

    /// The definitions reachable from `calls`, in the order of the library, and the natives'
    /// places.
    fn reachable<'s>(&self, calls: &[(&str, usize)]) -> (Vec<Def<&'s str>>, Vec<usize>) {
        let mut wanted = vec![false; self.definitions.len()];
        let mut natives = Vec::new();
        let mut open: Vec<(&str, usize, usize)> =
            calls.iter().map(|(name, arity)| (*name, *arity, usize::MAX)).collect();
        while let Some((name, arity, from)) = open.pop() {
            // A definition sees those before it, and itself.
            let found =
                self.definitions.iter().enumerate().rev().find(|(at, (def, _))| {
                    *at <= from && def.name == name && def.args.len() == arity
                });
            match found {
                Some((at, (_, calls))) => {
                    if let Some(place) = wanted.get_mut(at).filter(|it| !**it) {
                        *place = true;
                        open.extend(calls.iter().map(|(name, arity)| (*name, *arity, at)));
                    }
                }
                None => natives.extend(self.natives.get(&(name, arity)).copied()),
            }
        }
        natives.sort_unstable();
        natives.dedup();
        let definitions = self.definitions.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
        let definitions = definitions.map(|((def, _), _)| -> Def<&'s str> { def.clone() });
        (definitions.collect(), natives)
    }
}

/// Something the compiler could not resolve.
pub(crate) enum Unresolved {
    /// What it is and its place in the text.
    Name(&'static str, std::ops::Range<usize>),
    /// Anything else.
    Other,
}

/// The name of the program among the definitions: what the loader is given is a call of it, so that
/// the program may be a syntax tree that no text has.
const PROGRAM: &str = "_program";

/// Compiles `term`, whose global variables are known; `text` is where its names are from.
pub(crate) fn compile<'s>(
    arena: &'s Arena,
    text: &'s str,
    term: Term<&'s str>,
    globals: &[&'s str],
) -> Result<Filter<Jq>, Unresolved> {
    let inside = |name: &str| tokens::place(text, name);
    let calls = analysis::calls(&term);
    if let Some((name, _)) = calls.iter().find(|(name, _)| *name == PROGRAM) {
        return Err(inside(name).map_or(Unresolved::Other, |at| Unresolved::Name("filter", at)));
    }
    let (mut definitions, natives) = library().reachable(&calls);
    definitions.push(Def { name: PROGRAM, args: Vec::new(), body: term });
    let modules = Loader::new(definitions)
        .load(arena, File { code: PROGRAM, path: () })
        .map_err(|_| Unresolved::Other)?;
    let mut all: Vec<Option<Fun<Jq>>> = native_list().into_iter().map(Some).collect();
    let funs = natives.iter().filter_map(|at| all.get_mut(*at).and_then(Option::take));
    jaq_core::Compiler::default()
        .with_funs(funs.collect::<Vec<_>>())
        .with_global_vars(globals.iter().copied())
        .compile(modules)
        .map_err(|errors| {
            let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
            first.map_or(Unresolved::Other, |(name, kind)| match inside(name) {
                Some(at) => Unresolved::Name(kind.as_str(), at),
                None => Unresolved::Other,
            })
        })
}
