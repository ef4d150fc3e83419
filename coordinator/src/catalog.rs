//! Definitions: deployed text, compiled when needed, found by name or by digest.

mod plans;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use semver::Version;
use windlass_proto::definition::{self, Diagnostic, Loaded, Severity};
use windlass_proto::id::{Digest, WorkflowId};
use windlass_proto::limits::CATALOG_PLAN_TEXT_BYTES;
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;

use self::plans::Plans;
use crate::journal::{Journal, JournalError, StoredDefinition};
use crate::policy::NotPermitted;

/// All definitions of a coordinator.
pub struct Catalog {
    journal: Arc<dyn Journal>,
    options: definition::Options,
    known: RwLock<Known>,
    plans: RwLock<Plans>,
}

#[derive(Default)]
struct Known {
    /// Namespace and name, then version: what a start by name finds.
    current: HashMap<(Arc<str>, Arc<str>), BTreeMap<Version, StoredDefinition>>,
}

/// What happens to a definition with parts that this version cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// It is refused.
    Refuse,
    /// It is taken, with a warning.
    Allow,
}

/// What became of a deployment.
pub struct Deployment {
    /// The definition.
    pub id: WorkflowId,
    /// Digest of its text.
    pub digest: Digest,
    /// True when the text differs from what was current.
    pub changed: bool,
    /// True when it had another one.
    pub replaced: bool,
    /// Warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why a deployment was refused.
pub enum Refused {
    /// The definition has errors.
    Invalid(Vec<Diagnostic>),
    /// It declares secrets that it has no right to.
    NotPermitted(NotPermitted),
    /// The journal failed.
    Journal(JournalError),
}

impl Catalog {
    /// Reads the names of all definitions; their text is compiled when first needed.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open(
        journal: Arc<dyn Journal>,
        options: definition::Options,
    ) -> Result<Self, JournalError> {
        let mut known = Known::default();
        for stored in journal.definitions()? {
            known.remember(stored);
        }
        let plans = RwLock::new(Plans::new(CATALOG_PLAN_TEXT_BYTES));
        Ok(Self { journal, options, known: RwLock::new(known), plans })
    }

    /// Checks a definition and makes it current for its id, durably, if `permit` agrees. What
    /// this version cannot do is refused, unless `unsupported` allows it.
    ///
    /// # Errors
    /// When it has errors or is not permitted, or the journal cannot be written.
    pub fn deploy(
        &self,
        text: &str,
        unsupported: Unsupported,
        now: Timestamp,
        permit: impl FnOnce(&Plan) -> Result<(), NotPermitted>,
    ) -> Result<Deployment, Refused> {
        let refuse_unsupported = unsupported == Unsupported::Refuse;
        let options = definition::Options { refuse_unsupported, ..self.options.clone() };
        let Loaded { plan, diagnostics } = definition::load(text, &options);
        let has_errors = diagnostics.iter().any(|it| it.severity == Severity::Error);
        let Some(plan) = plan.filter(|_| !has_errors) else {
            return Err(Refused::Invalid(diagnostics));
        };
        permit(&plan).map_err(Refused::NotPermitted)?;
        let (id, digest) = (plan.id.clone(), plan.digest.clone());
        let current = self.read(|known| known.current_of(&id));
        let changed = current.as_ref() != Some(&digest);
        if changed {
            // What is deployed already needs none: a restart with its definitions finds it so.
            self.journal.room().needed().map_err(Refused::Journal)?;
            let stored = StoredDefinition {
                id: id.clone(),
                digest: digest.clone(),
                text: text.into(),
                deployed_at: now,
            };
            self.journal.put_definition(&stored).map_err(Refused::Journal)?;
            self.write(|known| known.remember(stored));
            self.keep(plan, text);
        }
        let replaced = changed && current.is_some();
        Ok(Deployment { id, digest, changed, replaced, diagnostics })
    }

    /// The plan of a workflow; without a version, or with `latest`, of the highest one (a
    /// pre-release only when there is nothing else).
    #[must_use]
    pub fn find(&self, namespace: &str, name: &str, version: Option<&str>) -> Option<Arc<Plan>> {
        let digest = self.stored(namespace, name, version)?.digest;
        self.plan(&digest)
    }

    /// The definition of a workflow as deployed; see [`Catalog::find`].
    #[must_use]
    pub fn stored(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Option<StoredDefinition> {
        self.read(|known| {
            let versions = known.current.get(&(namespace.into(), name.into()))?;
            match version {
                None | Some("latest") => latest(versions).cloned(),
                Some(version) => versions.get(&read_version(version)?).cloned(),
            }
        })
    }

    /// All current definitions, by name.
    #[must_use]
    pub fn all(&self) -> Vec<StoredDefinition> {
        let mut all: Vec<_> =
            self.read(|known| known.current.values().flat_map(BTreeMap::values).cloned().collect());
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The definition that a start without a version finds, of every workflow.
    #[must_use]
    pub fn latest(&self) -> Vec<StoredDefinition> {
        self.read(|known| known.current.values().filter_map(latest).cloned().collect())
    }

    /// The plan with this digest, if it is compiled already.
    #[must_use]
    pub fn at_hand(&self, digest: &Digest) -> Option<Arc<Plan>> {
        self.plans.read().unwrap_or_else(|it| it.into_inner()).get(digest)
    }

    /// The plan of an instance that the journal has.
    ///
    /// # Errors
    /// When its definition is missing, which it never is in a journal that is whole.
    pub fn required(&self, digest: &Digest) -> Result<Arc<Plan>, JournalError> {
        self.plan(digest).ok_or_else(|| {
            let why = format!("the definition {digest} of an instance is missing");
            JournalError::Damaged(why)
        })
    }

    /// The plan with this digest, compiled from the journal's text when it is not at hand. Text
    /// that was accepted once is accepted again, whatever functions the workers offer now.
    #[must_use]
    pub fn plan(&self, digest: &Digest) -> Option<Arc<Plan>> {
        if let Some(plan) = self.at_hand(digest) {
            return Some(plan);
        }
        let stored = match self.journal.definition(digest) {
            Ok(stored) => stored?,
            Err(error) => {
                tracing::error!(%digest, %error, "reading a definition failed");
                return None;
            }
        };
        let lenient = definition::Options { accepted: true, ..definition::Options::default() };
        let plan = definition::load(&stored.text, &lenient).plan?;
        self.keep(plan.clone(), &stored.text);
        Some(plan)
    }

    /// The text with this digest, for a worker; none when there is no such definition.
    #[must_use]
    pub fn text(&self, digest: &Digest) -> Option<Arc<str>> {
        match self.journal.definition(digest) {
            Ok(stored) => stored.map(|it| it.text),
            Err(error) => {
                tracing::error!(%digest, %error, "reading a definition failed");
                None
            }
        }
    }

    fn keep(&self, plan: Arc<Plan>, text: &str) {
        let mut plans = self.plans.write().unwrap_or_else(|it| it.into_inner());
        plans.insert(plan, text.len());
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(|it| it.into_inner()))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.write().unwrap_or_else(|it| it.into_inner()))
    }
}

/// The highest version; a pre-release only when there is nothing else.
fn latest(versions: &BTreeMap<Version, StoredDefinition>) -> Option<&StoredDefinition> {
    let released = versions.iter().rev().find(|(it, _)| it.pre.is_empty());
    released.or_else(|| versions.iter().next_back()).map(|(_, it)| it)
}

/// A version as a workflow may be asked for: in whole, or as short as it may be written.
fn read_version(text: &str) -> Option<Version> {
    let full = definition::full_version(text);
    Version::parse(full.as_deref().unwrap_or(text)).ok()
}

impl Known {
    fn remember(&mut self, stored: StoredDefinition) {
        // The loader lets only semantic versions through.
        let Ok(version) = Version::parse(&stored.id.version) else { return };
        let key = (stored.id.namespace.clone(), stored.id.name.clone());
        self.current.entry(key).or_default().insert(version, stored);
    }

    fn current_of(&self, id: &WorkflowId) -> Option<Digest> {
        let versions = self.current.get(&(id.namespace.clone(), id.name.clone()));
        let version = Version::parse(&id.version).ok();
        let current = versions.zip(version).and_then(|(versions, it)| versions.get(&it));
        current.map(|stored| stored.digest.clone())
    }
}
