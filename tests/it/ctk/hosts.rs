//! The public hosts the kit's workflows call, served here.

use axum::http::StatusCode;
use base64::Engine;
use serde_json::{Value, json};

use crate::support::stub::{Reply, Seen, Stub};

/// The hosts' names.
pub(crate) const HOSTS: [&str; 2] = ["petstore.swagger.io", "httpbin.org"];

/// One stub that answers for all of them.
pub(crate) async fn serve() -> Stub {
    Stub::https(&HOSTS, |seen| match seen.host.as_str() {
        "petstore.swagger.io" => petstore(seen),
        _ => httpbin(seen),
    })
    .await
}

fn petstore(seen: &Seen) -> Reply {
    match seen.path.as_str() {
        "/v2/swagger.json" => Reply::Json(200, description()),
        "/v2/pet/findByStatus" if seen.query == "status=available" => {
            Reply::Json(200, json!([pet(1), pet(2)]))
        }
        path => match path.strip_prefix("/v2/pet/").map(str::parse::<u32>) {
            Some(Ok(id)) => Reply::Json(200, pet(id)),
            _ => Reply::Json(404, json!({"code": 404, "type": "error", "message": "not found"})),
        },
    }
}

fn pet(id: u32) -> Value {
    json!({"id": id, "name": format!("pet {id}"), "status": "available"})
}

/// A description in the style of Swagger 2.0 of the two operations the kit uses.
fn description() -> Value {
    json!({
        "swagger": "2.0",
        "info": {"title": "pets", "version": "1.0.0"},
        "host": "petstore.swagger.io",
        "basePath": "/v2",
        "schemes": ["https", "http"],
        "paths": {
            "/pet/findByStatus": {"get": {
                "operationId": "findPetsByStatus",
                "produces": ["application/json"],
                "parameters": [{
                    "name": "status", "in": "query", "required": true, "type": "array",
                    "items": {"type": "string"}, "collectionFormat": "multi",
                }],
                "responses": {"200": {"description": "pets"}},
            }},
            "/pet/{petId}": {"get": {
                "operationId": "getPetById",
                "produces": ["application/json"],
                "parameters": [{
                    "name": "petId", "in": "path", "required": true, "type": "integer",
                    "format": "int64",
                }],
                "responses": {"200": {"description": "a pet"}},
            }},
        },
    })
}

/// `GET /basic-auth/{user}/{password}`: 200 when the credentials fit.
fn httpbin(seen: &Seen) -> Reply {
    let mut parts = seen.path.trim_start_matches("/basic-auth/").splitn(2, '/');
    let (user, password) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    if seen.header("authorization") == Some(&format!("Basic {encoded}")) {
        Reply::Json(200, json!({"authenticated": true, "user": user}))
    } else {
        Reply::Text(401, StatusCode::UNAUTHORIZED.to_string())
    }
}
