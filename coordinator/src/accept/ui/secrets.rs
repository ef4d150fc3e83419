//! Secrets: who may read which, by which rule of the policy, and who did. Names only: the
//! coordinator has no value to show.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use windlass_proto::limits::{UI_SECRET_TASKS, UI_SECRETS, UI_VALUE_BYTES};
use windlass_proto::secret::SecretName;

use super::layout::Page;
use super::parts;
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;
use crate::access::Permission;
use crate::policy::Policy;
use crate::secrets::UsedBy;

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiProblem> {
    query.finish()?;
    let policy = api.coordinator.secret_policy();
    let environment = api.coordinator.environment();
    let audits = caller.principal().may_somewhere(Permission::AuditRead);
    let all = api.coordinator.secrets().await?;
    let pairs = all.iter().flat_map(|it| it.uses.iter().map(|used| (&it.name, used)));
    let count = pairs.clone().count();
    let row = |(secret, used): (&SecretName, &UsedBy)| {
        let rule = policy.rule_of(&used.workflow, environment, secret);
        row(&caller, secret, used, rule, audits)
    };
    let rows: Vec<Markup> = pairs.take(UI_SECRETS).map(row).collect();
    let body = html! {
        h1 { "Secrets" }
        p {
            "Which workflows may read which secrets in the environment " b { (environment) }
            ". Values are with the store and with workers: they are shown nowhere."
        }
        div #live data-live data-poll {
            @if rows.is_empty() {
                (parts::empty(
                    "No definition that is deployed declares a secret. One does by `use: secrets:`; see \
                     docs/secrets.md.",
                    "windlass secret list",
                ))
            } @else {
                @let headings = ["Secret", "Workflow", "May read", "By rule", "Tasks", "Who did"];
                (parts::table("Secrets", &headings, &rows))
                @if count > rows.len() {
                    p.hint { "Of " (count) " the first ones: the command below shows all." }
                }
            }
            (rules(&policy))
        }
    };
    let command = "windlass secret list".to_owned();
    let title = "Secrets".to_owned();
    Ok(Page { title, section: "secrets", command, body }.answer(&api, &caller))
}

fn row(
    caller: &Caller,
    secret: &SecretName,
    used: &UsedBy,
    rule: Option<usize>,
    audits: bool,
) -> Markup {
    let id = &used.workflow;
    let more = used.tasks.len().saturating_sub(UI_SECRET_TASKS);
    let name = secret.to_string();
    html! {
        td { bdi { (parts::cut(&name)) } }
        td {
            (parts::workflow_link(caller, &id.namespace, &id.name, &id.version))
            span.version { (id.version) }
        }
        td { @if used.permitted { "yes" } @else { b.wrong { "no: its tasks fail" } } }
        td { @if let Some(rule) = rule { a href="#policy" { "rule " (rule) } } }
        td {
            @for task in used.tasks.iter().take(UI_SECRET_TASKS) {
                div.path { bdi { (parts::cut(task)) } }
            }
            @if more > 0 { div.hint { "and " (more) " more" } }
        }
        td { @if audits {
            a href=(parts::address("/ui/audit", &[
                ("namespace", &id.namespace), ("workflow", &id.name), ("secret", &name),
            ])) { "Audit" }
        } }
    }
}

/// The policy, as it is written.
fn rules(policy: &Policy) -> Markup {
    let text = policy.text();
    let end = text.char_indices().map(|(at, _)| at).take_while(|it| *it < UI_VALUE_BYTES).last();
    let shown = match text.len() > UI_VALUE_BYTES {
        true => text.get(..end.unwrap_or_default()).unwrap_or_default(),
        false => text,
    };
    html! {
        section aria-labelledby="policy" {
            h2 #policy { "Policy" }
            p.hint {
                "Its rules are counted from the top; a workflow may read a secret by the first rule \
                 that is about both. There are " (policy.rules()) "."
            }
            pre.value tabindex="0" aria-label="The policy" { code { (shown) } }
            @if shown.len() < text.len() {
                p.hint { "Cut: " code { "windlass secret policy get" } " shows all of it." }
            }
        }
    }
}
