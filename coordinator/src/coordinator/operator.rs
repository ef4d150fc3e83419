//! Who asks for what changes the coordinator, as far as the request says, and the trail of it.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::runtime::Handle;
use windlass_proto::audit::{AuditAction, AuditActor, AuditEvent};
use windlass_proto::expression::Template;
use windlass_proto::plan::{Kind, Plan};
use windlass_proto::wire::capability::Capability;

use super::outcomes::{Intents, Outcomes};
use super::{Coordinator, CoordinatorError};
use crate::access::{Forbidden, Method, Permission, Principal, Resource};
use crate::audit::{self, AuditError};
use crate::engine::Requester;
use crate::secrets::SecretsError;

/// What a request says of whoever sends it. Nothing is what the server does by itself, which may
/// everything.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// Who it is.
    pub caller: Option<Arc<Principal>>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The caller's own id of the request: `X-Request-Id`.
    pub request: Option<Arc<str>>,
    /// The coordinator of the cluster that was asked, where that does not lead.
    pub via: Option<Arc<str>>,
    /// What was written down of what the request asks for, before it was done; none where nobody
    /// tells what came of it.
    pub(super) intents: Option<Arc<Intents>>,
}

/// What runs as a process of the worker's machine.
const PROCESSES: [&str; 4] = ["shell", "script", "container", "mcp.stdio"];

impl Operator {
    /// Whoever sends a request, from an address, with an id of their own.
    pub(crate) fn new(
        caller: Arc<Principal>,
        address: Option<IpAddr>,
        request: Option<Arc<str>>,
    ) -> Self {
        Self { caller: Some(caller), address, request, via: None, intents: Some(Arc::default()) }
    }

    /// Somebody at an address who did not say who they are.
    pub(crate) fn nobody(address: Option<IpAddr>, via: Option<Arc<str>>) -> Self {
        Self { address, via, ..Self::default() }
    }

    /// The same, for what has an outcome of its own.
    pub(super) fn apart(&self) -> Self {
        let intents = self.intents.as_ref().map(|_| Arc::default());
        Self { intents, ..self.clone() }
    }

    /// Takes note of an event that is about to be written of what they ask for.
    fn announce(&self, mut event: AuditEvent) -> AuditEvent {
        if let Some(intents) = &self.intents {
            intents.announce(&mut event);
        }
        event
    }

    /// Says in an event who has done it.
    pub(crate) fn sign(&self, event: &mut AuditEvent) {
        event.request.clone_from(&self.request);
        event.via.clone_from(&self.via);
        event.address = self.address.map(|it| it.to_string().into());
        event.actor = self.known().map(|it| AuditActor {
            issuer: it.issuer.clone(),
            subject: it.subject.clone(),
            method: it.method.word().into(),
        });
    }

    /// Who they are and why they ask, for the histories of instances; none where nobody knows who
    /// they are and they do not say why.
    pub(crate) fn requester(&self, reason: Option<&str>) -> Option<Arc<Requester>> {
        let known = self.known();
        let actor =
            known.map(|it| [it.issuer.clone(), it.subject.clone(), it.method.word().into()]);
        let reason: Option<Arc<str>> = reason.map(Arc::from);
        let says = actor.is_some() || reason.is_some();
        says.then(|| Arc::new(Requester { actor, reason }))
    }

    /// Who they are, where they were asked.
    pub(super) fn known(&self) -> Option<&Arc<Principal>> {
        self.caller.as_ref().filter(|it| it.method != Method::None)
    }

    /// True when they were asked who they are.
    pub(crate) fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// Refuses to deploy a definition that the caller may not deploy: because of where it belongs,
    /// of the processes that it starts, or of what it starts elsewhere.
    ///
    /// # Errors
    /// With the first permission that is missing.
    pub(crate) fn may_deploy(&self, plan: &Plan) -> Result<(), Forbidden> {
        let Some(caller) = &self.caller else { return Ok(()) };
        let (namespace, name) = (&*plan.id.namespace, &*plan.id.name);
        let own = Resource::Workflow(namespace, name);
        let needs = |permission, of: Resource<'_>, shown: &str| {
            let missing = || Forbidden { permission, of: shown.to_owned() };
            caller.may(permission, of).then_some(()).ok_or_else(missing)
        };
        let shown = format!("{namespace}/{name}");
        needs(Permission::WorkflowDeploy, own, &shown)?;
        let is_process =
            |it: &Kind| Capability::performing(it).is_some_and(|it| PROCESSES.contains(&it.kind()));
        if plan.tasks.iter().any(|it| is_process(&it.kind)) {
            needs(Permission::ProcessDeploy, own, &shown)?;
        }
        if plan.schedule.is_some() {
            needs(Permission::InstanceStart, own, &format!("{shown}, which has a schedule"))?;
        }
        if let Some(handler) = &plan.fault_workflow {
            may_start(caller, Some((namespace, Some(&handler.name))))?;
        }
        for task in &plan.tasks {
            let Kind::Workflow(child) = &task.kind else { continue };
            let of = constant(&child.namespace).map(|there| (there, constant(&child.name)));
            may_start(caller, of)?;
        }
        Ok(())
    }
}

impl Coordinator {
    /// A handle that acts for somebody: the histories of the instances that it changes say who
    /// asked for that, and why.
    #[must_use]
    pub(crate) fn on_behalf_of(&self, by: &Operator, reason: Option<&str>) -> Self {
        Self { runtime: self.runtime.clone(), requester: by.requester(reason) }
    }
}

/// Refuses what a workflow starts: a namespace and a name, where they are known before.
fn may_start(caller: &Principal, child: Option<(&str, Option<&str>)>) -> Result<(), Forbidden> {
    let permission = Permission::InstanceStart;
    let (resource, shown) = match child {
        Some((there, Some(name))) => (Resource::Workflow(there, name), format!("{there}/{name}")),
        Some((there, None)) => (Resource::Namespace(there), format!("all of {there}")),
        None => (Resource::Server, "all namespaces, as an expression says which".to_owned()),
    };
    let allowed = caller.may(permission, resource);
    allowed.then_some(()).ok_or(Forbidden { permission, of: shown })
}

/// The text that a template always gives.
fn constant(template: &Template) -> Option<&str> {
    match template {
        Template::Constant(value) => value.as_str(),
        _ => None,
    }
}

impl Operator {
    /// An event of what they do, or were refused.
    fn event(
        &self,
        action: AuditAction,
        success: bool,
        namespace: Option<Arc<str>>,
        detail: String,
    ) -> AuditEvent {
        audit::own(action, success, |event| {
            event.detail = Some(detail.into());
            event.namespace = namespace;
            self.sign(event);
        })
    }
}

impl Coordinator {
    /// As [`Coordinator::audited`], for who may block: durable when it returns.
    pub(super) fn teller(
        &self,
        action: AuditAction,
        by: &Operator,
    ) -> impl FnOnce(Option<Arc<str>>, String) -> Result<(), AuditError> + use<> {
        let (router, handle) = (self.runtime.router.clone(), Handle::current());
        let by = by.clone();
        // Made here, where the caller's trace is known.
        let mut event = audit::own(action, true, |event| by.sign(event));
        if action == AuditAction::PolicyChanged {
            event.environment = Some(router.secrets.environment.clone());
        }
        move |namespace, detail| {
            event.namespace = namespace;
            event.detail = Some(detail.into());
            let event = by.announce(event);
            handle.block_on(router.secrets.audit.kept(vec![event]))
        }
    }

    /// Puts into the audit trail what an operator is about to do.
    pub(crate) async fn audited(
        &self,
        action: AuditAction,
        detail: String,
        by: &Operator,
    ) -> Result<(), CoordinatorError> {
        self.audited_in(action, None, detail, by).await
    }

    /// The same, of a namespace.
    pub(crate) async fn audited_in(
        &self,
        action: AuditAction,
        namespace: Option<Arc<str>>,
        detail: String,
        by: &Operator,
    ) -> Result<(), CoordinatorError> {
        let event = by.announce(by.event(action, true, namespace, detail));
        let kept = self.runtime.router.secrets.audit.kept(vec![event]).await;
        Ok(kept.map_err(SecretsError::from)?)
    }

    /// The same of what helps when there is no room: while there is none it is in the log at once,
    /// and in the trail as soon as that can be written.
    pub(crate) async fn audited_even_without_room(
        &self,
        action: AuditAction,
        namespace: Option<Arc<str>>,
        detail: String,
        by: &Operator,
    ) -> Result<(), CoordinatorError> {
        if self.needs_room().is_ok() {
            return self.audited_in(action, namespace, detail, by).await;
        }
        tracing::warn!(detail, "not in the audit trail yet, the disk is full");
        let event = by.announce(by.event(action, true, namespace, detail));
        self.runtime.router.secrets.audit.record(event);
        Ok(())
    }

    /// What tells what came of what a request asks for; nothing where nobody has asked.
    pub(crate) fn outcomes(&self, by: &Operator) -> Option<Outcomes> {
        let intents = by.intents.clone()?;
        Some(Outcomes::new(self.runtime.router.secrets.clone(), intents))
    }

    /// Puts into the audit trail what somebody was refused; nobody waits for it.
    pub(crate) fn refused(&self, action: AuditAction, detail: String, by: &Operator) {
        let event = by.event(action, false, None, detail);
        self.runtime.router.secrets.audit.record(event);
    }
}
