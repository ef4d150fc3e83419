//! What descriptions of real services have: many files, keys, forms, names that stand in several
//! places.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use axum::routing::{any, get};
use windlass_proto::limits;
use windlass_proto::plan::{
    Authentication, ExternalResource, HttpOutput, Kind, OpenApiCall, Token,
};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::testing::{endpoint, perform, serve, template, text};

const DESCRIPTION: &str = r##"{
  "openapi": "3.1.0",
  "servers": [{"url": "/api"}],
  "security": [{"key": []}],
  "components": {
    "securitySchemes": {
      "key": {"type": "apiKey", "name": "X-Key", "in": "header"},
      "asked": {"type": "apiKey", "name": "api key", "in": "query"},
      "crumb": {"type": "apiKey", "name": "crumb", "in": "cookie"},
      "token": {"type": "http", "scheme": "bearer"}
    },
    "schemas": {
      "Note": {"allOf": [{"type": "object", "required": ["id"], "properties": {"id": {}}},
        {"properties": {"title": {"type": "string"}, "body": {"type": ["string", "null"]}}}]}
    }
  },
  "paths": {
    "/bad": {"$ref": "#/nowhere"},
    "/worse": {"$ref": "gone.json"},
    "/odd": 7,
    "/other": {"$ref": "parts/paths.yaml#/~1other"},
    "/notes": {"post": {"operationId": "note", "security": [], "requestBody": {"required": true,
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}}}}},
    "/notes/{id}": {"put": {"operationId": "renumber", "security": [],
      "parameters": [{"name": "id", "in": "path", "required": true}, {"name": "id", "in": "query"},
        {"name": "X-Trace", "in": "header"}],
      "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}}}}},
    "/open/{id}": {"get": {"operationId": "both", "security": [],
      "parameters": [{"name": "id", "in": "query", "required": true}, {"name": "id", "in": "path"}]}},
    "/keyed": {"get": {"operationId": "keyed"}},
    "/asked": {"get": {"operationId": "asked", "security": [{"asked": []}]}},
    "/crumb": {"get": {"operationId": "crumb", "security": [{"crumb": []}]}},
    "/either": {"get": {"operationId": "either", "security": [{"key": []}, {"token": []}]}},
    "/charge": {"post": {"operationId": "charge", "security": [], "requestBody": {"content": {
      "application/x-www-form-urlencoded": {"schema": {"type": "object"}, "encoding": {
        "metadata": {"style": "deepObject", "explode": true},
        "items": {"style": "deepObject", "explode": true},
        "csv": {"explode": false}, "pipes": {"style": "pipeDelimited", "explode": false},
        "flat": {"style": "form"}, "json": {"contentType": "application/json"}}}}}}},
    "/upload": {"post": {"operationId": "upload", "security": [], "requestBody": {"content": {
      "multipart/form-data": {"schema": {"properties": {
        "photo": {"type": "string", "format": "binary"},
        "pages": {"type": "array", "items": {"type": "string", "contentMediaType": "application/octet-stream"}},
        "about": {"type": "object"}}},
        "encoding": {"photo": {"contentType": "image/png, image/jpeg"}, "note": {"contentType": "text/csv"}}}}}}}
  }
}"##;

const PATHS: &str = "/other:\n  get:\n    operationId: other\n    security: []\n    parameters:\n      - $ref: ../common.json#/parameters/page\n      - $ref: '#/own'\nown: { name: mine, in: query }\n";

const COMMON: &str =
    r##"{"parameters": {"page": {"name": "page", "in": "query", "schema": {"$ref": "#/none"}}}}"##;

async fn mirror(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> String {
    let names = ["authorization", "x-key", "cookie"];
    let shown = names.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    let shown: Vec<_> = shown.collect();
    let body = String::from_utf8(body.to_vec()).unwrap();
    // The boundary is random.
    let kind = headers.get("content-type").map_or("", |it| it.to_str().unwrap());
    let boundary = kind.split_once("boundary=").map_or("--", |(_, it)| it);
    format!("{method} {uri} [{}] {}", shown.join("|"), body.replace(boundary, "*"))
}

struct Server {
    address: SocketAddr,
    /// How often a document was fetched.
    fetched: Arc<AtomicUsize>,
}

async fn server() -> Server {
    let fetched = Arc::new(AtomicUsize::new(0));
    let document = |text: &'static str| {
        let fetched = fetched.clone();
        get(move || {
            fetched.fetch_add(1, Ordering::SeqCst);
            async move { text }
        })
    };
    let router = Router::new()
        .route("/openapi.json", document(DESCRIPTION))
        .route("/parts/paths.yaml", document(PATHS))
        .route("/common.json", document(COMMON))
        .route("/gone.json", get(|| async { axum::http::StatusCode::GONE }))
        .fallback(any(mirror));
    Server { address: serve(router).await, fetched }
}

async fn call(
    server: &Server,
    operation: &str,
    parameters: &str,
    token: Option<&str>,
) -> Result<String, Problem> {
    let document = format!("http://{}/openapi.json", server.address);
    let document = ExternalResource { name: None, endpoint: endpoint(&document, None) };
    let bearer = |token: &str| Arc::new(Authentication::Bearer(Token::Inline(text(token))));
    let call = OpenApiCall {
        document,
        operation: operation.into(),
        parameters: Some(template(parameters)),
        authentication: token.map(bearer),
        output: HttpOutput::Content,
        redirect: false,
    };
    perform(Kind::OpenApi(Box::new(call)), Value::Null).await.map(|it| it.to_text())
}

#[tokio::test]
async fn what_has_moved_is_relative_to_where_it_is_now() {
    const MOVED: &str = r##"{"openapi": "3.1.0", "servers": [{"url": "../api"}],
        "paths": {"/parts": {"$ref": "parts.json#/paths/parts"}}}"##;
    const PARTS: &str = r##"{"paths": {"parts": {"get": {"operationId": "parts"}}}}"##;
    // Who gave a token gave it to the first host.
    let open = |text: &'static str| {
        get(async move |headers: HeaderMap| match headers.contains_key("authorization") {
            true => Err(axum::http::StatusCode::IM_A_TEAPOT),
            false => Ok(text),
        })
    };
    let there = Router::new()
        .route("/v3/openapi.json", open(MOVED))
        .route("/v3/parts.json", open(PARTS))
        .fallback(any(mirror));
    let there = serve(there).await;
    let moved = format!("http://{there}/v3/openapi.json");
    let here = Router::new().route(
        "/docs/latest",
        get(async move |headers: HeaderMap| {
            assert_eq!(headers["authorization"], "Bearer d0cs");
            axum::response::Redirect::temporary(&moved)
        }),
    );
    let here = serve(here).await;
    let token = Authentication::Bearer(Token::Inline(text("d0cs")));
    let uri = format!("http://{here}/docs/latest");
    let document = ExternalResource { name: None, endpoint: endpoint(&uri, Some(token)) };
    let call = OpenApiCall {
        document,
        operation: "parts".into(),
        parameters: None,
        authentication: None,
        output: HttpOutput::Content,
        redirect: false,
    };
    let got = perform(Kind::OpenApi(Box::new(call)), Value::Null).await;
    assert_eq!(got, Ok(Value::from("GET /api/parts [] ")));
}

#[tokio::test]
async fn a_property_may_be_called_body() {
    let server = server().await;
    for (parameters, expected) in [
        (r#"{"id":1,"title":"t","body":"b"}"#, r#"{"id":1,"title":"t","body":"b"}"#),
        (r#"{"body":"b"}"#, r#"{"body":"b"}"#),
        (r#"{"body":{"id":1,"body":"b"}}"#, r#"{"id":1,"body":"b"}"#),
    ] {
        let got = call(&server, "note", parameters, None).await;
        assert_eq!(got, Ok(format!("POST /api/notes [] {expected}")), "{parameters}");
    }
}

#[tokio::test]
async fn a_name_may_stand_in_several_places() {
    let server = server().await;
    for (operation, parameters, expected) in [
        // The path has it, and the body cannot do without.
        ("renumber", r#"{"id":1,"title":"t"}"#, r#"PUT /api/notes/1 [] {"title":"t","id":1}"#),
        ("renumber", r#"{"id":1}"#, "PUT /api/notes/1 [] "),
        (
            "renumber",
            r#"{"id":1,"query.id":2,"body.id":3}"#,
            r#"PUT /api/notes/1?id=2 [] {"id":3}"#,
        ),
        ("both", r#"{"id":1}"#, "GET /api/open/1?id=1 [] "),
        ("both", r#"{"path.id":1,"query.id":2}"#, "GET /api/open/1?id=2 [] "),
    ] {
        let got = call(&server, operation, parameters, None).await;
        assert_eq!(got, Ok(expected.to_owned()), "{parameters}");
    }
}

#[tokio::test]
async fn keys_go_where_the_description_says() {
    let server = server().await;
    for (operation, parameters, token, expected) in [
        ("keyed", r#"{"key":"k1"}"#, None, "GET /api/keyed [k1] "),
        // Too short to be sealed, so that it is seen.
        ("keyed", "{}", Some("k2"), "GET /api/keyed [k2] "),
        ("keyed", "{}", None, "GET /api/keyed [] "),
        ("asked", r#"{"asked":"k 3"}"#, None, "GET /api/asked?api%20key=k%203 [] "),
        ("crumb", r#"{"crumb":"k4"}"#, None, "GET /api/crumb [crumb=k4] "),
        ("either", r#"{"key":"k5"}"#, None, "GET /api/either [k5] "),
        ("either", r#"{"token":"k6"}"#, None, "GET /api/either [Bearer k6] "),
        ("either", "{}", Some("k7"), "GET /api/either [Bearer k7] "),
    ] {
        let got = call(&server, operation, parameters, token).await;
        assert_eq!(got, Ok(expected.to_owned()), "{operation} {parameters}");
    }
    let problem = call(&server, "both", r#"{"id":1,"key":"k"}"#, None).await.unwrap_err();
    assert!(problem.detail.unwrap().contains("no parameter key"));
}

#[tokio::test]
async fn forms_are_written_as_their_encoding_says() {
    let server = server().await;
    let parameters = r#"{"amount":5,"tags":["a","b"],"metadata":{"k":"v w","d":{"e":1}},
        "items":[{"n":1},{"n":2}],"csv":[1,2],"pipes":["x","y"],"flat":{"p":1,"q":null},
        "json":[1],"plain":{"a":1},"none":null}"#;
    let got = call(&server, "charge", parameters, None).await.unwrap();
    let body = got.strip_prefix("POST /api/charge [] ").unwrap();
    let form = reqwest::Url::parse(&format!("http://form/?{body}")).unwrap();
    let pairs: Vec<_> = form.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "amount=5",
        "tags=a",
        "tags=b",
        "metadata[k]=v w",
        "metadata[d][e]=1",
        "items[0][n]=1",
        "items[1][n]=2",
        "csv=1,2",
        "pipes=x|y",
        "p=1",
        "q=null",
        "json=[1]",
        "plain={\"a\":1}",
    ];
    assert_eq!(pairs, expected);
}

#[tokio::test]
async fn files_have_names_and_types() {
    let server = server().await;
    let parameters = r#"{"photo":"text","pages":[{"base64":"aGk="},"two"],"about":{"a":1},
        "note":"a,b","n":3}"#;
    let got = call(&server, "upload", parameters, None).await.unwrap();
    let part = |head: &str, content: &str| {
        format!("--*\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    };
    let expected = [
        part("name=\"photo\"; filename=\"photo\"\r\nContent-Type: image/png", "text"),
        part("name=\"pages\"; filename=\"pages\"\r\nContent-Type: application/octet-stream", "hi"),
        part("name=\"pages\"; filename=\"pages\"\r\nContent-Type: application/octet-stream", "two"),
        part("name=\"about\"\r\nContent-Type: application/json", "{\"a\":1}"),
        part("name=\"note\"\r\nContent-Type: text/csv", "a,b"),
        part("name=\"n\"", "3"),
    ];
    assert_eq!(got, format!("POST /api/upload [] {}--*--\r\n", expected.concat()));
}

#[tokio::test]
async fn what_is_in_other_files_is_fetched_when_it_is_needed() {
    let server = server().await;
    assert!(call(&server, "keyed", "{}", None).await.is_ok());
    assert_eq!(server.fetched.load(Ordering::SeqCst), 1);
    let got = call(&server, "other", r#"{"page":2,"mine":1}"#, None).await;
    assert_eq!(got, Ok("GET /api/other?page=2&mine=1 [] ".into()));
    assert_eq!(server.fetched.load(Ordering::SeqCst), 4);
    let detail = call(&server, "none", "{}", None).await.unwrap_err().detail.unwrap();
    assert!(detail.contains("has no operation none; it has: note, renumber"), "{detail}");
    assert!(detail.contains("its path /bad cannot be read: the reference #/nowhere"), "{detail}");
}

#[tokio::test]
async fn a_description_may_be_large_and_only_what_is_needed_of_it_is_read() {
    let padding = "x".repeat(limits::RESPONSE_BYTES);
    // A part that could not be read, were it looked at.
    let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    let document = format!(
        r#"{{"info":{{"description":"{padding}"}},"deep":{deep},"openapi":"3.0.0",
        "paths":{{"/x":{{"get":{{"operationId":"x"}}}}}}}}"#
    );
    let router = Router::new()
        .route("/openapi.json", get(move || async move { document }))
        .fallback(any(mirror));
    let server = Server { address: serve(router).await, fetched: Arc::default() };
    assert_eq!(call(&server, "x", "{}", None).await, Ok("GET /x [] ".into()));
}
