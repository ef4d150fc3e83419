//! How large a schema is once its references are followed, before it is compiled.
//!
//! A place of a value meets a schema and all that applies at the same place: the targets of `$ref`,
//! the members of `allOf`, and so on. A reference counts for all it leads to, as it is checked anew
//! each time; so a few lines can double the count with each. What a schema has for places further
//! down (`properties`, `items`) is counted for those.

use std::collections::HashMap;

use jsonschema::{Draft, Registry, Uri};
use referencing::Resolver;
use regex_automata::nfa::thompson;
use serde_json::{Map, Value as Plain};

use super::SchemaError;
use super::node::Prices;
use crate::limits;

/// What a schema takes in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) parts: usize,
    pub(super) states: usize,
}

/// What applies at one place of a value, with all that references lead to.
#[derive(Clone, Copy, Debug, Default)]
struct Here {
    /// Schemas, and their keywords.
    weight: u64,
    /// Schemas inside each other.
    depth: u32,
    /// Schemas that are decided without a look at the value.
    blind: u64,
    /// What `unevaluatedItems` or `unevaluatedProperties` takes to find what was evaluated.
    marking: u64,
}

/// A schema under one dynamic scope, which decides where a `$dynamicRef` leads.
type Key = (usize, String);

#[derive(Clone, Copy)]
enum Known {
    Open,
    Done(Here),
}

struct Walk<'r> {
    known: HashMap<Key, Known>,
    /// Schemas of places further down that were not measured yet.
    todo: Vec<Part<'r>>,
    /// Distinct patterns and their states.
    patterns: HashMap<&'r str, u64>,
    size: Size,
    prices: Prices,
}

#[derive(Clone)]
struct Part<'r> {
    schema: &'r Plain,
    resolver: Resolver<'r>,
    draft: Draft,
}

/// Measures `document`.
///
/// # Errors
/// When it is beyond a bound, or a reference leads nowhere.
pub(super) fn measure(document: &Plain) -> Result<(Size, Prices), SchemaError> {
    let draft = Draft::Draft202012.detect(document);
    let resource = draft.create_resource_ref(document);
    let base = resource.id().unwrap_or("json-schema:///").to_owned();
    let registry = Registry::new()
        .draft(draft)
        .add(&*base, resource)
        .and_then(referencing::RegistryBuilder::prepare)
        .map_err(invalid)?;
    let base: Uri<String> =
        jsonschema::uri::from_str(base.trim_end_matches('#')).map_err(invalid)?;
    let mut walk = Walk {
        known: HashMap::new(),
        todo: vec![Part { schema: document, resolver: registry.resolver(base), draft }],
        patterns: HashMap::new(),
        size: Size { parts: 0, states: 0 },
        prices: Prices::LOWEST,
    };
    let (mut depth, mut blind) = (0, 0);
    while let Some(part) = walk.todo.pop() {
        let here = walk.measure(&part, 1)?;
        depth = depth.max(here.depth);
        blind = blind.max(here.blind);
    }
    // Between two looks at the value the validator goes up and down as deep as schemas nest, and
    // through all that need no look.
    walk.prices.look = 1 + u64::from(depth / 8) + blind;
    Ok((walk.size, walk.prices))
}

#[allow(clippy::needless_pass_by_value)]
fn invalid(error: impl ToString) -> SchemaError {
    SchemaError::Invalid(error.to_string())
}

impl<'r> Walk<'r> {
    fn measure(&mut self, part: &Part<'r>, level: u32) -> Result<Here, SchemaError> {
        let Some(schema) = part.schema.as_object() else {
            return Ok(Here { weight: 1, depth: 1, blind: 1, marking: 1 });
        };
        let key = (std::ptr::from_ref(schema).addr(), scope(&part.resolver));
        match self.known.get(&key) {
            Some(Known::Done(here)) => return Ok(*here),
            Some(Known::Open) => {
                let what = "it refers to itself without going into the value";
                return Err(SchemaError::TooCostly(what.to_owned()));
            }
            None => {}
        }
        if level > limits::SCHEMA_DEPTH {
            return Err(too_deep());
        }
        self.size.parts += 1;
        if self.size.parts > limits::SCHEMA_PARTS {
            let most = limits::SCHEMA_PARTS;
            let what = format!("with its references it has more than {most} schemas");
            return Err(SchemaError::TooCostly(what));
        }
        self.known.insert(key.clone(), Known::Open);
        let mut here = Here { weight: 1 + schema.len() as u64, depth: 1, ..Here::default() };
        let applied = self.applied(part, schema)?;
        for inner in &applied {
            let inner = self.measure(inner, level + 1)?;
            here.weight = here.weight.saturating_add(inner.weight);
            here.depth = here.depth.max(inner.depth + 1);
            here.blind = here.blind.saturating_add(inner.blind);
            here.marking = here.marking.saturating_add(inner.marking);
        }
        if applied.is_empty() && !looks(schema) {
            here.blind = 1;
        }
        if schema.contains_key("unevaluatedItems") || schema.contains_key("unevaluatedProperties") {
            here.weight = here.weight.saturating_add(here.marking);
            here.blind = here.blind.saturating_mul(u64::from(here.depth) + 1);
        }
        here.marking = here.marking.saturating_add(here.weight);
        if here.weight > limits::SCHEMA_EXPANDED {
            let most = limits::SCHEMA_EXPANDED;
            let what = format!(
                "with its references followed, more than {most} schemas and keywords apply to one \
                 value"
            );
            return Err(SchemaError::TooCostly(what));
        }
        if here.depth > limits::SCHEMA_DEPTH {
            return Err(too_deep());
        }
        self.count_patterns(schema)?;
        self.further_down(part, schema)?;
        self.known.insert(key, Known::Done(here));
        Ok(here)
    }

    /// The schemas that apply at the same place.
    fn applied(
        &self,
        part: &Part<'r>,
        schema: &'r Map<String, Plain>,
    ) -> Result<Vec<Part<'r>>, SchemaError> {
        let mut applied = Vec::new();
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(Plain::String(reference)) = schema.get(keyword) {
                applied.extend(self.target(part, keyword, reference)?);
            }
        }
        if only_reference(part.draft, schema) {
            return Ok(applied);
        }
        for keyword in ["not", "if", "then", "else"] {
            self.inside(part, schema.get(keyword), &mut applied)?;
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for inner in schema.get(keyword).and_then(Plain::as_array).into_iter().flatten() {
                self.inside(part, Some(inner), &mut applied)?;
            }
        }
        for keyword in ["dependentSchemas", "dependencies"] {
            let members = schema.get(keyword).and_then(Plain::as_object);
            for inner in members.into_iter().flat_map(Map::values) {
                self.inside(part, Some(inner), &mut applied)?;
            }
        }
        Ok(applied)
    }

    /// Where a reference leads; nowhere where the library does not follow it.
    fn target(
        &self,
        part: &Part<'r>,
        keyword: &str,
        reference: &str,
    ) -> Result<Option<Part<'r>>, SchemaError> {
        let resolved = match keyword {
            "$recursiveRef" => part.resolver.lookup_recursive_ref(),
            _ => part.resolver.lookup(reference),
        };
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(error) if keyword == "$ref" => return Err(invalid(error)),
            // Drafts that do not have the keyword do not read it.
            Err(_) => return Ok(None),
        };
        let (schema, resolver, draft) = resolved.into_inner();
        let own = reference.is_empty() || std::ptr::eq(schema, part.schema);
        Ok((!own).then_some(Part { schema, resolver, draft }))
    }

    /// Adds a schema that is written inside of `part`, if it is one.
    fn inside(
        &self,
        part: &Part<'r>,
        inner: Option<&'r Plain>,
        into: &mut Vec<Part<'r>>,
    ) -> Result<(), SchemaError> {
        let Some(schema @ (Plain::Object(_) | Plain::Bool(_))) = inner else { return Ok(()) };
        let draft = part.draft.detect(schema);
        let resource = draft.create_resource_ref(schema);
        let resolver = part.resolver.in_subresource(resource).map_err(invalid)?;
        into.push(Part { schema, resolver, draft });
        Ok(())
    }

    /// Notes the schemas of places further down.
    fn further_down(
        &mut self,
        part: &Part<'r>,
        schema: &'r Map<String, Plain>,
    ) -> Result<(), SchemaError> {
        if only_reference(part.draft, schema) {
            return Ok(());
        }
        let mut found = Vec::new();
        for keyword in ["properties", "patternProperties"] {
            let members = schema.get(keyword).and_then(Plain::as_object);
            for inner in members.into_iter().flat_map(Map::values) {
                self.inside(part, Some(inner), &mut found)?;
            }
        }
        for keyword in ["items", "prefixItems"] {
            for inner in schema.get(keyword).and_then(Plain::as_array).into_iter().flatten() {
                self.inside(part, Some(inner), &mut found)?;
            }
        }
        for keyword in [
            "items",
            "additionalItems",
            "additionalProperties",
            "contains",
            "propertyNames",
            "unevaluatedItems",
            "unevaluatedProperties",
        ] {
            self.inside(part, schema.get(keyword), &mut found)?;
        }
        self.todo.extend(found.into_iter().filter(|it| it.schema.is_object()));
        Ok(())
    }

    fn count_patterns(&mut self, schema: &'r Map<String, Plain>) -> Result<(), SchemaError> {
        for (keyword, price) in READ_WHOLE {
            if schema.contains_key(keyword) {
                self.prices.text = self.prices.text.max(price);
            }
        }
        if let Some(Plain::String(pattern)) = schema.get("pattern") {
            self.prices.text = self.prices.text.max(self.states(pattern)?);
        }
        if let Some(Plain::Object(members)) = schema.get("patternProperties") {
            let mut all: u64 = 0;
            for pattern in members.keys() {
                all = all.saturating_add(self.states(pattern)?);
            }
            self.prices.name = self.prices.name.max(all);
        }
        Ok(())
    }

    /// States of the automaton of a pattern.
    fn states(&mut self, pattern: &'r str) -> Result<u64, SchemaError> {
        if let Some(known) = self.patterns.get(pattern) {
            return Ok(*known);
        }
        let shown: String = pattern.chars().take(60).collect();
        if pattern.len() > limits::SCHEMA_PATTERN_BYTES {
            let most = limits::SCHEMA_PATTERN_BYTES;
            let what = format!("the pattern `{shown}…` is longer than {most} bytes");
            return Err(SchemaError::TooCostly(what));
        }
        let states = automaton(pattern).map_err(|why| {
            SchemaError::Invalid(format!("the pattern `{shown}` cannot be used: {why}"))
        })?;
        self.size.states += states;
        if self.size.states > limits::SCHEMA_PATTERN_STATES {
            let most = limits::SCHEMA_PATTERN_STATES;
            let what = format!("its patterns take more than {most} states");
            return Err(SchemaError::TooCostly(what));
        }
        self.patterns.insert(pattern, states as u64);
        Ok(states as u64)
    }
}

fn too_deep() -> SchemaError {
    let most = limits::SCHEMA_DEPTH;
    let what = format!("with its references followed, schemas nest deeper than {most} levels");
    SchemaError::TooCostly(what)
}

/// Up to draft 7 nothing counts beside a `$ref`.
fn only_reference(draft: Draft, schema: &Map<String, Plain>) -> bool {
    draft <= Draft::Draft7 && schema.get("$ref").is_some_and(Plain::is_string)
}

/// The resources entered so far, the outermost last, each once: repeats change nothing.
fn scope(resolver: &Resolver<'_>) -> String {
    let scope = resolver.dynamic_scope();
    let mut seen: Vec<&str> = Vec::new();
    let mut all: Vec<&str> = scope.iter().map(|uri| uri.as_str()).collect();
    all.reverse();
    for uri in all {
        if !seen.contains(&uri) {
            seen.push(uri);
        }
    }
    seen.join(" ")
}

/// True when a schema has a keyword for which the validator looks at the value, whatever it is.
fn looks(schema: &Map<String, Plain>) -> bool {
    let filled = |keyword| match schema.get(keyword) {
        Some(Plain::Array(items)) => !items.is_empty(),
        Some(Plain::Object(members)) => !members.is_empty(),
        _ => false,
    };
    filled("required")
        || filled("properties")
        || [
            "type",
            "enum",
            "const",
            "multipleOf",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "minLength",
            "maxLength",
            "pattern",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
        ]
        .iter()
        .any(|keyword| schema.contains_key(*keyword))
}

/// States of the automaton the validator makes of a pattern.
fn automaton(pattern: &str) -> Result<usize, String> {
    let translated = jsonschema_regex::to_rust_regex(pattern).map_err(|()| {
        "it is no regular expression, or has look-around or back-references, whose time has no bound"
            .to_owned()
    })?;
    let config = thompson::Config::new().nfa_size_limit(Some(limits::REGEX_BYTES));
    let automaton = thompson::Compiler::new().configure(config).build(&translated);
    match automaton {
        Ok(automaton) => Ok(automaton.states().len()),
        Err(error) if error.size_limit().is_some() => {
            Err(format!("its automaton takes more than {} bytes", limits::REGEX_BYTES))
        }
        Err(_) => Err("it is no regular expression".to_owned()),
    }
}

/// Keywords for which the library reads each text from end to end, and what that costs, in the
/// states of an automaton that would take as long: a text that is JSON becomes a value of its own.
const READ_WHOLE: [(&str, u64); 3] =
    [("contentMediaType", 24), ("contentEncoding", 4), ("format", 3)];

/// `format: regex`: the library would take time without bound for a long text.
pub(super) fn is_pattern(text: &str) -> bool {
    text.len() <= limits::SCHEMA_PATTERN_BYTES && jsonschema_regex::is_valid_ecma_regex(text)
}
