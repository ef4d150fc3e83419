//! The default catalog: functions that were published to this server, by name and version.
//!
//! A version of a function never changes, so what was pinned to a definition yesterday is what
//! would be pinned today. They lie with the definitions, in a namespace that none can have.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use semver::Version;
use windlass_proto::definition::pins::{self, Pins};
use windlass_proto::definition::{self, Diagnostic, Location, STANDARD_FUNCTIONS, Severity};
use windlass_proto::id::{Digest, WorkflowId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::{Catalog, Known};
use crate::audit::AuditError;
use crate::journal::{JournalError, StoredDefinition};

/// Where functions lie among definitions: not the name of a namespace.
const NAMESPACE: &str = "@functions";

/// A function of the default catalog.
#[derive(Clone)]
pub struct PublishedFunction {
    /// `name:version`
    pub reference: Arc<str>,
    /// Digest of its text.
    pub digest: Digest,
    /// Its text.
    pub text: Arc<str>,
    /// When it was published first.
    pub published_at: Timestamp,
}

/// What became of publishing a function.
pub struct Published {
    /// The function.
    pub function: PublishedFunction,
    /// False when it was there already, with the same text.
    pub new: bool,
}

/// Why a function was not published.
pub enum PublishRefused {
    /// It cannot have this name, or this text: all that was found.
    Invalid(Vec<Diagnostic>),
    /// It calls what cannot be looked up later.
    Unpublished(String),
    /// Its version has another text, which it keeps.
    Exists(Digest),
    /// There are as many as there may be.
    Full,
    /// The journal failed.
    Journal(JournalError),
    /// Nothing may change that the audit trail does not tell.
    Untold(AuditError),
}

impl PublishedFunction {
    /// The function that was kept as `stored`, unless that is a definition.
    pub(super) fn of(stored: StoredDefinition) -> Result<Self, StoredDefinition> {
        if &*stored.id.namespace != NAMESPACE {
            return Err(stored);
        }
        Ok(Self {
            reference: reference(&stored.id.name, &stored.id.version),
            digest: Digest::of(&stored.text),
            text: stored.text,
            published_at: stored.deployed_at,
        })
    }
}

impl Known {
    pub(super) fn remember_function(&mut self, function: PublishedFunction) {
        self.functions.insert(function.reference.clone(), function);
    }
}

impl Catalog {
    /// Publishes a function to the default catalog, durably.
    ///
    /// # Errors
    /// When it is no function, exists with another text, or the journal cannot be written.
    pub fn publish(
        &self,
        name: &str,
        version: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<Published, PublishRefused> {
        self.publish_told(name, version, text, now, |_| Ok(()))
    }

    /// As [`Catalog::publish`]; `tell` hears of the digest before it is kept.
    ///
    /// # Errors
    /// As [`Catalog::publish`], and when it cannot be told: then nothing is published.
    pub fn publish_told(
        &self,
        name: &str,
        version: &str,
        text: &str,
        now: Timestamp,
        tell: impl FnOnce(&Digest) -> Result<(), AuditError>,
    ) -> Result<Published, PublishRefused> {
        let reference = reference(name, version);
        let digest = Digest::of(text);
        // Of two texts for one version that come at once, one is the first.
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.function(name, version);
        if let Some(function) = known {
            let same = function.digest == digest;
            let refused = PublishRefused::Exists(function.digest.clone());
            return if same { Ok(Published { function, new: false }) } else { Err(refused) };
        }
        self.check_function(name, version, text)?;
        if self.read(|known| known.functions.len()) >= limits::PUBLISHED_FUNCTIONS {
            return Err(PublishRefused::Full);
        }
        self.journal.room().needed().map_err(PublishRefused::Journal)?;
        tell(&digest).map_err(PublishRefused::Untold)?;
        let stored = StoredDefinition {
            id: WorkflowId {
                namespace: NAMESPACE.into(),
                name: name.into(),
                version: version.into(),
            },
            // Two functions may have one text, and each is found by its own key.
            digest: Digest::of(&format!("{reference}\n{text}")),
            text: text.into(),
            deployed_at: now,
            retired_at: None,
        };
        self.journal.put_definition(&stored).map_err(PublishRefused::Journal)?;
        let function =
            PublishedFunction { reference, digest, text: text.into(), published_at: now };
        self.write(|known| known.remember_function(function.clone()));
        Ok(Published { function, new: true })
    }

    /// A function of the default catalog.
    #[must_use]
    pub fn function(&self, name: &str, version: &str) -> Option<PublishedFunction> {
        self.read(|known| known.functions.get(&reference(name, version)).cloned())
    }

    /// All functions of the default catalog, by name and version.
    #[must_use]
    pub fn functions(&self) -> Vec<PublishedFunction> {
        self.read(|known| known.functions.values().cloned().collect())
    }

    /// `text` with the functions of the default catalog that it calls, and that they call. What is
    /// deployed already is as it was deployed.
    pub(super) fn with_functions(&self, text: &str) -> Cow<'static, str> {
        let mut text: Cow<'static, str> = Cow::Owned(text.to_owned());
        let mut asked = BTreeSet::new();
        loop {
            let loaded = definition::load(&text, &self.options);
            let Some(plan) = loaded.plan else { return text };
            if loaded.wanted.is_empty() {
                return text;
            }
            let id = &plan.id;
            let deployed = self.stored(&id.namespace, &id.name, Some(&id.version));
            let deployed = deployed.filter(|it| pins::source(&it.text) == pins::source(&text));
            if let Some(deployed) = deployed {
                return Cow::Owned(deployed.text.to_string());
            }
            // Who has pins that cannot be read has no plan either.
            let Ok((source, mut pins)) = pins::read(&text) else { return text };
            let before = pins.len();
            self.read(|known| {
                for wanted in &loaded.wanted {
                    let Location::Default(reference) = &wanted.location else { continue };
                    if let Some(function) = known.functions.get(reference) {
                        pins.insert(wanted.location.key(), function.text.clone());
                    }
                    asked.insert(reference.clone());
                }
            });
            if pins.len() == before || asked.len() > limits::PINNED_FUNCTIONS {
                return text;
            }
            text = Cow::Owned(pins::join(source, &pins));
        }
    }

    /// That a text can be the function `name:version`: all it calls of catalogs was published, so
    /// there are no circles either.
    fn check_function(&self, name: &str, version: &str, text: &str) -> Result<(), PublishRefused> {
        if STANDARD_FUNCTIONS.contains(&name) {
            let why = format!("every worker has the function `{name}`, which is called instead");
            return Err(PublishRefused::Unpublished(why));
        }
        if Version::parse(version).is_err() {
            let why = format!("`{version}` is no semantic version, such as 1.0.0");
            return Err(PublishRefused::Unpublished(why));
        }
        let source = caller(name, version);
        let key = Location::Default(reference(name, version)).key();
        let pins = Pins::from([(key, text.into())]);
        let joined = self.with_functions(&pins::join(&source, &pins)).into_owned();
        let options = definition::Options { functions_pinned: true, ..self.options.clone() };
        let loaded = definition::load(&joined, &options);
        let mut wanted: Vec<_> = loaded.wanted.iter().map(|it| format!("`{}`", it.name)).collect();
        if self.calls_itself(name, version, text) {
            wanted.push(format!("`{}`", reference(name, version)));
        }
        if !wanted.is_empty() {
            let why = format!(
                "it calls {}: functions of the default catalog call others of it, published \
                 before, and none elsewhere",
                wanted.join(", ")
            );
            return Err(PublishRefused::Unpublished(why));
        }
        let errors = loaded.diagnostics.into_iter().filter(|it| it.severity == Severity::Error);
        let errors: Vec<_> = errors.collect();
        if errors.is_empty() { Ok(()) } else { Err(PublishRefused::Invalid(errors)) }
    }

    /// True for a function whose own text calls it: where it is looked at by its name, it finds
    /// itself pinned; by another one, it does not.
    fn calls_itself(&self, name: &str, version: &str, text: &str) -> bool {
        let other = format!("not-{name}");
        let key = Location::Default(reference(&other, version)).key();
        let joined = pins::join(&caller(&other, version), &Pins::from([(key, text.into())]));
        let own = Location::Default(reference(name, version)).key();
        let wanted = definition::load(&joined, &self.options).wanted;
        wanted.iter().any(|it| it.location.key() == own)
    }
}

/// `name:version`
fn reference(name: &str, version: &str) -> Arc<str> {
    format!("{name}:{version}").into()
}

/// A workflow that calls a function: for looking at the function only.
fn caller(name: &str, version: &str) -> String {
    let name = serde_json::Value::from(format!("{name}:{version}@default"));
    format!(
        "document: {{ dsl: '1.0.3', namespace: default, name: function, version: 0.0.0 }}\n\
         do: [ {{ call: {{ call: {name} }} }} ]\n"
    )
}

#[cfg(test)]
mod tests;
