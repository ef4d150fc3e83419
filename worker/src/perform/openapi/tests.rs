#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use axum::routing::{any, get};
use windlass_proto::plan::{ExternalResource, HttpOutput, Kind, OpenApiCall};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::testing::{endpoint, kind_of, perform, serve, template};

const SWAGGER: &str = r##"{
  "swagger": "2.0", "host": "HOST", "basePath": "/v2", "schemes": ["https", "http"],
  "produces": ["application/xml", "application/json"],
  "parameters": {"trace": {"name": "X-Trace", "in": "header", "type": "string"}},
  "paths": {
    "/pets/{id}": {
      "parameters": [{"name": "id", "in": "path", "required": true, "type": "string"}],
      "get": {"operationId": "getPet", "parameters": [{"$ref": "#/parameters/trace"}]}
    },
    "/pets": {
      "get": {"operationId": "find", "parameters": [
        {"name": "status", "in": "query", "required": true, "type": "array", "collectionFormat": "multi"},
        {"name": "tags", "in": "query", "type": "array"},
        {"name": "pipes", "in": "query", "type": "array", "collectionFormat": "pipes"}]},
      "post": {"operationId": "add", "parameters": [{"name": "pet", "in": "body", "required": true}]},
      "put": {"operationId": "form", "parameters": [
        {"name": "a", "in": "formData"}, {"name": "b", "in": "formData", "type": "array", "collectionFormat": "multi"}]}
    }
  }
}"##;

const OPENAPI: &str = r##"{
  "openapi": "3.1.0",
  "servers": [{"url": "/{version}/api", "variables": {"version": {"default": "v3"}}}],
  "components": {
    "parameters": {"limit": {"name": "limit", "in": "query", "required": true, "schema": {"default": 10}}},
    "requestBodies": {"Pet": {"required": true, "content": {"text/plain": {}, "application/json": {}}}}
  },
  "paths": {
    "/pets/{id}": {"get": {"operationId": "getPet",
      "parameters": [
        {"name": "id", "in": "path", "required": true, "schema": {}},
        {"$ref": "#/components/parameters/limit"},
        {"name": "a", "in": "query", "schema": {}},
        {"name": "csv", "in": "query", "explode": false, "schema": {}},
        {"name": "deep", "in": "query", "style": "deepObject", "explode": true, "schema": {}},
        {"name": "X-List", "in": "header", "schema": {}},
        {"name": "session", "in": "cookie", "schema": {}}],
      "responses": {"200": {"content": {"application/json": {}}}}}},
    "/pets": {
      "servers": [{"url": "http://HOST/other"}],
      "post": {"operationId": "add", "requestBody": {"$ref": "#/components/requestBodies/Pet"}}}
  }
}"##;

async fn mirror(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> String {
    let header = |name: &str| headers.get(name).map(|it| it.to_str().unwrap()).unwrap_or_default();
    let names = ["accept", "x-trace", "x-list", "cookie", "content-type"];
    let shown: Vec<_> = names.iter().map(|name| header(name)).filter(|it| !it.is_empty()).collect();
    format!("{method} {uri} [{}] {}", shown.join("|"), String::from_utf8(body.to_vec()).unwrap())
}

async fn server() -> SocketAddr {
    let description = |text: &'static str| {
        get(move |headers: HeaderMap| async move {
            text.replace("HOST", headers.get("host").unwrap().to_str().unwrap())
        })
    };
    let router = Router::new()
        .route("/swagger.json", description(SWAGGER))
        .route("/docs/openapi.json", description(OPENAPI))
        .route("/none.json", get(|| async { "{}" }))
        .fallback(any(mirror));
    serve(router).await
}

async fn call(document: &str, operation: &str, parameters: &str) -> Result<Value, Problem> {
    let document = ExternalResource { name: None, endpoint: endpoint(document, None) };
    let call = OpenApiCall {
        document,
        operation: operation.into(),
        parameters: Some(template(parameters)),
        authentication: None,
        output: HttpOutput::Content,
        redirect: false,
    };
    perform(Kind::OpenApi(Box::new(call)), Value::Null).await
}

#[tokio::test]
async fn swagger_2_operations() {
    let document = format!("http://{}/swagger.json", server().await);
    for (operation, parameters, expected) in [
        (
            "getPet",
            r#"{"id":"a/b 1","X-Trace":"t"}"#,
            "GET /v2/pets/a%2Fb%201 [application/json|t] ",
        ),
        (
            "find",
            r#"{"status":["a","b&"],"tags":[1,2],"pipes":[3,4]}"#,
            "GET /v2/pets?status=a&status=b%26&tags=1,2&pipes=3%7C4 [application/json] ",
        ),
        ("find", r#"{"status":"one"}"#, "GET /v2/pets?status=one [application/json] "),
        (
            "add",
            r#"{"pet":{"n":1}}"#,
            r#"POST /v2/pets [application/json|application/json] {"n":1}"#,
        ),
        ("add", r#"{"n":2}"#, r#"POST /v2/pets [application/json|application/json] {"n":2}"#),
        (
            "form",
            r#"{"a":"x y","b":[1,2]}"#,
            "PUT /v2/pets [application/json|application/x-www-form-urlencoded] a=x+y&b=1&b=2",
        ),
    ] {
        assert_eq!(call(&document, operation, parameters).await, Ok(Value::from(expected)));
    }
}

#[tokio::test]
async fn openapi_3_operations() {
    let document = format!("http://{}/docs/openapi.json", server().await);
    for (operation, parameters, expected) in [
        ("getPet", r#"{"id":7}"#, "GET /v3/api/pets/7?limit=10 [application/json] "),
        (
            "getPet",
            r#"{"id":[1,2],"limit":5,"a":["x","y"],"csv":[1,2],"deep":{"k":"v w"},"X-List":[3,4],"session":"s;"}"#,
            "GET /v3/api/pets/1,2?limit=5&a=x&a=y&csv=1,2&deep[k]=v%20w [application/json|3,4|session=s%3B] ",
        ),
        (
            "add",
            r#"{"name":"n","age":2}"#,
            r#"POST /other/pets [*/*|application/json] {"name":"n","age":2}"#,
        ),
        ("add", r#"{"body":[1]}"#, "POST /other/pets [*/*|application/json] [1]"),
    ] {
        assert_eq!(call(&document, operation, parameters).await, Ok(Value::from(expected)));
    }
}

#[tokio::test]
async fn what_cannot_be_called_is_said() {
    let server = server().await;
    let swagger = format!("http://{server}/swagger.json");
    let openapi = format!("http://{server}/docs/openapi.json");
    for (document, operation, parameters, expected) in [
        (&swagger, "findByStatus", "{}", "no operation findByStatus; it has: getPet, find"),
        (&swagger, "find", "{}", "the required parameter status is missing"),
        (&openapi, "getPet", r#"{"id":null}"#, "the required parameter id is missing"),
        (&openapi, "getPet", r#"{"id":""}"#, "`{id}` of its path would be ``"),
        (&openapi, "getPet", r#"{"id":".."}"#, "`{id}` of its path would be `..`"),
        (&openapi, "getPet", r#"{"id":["."]}"#, "`{id}` of its path would be `.`"),
        (&swagger, "getPet", r#"{"id":1,"idd":2}"#, "no parameter idd; it has: id, X-Trace"),
        (&openapi, "add", "{}", "it needs a body"),
        (&format!("http://{server}/none.json"), "x", "{}", "no `paths`"),
        (&"gopher://x/y".to_owned(), "x", "{}", "the scheme gopher"),
    ] {
        let problem = call(document, operation, parameters).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("configuration".into(), 400));
        let detail = problem.detail.unwrap();
        assert!(detail.contains(expected), "{detail}");
    }
    let problem = call("http://127.0.0.1:1/x", "x", "{}").await.unwrap_err();
    assert_eq!(kind_of(&problem), ("communication".into(), 500));
    let problem = call("file:///etc/passwd", "x", "{}").await.unwrap_err();
    assert_eq!(kind_of(&problem), ("authorization".into(), 403));
}
