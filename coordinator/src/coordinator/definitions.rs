//! Definitions: deploying, reading, retiring and deleting them.

use std::sync::Arc;

use tokio::sync::oneshot;
use windlass_proto::audit::AuditAction;
use windlass_proto::id::{Digest, PartitionId, WorkflowId};
use windlass_proto::plan::Plan;

use super::handle::{blocking, shown};
use super::operator::Operator;
use super::{Coordinator, CoordinatorError, Deployed, WorkflowRef};
use crate::access::{Permission, Principal, Resource};
use crate::catalog::{Acceptance, Change, Refused};
use crate::clock;
use crate::journal::{Filter, Journal, StoredDefinition};
use crate::partition::Message;
use crate::secrets::SecretsError;

impl Coordinator {
    /// Checks a definition and makes it current; see [`Acceptance`] for what is taken. A version
    /// keeps its text, unless this coordinator may replace it and is asked to. What changes is in
    /// the audit trail before it does.
    ///
    /// # Errors
    /// When it has errors, declares secrets that it has no right to, its version has another text,
    /// or it cannot be kept.
    pub async fn deploy(
        &self,
        text: String,
        accepted: impl Into<Acceptance>,
        by: Operator,
    ) -> Result<Deployed, CoordinatorError> {
        let tell = self.teller(AuditAction::DefinitionChanged, &by);
        let caller = by.caller.clone();
        let accepted = accepted.into();
        let may_replace = self.runtime.replaces;
        let accepted = Acceptance { replace: accepted.replace && may_replace, ..accepted };
        let router = self.runtime.router.clone();
        let deploy = move || {
            let permit = |plan: &Plan| {
                by.may_deploy(plan).map_err(Refused::Forbidden)?;
                router.secrets.check(plan).map_err(Refused::NotPermitted)
            };
            let tell =
                |change: Change<'_>| tell(Some(change.id.namespace.clone()), change.to_string());
            router.catalog.deploy_told(&text, accepted, clock::now(), permit, tell)
        };
        let deployed = match blocking(deploy).await? {
            Ok(deployed) => deployed,
            Err(Refused::Invalid(diagnostics)) => {
                return Err(CoordinatorError::InvalidDefinition(diagnostics));
            }
            Err(Refused::Forbidden(forbidden)) => return Err(forbidden.into()),
            Err(Refused::NotPermitted(refused)) => {
                self.runtime.router.secrets.refused(&refused).await.map_err(SecretsError::from)?;
                return Err(CoordinatorError::NotPermitted(refused));
            }
            Err(Refused::Exists(id, difference)) => {
                let of = Resource::Workflow(&id.namespace, &id.name);
                let reads = |it: &Arc<Principal>| it.may(Permission::WorkflowRead, of);
                let shown = caller.as_ref().is_none_or(reads);
                let difference = if shown { difference } else { String::new() };
                return Err(CoordinatorError::VersionExists { id, difference, may_replace });
            }
            Err(Refused::Journal(error)) => return Err(error.into()),
            Err(Refused::Untold(error)) => return Err(SecretsError::from(error).into()),
        };
        let it = &deployed;
        if it.changed {
            tracing::info!(workflow = %it.id, digest = %it.digest, replaced = it.replaced, "deployed");
        }
        // Also of what was deployed already: who asked the first time may have gone before.
        match self.sync_schedule(&it.id.namespace, &it.id.name).await {
            // It waits for its partition, which is busy; the definition is deployed.
            Ok(()) | Err(CoordinatorError::Overloaded(_)) => {}
            // What is deployed already needs no room, nor anything else.
            Err(_) if !it.changed => {}
            Err(error) => return Err(error),
        }
        Ok(Deployed {
            workflow: deployed.id,
            digest: deployed.digest,
            changed: deployed.changed,
            replaced: deployed.replaced,
            diagnostics: deployed.diagnostics,
        })
    }

    /// The current definitions, each with whether a start without a version finds it.
    ///
    /// # Errors
    /// None today.
    pub async fn workflows(&self) -> Result<Vec<(StoredDefinition, bool)>, CoordinatorError> {
        let all = self.runtime.router.catalog.all().into_iter();
        let told = |it: StoredDefinition| {
            let latest = self.is_latest(&it);
            (it, latest)
        };
        Ok(all.map(told).collect())
    }

    fn is_latest(&self, stored: &StoredDefinition) -> bool {
        let WorkflowId { namespace, name, .. } = &stored.id;
        let latest = self.runtime.router.catalog.stored(namespace, name, None);
        stored.retired_at.is_none() && latest.is_some_and(|it| it.id == stored.id)
    }

    /// A definition as it was deployed.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn definition(&self, workflow: &WorkflowRef) -> Result<Arc<str>, CoordinatorError> {
        self.stored(workflow).map(|it| it.text)
    }

    /// The definition with this digest: of what is deployed, and of what was and has an instance.
    ///
    /// # Errors
    /// When there is none.
    pub async fn by_digest(&self, digest: Digest) -> Result<StoredDefinition, CoordinatorError> {
        let (catalog, wanted) = (self.runtime.router.catalog.clone(), digest.clone());
        let found = blocking(move || catalog.by_digest(&wanted)).await?;
        found.ok_or_else(|| CoordinatorError::unknown_digest(&digest))
    }

    /// The plan of a definition that an instance has; none where it cannot be had.
    pub(crate) async fn plan_by_digest(&self, digest: Digest) -> Option<Arc<Plan>> {
        let catalog = self.runtime.router.catalog.clone();
        blocking(move || catalog.plan(&digest)).await.ok().flatten()
    }

    /// Ends what is started of a version, by requests, by other workflows and by its schedule; what
    /// runs goes on. Durable; again it changes nothing.
    ///
    /// # Errors
    /// When there is no such version, or that cannot be kept.
    pub async fn retire(
        &self,
        workflow: &WorkflowRef,
        by: Operator,
    ) -> Result<(StoredDefinition, bool), CoordinatorError> {
        self.set_retired(workflow, true, by).await
    }

    /// Lets a version be started again that was retired.
    ///
    /// # Errors
    /// As [`Coordinator::retire`].
    pub async fn restore_version(
        &self,
        workflow: &WorkflowRef,
        by: Operator,
    ) -> Result<(StoredDefinition, bool), CoordinatorError> {
        self.set_retired(workflow, false, by).await
    }

    async fn set_retired(
        &self,
        workflow: &WorkflowRef,
        retired: bool,
        by: Operator,
    ) -> Result<(StoredDefinition, bool), CoordinatorError> {
        self.needs_room()?;
        let stored = self.stored(workflow)?;
        if stored.retired_at.is_some() == retired {
            // Nothing happens, so there is nothing to be told of.
            let latest = self.is_latest(&stored);
            return Ok((stored, latest));
        }
        let StoredDefinition { id, digest, .. } = stored;
        let action = if retired { "retire" } else { "restore" };
        let (before, after) = (Some(&digest), Some(&digest));
        let change = Change { action, id: &id, before, after }.to_string();
        let namespace = Some(id.namespace.clone());
        self.audited_in(AuditAction::DefinitionChanged, namespace, change, &by).await?;
        let (catalog, now) = (self.runtime.router.catalog.clone(), retired.then(clock::now));
        let changed = blocking(move || catalog.retire(&id, now)).await??;
        let changed = changed.ok_or_else(|| CoordinatorError::UnknownWorkflow(shown(workflow)))?;
        tracing::info!(workflow = %changed.id, retired, "a version changed");
        self.sync_schedule(&changed.id.namespace, &changed.id.name).await?;
        let latest = self.is_latest(&changed);
        Ok((changed, latest))
    }

    /// Deletes a version that is retired and that no instance has, ended ones included.
    ///
    /// # Errors
    /// When there is no such version, it is in use, or that cannot be kept.
    pub async fn delete_version(
        &self,
        workflow: &WorkflowRef,
        by: Operator,
    ) -> Result<(), CoordinatorError> {
        self.needs_room()?;
        let stored = self.stored(workflow)?;
        let id = stored.id;
        if stored.retired_at.is_none() {
            return Err(CoordinatorError::VersionInUse(id, "it is not retired"));
        }
        // What was to be started before is in the journal then: what partitions tell each other
        // comes with the first, and is taken in with the second.
        self.settle().await?;
        self.settle().await?;
        let tell = self.teller(AuditAction::DefinitionChanged, &by);
        let tell = move |change: Change<'_>| -> Result<(), CoordinatorError> {
            let namespace = Some(change.id.namespace.clone());
            Ok(tell(namespace, change.to_string()).map_err(SecretsError::from)?)
        };
        let (catalog, journal) =
            (self.runtime.router.catalog.clone(), self.runtime.journal.clone());
        let of = id.clone();
        let remove = move || catalog.remove(&of, || is_unused(&*journal, &of), tell);
        let removed = blocking(remove).await??;
        if !removed {
            return Err(CoordinatorError::VersionInUse(id, "instances have it, be they ended"));
        }
        tracing::info!(workflow = %id, "a version was deleted");
        self.sync_schedule(&id.namespace, &id.name).await
    }

    /// Waits until all that partitions were told before is durable.
    async fn settle(&self) -> Result<(), CoordinatorError> {
        for partition in 0..self.runtime.journal.partitions() {
            let (reply, settled) = oneshot::channel();
            self.ask_partition(PartitionId(partition), Message::Settle(reply), settled).await?;
        }
        Ok(())
    }

    pub(super) fn stored(
        &self,
        workflow: &WorkflowRef,
    ) -> Result<StoredDefinition, CoordinatorError> {
        let WorkflowRef { namespace, name, version } = workflow;
        self.runtime
            .router
            .catalog
            .stored(namespace, name, version.as_deref())
            .ok_or_else(|| CoordinatorError::UnknownWorkflow(shown(workflow)))
    }
}

/// True when no instance has this version.
fn is_unused(journal: &dyn Journal, id: &WorkflowId) -> Result<bool, crate::journal::JournalError> {
    let filter = Filter {
        namespace: Some(id.namespace.to_string()),
        name: Some(id.name.to_string()),
        version: Some(id.version.to_string()),
        ..Filter::default()
    };
    let page = journal.search(&filter, None, 1)?;
    Ok(page.items.is_empty() && page.next.is_none())
}
