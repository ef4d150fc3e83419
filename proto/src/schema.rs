//! JSON Schema for `input.schema`, `output.schema`, `export.schema`.
//!
//! Whoever writes a schema decides what checking a value costs, so both are bounded: [`size`]
//! measures a document before it is compiled, and [`node`] charges every look at a value to the
//! meter of expressions, which ends the check when its steps, its bytes or the stack are spent.

mod node;
mod size;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::sync::Arc;

use jsonschema::{PatternOptions, ValidationError};

use self::node::{Looked, Metered, Prices};
use self::size::Size;
use crate::expression::Budget;
use crate::expression::meter::{self, Spent, Stop};
use crate::limits;
use crate::time::Timestamp;
use crate::value::Value;

/// A compiled schema. Draft 2020-12 unless `$schema` says otherwise; references are resolved only
/// inside the document.
#[derive(Clone, Debug)]
pub struct Schema {
    compiled: Arc<Compiled>,
}

#[derive(Debug)]
enum Compiled {
    Usable {
        validator: jsonschema::Validator<Metered>,
        prices: Prices,
        size: Size,
    },
    /// Accepted by an earlier version; why it is not now.
    Unusable(String),
}

/// A document that cannot be used as a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is not a JSON Schema.
    #[error("not a JSON Schema: {0}")]
    Invalid(String),
    /// Checking a value against it could take without bound.
    #[error("this schema is too costly to check values against: {0}")]
    TooCostly(String),
}

/// Why a value was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The schema refuses it; the text names at most a few places, and no value.
    #[error("{0}")]
    Refused(String),
    /// Checking it was given up, or not begun.
    #[error("{0}; make the schema simpler or the value smaller")]
    TooCostly(String),
}

impl Schema {
    /// Compiles `document`.
    ///
    /// # Errors
    /// When it is not a JSON Schema, refers outside itself, or is beyond
    /// [`limits::SCHEMA_EXPANDED`], [`limits::SCHEMA_DEPTH`], [`limits::SCHEMA_PARTS`] or
    /// [`limits::SCHEMA_PATTERN_STATES`].
    pub fn compile(document: &Value) -> Result<Self, SchemaError> {
        if document.depth() > limits::VALUE_DEPTH.min(limits::SCHEMA_NESTING) {
            let most = limits::SCHEMA_NESTING;
            let what = format!("its text nests deeper than {most} levels");
            return Err(SchemaError::TooCostly(what));
        }
        let document = serde_json::to_value(document)
            .map_err(|error| SchemaError::Invalid(error.to_string()))?;
        let (size, prices) = size::measure(&document)?;
        let mut options = jsonschema::options_for::<Metered>()
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(limits::REGEX_BYTES)
                    .dfa_size_limit(limits::REGEX_BYTES),
            )
            .with_format("regex", size::is_pattern);
        if document.get("$schema").is_none() {
            options = options.with_draft(jsonschema::Draft::Draft202012);
        }
        let validator =
            options.build(&document).map_err(|error| SchemaError::Invalid(error.to_string()))?;
        Ok(Self { compiled: Arc::new(Compiled::Usable { validator, prices, size }) })
    }

    /// A schema that stands for one that can no longer be used, because `reason`, in a definition
    /// that was accepted when it could: it accepts no value, and says why.
    #[must_use]
    pub fn unusable(reason: String) -> Self {
        Self { compiled: Arc::new(Compiled::Unusable(reason)) }
    }

    fn size(&self) -> Size {
        match &*self.compiled {
            Compiled::Usable { size, .. } => *size,
            Compiled::Unusable(_) => Size { parts: 0, states: 0 },
        }
    }

    /// Schemas inside this one, with those that references lead to; what it takes in memory goes by
    /// that.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.size().parts
    }

    /// States of the automata of all its patterns.
    #[must_use]
    pub fn pattern_states(&self) -> usize {
        self.size().states
    }

    /// Checks `value` in [`limits::SCHEMA_STEPS`].
    ///
    /// # Errors
    /// When the schema refuses it, or that cannot be told in so many steps.
    pub fn validate(&self, value: &Value) -> Result<(), Unfit> {
        self.validate_within(value, limits::SCHEMA_STEPS)
    }

    /// Checks `value` in at most `steps`; the message is made in as many again.
    ///
    /// # Errors
    /// When the schema refuses it, or that cannot be told in so many steps.
    pub fn validate_within(&self, value: &Value, steps: u64) -> Result<(), Unfit> {
        let (validator, prices) = match &*self.compiled {
            Compiled::Usable { validator, prices, .. } => (validator, prices),
            Compiled::Unusable(reason) => return Err(Unfit::TooCostly(reason.clone())),
        };
        let node = Looked::new(value, prices);
        match metered(steps, || validator.is_valid(node)) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(stop) => return Err(Unfit::TooCostly(describe(stop, steps))),
        }
        // All errors are collected before the first is seen, so this may well be given up.
        let places = metered(steps, || {
            let mut errors = validator.iter_errors(node);
            let mut places: Vec<String> =
                errors.by_ref().take(limits::SCHEMA_PLACES_SHOWN).map(|it| shown(&it)).collect();
            if errors.next().is_some() {
                places.push("and more".to_owned());
            }
            places
        });
        let places = places.or_else(|_| {
            metered(steps, || match validator.validate(node) {
                Ok(()) => Vec::new(),
                Err(error) => vec![shown(&error), "and more".to_owned()],
            })
        });
        Err(Unfit::Refused(match places {
            Ok(places) if !places.is_empty() => places.join("; "),
            _ => "it does not fit in too many ways to say where".to_owned(),
        }))
    }
}

fn metered<T>(steps: u64, body: impl FnOnce() -> T) -> Result<T, Stop> {
    // Patterns and formats know no time.
    let budget = Budget { now: Timestamp(0), steps, bytes: limits::SCHEMA_ERROR_BYTES };
    meter::run(budget, false, body)
}

/// An error without the value it is about.
fn shown(error: &ValidationError<'_>) -> String {
    let short = |text: String| -> String {
        match text.char_indices().nth(limits::SCHEMA_ERROR_CHARACTERS) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text,
        }
    };
    let place = error.instance_path().to_string();
    let place = if place.is_empty() { "/".to_owned() } else { short(place) };
    format!("{place}: {}", short(error.masked().to_string()))
}

fn describe(stop: Stop, steps: u64) -> String {
    match stop {
        Stop::Spent(Spent::Steps) => format!("checking the value takes more than {steps} steps"),
        Stop::Spent(Spent::Stack | Spent::Depth | Spent::Path) => {
            "checking the value nests too deeply".to_owned()
        }
        Stop::Spent(Spent::Bytes) => "checking the value takes too much memory".to_owned(),
        Stop::Spent(Spent::Sealed) => "sealed values cannot be compared".to_owned(),
        Stop::Fault => "the check failed in a way it should not".to_owned(),
    }
}
