//! Definitions: deployed text, compiled when needed, found by name or by digest.

mod difference;
mod functions;
mod listening;
mod plans;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use semver::Version;
use windlass_proto::definition::{self, Diagnostic, Loaded, Severity};
use windlass_proto::id::{Digest, InstanceId, WorkflowId};
use windlass_proto::limits::CATALOG_PLAN_TEXT_BYTES;
use windlass_proto::plan::{OnFault, Plan};
use windlass_proto::time::Timestamp;

pub use self::difference::difference;
pub use self::functions::{PublishRefused, Published, PublishedFunction};
pub use self::listening::Awaited;
use self::listening::Listening;
use self::plans::Plans;
use crate::access::Forbidden;
use crate::audit::AuditError;
use crate::journal::{Journal, JournalError, StoredDefinition};
use crate::policy::NotPermitted;

/// All definitions of a coordinator.
pub struct Catalog {
    journal: Arc<dyn Journal>,
    options: definition::Options,
    /// Namespaces whose instances wait for an operator where their definitions say nothing of
    /// errors; `*` is all.
    suspending: BTreeSet<Arc<str>>,
    known: RwLock<Known>,
    plans: RwLock<Plans>,
    /// Who waits for which events.
    listening: RwLock<Listening>,
    /// Held by whoever changes what there is.
    changes: Mutex<()>,
}

/// The versions of a workflow.
type Versions = BTreeMap<Version, Arc<StoredDefinition>>;

#[derive(Default)]
struct Known {
    /// Namespace and name, then version: what a start by name finds.
    current: HashMap<(Arc<str>, Arc<str>), Versions>,
    /// The default catalog: functions by `name:version`.
    functions: BTreeMap<Arc<str>, PublishedFunction>,
}

/// What happens to a definition with parts that this version cannot do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsupported {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken, with a warning.
    Allow,
}

/// What is taken of a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    /// What this version cannot do.
    pub unsupported: Unsupported,
    /// True where the text takes the place of another one that the version has; else it is refused.
    pub replace: bool,
}

impl From<Unsupported> for Acceptance {
    /// A version keeps the text that it has.
    fn from(unsupported: Unsupported) -> Self {
        Self { unsupported, replace: false }
    }
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
    /// Whoever deploys it may not.
    Forbidden(Forbidden),
    /// It declares secrets that it has no right to.
    NotPermitted(NotPermitted),
    /// Its version has another text: how that differs from this one.
    Exists(WorkflowId, String),
    /// The journal failed.
    Journal(JournalError),
    /// Nothing may change that the audit trail does not tell.
    Untold(AuditError),
}

/// What is about to become of a version: which text it has, and which it gets.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// What is done: `deploy`, `replace`, `retire`, `restore`, `delete`.
    pub action: &'static str,
    /// The version.
    pub id: &'a WorkflowId,
    /// The digest that it has, if it is there.
    pub before: Option<&'a Digest>,
    /// The digest that it gets, if it stays.
    pub after: Option<&'a Digest>,
}

impl fmt::Display for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, id, before, after } = self;
        let digest = |it: &Option<&Digest>| it.map_or("none".to_owned(), ToString::to_string);
        write!(f, "{action} {id}, digest {} -> {}", digest(before), digest(after))
    }
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
            match PublishedFunction::of(stored) {
                Ok(function) => known.remember_function(function),
                Err(definition) => known.remember(definition),
            }
        }
        let plans = RwLock::new(Plans::new(CATALOG_PLAN_TEXT_BYTES));
        let (known, listening) = (RwLock::new(known), RwLock::default());
        let (suspending, changes) = (BTreeSet::new(), Mutex::new(()));
        Ok(Self { journal, options, suspending, known, plans, listening, changes })
    }

    /// Has instances of these namespaces wait for an operator where their definitions say nothing
    /// of errors.
    #[must_use]
    pub fn suspending(mut self, namespaces: impl IntoIterator<Item = Arc<str>>) -> Self {
        self.suspending = namespaces.into_iter().collect();
        self
    }

    /// A plan that was just made, with what operators say where the definition does not.
    fn governed(&self, mut plan: Arc<Plan>) -> Arc<Plan> {
        let own = plan.metadata.get("windlass").and_then(|it| it.get("onFault"));
        let all = self.suspending.contains("*") || self.suspending.contains(&plan.id.namespace);
        // Nobody else has it yet.
        if let (None, true, Some(plan)) = (own.cloned(), all, Arc::get_mut(&mut plan)) {
            plan.on_fault = OnFault::Suspend;
        }
        plan
    }

    /// Checks a definition and makes it current for its id, durably, if `permit` agrees. What
    /// this version cannot do is refused, and so is another text than its version has, unless
    /// `accepted` says otherwise.
    ///
    /// The functions of the default catalog that it calls are pinned to its text. A text that is
    /// deployed already keeps the functions that it was deployed with.
    ///
    /// # Errors
    /// When it has errors, is not permitted or is another one, or the journal cannot be written.
    pub fn deploy(
        &self,
        text: &str,
        accepted: impl Into<Acceptance>,
        now: Timestamp,
        permit: impl FnOnce(&Plan) -> Result<(), Refused>,
    ) -> Result<Deployment, Refused> {
        self.deploy_told(text, accepted, now, permit, |_| Ok(()))
    }

    /// As [`Catalog::deploy`]; `tell` hears of a change before it is made.
    ///
    /// # Errors
    /// As [`Catalog::deploy`], and when it cannot be told: then nothing has changed.
    pub fn deploy_told(
        &self,
        text: &str,
        accepted: impl Into<Acceptance>,
        now: Timestamp,
        permit: impl FnOnce(&Plan) -> Result<(), Refused>,
        tell: impl FnOnce(Change<'_>) -> Result<(), AuditError>,
    ) -> Result<Deployment, Refused> {
        let Acceptance { unsupported, replace } = accepted.into();
        let refuse_unsupported = unsupported == Unsupported::Refuse;
        let options = definition::Options { refuse_unsupported, ..self.options.clone() };
        let (mut text, mut loaded) = (Cow::Borrowed(text), definition::load(text, &options));
        if !loaded.wanted.is_empty() {
            text = self.with_functions(&text);
            let functions_pinned = refuse_unsupported;
            let options = definition::Options { functions_pinned, ..options };
            loaded = definition::load(&text, &options);
        }
        loaded.plan = loaded.plan.map(|it| self.governed(it));
        let (text, Loaded { plan, diagnostics, .. }) = (&*text, loaded);
        let has_errors = diagnostics.iter().any(|it| it.severity == Severity::Error);
        let Some(plan) = plan.filter(|_| !has_errors) else {
            return Err(Refused::Invalid(diagnostics));
        };
        permit(&plan)?;
        let (id, digest) = (plan.id.clone(), plan.digest.clone());
        // Of two texts for one version that come at once, one is the first.
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.read(|known| known.current_of(&id).cloned());
        let changed = current.as_ref().is_none_or(|it| it.digest != digest);
        if changed {
            if let Some(current) = current.as_ref().filter(|_| !replace) {
                return Err(Refused::Exists(id, difference(&current.text, text)));
            }
            // What is deployed already needs none: a restart with its definitions finds it so.
            self.journal.room().needed().map_err(Refused::Journal)?;
            let before = current.as_ref().map(|it| &it.digest);
            let action = if before.is_some() { "replace" } else { "deploy" };
            tell(Change { action, id: &id, before, after: Some(&digest) })
                .map_err(Refused::Untold)?;
            let stored = StoredDefinition {
                id: id.clone(),
                digest: digest.clone(),
                text: text.into(),
                deployed_at: now,
                retired_at: None,
            };
            self.journal.put_definition(&stored).map_err(Refused::Journal)?;
            self.write(|known| known.remember(stored));
            self.listening_changed(Some(&plan));
            self.keep(plan, text);
        }
        let replaced = changed && current.is_some();
        Ok(Deployment { id, digest, changed, replaced, diagnostics })
    }

    /// Ends what is started of a version, or lets it be started again; gives it as it is now. None
    /// when there is no such version.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn retire(
        &self,
        id: &WorkflowId,
        retired_at: Option<Timestamp>,
    ) -> Result<Option<StoredDefinition>, JournalError> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.read(|known| known.current_of(id).map(cloned));
        let Some(current) = current else { return Ok(None) };
        if current.retired_at.is_some() == retired_at.is_some() {
            return Ok(Some(current));
        }
        let stored = StoredDefinition { retired_at, ..current };
        self.journal.put_definition(&stored)?;
        self.write(|known| known.remember(stored.clone()));
        Ok(Some(stored))
    }

    /// Forgets a version that is retired, when `unused` says that no instance has it; false when it
    /// is not retired or not unused. `tell` hears of it before it is gone.
    ///
    /// # Errors
    /// When the journal cannot be read or written, or it cannot be told: then it stays.
    pub fn remove<E: From<JournalError>>(
        &self,
        id: &WorkflowId,
        unused: impl FnOnce() -> Result<bool, JournalError>,
        tell: impl FnOnce(Change<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.read(|known| known.current_of(id).cloned());
        let Some(current) = current else { return Ok(false) };
        if current.retired_at.is_none() || !unused()? {
            return Ok(false);
        }
        tell(Change { action: "delete", id, before: Some(&current.digest), after: None })?;
        self.journal.remove_definition(&current)?;
        self.write(|known| known.forget(id));
        self.listening_changed(None);
        Ok(true)
    }

    /// The plan of a workflow to start; without a version, or with `latest`, of the highest one (a
    /// pre-release only when there is nothing else). None of a version that is retired.
    #[must_use]
    pub fn find(&self, namespace: &str, name: &str, version: Option<&str>) -> Option<Arc<Plan>> {
        let stored = self.stored(namespace, name, version)?;
        if stored.retired_at.is_some() {
            return None;
        }
        self.plan(&stored.digest)
    }

    /// The definition of a workflow as deployed; see [`Catalog::find`]. One that is retired is the
    /// highest only when all are.
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
                None | Some("latest") => latest(versions).map(cloned),
                Some(version) => versions.get(&read_version(version)?).map(cloned),
            }
        })
    }

    /// The definition of a version with this digest, for who keeps it as long as it is current.
    #[must_use]
    pub fn shared(&self, id: &WorkflowId, digest: &Digest) -> Option<Arc<StoredDefinition>> {
        self.read(|known| {
            let found = known.current_of(id)?;
            (found.digest == *digest).then(|| found.clone())
        })
    }

    /// All current definitions, by name.
    #[must_use]
    pub fn all(&self) -> Vec<StoredDefinition> {
        let mut all: Vec<_> = self
            .read(|known| known.current.values().flat_map(BTreeMap::values).map(cloned).collect());
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The definition that a start without a version finds, of every workflow.
    #[must_use]
    pub fn latest(&self) -> Vec<StoredDefinition> {
        self.read(|known| known.current.values().filter_map(latest).map(cloned).collect())
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

    /// The plan of an instance that was started before; none where there is no such instance.
    #[must_use]
    pub fn plan_of(&self, instance: InstanceId) -> Option<Arc<Plan>> {
        let head = self.journal.head(instance).ok().flatten()?;
        self.plan(&head.digest)
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
        let plan = self.governed(definition::load(&stored.text, &lenient).plan?);
        self.keep(plan.clone(), &stored.text);
        Some(plan)
    }

    /// The text with this digest, for a worker; none when there is no such definition.
    #[must_use]
    pub fn by_digest(&self, digest: &Digest) -> Option<StoredDefinition> {
        match self.journal.definition(digest) {
            Ok(stored) => stored,
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

/// The highest version; a pre-release only when there is nothing else, and one that is retired only
/// when all are.
fn latest(versions: &Versions) -> Option<&Arc<StoredDefinition>> {
    let rank = |version: &Version, it: &StoredDefinition| {
        (it.retired_at.is_none(), version.pre.is_empty())
    };
    // Of those of one rank it gives the last, which is the highest.
    versions.iter().max_by_key(|(version, it)| rank(version, it)).map(|(_, it)| it)
}

fn cloned(stored: &Arc<StoredDefinition>) -> StoredDefinition {
    StoredDefinition::clone(stored)
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
        self.current.entry(key).or_default().insert(version, Arc::new(stored));
    }

    fn forget(&mut self, id: &WorkflowId) {
        let (key, version) =
            ((id.namespace.clone(), id.name.clone()), Version::parse(&id.version).ok());
        if let (Some(versions), Some(version)) = (self.current.get_mut(&key), version) {
            versions.remove(&version);
            if versions.is_empty() {
                self.current.remove(&key);
            }
        }
    }

    fn current_of(&self, id: &WorkflowId) -> Option<&Arc<StoredDefinition>> {
        let versions = self.current.get(&(id.namespace.clone(), id.name.clone()))?;
        versions.get(&Version::parse(&id.version).ok()?)
    }
}

#[cfg(test)]
mod tests;
