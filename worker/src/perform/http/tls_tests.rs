//! HTTPS to names that are overridden, with a private authority.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use windlass_proto::plan::{HttpOutput, Kind};
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use crate::testing::{Given, assignment, builder, http, kind_of, no_proxy, perform_with, task};
use crate::{HttpOptions, Worker};

/// A TCP listener that speaks TLS.
struct Tls(TcpListener, TlsAcceptor);

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.0.accept().await.unwrap();
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Serves HTTPS for `name`; gives the address and the authority's certificate in PEM.
async fn serve(name: &str) -> (SocketAddr, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let host = get(|headers: HeaderMap| async move {
        headers.get("host").unwrap().to_str().unwrap().to_owned()
    });
    let router = Router::new().fallback(host);
    tokio::spawn(async move { axum::serve(Tls(listener, acceptor), router).await.unwrap() });
    (address, root)
}

async fn call(options: HttpOptions, uri: &str) -> Result<Value, Problem> {
    let mut call = http("get", uri);
    call.output = HttpOutput::Response;
    let task = task(Kind::Http(Box::new(call)));
    perform_with(builder(Given(vec![])).http(options), task, assignment(Value::Null)).await
}

#[tokio::test]
async fn an_overridden_name_keeps_its_certificate_and_host() {
    let (address, root) = serve("pets.example").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("root.pem");
    std::fs::write(&file, root).unwrap();
    let resolve = [
        format!("pets.example:443:{address}"),
        format!("other.example:8443:{address}"),
        format!("pets.example:8443:{address}"),
    ];
    let resolve: Vec<_> = resolve.iter().map(|text| text.parse().unwrap()).collect();
    let trusting =
        || HttpOptions { resolve: resolve.clone(), ca_files: vec![file.clone()], ..no_proxy() };
    for (uri, host) in [
        ("https://pets.example/v2?a=b", "pets.example"),
        ("https://pets.example:8443/v2", "pets.example:8443"),
    ] {
        let output = call(trusting(), uri).await.unwrap();
        assert_eq!(output.get("content"), Some(&Value::from(host)));
        assert_eq!(output.get("request").unwrap().get("uri"), Some(&Value::from(uri)));
    }

    let problem = call(trusting(), "https://other.example:8443/").await.unwrap_err();
    assert_eq!(kind_of(&problem), ("communication".into(), 500));
    assert!(
        problem.detail.as_deref().unwrap().contains("TLS: invalid peer certificate"),
        "{problem}"
    );
    // Whoever is trusted, the name is wrong.
    assert!(!problem.detail.as_deref().unwrap().contains("--ca-file"), "{problem}");

    let distrusting = HttpOptions { resolve: resolve.clone(), ..no_proxy() };
    let problem = call(distrusting, "https://pets.example/").await.unwrap_err();
    assert!(problem.detail.as_deref().unwrap().contains("with `--ca-file`"), "{problem}");
}

#[test]
fn a_file_without_certificates_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("root.pem");
    std::fs::write(&file, "nothing").unwrap();
    for path in [file, PathBuf::from("/does/not/exist")] {
        let options = HttpOptions { ca_files: vec![path], ..no_proxy() };
        assert!(Worker::builder().http(options).build().is_err());
    }
}
