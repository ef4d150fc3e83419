//! What each route needs: a permission, and of what.
//!
//! **Invariant:** a route without a rule answers as if it were not there. A test holds the rules
//! against the document of the API.

use axum::http::Method;

use crate::access::Permission::{self, *};

/// What has to be allowed before a request is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing: probes, and what others must be able to read to trust this server.
    Open,
    /// To be somebody.
    Known,
    /// A permission for the whole server.
    Server(Permission),
    /// A permission somewhere: the handler narrows what it shows or does.
    Somewhere(Permission),
    /// A permission for `{namespace}`.
    Namespace(Permission),
    /// A permission for the workflow `{namespace}/{name}`.
    Workflow(Permission),
    /// A permission for the schedule of the workflow `{namespace}/{name}`.
    Schedule(Permission),
    /// A permission for the workflow of the instance `{id}`.
    Instance(Permission),
}

use Rule::{Instance, Known, Namespace, Open, Schedule, Server, Somewhere, Workflow};

/// The rules, by method and template.
pub(super) const RULES: &[(Method, &str, Rule)] = &[
    (Method::GET, "/healthz", Open),
    (Method::GET, "/readyz", Open),
    (Method::GET, "/openapi.json", Open),
    (Method::GET, "/.well-known/jwks.json", Open),
    (Method::GET, "/.well-known/openid-configuration", Open),
    (Method::GET, "/metrics", Server(MetricsRead)),
    (Method::GET, "/v1/auth/providers", Open),
    (Method::GET, "/v1/auth/whoami", Known),
    (Method::GET, "/v1/auth/can-i", Known),
    (Method::GET, "/v1/tokens", Server(TokenManage)),
    (Method::POST, "/v1/tokens", Server(TokenManage)),
    (Method::DELETE, "/v1/tokens/{id}", Server(TokenManage)),
    (Method::GET, "/v1/workflows", Somewhere(WorkflowRead)),
    (Method::POST, "/v1/workflows", Somewhere(WorkflowDeploy)),
    (Method::GET, "/v1/workflows/{namespace}/{name}", Workflow(WorkflowRead)),
    (Method::GET, "/v1/workflows/{namespace}/{name}/{version}", Workflow(WorkflowRead)),
    (Method::DELETE, "/v1/workflows/{namespace}/{name}/{version}", Workflow(WorkflowRetire)),
    (Method::GET, "/v1/workflows/{namespace}/{name}/{version}/diff", Workflow(WorkflowRead)),
    (Method::POST, "/v1/workflows/{namespace}/{name}/{version}/retire", Workflow(WorkflowRetire)),
    (Method::POST, "/v1/workflows/{namespace}/{name}/{version}/restore", Workflow(WorkflowRetire)),
    (Method::POST, "/v1/workflows/{namespace}/{name}/suspend", Workflow(WorkflowSuspend)),
    (Method::POST, "/v1/workflows/{namespace}/{name}/resume", Workflow(WorkflowSuspend)),
    (Method::POST, "/v1/namespaces/{namespace}/suspend", Namespace(WorkflowSuspend)),
    (Method::POST, "/v1/namespaces/{namespace}/resume", Namespace(WorkflowSuspend)),
    (Method::GET, "/v1/suspensions", Somewhere(WorkflowRead)),
    (Method::GET, "/v1/definitions/{digest}", Somewhere(WorkflowRead)),
    (Method::GET, "/v1/functions", Server(FunctionRead)),
    (Method::GET, "/v1/functions/{name}/{version}", Server(FunctionRead)),
    (Method::POST, "/v1/functions/{name}/{version}", Server(FunctionPublish)),
    (Method::GET, "/v1/instances", Somewhere(InstanceRead)),
    (Method::POST, "/v1/instances", Somewhere(InstanceStart)),
    (Method::GET, "/v1/instances/count", Somewhere(InstanceRead)),
    (Method::GET, "/v1/instances/{id}", Instance(InstanceRead)),
    (Method::GET, "/v1/instances/{id}/output", Instance(InstanceRead)),
    (Method::GET, "/v1/instances/{id}/history", Instance(InstanceRead)),
    (Method::GET, "/v1/instances/{id}/watch", Instance(InstanceRead)),
    (Method::GET, "/v1/approvals", Somewhere(ApprovalDecide)),
    (Method::GET, "/v1/instances/{id}/approvals/{number}", Instance(ApprovalDecide)),
    (Method::POST, "/v1/instances/{id}/approvals/{number}/approve", Instance(ApprovalDecide)),
    (Method::POST, "/v1/instances/{id}/approvals/{number}/reject", Instance(ApprovalDecide)),
    (Method::POST, "/v1/instances/{id}/cancel", Instance(InstanceOperate)),
    (Method::POST, "/v1/instances/{id}/suspend", Instance(InstanceOperate)),
    (Method::POST, "/v1/instances/{id}/resume", Instance(InstanceOperate)),
    (Method::DELETE, "/v1/instances/{id}", Instance(InstanceDelete)),
    (Method::GET, "/v1/bulk", Somewhere(InstanceOperate)),
    (Method::POST, "/v1/bulk", Somewhere(InstanceOperate)),
    (Method::GET, "/v1/bulk/{id}", Somewhere(InstanceOperate)),
    (Method::GET, "/v1/bulk/{id}/results", Somewhere(InstanceOperate)),
    (Method::POST, "/v1/bulk/{id}/pause", Somewhere(InstanceOperate)),
    (Method::POST, "/v1/bulk/{id}/resume", Somewhere(InstanceOperate)),
    (Method::POST, "/v1/bulk/{id}/cancel", Somewhere(InstanceOperate)),
    (Method::POST, "/v1/instances/{id}/retry", Instance(InstanceOperate)),
    (Method::POST, "/v1/instances/{id}/skip", Instance(InstanceOperate)),
    (Method::POST, "/v1/instances/{id}/reset", Instance(InstanceOperate)),
    (Method::POST, "/v1/roots/{id}/cancel", Instance(InstanceOperate)),
    (Method::GET, "/v1/schedules", Somewhere(ScheduleRead)),
    (Method::GET, "/v1/schedules/{namespace}/{name}", Schedule(ScheduleRead)),
    (Method::POST, "/v1/schedules/{namespace}/{name}/pause", Schedule(ScheduleOperate)),
    (Method::POST, "/v1/schedules/{namespace}/{name}/resume", Schedule(ScheduleOperate)),
    (Method::POST, "/v1/schedules/{namespace}/{name}/trigger", Schedule(ScheduleOperate)),
    (Method::POST, "/v1/schedules/{namespace}/{name}/backfill", Schedule(ScheduleOperate)),
    (Method::POST, "/v1/events", Somewhere(EventPublish)),
    (Method::POST, "/v1/instances/{id}/events", Instance(InstanceOperate)),
    (Method::GET, "/v1/namespaces/{namespace}/events", Namespace(InstanceRead)),
    (Method::GET, "/v1/namespaces/{namespace}/events/{key}", Namespace(InstanceRead)),
    (Method::GET, "/v1/webhooks/{namespace}", Namespace(WorkflowRead)),
    (Method::GET, "/v1/webhooks/{namespace}/{name}", Namespace(WorkflowRead)),
    (Method::PUT, "/v1/webhooks/{namespace}/{name}", Namespace(WorkflowDeploy)),
    (Method::DELETE, "/v1/webhooks/{namespace}/{name}", Namespace(WorkflowDeploy)),
    // Its signature says who sends it.
    (Method::POST, "/v1/hooks/{namespace}/{name}", Open),
    (Method::GET, "/v1/workers", Server(WorkerRead)),
    (Method::POST, "/v1/worker-sessions", Server(WorkerServe)),
    (Method::POST, "/v1/worker-sessions/{session}/turns", Server(WorkerServe)),
    (Method::GET, "/v1/secrets", Server(SecretRead)),
    (Method::GET, "/v1/secrets/policy", Server(SecretRead)),
    (Method::PUT, "/v1/secrets/policy", Server(SecretPolicy)),
    (Method::GET, "/v1/secrets/policy/proposal", Server(SecretRead)),
    (Method::DELETE, "/v1/secrets/policy/proposal", Server(SecretPolicy)),
    (Method::POST, "/v1/secrets/policy/proposal/approve", Server(SecretPolicy)),
    (Method::GET, "/v1/audit", Somewhere(AuditRead)),
    (Method::GET, "/v1/audit/key", Somewhere(AuditRead)),
    (Method::POST, "/v1/backups", Server(BackupTake)),
    (Method::GET, "/v1/log", Server(LogRead)),
    (Method::PUT, "/v1/log", Server(LogWrite)),
];

/// The rules of the pages: what each shows or does, the API does by the same rule. They are no part
/// of the API's document.
pub(super) const PAGES: &[(Method, &str, Rule)] = &[
    (Method::GET, "/ui", Known),
    (Method::GET, "/ui/static/{file}", Open),
    (Method::GET, "/ui/sign-in", Open),
    (Method::POST, "/ui/sign-in", Open),
    (Method::POST, "/ui/sign-out", Open),
    (Method::GET, "/ui/instances", Somewhere(InstanceRead)),
    (Method::GET, "/ui/instances/{id}", Instance(InstanceRead)),
    (Method::GET, "/ui/instances/{id}/history", Instance(InstanceRead)),
    (Method::GET, "/ui/instances/{id}/watch", Instance(InstanceRead)),
    (Method::POST, "/ui/instances/{id}/cancel", Instance(InstanceOperate)),
    (Method::POST, "/ui/instances/{id}/suspend", Instance(InstanceOperate)),
    (Method::POST, "/ui/instances/{id}/resume", Instance(InstanceOperate)),
    (Method::POST, "/ui/instances/{id}/retry", Instance(InstanceOperate)),
    (Method::POST, "/ui/instances/{id}/skip", Instance(InstanceOperate)),
    (Method::POST, "/ui/instances/{id}/reset", Instance(InstanceOperate)),
    (Method::POST, "/ui/instances/{id}/events", Instance(InstanceOperate)),
    (Method::GET, "/ui/instances/{id}/approvals/{number}", Instance(ApprovalDecide)),
    (Method::POST, "/ui/instances/{id}/approvals/{number}/approve", Instance(ApprovalDecide)),
    (Method::POST, "/ui/instances/{id}/approvals/{number}/reject", Instance(ApprovalDecide)),
    (Method::GET, "/ui/approvals", Somewhere(ApprovalDecide)),
    (Method::GET, "/ui/definitions", Somewhere(WorkflowRead)),
    (Method::POST, "/ui/definitions", Somewhere(WorkflowDeploy)),
    (Method::GET, "/ui/definitions/{namespace}/{name}", Workflow(WorkflowRead)),
    (Method::GET, "/ui/definitions/{namespace}/{name}/diff", Workflow(WorkflowRead)),
    (Method::POST, "/ui/definitions/{namespace}/{name}/retire", Workflow(WorkflowRetire)),
    (Method::POST, "/ui/definitions/{namespace}/{name}/restore", Workflow(WorkflowRetire)),
    (Method::POST, "/ui/definitions/{namespace}/{name}/start", Workflow(InstanceStart)),
    (Method::GET, "/ui/schedules", Somewhere(ScheduleRead)),
    (Method::GET, "/ui/schedules/{namespace}/{name}", Schedule(ScheduleRead)),
    (Method::POST, "/ui/schedules/{namespace}/{name}/pause", Schedule(ScheduleOperate)),
    (Method::POST, "/ui/schedules/{namespace}/{name}/resume", Schedule(ScheduleOperate)),
    (Method::POST, "/ui/schedules/{namespace}/{name}/trigger", Schedule(ScheduleOperate)),
    (Method::POST, "/ui/schedules/{namespace}/{name}/backfill", Schedule(ScheduleOperate)),
    (Method::GET, "/ui/workers", Server(WorkerRead)),
    (Method::GET, "/ui/events", Somewhere(InstanceRead)),
    (Method::POST, "/ui/events", Somewhere(EventPublish)),
    (Method::GET, "/ui/events/{namespace}", Namespace(InstanceRead)),
    (Method::GET, "/ui/audit", Somewhere(AuditRead)),
    (Method::GET, "/ui/bulk", Somewhere(InstanceOperate)),
    (Method::POST, "/ui/bulk", Somewhere(InstanceOperate)),
    (Method::GET, "/ui/bulk/{id}", Somewhere(InstanceOperate)),
    (Method::POST, "/ui/bulk/{id}/pause", Somewhere(InstanceOperate)),
    (Method::POST, "/ui/bulk/{id}/resume", Somewhere(InstanceOperate)),
    (Method::POST, "/ui/bulk/{id}/cancel", Somewhere(InstanceOperate)),
    (Method::GET, "/ui/secrets", Server(SecretRead)),
    (Method::GET, "/ui/who", Known),
];

/// True for the templates of pages, and for their paths: there a cookie says who somebody is.
pub(super) fn is_page(path: &str) -> bool {
    path == "/ui" || path.starts_with("/ui/")
}

/// The rule of a route; none where nothing is served. What may be got may be asked for its head.
pub(super) fn rule(method: &Method, template: &str) -> Option<Rule> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let found = RULES.iter().chain(PAGES).find(|(of, at, _)| of == method && *at == template);
    found.map(|it| it.2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::{PAGES, RULES, is_page};
    use crate::accept::document;

    #[test]
    fn every_route_has_a_rule_and_every_rule_a_route() {
        let ruled: BTreeSet<_> =
            RULES.iter().map(|(method, at, _)| (method.to_string(), (*at).to_owned())).collect();
        assert_eq!(ruled.len(), RULES.len());
        let served: BTreeSet<_> = document::operations().into_iter().collect();
        assert_eq!(ruled, served);
    }

    #[test]
    fn every_page_has_a_rule_and_every_rule_of_pages_a_page() {
        let source = include_str!("ui.rs");
        let mut routed = BTreeSet::new();
        for route in source.split(".route(\"").skip(1) {
            let (template, handlers) = route.split_once('"').unwrap();
            let handlers = handlers.split(".route(\"").next().unwrap();
            for (method, call) in [("GET", "get("), ("POST", "post(")] {
                if handlers.split_once('\n').unwrap_or((handlers, "")).0.contains(call) {
                    routed.insert((method.to_owned(), template.to_owned()));
                }
            }
        }
        let of = |it: &(axum::http::Method, &str, super::Rule)| (it.0.to_string(), it.1.to_owned());
        let ruled: BTreeSet<_> = PAGES.iter().map(of).collect();
        assert_eq!(ruled, routed);
        // A page that changes something asks for what the API asks for.
        for (method, template, rule) in PAGES {
            let other = template.replacen("/ui/", "/v1/", 1);
            let of_api = super::rule(method, &other);
            let by_its_own_name = of_api.is_none() && !template.contains("{id}");
            assert!(by_its_own_name || of_api == Some(*rule), "{method} {template}");
        }
        assert!(PAGES.iter().all(|it| is_page(it.1)) && !RULES.iter().any(|it| is_page(it.1)));
    }
}
