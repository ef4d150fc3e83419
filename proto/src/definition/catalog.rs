//! Functions of catalogs: where a reference leads, and compiling what was fetched from there.
//!
//! Nothing is fetched here. Who deploys a definition fetches what [`Loaded::wanted`] names and
//! pins it to the text ([`super::pins`]); the text is what is kept, sent to workers and replayed,
//! so a function is what it was when its caller was deployed.
//!
//! [`Loaded::wanted`]: super::Loaded::wanted

mod location;

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

pub use location::Location;

use super::codes;
use super::decoder::{Decoder, Reusable};
use super::findings::Findings;
use super::node::{Node, Place};
use super::pins::Pins;
use super::source::Source;
use super::task::{Position, Siblings};
use super::{Diagnostic, Severity, compat, text};
use crate::expression::Template;
use crate::limits;
use crate::plan::{Authentication, Endpoint, FunctionTarget, TaskIx};
use crate::value::Value;

/// The catalog a runtime offers itself.
pub(super) const DEFAULT_CATALOG: &str = "default";

/// A function that a definition calls and that is not pinned to its text.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// As `call` names it.
    pub name: Arc<str>,
    /// Where it is.
    pub location: Location,
    /// How to authenticate there.
    pub authentication: Option<Arc<Authentication>>,
    /// Where it is called, and that it is not there.
    finding: Diagnostic,
}

impl Wanted {
    /// The code of the findings about it.
    pub const CODE: &str = codes::FUNCTION_NOT_FETCHED;

    /// What to tell of it when it cannot be had: `why` in one line, and what to do.
    #[must_use]
    pub fn failed(&self, why: &str, hint: &str) -> Diagnostic {
        Diagnostic {
            code: codes::FUNCTION_NOT_FETCHED,
            severity: Severity::Error,
            message: format!("the function `{}` cannot be fetched: {why}", self.name),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
            ..self.finding.clone()
        }
    }
}

/// A function that is called and not there.
struct Missing {
    name: Arc<str>,
    location: Location,
    authentication: Option<Arc<Authentication>>,
}

/// What a decoder knows of functions of catalogs.
#[derive(Default)]
pub(super) struct Cataloged {
    pins: Pins,
    /// Tasks that are, or will be, compiled from them.
    compiled: BTreeMap<Arc<str>, TaskIx>,
    /// Those to be compiled, and where each is called first.
    pending: Vec<(Arc<str>, TaskIx, Place)>,
    /// Nodes of the texts read so far.
    nodes: usize,
    /// Those that are called and not there, and where each is called first.
    missing: Vec<(Missing, Place)>,
    /// The same, when all is compiled.
    pub(super) wanted: Vec<Wanted>,
    /// That one is not there is an error.
    required: bool,
    /// Where the function that is being compiled is called.
    inside: Option<Place>,
}

impl Cataloged {
    /// For a text with `pins`, of which `nodes` were read.
    pub(super) fn new(pins: Pins, nodes: usize, required: bool) -> Self {
        Self { pins, nodes, required, ..Self::default() }
    }

    /// True for a text to which nothing is pinned.
    pub(super) fn is_without_pins(&self) -> bool {
        self.pins.is_empty()
    }

    /// The tasks of functions, by what they are pinned as.
    pub(super) fn take_compiled(&mut self) -> BTreeMap<Arc<str>, TaskIx> {
        mem::take(&mut self.compiled)
    }

    /// True while a function of a catalog is compiled, which sees nothing of its caller.
    pub(super) fn is_foreign(&self) -> bool {
        self.inside.is_some()
    }
}

impl Decoder<'_> {
    /// The function `function` (`name:version`) of a catalog that the definition declares.
    pub(super) fn in_catalog(
        &mut self,
        call: &Node,
        name: &Arc<str>,
        function: &str,
        catalog: &str,
    ) -> Option<FunctionTarget> {
        // One with an error was reported where it stands.
        let endpoint = self.reusable.catalogs.get(catalog)?.clone()?;
        let Some(uri) = literal(&endpoint) else {
            let message = format!("the endpoint of the catalog `{catalog}` is an expression");
            let hint = "functions are fetched when the definition is deployed: write a URI";
            self.error(codes::BAD_FUNCTION_REFERENCE, call.place, message, hint);
            return None;
        };
        let location = Location::in_catalog(&uri, function);
        self.cataloged(call, name, location, endpoint.authentication)
    }

    /// The function at `location`, if that is one.
    pub(super) fn cataloged(
        &mut self,
        call: &Node,
        name: &Arc<str>,
        location: Result<Location, String>,
        authentication: Option<Arc<Authentication>>,
    ) -> Option<FunctionTarget> {
        let location = match location {
            Ok(location) => location,
            Err(why) => {
                let hint = "write `name:version@catalog`, or the URL of a function.yaml";
                self.error(codes::BAD_FUNCTION_REFERENCE, call.place, why, hint);
                return None;
            }
        };
        let place = self.cataloged.inside.unwrap_or(call.place);
        let key = location.key();
        if let Some(index) = self.cataloged.compiled.get(&key) {
            return Some(FunctionTarget::Defined(*index));
        }
        if self.cataloged.pins.contains_key(&key) {
            let index = self.reserve();
            self.cataloged.compiled.insert(key.clone(), index);
            self.cataloged.pending.push((key, index, place));
            return Some(FunctionTarget::Defined(index));
        }
        if !self.cataloged.missing.iter().any(|(it, _)| it.location == location) {
            let missing = Missing { name: name.clone(), location, authentication };
            self.cataloged.missing.push((missing, place));
        }
        Some(FunctionTarget::Cataloged(name.clone()))
    }

    fn wanted_function(&mut self, missing: Missing, place: Place) -> Wanted {
        let Missing { name, location, authentication } = missing;
        let (message, hint) = match &location {
            Location::Default(function) => (
                format!("the function `{function}` of the default catalog is not looked up here"),
                "the server that runs it has it: `windlass function list` shows what is there",
            ),
            Location::Url(url) => (
                format!("the function `{name}` is not fetched here from {url}"),
                "`windlass deploy`, `run` and `dev` fetch it, and so does `validate --online`",
            ),
        };
        let span = place.span;
        let mut finding = Diagnostic {
            code: codes::FUNCTION_NOT_FETCHED,
            severity: Severity::Error,
            message: message.clone(),
            line: span.line.max(1),
            column: span.column.max(1),
            length: 1,
            pointer: self.findings.pointers.pointer(place.id),
            hint: None,
        };
        if span.end_line == span.line {
            finding.length = span.end_column.saturating_sub(finding.column).max(1);
        }
        if self.cataloged.required {
            self.error(codes::FUNCTION_NOT_FETCHED, place, message, hint);
        } else {
            self.warning(codes::FUNCTION_NOT_FETCHED, place, message, hint);
        }
        Wanted { name, location, authentication, finding }
    }

    /// Compiles the pinned functions that are called, and those that they call, and tells of those
    /// that are not there. To be done when all else is decoded.
    pub(super) fn pinned_functions(&mut self) {
        self.compile_pinned();
        for (missing, place) in mem::take(&mut self.cataloged.missing) {
            let wanted = self.wanted_function(missing, place);
            self.cataloged.wanted.push(wanted);
        }
    }

    fn compile_pinned(&mut self) {
        let mut compiled = 0;
        while let Some((key, index, place)) = self.cataloged.pending.pop() {
            compiled += 1;
            if compiled > limits::PINNED_FUNCTIONS {
                let most = limits::PINNED_FUNCTIONS;
                let message = format!("more than {most} functions of catalogs are called");
                let hint = "functions that functions call count as well: define some in `use`";
                self.error(codes::TOO_MANY_FUNCTIONS, place, message, hint);
                return;
            }
            let Some(text) = self.cataloged.pins.get(&key).cloned() else { continue };
            if let Err((why, hint)) = self.pinned_function(&key, index, &text, place) {
                let message = format!("the function at {key} cannot be used: {why}");
                self.error(codes::BAD_FUNCTION, place, message, &hint);
            }
        }
    }

    /// Compiles one function; the first thing that is wrong with it otherwise, and what to do.
    fn pinned_function(
        &mut self,
        key: &Arc<str>,
        index: TaskIx,
        text: &str,
        place: Place,
    ) -> Result<(), (String, String)> {
        let mut own = Findings::new(false);
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let read = text::parse_more(body, &mut own, &mut self.cataloged.nodes);
        let Some(mut root) = read else { return Err(first_error(own)) };
        compat::normalise_function(&mut root, &mut own);
        // What the function's author knows: the default catalog, and those of the workflow.
        let catalogs = self.reusable.catalogs.clone();
        let scope = Reusable { catalogs, ..Reusable::default() };
        let reusable = mem::replace(&mut self.reusable, scope);
        let names = mem::take(&mut self.names);
        // How a text is read is its author's to say, and a function says nothing of it.
        let loose = mem::take(&mut self.loose);
        let declared = mem::take(&mut self.declared);
        let findings = mem::replace(&mut self.findings, own);
        let source = mem::replace(&mut self.source, Source::new(""));
        self.cataloged.inside = Some(place);
        self.extended = true;
        let position = Position { pointer: "", siblings: Siblings::Alone };
        self.task(index, &short_name(key), &root, position);
        self.extended = false;
        self.cataloged.inside = None;
        self.source = source;
        let own = mem::replace(&mut self.findings, findings);
        self.declared = declared;
        self.loose = loose;
        self.names = names;
        self.reusable = reusable;
        if own.has_errors() { Err(first_error(own)) } else { Ok(()) }
    }
}

/// The first error of a text, and what to do about it.
fn first_error(findings: Findings) -> (String, String) {
    let found = findings.finish().into_iter().find(|it| it.severity == Severity::Error);
    let found = found.map(|it| {
        let why = format!("line {}, column {}: {}", it.line, it.column, it.message);
        (why, it.hint.unwrap_or_default())
    });
    found.unwrap_or_else(|| ("it is no task".to_owned(), String::new()))
}

/// What a function is called in histories and spans.
fn short_name(key: &str) -> Arc<str> {
    let directories: Vec<_> = key.split('/').collect();
    match directories[..] {
        // …/functions/name/version/function.yaml
        [.., name, version, "function.yaml"] if !name.is_empty() => {
            format!("{name}:{version}").into()
        }
        _ => {
            let last = key.split(['?', '#']).next().unwrap_or(key);
            let last = last.rsplit('/').next().unwrap_or(last);
            last.chars().take(limits::FUNCTION_NAME_BYTES).collect::<String>().into()
        }
    }
}

/// The URI of an endpoint that is one without expressions.
fn literal(endpoint: &Endpoint) -> Option<Arc<str>> {
    match &endpoint.uri.template {
        Template::Constant(Value::String(text)) if !text.contains('{') => Some(text.clone()),
        _ => None,
    }
}
