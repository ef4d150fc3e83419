#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use digest_auth::{AuthContext, AuthorizationHeader, HttpMethod};
use flate2::Compression;
use flate2::write::GzEncoder;
use windlass_proto::expression::UriTemplate;
use windlass_proto::plan::{
    Authentication, ClientAuthentication, Credentials, Grant, HttpOutput, Kind, OAuth2,
    OAuth2Endpoints, Token,
};
use windlass_proto::problem::Problem;
use windlass_proto::secret::SecretName;
use windlass_proto::value::Value;
use windlass_proto::wire::{self, Sealing};

use crate::testing::{
    Given, assignment, builder, endpoint, http, json, kind_of, perform_with, plan, serve, source,
    task, template, text,
};
use crate::{CancellationToken, Worker};

type Seen = Arc<Mutex<Vec<HashMap<String, String>>>>;

/// An authorization server and an interface that takes its tokens, or any other header.
struct Servers {
    address: SocketAddr,
    /// What the token endpoint was asked.
    asked: Seen,
}

/// What a server that compresses, and writes a byte order mark, says; with so much room behind it.
fn zipped_token(room: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all("\u{feff}{\"access_token\":\"packed\"}".as_bytes()).unwrap();
    encoder.write_all(&vec![b' '; room]).unwrap();
    encoder.finish().unwrap()
}

async fn servers(token: &'static str) -> Servers {
    let asked = Seen::default();
    let (form, json_asked) = (asked.clone(), asked.clone());
    let count = Arc::new(AtomicUsize::new(0));
    let answer = move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        format!(r#"{{"access_token":"{token}{number}","token_type":"bearer","expires_in":3600}}"#)
    };
    let json_answer = answer.clone();
    let router = Router::new()
        .route(
            "/oauth2/token",
            post(move |headers: HeaderMap, body: String| async move {
                let parsed = reqwest::Url::parse(&format!("http://form/?{body}")).unwrap();
                let mut fields: HashMap<String, String> =
                    parsed.query_pairs().into_owned().collect();
                if let Some(basic) = headers.get("authorization") {
                    fields.insert("authorization".into(), basic.to_str().unwrap().into());
                }
                form.lock().unwrap().push(fields);
                answer()
            }),
        )
        .route(
            "/json",
            post(move |body: String| async move {
                let body = Value::from_json(&body).unwrap();
                let members = body.as_object().unwrap();
                let fields = members.iter().map(|(key, value)| (key.to_string(), value.to_text()));
                json_asked.lock().unwrap().push(fields.collect());
                json_answer()
            }),
        )
        .route(
            "/refuse",
            post(|| async {
                (
                    StatusCode::BAD_REQUEST,
                    r#"{"error":"invalid_client","error_description":"who?"}"#,
                )
            }),
        )
        .route(
            "/api",
            any(|headers: HeaderMap| async move {
                headers
                    .get("authorization")
                    .map(|it| it.to_str().unwrap().to_owned())
                    .unwrap_or_default()
            }),
        )
        .route(
            "/zipped/oauth2/token",
            post(|| async { ([("content-encoding", "gzip")], zipped_token(0)) }),
        )
        .route(
            "/endless/oauth2/token",
            post(|| async {
                (
                    [("content-encoding", "gzip")],
                    zipped_token(windlass_proto::limits::RESOURCE_BYTES),
                )
            }),
        )
        // Takes every token but the first.
        .route(
            "/strict",
            any(|headers: HeaderMap| async move {
                let header = headers.get("authorization").unwrap().to_str().unwrap().to_owned();
                if header.ends_with('0') {
                    StatusCode::UNAUTHORIZED.into_response()
                } else {
                    "good".into_response()
                }
            }),
        )
        .route(
            "/.well-known/openid-configuration",
            get(|headers: HeaderMap| async move {
                format!(
                    r#"{{"token_endpoint":"http://{}/oauth2/token"}}"#,
                    headers.get("host").unwrap().to_str().unwrap()
                )
            }),
        );
    Servers { address: serve(router).await, asked }
}

fn policy(address: SocketAddr) -> OAuth2 {
    let uri = |uri: &str| UriTemplate { template: text(uri) };
    OAuth2 {
        authority: uri(&format!("http://{address}/")),
        endpoints: OAuth2Endpoints {
            token: uri("/oauth2/token"),
            revocation: uri("/oauth2/revoke"),
            introspection: uri("/oauth2/introspect"),
        },
        grant: Grant::ClientCredentials,
        client_id: Some(text("me:1")),
        client_secret: Some(text("${ $secrets.key }")),
        client_assertion: None,
        client_certificate: None,
        client_authentication: ClientAuthentication::Post,
        json_request: false,
        issuers: vec![],
        scopes: vec![],
        audiences: vec![],
        username: None,
        password: None,
        subject: None,
        actor: None,
    }
}

fn worker(
    authentication: Authentication,
    uri: &str,
    secrets: Vec<(&'static str, Value)>,
) -> Worker {
    let mut call = http("get", "http://unused/");
    call.endpoint = endpoint(uri, Some(authentication));
    let plan = Arc::new(plan(task(Kind::Http(Box::new(call)))));
    let secrets = secrets.into_iter().map(|(name, value)| (name, Ok(value))).collect();
    builder(Given(secrets)).plans(source(plan)).build().unwrap()
}

/// What the interface was sent: the scheme, and `…` for what came with it. A worker would seal it.
async fn perform(worker: &Worker) -> Result<Value, Problem> {
    let secrets = ["key", "login"].map(|it| SecretName(it.into())).to_vec();
    let grant = wire::Grant {
        environment: "test".into(),
        secrets,
        identity: None,
        sealing: Sealing::Expose,
    };
    let mut assignment = assignment(json(r#"{"user":"u","word":"w"}"#));
    assignment.grant = Some(grant);
    let output = worker.perform(assignment, CancellationToken::new()).await.result?;
    Ok(match output.to_text().split_once(' ') {
        Some((scheme, parameter)) if !parameter.is_empty() => Value::from(format!("{scheme} …")),
        _ => output,
    })
}

async fn with_policy(servers: &Servers, policy: OAuth2, path: &str) -> Result<Value, Problem> {
    let uri = format!("http://{}/{path}", servers.address);
    let key = vec![("key", Value::from("s3cret-key"))];
    perform(&worker(Authentication::OAuth2(Box::new(policy)), &uri, key)).await
}

#[tokio::test]
async fn basic_and_bearer_send_their_header() {
    let servers = servers("t").await;
    let uri = format!("http://{}/api", servers.address);
    let inline =
        || Credentials::Inline { username: text("${ .user }"), password: text("${ .word }") };
    let name = || SecretName("login".into());
    let login = || json(r#"{"username":"u","password":"w","token":"tok"}"#);
    for (authentication, secret, expected) in [
        (Authentication::Basic(inline()), Value::Null, "Basic …"),
        (Authentication::Basic(Credentials::Secret(name())), login(), "Basic …"),
        (
            Authentication::Bearer(Token::Inline(text("${ .user + \"-token\" }"))),
            Value::Null,
            "Bearer …",
        ),
        (Authentication::Bearer(Token::Secret(name())), Value::from("plain-token"), "Bearer …"),
        (
            Authentication::Bearer(Token::Secret(name())),
            json(r#"{"token":"long-token"}"#),
            "Bearer …",
        ),
    ] {
        let worker = worker(authentication, &uri, vec![("login", secret)]);
        assert_eq!(perform(&worker).await, Ok(Value::from(expected)));
    }
    let incomplete = json(r#"{"username":"u"}"#);
    let basic = Authentication::Basic(Credentials::Secret(name()));
    let problem = perform(&worker(basic, &uri, vec![("login", incomplete)])).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("configuration".into(), 400));
    assert!(problem.detail.unwrap().contains("the secret login has no `password`"));
}

#[tokio::test]
async fn the_credentials_of_basic_are_the_right_ones() {
    let expected = format!("Basic {}", STANDARD.encode("u:w"));
    let router = Router::new().fallback(any(move |headers: HeaderMap| async move {
        let good = headers.get("authorization").unwrap().to_str().unwrap() == expected;
        if good { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
    }));
    let uri = format!("http://{}/", serve(router).await);
    let basic = |word: &str| {
        Authentication::Basic(Credentials::Inline { username: text("u"), password: text(word) })
    };
    assert_eq!(perform(&worker(basic("w"), &uri, vec![])).await, Ok(Value::Null));
    let problem = perform(&worker(basic("x"), &uri, vec![])).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("communication".into(), 401));
}

#[tokio::test]
async fn authorization_is_bound_for_the_expressions_after_it() {
    let servers = servers("t").await;
    let token = Authentication::Bearer(Token::Inline(text("the-token")));
    let mut call = http("post", "http://unused/");
    call.endpoint = endpoint(&format!("http://{}/api", servers.address), Some(token));
    call.body = Some(text("${ $authorization.scheme }"));
    call.output = HttpOutput::Content;
    let mut task = task(Kind::Http(Box::new(call)));
    task.output.transform = Some(template(
        r#"["${ $authorization.scheme }","${ $authorization.parameter | length }"]"#,
    ));
    let output = perform_with(builder(Given(vec![])), task, assignment(Value::Null)).await;
    assert_eq!(output, Ok(json(r#"["Bearer",9]"#)));
}

#[tokio::test]
async fn a_digest_challenge_is_answered() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    let answer = move |method: Method, uri: Uri, headers: HeaderMap| {
        counted.fetch_add(1, Ordering::SeqCst);
        let challenge = r#"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256"#;
        // The same field has other challenges before and after it.
        let field =
            format!("Negotiate, Basic realm=\"a, Digest b\", {challenge}, Bearer realm=\"c\"");
        let refused = (StatusCode::UNAUTHORIZED, [("www-authenticate", field)]).into_response();
        async move {
            let Some(header) = headers.get("authorization") else { return refused };
            let given = AuthorizationHeader::parse(header.to_str().unwrap()).unwrap();
            let mut context = AuthContext::new_with_method(
                "u",
                "w",
                uri.to_string(),
                None::<&[u8]>,
                HttpMethod::from(method.to_string()),
            );
            context.set_custom_cnonce(given.cnonce.clone().unwrap());
            let mut prompt = digest_auth::parse(challenge).unwrap();
            let expected = prompt.respond(&context).unwrap();
            if expected.response == given.response { "in".into_response() } else { refused }
        }
    };
    let uri = format!("http://{}/a?b=c", serve(Router::new().fallback(any(answer))).await);
    let digest = |word: &str| {
        Authentication::Digest(Credentials::Inline { username: text("u"), password: text(word) })
    };
    assert_eq!(perform(&worker(digest("w"), &uri, vec![])).await, Ok(Value::from("in")));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    let problem = perform(&worker(digest("x"), &uri, vec![])).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("authentication".into(), 401));

    let plain = Router::new().fallback(any(|| async { StatusCode::UNAUTHORIZED }));
    let uri = format!("http://{}/", serve(plain).await);
    let problem = perform(&worker(digest("w"), &uri, vec![])).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("authentication".into(), 401));
}

#[tokio::test]
async fn tokens_are_had_by_every_grant_and_client_authentication() {
    let servers = servers("token-").await;
    let changed = |change: fn(&mut OAuth2)| {
        let mut policy = policy(servers.address);
        change(&mut policy);
        policy
    };
    let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let basic = format!("Basic {}", STANDARD.encode("me%3A1:s3cret%2Dkey"));
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    for (policy, expected) in [
        (
            changed(|it| it.scopes = vec![text("a"), text("b")]),
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", "me:1"),
                ("client_secret", "s3cret-key"),
                ("scope", "a b"),
            ],
        ),
        (
            changed(|it| it.client_authentication = ClientAuthentication::Basic),
            vec![("grant_type", "client_credentials"), ("authorization", &basic)],
        ),
        (
            changed(|it| {
                it.grant = Grant::Password;
                (it.username, it.password) = (Some(text("${ .user }")), Some(text("${ .word }")));
                it.client_authentication = ClientAuthentication::None;
            }),
            vec![
                ("grant_type", "password"),
                ("username", "u"),
                ("password", "w"),
                ("client_id", "me:1"),
            ],
        ),
        (
            changed(|it| {
                it.grant = Grant::TokenExchange;
                it.subject = Some((text("sub"), text("type-s")));
                it.actor = Some((text("act"), text("type-a")));
                it.audiences = vec![text("aud")];
                (it.client_id, it.client_secret) = (None, None);
            }),
            vec![
                ("grant_type", exchange),
                ("subject_token", "sub"),
                ("subject_token_type", "type-s"),
                ("actor_token", "act"),
                ("actor_token_type", "type-a"),
                ("audience", "aud"),
            ],
        ),
        (
            changed(|it| {
                it.client_authentication = ClientAuthentication::PrivateKeyJwt;
                it.client_assertion = Some(text("signed"));
            }),
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", "me:1"),
                ("client_assertion_type", assertion),
                ("client_assertion", "signed"),
            ],
        ),
        (
            changed(|it| {
                it.json_request = true;
                it.endpoints.token = UriTemplate { template: text("json") };
                it.audiences = vec![text("a"), text("b")];
            }),
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", "me:1"),
                ("client_secret", "s3cret-key"),
                ("audience", r#"["a","b"]"#),
            ],
        ),
    ] {
        assert_eq!(with_policy(&servers, policy, "api").await, Ok(Value::from("Bearer …")));
        let asked = servers.asked.lock().unwrap().pop().unwrap();
        let expected: HashMap<_, _> =
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(asked, expected);
    }
}

#[tokio::test]
async fn a_client_signs_its_assertion_with_its_secret() {
    let servers = servers("token-").await;
    let mut policy = policy(servers.address);
    policy.client_authentication = ClientAuthentication::SecretJwt;
    with_policy(&servers, policy, "api").await.unwrap();
    let asked = servers.asked.lock().unwrap().pop().unwrap();
    assert!(!asked.contains_key("client_secret"));
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    rules.set_audience(&[format!("http://{}/oauth2/token", servers.address)]);
    let key = jsonwebtoken::DecodingKey::from_secret(b"s3cret-key");
    let token = jsonwebtoken::decode::<Value>(&asked["client_assertion"], &key, &rules).unwrap();
    assert_eq!(token.claims.get("sub"), Some(&Value::from("me:1")));
}

#[tokio::test]
async fn a_token_is_kept_and_replaced_once_when_it_is_refused() {
    let servers = servers("token-").await;
    let key = || vec![("key", Value::from("s3cret-key"))];
    let oauth2 = || Authentication::OAuth2(Box::new(policy(servers.address)));
    let kept = worker(oauth2(), &format!("http://{}/strict", servers.address), key());
    for _ in 0..3 {
        assert_eq!(perform(&kept).await, Ok(Value::from("good")));
    }
    assert_eq!(servers.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn discovery_finds_the_token_endpoint() {
    let servers = servers("token-").await;
    for authority in ["", "/.well-known/openid-configuration"] {
        let mut policy = policy(servers.address);
        let uri = format!("http://{}{authority}", servers.address);
        policy.authority = UriTemplate { template: text(&uri) };
        let oidc = Authentication::Oidc(Box::new(policy));
        let uri = format!("http://{}/api", servers.address);
        let worker = worker(oidc, &uri, vec![("key", Value::from("s3cret-key"))]);
        assert_eq!(perform(&worker).await, Ok(Value::from("Bearer …")));
    }
    assert_eq!(servers.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_may_come_compressed() {
    let servers = servers("token-").await;
    let uri = format!("http://{}/api", servers.address);
    let at = |folder: &str| {
        let mut policy = policy(servers.address);
        let authority = format!("http://{}/{folder}", servers.address);
        policy.authority = UriTemplate { template: text(&authority) };
        let oauth2 = Authentication::OAuth2(Box::new(policy));
        worker(oauth2, &uri, vec![("key", Value::from("s3cret-key"))])
    };
    assert_eq!(perform(&at("zipped")).await, Ok(Value::from("Bearer …")));
    // The bound counts what comes out.
    let problem = perform(&at("endless")).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("authentication".into(), 401));
    assert!(problem.detail.unwrap().contains("larger than"));
}

#[tokio::test]
async fn a_secret_holds_a_whole_policy_nested_or_flat() {
    let servers = servers("token-").await;
    let authority = format!("http://{}", servers.address);
    let nested = format!(
        r#"{{"authority":"{authority}","grant":"client-credentials","client":{{"id":"me","secret":"word","authentication":"client_secret_post"}},"scopes":["a"]}}"#
    );
    let flat = format!(
        r#"{{"authority":"{authority}","grant":"client_credentials","client.id":"me","client_secret":"word","scopes":"a"}}"#
    );
    for secret in [nested, flat] {
        let uri = format!("{authority}/api");
        let from_secret = Authentication::OAuth2FromSecret(SecretName("login".into()));
        let worker = worker(from_secret, &uri, vec![("login", json(&secret))]);
        assert_eq!(perform(&worker).await, Ok(Value::from("Bearer …")));
        let asked = servers.asked.lock().unwrap().pop().unwrap();
        assert_eq!(
            (&*asked["client_id"], &*asked["client_secret"], &*asked["scope"]),
            ("me", "word", "a")
        );
    }
    for (secret, expected) in [
        (r#"{"grant":"password"}"#, "has no `authority`"),
        (r#"{"authority":"http://x","grant":"magic"}"#, "`grant` of `oidc` cannot be \"«sealed»\""),
    ] {
        let from_secret = Authentication::OidcFromSecret(SecretName("login".into()));
        let worker = worker(from_secret, &authority, vec![("login", json(secret))]);
        let problem = perform(&worker).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("configuration".into(), 400));
        assert!(problem.detail.as_deref().unwrap().contains(expected), "{problem}");
    }
}

#[tokio::test]
async fn no_token_is_an_authentication_problem() {
    let payload = URL_SAFE_NO_PAD.encode(r#"{"iss":"https://evil"}"#);
    let token: &'static str = Box::leak(format!("h.{payload}.s").into_boxed_str());
    let servers = servers(token).await;
    let changed = |change: fn(&mut OAuth2)| {
        let mut policy = policy(servers.address);
        change(&mut policy);
        policy
    };
    let endpoint = |it: &mut OAuth2, uri: &str| {
        it.endpoints.token = UriTemplate { template: text(uri) };
    };
    let mut refused = policy(servers.address);
    endpoint(&mut refused, "/refuse");
    let mut unreachable = policy(servers.address);
    endpoint(&mut unreachable, "http://127.0.0.1:1/token");
    let mut no_token = policy(servers.address);
    endpoint(&mut no_token, "/api");
    for (policy, kind, expected) in [
        (refused, "authentication", "400 Bad Request invalid_client who?"),
        (unreachable, "authentication", "connection refused"),
        (no_token, "authentication", "no `access_token`"),
        (
            changed(|it| it.issuers = vec![text("https://good")]),
            "authentication",
            "issued by \"https://evil\"",
        ),
        (changed(|it| it.grant = Grant::AuthorizationCode), "configuration", "lacks `code`"),
        (changed(|it| it.grant = Grant::Password), "configuration", "lacks `username`"),
    ] {
        let problem = with_policy(&servers, policy, "api").await.unwrap_err();
        let status = if kind == "configuration" { 400 } else { 401 };
        assert_eq!(kind_of(&problem), (kind.to_owned(), status));
        assert!(problem.detail.as_deref().unwrap().contains(expected), "{problem}");
    }
}
