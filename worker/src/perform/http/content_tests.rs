//! Compressed answers, charsets, cookies, and what goes over the wire for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use windlass_proto::limits;
use windlass_proto::plan::{HttpCall, HttpOutput, Kind};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::testing::{http, json, kind_of, perform, serve, template};

/// `{"wörd":"hidden"}` as each coding writes it.
const CODED: &[(&str, &str)] = &[
    ("gzip", "H4sIAAAAAAACA6tWKj+8rShFyUopIzMlJTVPqRYAXFRYFxIAAAA="),
    ("deflate", "eJyrVio/vK0oRclKKSMzJSU1T6kWAEU7Bu0="),
    ("br", "iwiAeyJ3w7ZyZCI6ImhpZGRlbiJ9Aw=="),
    ("zstd", "KLUv/SASkQAAeyJ3w7ZyZCI6ImhpZGRlbiJ9"),
];

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

/// An answer in this coding, to those who accept it.
async fn coded(Path(coding): Path<String>, headers: HeaderMap) -> Response {
    let accepted = headers.get("accept-encoding").map_or("", |it| it.to_str().unwrap());
    if !accepted.split(',').any(|it| it.trim() == coding) {
        return StatusCode::NOT_ACCEPTABLE.into_response();
    }
    let body = CODED.iter().find(|(known, _)| *known == coding).unwrap().1;
    let headers = [("content-encoding", coding.as_str())];
    (headers, JSON, STANDARD.decode(body).unwrap()).into_response()
}

/// Zeros, compressed.
fn zeros(count: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&vec![b'0'; count]).unwrap();
    encoder.finish().unwrap()
}

async fn server() -> SocketAddr {
    let encoded = |coding: &'static str, status: StatusCode, body: Vec<u8>| {
        let headers = [("content-encoding", coding), ("content-type", "text/plain")];
        any(move || async move { (status, headers, body) })
    };
    let broken = zeros(100_000)[..40].to_vec();
    let typed = |kind: &'static str, body: &'static [u8]| {
        get(move || async move { ([("content-type", kind)], Bytes::from_static(body)) })
    };
    let router = Router::new()
        .route("/coded/{coding}", get(coded))
        .route("/most", encoded("gzip", StatusCode::OK, zeros(limits::RESPONSE_BYTES)))
        .route("/more", encoded("gzip", StatusCode::OK, zeros(limits::RESPONSE_BYTES + 1)))
        .route("/broken", encoded("gzip", StatusCode::OK, broken))
        .route("/lzw", encoded("compress", StatusCode::OK, vec![0x1f, 0x9d, 0x90]))
        .route("/chunked", encoded("aws-chunked", StatusCode::OK, b"x".to_vec()))
        .route("/nothing", encoded("gzip", StatusCode::NO_CONTENT, Vec::new()))
        .route("/missing", encoded("gzip", StatusCode::NOT_FOUND, zeros(3)))
        .route("/bom", typed("application/json", b"\xef\xbb\xbf{\"a\":1}"))
        .route("/windows", typed("text/plain; charset=windows-1252", b"\x80 caf\xe9"))
        .route("/utf16", typed("text/csv; charset=UTF-16", b"\xff\xfea\0,\0\xe9\0"))
        .route("/utf7", typed("text/plain; charset=utf-7", b"+AOk-"))
        .route("/unsaid", typed("text/plain", b"caf\xe9"))
        .route(
            "/bytes",
            any(|headers: HeaderMap, body: Bytes| async move {
                let length = headers.get("content-length").map(|it| it.to_str().unwrap());
                format!("{} {}", length.unwrap_or("none"), STANDARD.encode(body))
            }),
        );
    serve(router).await
}

async fn call(call: HttpCall) -> Result<Value, Problem> {
    perform(Kind::Http(Box::new(call)), Value::Null).await
}

#[tokio::test]
async fn compressed_answers_are_decoded() {
    let server = server().await;
    for (coding, _) in CODED {
        let get = |output| {
            let get = http("get", &format!("http://{server}/coded/{coding}"));
            HttpCall { output, ..get }
        };
        let content = call(get(HttpOutput::Content)).await;
        assert_eq!(content, Ok(json(r#"{"wörd":"hidden"}"#)), "{coding}");
        let raw = Value::from(STANDARD.encode(r#"{"wörd":"hidden"}"#));
        assert_eq!(call(get(HttpOutput::Raw)).await, Ok(raw), "{coding}");
        let response = call(get(HttpOutput::Response)).await.unwrap();
        let headers = response.get("headers").unwrap();
        assert_eq!(headers.get("content-encoding"), None, "{headers:?}");
    }
    for (method, path) in [("get", "nothing"), ("head", "most")] {
        let call = call(http(method, &format!("http://{server}/{path}"))).await;
        assert_eq!(call, Ok(Value::Null), "{path}");
    }
    assert_eq!(call(http("get", &format!("http://{server}/chunked"))).await, Ok("x".into()));
}

#[tokio::test]
async fn the_bound_of_an_answer_counts_what_is_decoded() {
    let server = server().await;
    let most = call(http("get", &format!("http://{server}/most"))).await.unwrap();
    assert_eq!(most.as_str().unwrap().len(), limits::RESPONSE_BYTES);
    for (path, status, expected) in [
        ("more", 500, "is larger than"),
        ("broken", 500, "/broken failed"),
        ("lzw", 500, "is encoded as \"compress\""),
        ("missing", 404, "answered 404 Not Found: 000"),
        ("utf7", 500, "its charset \"utf-7\" is not known here: `output: raw`"),
        ("unsaid", 500, "it is not UTF-8"),
    ] {
        let problem = call(http("get", &format!("http://{server}/{path}"))).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("communication".into(), status), "{path}");
        let detail = problem.detail.unwrap();
        assert!(detail.contains(expected), "{path}: {detail}");
    }
}

#[tokio::test]
async fn text_comes_in_the_charset_it_says() {
    let server = server().await;
    for (path, expected) in
        [("bom", r#"{"a":1}"#), ("windows", r#""€ café""#), ("utf16", r#""a,é""#)]
    {
        let got = call(http("get", &format!("http://{server}/{path}"))).await;
        assert_eq!(got, Ok(json(expected)), "{path}");
    }
}

#[tokio::test]
async fn bodies_are_bytes_where_they_are_said_to_be() {
    let server = server().await;
    for (method, kind, body, expected) in [
        ("post", "", "null", "0 "),
        ("put", "", "null", "0 "),
        ("patch", "", "null", "0 "),
        ("get", "", "null", "none "),
        ("delete", "", "null", "none "),
        ("post", "image/png", r#"{"base64":"AP+A"}"#, "3 AP+A"),
        ("post", "application/octet-stream", r#"{"base64":""}"#, "0 "),
        ("post", "application/json", r#"{"base64":"AP+A"}"#, "17 eyJiYXNlNjQiOiJBUCtBIn0="),
        ("post", "application/x-own", r#"{"base64":"AP+A","b":1}"#, "23 "),
        ("post", "text/plain; charset=iso-8859-1", r#""é""#, "1 6Q=="),
    ] {
        let mut request = http(method, &format!("http://{server}/bytes"));
        request.body = Some(template(body));
        if !kind.is_empty() {
            request.headers = Some(template(&format!(r#"{{"content-type":"{kind}"}}"#)));
        }
        let got = call(request).await.unwrap();
        assert!(got.as_str().unwrap().starts_with(expected), "{method} {kind} {body}: {got:?}");
    }
    for (kind, body) in [
        ("image/png", r#"{"base64":"no!"}"#),
        ("text/plain; charset=utf-16", r#""é""#),
        ("text/plain; charset=iso-8859-1", r#""日""#),
    ] {
        let mut request = http("post", &format!("http://{server}/bytes"));
        request.headers = Some(template(&format!(r#"{{"content-type":"{kind}"}}"#)));
        request.body = Some(template(body));
        let problem = call(request).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("configuration".into(), 400), "{kind}");
    }
}

#[tokio::test]
async fn cookies_are_a_list_and_are_kept_over_redirects() {
    // In whatever order; all in one field.
    let seen = |headers: HeaderMap| async move {
        let fields = headers.get_all("cookie").iter().map(|it| it.to_str().unwrap());
        let fields: Vec<_> = fields.collect();
        assert!(fields.len() < 2);
        let mut cookies: Vec<_> = fields.iter().flat_map(|it| it.split("; ")).collect();
        cookies.sort_unstable();
        cookies.join("; ")
    };
    let other = serve(Router::new().route("/in", get(seen))).await;
    let away = format!("http://localhost:{}/in", other.port());
    let set = |to: String| {
        get(move || async move {
            let cookies = [
                ("set-cookie", "a=1; Path=/; Expires=Wed, 01 Jan 2120 00:00:00 GMT"),
                ("set-cookie", "b=2; Path=/elsewhere"),
                ("set-cookie", "c=3"),
            ];
            let cookies = axum::response::AppendHeaders(cookies);
            (StatusCode::FOUND, cookies, [("location", to)])
        })
    };
    let router = Router::new()
        .route("/login", set("/in".into()))
        .route("/away", set(away))
        .route("/in", get(seen));
    let server = serve(router).await;
    for (own, expected) in [("", "a=1; c=3"), ("a=mine; own=1", "a=1; c=3; own=1")] {
        let mut login = http("get", &format!("http://{server}/login"));
        login.redirect = true;
        if !own.is_empty() {
            login.headers = Some(template(&format!(r#"{{"Cookie":"{own}"}}"#)));
        }
        assert_eq!(call(login).await, Ok(expected.into()));
    }

    let mut away = http("get", &format!("http://{server}/away"));
    away.redirect = true;
    away.headers = Some(template(r#"{"Cookie":"own=1"}"#));
    assert_eq!(call(away).await, Ok(Value::Null));

    let router = Router::new().route(
        "/",
        get(|| async {
            axum::response::AppendHeaders([
                ("set-cookie", "a=1; Expires=Wed, 01 Jan 2120 00:00:00 GMT"),
                ("set-cookie", "b=2"),
            ])
        }),
    );
    let mut response = http("get", &format!("http://{}/", serve(router).await));
    response.output = HttpOutput::Response;
    let got = call(response).await.unwrap();
    let expected = r#"["a=1; Expires=Wed, 01 Jan 2120 00:00:00 GMT","b=2"]"#;
    assert_eq!(got.get("headers").unwrap().get("set-cookie"), Some(&json(expected)));
}
