//! Definitions as people write them, from their text to what a worker makes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{any, get, post};
use windlass_proto::definition::{Options, load};
use windlass_proto::plan::{Kind, Plan, TaskIx};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::testing::{Given, assignment, builder, json, kind_of, no_proxy, serve, source};
use crate::{CancellationToken, HttpOptions};

const HEAD: &str = "\
document: { dsl: '1.0.0', namespace: examples, name: example, version: '1.0.0' }
use: { secrets: [api-key-secret, oauth-client-secret] }
";

/// The plan of `text`, after [`HEAD`] when it starts with `do:`.
fn plan(text: &str) -> Arc<Plan> {
    let text = if text.starts_with("do:") { format!("{HEAD}{text}") } else { text.to_owned() };
    let loaded = load(&text, &Options::default());
    loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

/// Performs the first task of `plan` that a worker performs; `*.example` is `server`.
async fn perform(plan: Arc<Plan>, input: &str, server: SocketAddr) -> Result<Value, Problem> {
    let task = plan.tasks.iter().find(|task| task.kind.is_dispatched()).unwrap();
    let mut given = assignment(json(input));
    given.task = task.index;
    let hosts = ["api.example.com", "auth.example.com", "petstore.example"];
    let resolve = hosts.iter().map(|host| format!("{host}:80:{server}").parse().unwrap()).collect();
    let secrets = ["api-key-secret", "oauth-client-secret"];
    let secrets = secrets.map(|name| (name, Ok(Value::from(format!("c4nary-{name}")))));
    let worker = builder(Given(secrets.into())).http(HttpOptions { resolve, ..no_proxy() });
    let worker = worker.plans(source(plan)).build().unwrap();
    worker.perform(given, CancellationToken::new()).await.result
}

/// A server that keeps the `Authorization` headers it sees.
async fn keeping() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    let router = Router::new()
        .route(
            "/oauth2/token",
            post(|body: String| async move {
                format!(r#"{{"access_token":"token-for-{}","token_type":"Bearer"}}"#, body.len())
            }),
        )
        .fallback(any(move |headers: HeaderMap, uri: Uri| async move {
            let header = headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
            keep.lock().unwrap().push(header.unwrap_or_default());
            uri.path().to_owned()
        }));
    (serve(router).await, seen)
}

#[tokio::test]
async fn every_spelling_of_a_secret_reaches_the_header() {
    let (server, seen) = keeping().await;
    for header in [
        "\"Bearer $SECRETS.api-key-secret\"",
        "${ \"Bearer \" + $secrets[\"api-key-secret\"] }",
        "${ \"Bearer \" + $secret.\"api-key-secret\" }",
        "Bearer ${ $SECRET[\"api-key-secret\"] }",
        "'${ \"Bearer \" + $SECRETS.api-key-secret }'",
    ] {
        let text = format!(
            "do:\n- call:\n    call: http\n    with:\n      method: post\n      \
             endpoint: http://api.example.com/data\n      headers:\n        Authorization: {header}\n"
        );
        assert_eq!(perform(plan(&text), "{}", server).await, Ok(Value::from("/data")), "{header}");
        let got = seen.lock().unwrap().pop().unwrap();
        assert_eq!(got, "Bearer c4nary-api-key-secret", "{header}");
    }
}

#[tokio::test]
async fn an_undeclared_secret_is_refused_before_anything_is_sent() {
    let (server, seen) = keeping().await;
    let text = "do:\n- call:\n    call: http\n    with:\n      method: post\n      \
                endpoint: http://api.example.com/data\n      body: '${ $secrets.other }'\n";
    let problem = perform(plan(text), "{}", server).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("authorization".into(), 403));
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_named_policy_with_a_secret_gets_a_token() {
    let (server, seen) = keeping().await;
    let text = "\
document: { dsl: '1.0.0', namespace: examples, name: example, version: '1.0.0' }
use:
  authentications:
    customerApiAuth:
      oauth2:
        authority: http://auth.example.com
        grant: client_credentials
        client: { id: client-id, secret: \"$SECRETS.oauth-client-secret\" }
  secrets: [oauth-client-secret]
do:
- call:
    call: http
    with:
      method: get
      endpoint:
        uri: http://api.example.com/customers
        authentication: { use: customerApiAuth }
";
    assert_eq!(perform(plan(text), "{}", server).await, Ok(Value::from("/customers")));
    let form = "grant_type=client_credentials&client_id=client-id&client_secret=c4nary-oauth-client-secret";
    assert_eq!(seen.lock().unwrap().pop().unwrap(), format!("Bearer token-for-{}", form.len()));
}

#[tokio::test]
async fn an_interface_is_called_by_its_description() {
    let pet = |id: &str| format!(r#"{{"id":{id},"name":"Milou","status":"available"}}"#);
    let router = Router::new()
        .route("/v2/swagger.json", get(|| async {
            "swagger: '2.0'\nhost: petstore.example\nbasePath: /v2\nschemes: [https, http]\npaths:\n  \
             /pet/{petId}:\n    get:\n      operationId: getPetById\n      parameters:\n      \
             - { name: petId, in: path, required: true, type: integer }\n"
        }))
        .route("/v2/pet/{id}", get(move |uri: Uri| async move {
            let id = uri.path().rsplit('/').next().unwrap().to_owned();
            ([("content-type", "application/json")], pet(&id))
        }));
    let server = serve(router).await;
    let openapi = "do:\n- getPet:\n    call: openapi\n    with:\n      \
                   document: { endpoint: http://petstore.example/v2/swagger.json }\n      \
                   operationId: getPetById\n      parameters: { petId: \"${ .petId }\" }\n      \
                   output: response\n    output:\n      as: '[.statusCode, .content.id, .request.uri]'\n";
    let expected = r#"[200,7,"http://petstore.example/v2/pet/7"]"#;
    assert_eq!(perform(plan(openapi), r#"{"petId":7}"#, server).await, Ok(json(expected)));

    let http = "do:\n- getPet:\n    call: http\n    with:\n      method: get\n      \
                endpoint: { uri: 'http://petstore.example/v2/pet/{petId}' }\n    output:\n      as: .name\n";
    let output = perform(plan(http), r#"{"petId":7}"#, server).await;
    assert_eq!(output, Ok(Value::from("Milou")));
}

#[tokio::test]
async fn processes_are_run_as_the_definition_says() {
    let (server, _) = keeping().await;
    let shell = |body: &str| plan(&format!("do:\n- run:\n    run:\n      shell:\n{body}"));
    for (body, expected) in [
        (
            "        command: 'echo \"Hello, ${ .user.name } ${HOME}\"'\n",
            "Hello, Ada /nonexistent\n",
        ),
        (
            "        command: 'echo \"$1 $2\"'\n        arguments: [Foo, '${ .user.name }']\n",
            "Foo Ada\n",
        ),
        ("        command: cat\n        stdin: '${ .user.name }'\n", "Ada"),
        ("        command: echo\n        arguments: { name: '${ .user.name }' }\n", "--name Ada\n"),
        ("        command: printenv X\n        environment: { X: '${ .user.name }' }\n", "Ada\n"),
    ] {
        let output = perform(shell(body), r#"{"user":{"name":"Ada"}}"#, server).await;
        assert_eq!(output, Ok(Value::from(expected)), "{body}");
    }
    let script = plan(
        "do:\n- run:\n    run:\n      script:\n        language: javascript\n        code: |\n          \
         function valid(email) { return email.includes('@') }\n          \
         return { isValid: valid(emailAddress), text: `${emailAddress}` };\n        \
         arguments: { emailAddress: '${ .user.name }' }\n    output:\n      as: fromjson\n",
    );
    let output = perform(script, r#"{"user":{"name":"a@b"}}"#, server).await;
    assert_eq!(output, Ok(json(r#"{"isValid":true,"text":"a@b"}"#)));
}

#[tokio::test]
async fn a_script_is_fetched_with_the_credentials_of_its_endpoint() {
    let router = Router::new().fallback(any(|headers: HeaderMap, uri: Uri| async move {
        let header = headers.get("authorization").map(|it| it.to_str().unwrap());
        let wanted = Some("Bearer c4nary-api-key-secret");
        match (uri.path(), header == wanted) {
            ("/greet.py", true) => Ok("print('Hello', name, end='')"),
            ("/greet.js", true) => Ok("return `Hello ${name}`;"),
            _ => Err(StatusCode::UNAUTHORIZED),
        }
    }));
    let server = serve(router).await;
    for (language, file) in [("python", "greet.py"), ("javascript", "greet.js")] {
        let text = format!(
            "do:\n- run:\n    run:\n      script:\n        language: {language}\n        \
             arguments: {{ name: '${{ .user }}' }}\n        source:\n          endpoint:\n            \
             uri: http://api.example.com/{file}\n            authentication: {{ bearer: {{ token: \
             '${{ $secrets[\"api-key-secret\"] }}' }} }}\n"
        );
        let output = perform(plan(&text), r#"{"user":"Ada"}"#, server).await;
        assert_eq!(output, Ok(Value::from("Hello Ada")), "{language}");
    }
    let text = "do:\n- run:\n    run:\n      script:\n        language: python\n        \
                source: { endpoint: http://api.example.com/greet.py }\n";
    let problem = perform(plan(text), "{}", server).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("communication".into(), 401));
}

#[tokio::test]
async fn functions_are_called_by_name_and_as_data() {
    let (server, _) = keeping().await;
    for with in [
        "call: logError\n    with: { message: '${ .m }' }\n",
        "call: logError:1.0.0@default\n    with: { message: '${ .m }' }\n",
        "call: function\n    with:\n      function: logError\n      arguments: { message: '${ .m }' }\n",
    ] {
        let plan = plan(&format!("do:\n- tell:\n    {with}"));
        assert!(matches!(plan.task(TaskIx(0)).kind, Kind::Function(_)));
        let output = perform(plan, r#"{"m":"hi"}"#, server).await;
        assert_eq!(output, Ok(json(r#"{"message":"hi"}"#)));
    }
}
