//! `/openapi.json`: the description of the API, made from the handlers.

use axum::Json;
use utoipa::OpenApi;

/// The document.
#[derive(OpenApi)]
#[openapi(
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
        super::start::start,
        super::instance::list,
        super::instance::show,
        super::instance::output,
        super::history::history,
        super::watch::watch,
        super::instance::cancel,
        super::instance::suspend,
        super::instance::resume,
        super::event::publish,
        super::metrics::metrics,
        super::metrics::healthy,
        super::metrics::ready,
        openapi,
    ),
    tags(
        (name = "workflows", description = "Definitions"),
        (name = "instances", description = "Runs of workflows"),
        (name = "events", description = "CloudEvents that instances listen for"),
        (name = "operation", description = "Health and metrics"),
    )
)]
struct Document;

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operation",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
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
        let source = include_str!("../accept.rs");
        let routes: Vec<_> =
            source.split(".route(\"").skip(1).filter_map(|it| it.split('"').next()).collect();
        for route in &routes {
            assert!(paths.contains_key(*route), "{route} is not described");
        }
        assert_eq!(paths.len(), routes.len());
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().unwrap() {
                let has_answer =
                    operation["responses"].as_object().is_some_and(|it| !it.is_empty());
                assert!(has_answer, "{method} {path}");
                assert!(operation["summary"].is_string(), "{method} {path}");
            }
        }
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
