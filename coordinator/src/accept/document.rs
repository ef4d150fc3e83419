//! `/openapi.json`: the description of the API, made from the handlers.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, OpenApi as Contents, Ref, RefOr, Response};
use utoipa::{Modify, OpenApi};

/// The document.
#[derive(OpenApi)]
#[openapi(
    modifiers(&DiskFull, &ProblemType),
    info(
        title = "Windlass",
        description = "Durable orchestration of Serverless Workflow definitions. Errors are \
                       application/problem+json with a `code` that `windlass explain` knows."
    ),
    paths(
        super::workflow::deploy,
        super::workflow::list,
        super::workflow::latest,
        super::workflow::version,
        super::workflow::diff,
        super::workflow::retire,
        super::workflow::restore,
        super::workflow::delete,
        super::workflow::by_digest,
        super::function::publish,
        super::function::list,
        super::function::show,
        super::start::start,
        super::instance::list,
        super::instance::count,
        super::bulk::start,
        super::bulk::list,
        super::bulk::show,
        super::bulk::results,
        super::bulk::pause,
        super::bulk::resume,
        super::bulk::cancel,
        super::instance::show,
        super::instance::output,
        super::history::history,
        super::watch::watch,
        super::instance::cancel,
        super::instance::suspend,
        super::instance::resume,
        super::instance::retry,
        super::instance::skip,
        super::instance::reset,
        super::approval::list,
        super::approval::show,
        super::approval::approve,
        super::approval::reject,
        super::removal::delete,
        super::suspension::list,
        super::suspension::suspend_namespace,
        super::suspension::resume_namespace,
        super::suspension::suspend_workflow,
        super::suspension::resume_workflow,
        super::suspension::cancel_root,
        super::schedule::list,
        super::schedule::show,
        super::schedule::pause,
        super::schedule::resume,
        super::schedule::trigger,
        super::schedule::backfill,
        super::event::publish,
        super::event::send,
        super::early::list,
        super::early::show,
        super::webhook::list,
        super::webhook::show,
        super::webhook::put,
        super::webhook::delete,
        super::webhook::deliver,
        super::worker::list,
        super::remote_worker::join,
        super::remote_worker::turn,
        super::secret::list,
        super::secret::policy,
        super::secret::set_policy,
        super::secret::proposal,
        super::secret::approve,
        super::secret::withdraw,
        super::audit::list,
        super::auth::providers,
        super::audit::key,
        super::auth::whoami,
        super::auth::can_i,
        super::token::list,
        super::token::create,
        super::token::revoke,
        super::backup::take,
        super::log::show,
        super::log::set,
        super::identity::keys,
        super::identity::configuration,
        super::metrics::metrics,
        super::metrics::healthy,
        super::metrics::ready,
        openapi,
    ),
    tags(
        (name = "workflows", description = "Definitions"),
        (name = "functions", description = "The default catalog: functions that definitions call"),
        (name = "instances", description = "Runs of workflows"),
        (name = "approvals", description = "Questions to people, and what they decide"),
        (name = "schedules", description = "Starts by the clock"),
        (name = "events", description = "CloudEvents that instances listen for"),
        (name = "workers", description = "Workers without NATS: they ask for work"),
        (name = "secrets", description = "Who may read which, and what was done; never a value"),
        (name = "access", description = "Who somebody is, and what they may"),
        (name = "operation", description = "Health, metrics and logs"),
    )
)]
struct Document;

/// The templates of all routes.
pub(super) fn routes() -> Vec<String> {
    Document::openapi().paths.paths.into_keys().collect()
}

/// The method and the template of every operation.
#[cfg(test)]
pub(super) fn operations() -> Vec<(String, String)> {
    let paths = Document::openapi().paths.paths.into_iter();
    let operations = |(path, item): (String, utoipa::openapi::PathItem)| {
        let all = [
            ("GET", item.get.is_some()),
            ("POST", item.post.is_some()),
            ("PUT", item.put.is_some()),
            ("DELETE", item.delete.is_some()),
        ];
        let there = all.into_iter().filter(|(_, is_there)| *is_there);
        there.map(move |(method, _)| (method.to_owned(), path.clone())).collect::<Vec<_>>()
    };
    paths.flat_map(operations).collect()
}

/// Adds what each operation answers that has something to write: all of them are POST or DELETE,
/// and all go through the journal but those of tokens and of the policy of secrets, which have
/// files, and of workers, whose reports wait for room.
struct DiskFull;

impl Modify for DiskFull {
    fn modify(&self, contents: &mut Contents) {
        // A backup is read here and written elsewhere: a full disk is a reason to take one.
        let paths = contents.paths.paths.iter_mut().filter(|(path, _)| *path != "/v1/backups");
        let operations = paths.flat_map(|(_, it)| [&mut it.post, &mut it.delete]).flatten();
        let others = ["access", "secrets", "workers"];
        let is_journaled =
            |it: &&mut Operation| !it.tags.iter().flatten().any(|it| others.contains(&&**it));
        for operation in operations.filter(is_journaled) {
            let mut response = Response::new("The journal's disk is full (WL0608)");
            let body = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.insert("application/json".to_owned(), RefOr::T(body));
            operation.responses.responses.insert("507".to_owned(), RefOr::T(response));
        }
    }
}

/// Gives errors their media type, which the handlers need not repeat.
struct ProblemType;

impl Modify for ProblemType {
    fn modify(&self, contents: &mut Contents) {
        for path in contents.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.post, &mut path.put, &mut path.delete];
            let operations = operations.into_iter().flatten();
            for (status, response) in operations.flat_map(|it| &mut it.responses.responses) {
                let RefOr::T(response) = response else { continue };
                if !status.starts_with(['4', '5']) {
                    continue;
                }
                if let Some(content) = response.content.shift_remove("application/json") {
                    response.content.insert("application/problem+json".to_owned(), content);
                }
            }
        }
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", operation_id = "getOpenApi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn openapi() -> impl IntoResponse {
    /// Made once: it takes some milliseconds.
    static TEXT: LazyLock<String> =
        LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use utoipa::OpenApi;

    use super::Document;

    /// Every route of the router, and nothing else, is described, each with an answer.
    #[test]
    fn every_route_is_described() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let source = include_str!("routes.rs");
        let routes: Vec<_> =
            source.split(".route(\"").skip(1).filter_map(|it| it.split('"').next()).collect();
        for route in &routes {
            assert!(paths.contains_key(*route), "{route} is not described");
        }
        assert_eq!(paths.len(), routes.len());
        let mut ids = std::collections::BTreeSet::new();
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().unwrap() {
                let has_answer =
                    operation["responses"].as_object().is_some_and(|it| !it.is_empty());
                assert!(has_answer, "{method} {path}");
                assert!(operation["summary"].is_string(), "{method} {path}");
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(ids.insert(id), "{method} {path}: the operationId is taken");
            }
        }
    }

    #[test]
    fn errors_have_the_media_type_of_problems() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let refused = &document["paths"]["/v1/instances"]["post"]["responses"]["404"]["content"];
        assert!(refused["application/problem+json"].is_object());
        assert!(refused["application/json"].is_null());
    }

    /// All that writes to the journal, and nothing that only reads.
    #[test]
    fn operations_that_need_room_say_that_the_disk_may_be_full() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let operations = document["paths"].as_object().unwrap().values();
        let operations = operations.flat_map(|it| it.as_object().unwrap().values());
        let full = operations.filter(|it| it["responses"]["507"].is_object());
        let mut full: Vec<_> = full.map(|it| it["operationId"].as_str().unwrap()).collect();
        full.sort_unstable();
        let expected = [
            "approve",
            "backfillSchedule",
            "cancelBulkJob",
            "cancelInstance",
            "cancelRoot",
            "deleteInstance",
            "deleteWebhook",
            "deleteWorkflow",
            "deliverWebhook",
            "deployWorkflow",
            "pauseBulkJob",
            "pauseSchedule",
            "publishEvents",
            "publishFunction",
            "reject",
            "resetInstance",
            "restoreWorkflow",
            "resumeBulkJob",
            "resumeInstance",
            "resumeNamespace",
            "resumeSchedule",
            "resumeWorkflow",
            "retireWorkflow",
            "retryInstance",
            "sendInstanceEvent",
            "skipTask",
            "startBulkJob",
            "startInstance",
            "suspendInstance",
            "suspendNamespace",
            "suspendWorkflow",
            "triggerSchedule",
        ];
        assert_eq!(full, expected);
        let answer = &document["paths"]["/v1/workflows"]["post"]["responses"]["507"];
        let schema = &answer["content"]["application/problem+json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/Problem", "{answer}");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|it| it.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
