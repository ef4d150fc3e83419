//! What a collector that asks for certificates gets to see.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;

use crate::acknowledged::Listener;
use crate::counts::TelemetryCounts;
use crate::exporter::Exporters;
use crate::settings::{ClientIdentity, Protocol, Tls};
use crate::testing::{Certificates, batch, certificates, destination};

/// A server that takes everything from those who show a certificate of the authority; its URL.
async fn collector(all: &Certificates) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(all.authority.as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let (certificate, key) = &all.server;
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut read = vec![0; 1 << 16];
                while stream.read(&mut read).await.is_ok_and(|it| it > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("https://{address}/v1/traces")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_asks_gets_the_certificate_of_the_client() {
    let all = certificates();
    let url = collector(&all).await;
    let (certificate, key) = &all.client;
    let client =
        ClientIdentity { certificate: certificate.clone().into(), key: key.clone().into() };
    for (client, taken) in [(Some(client), true), (None, false)] {
        let tls = Tls { roots: Some(all.authority.clone().into()), client };
        let mut to = destination(url.clone(), Protocol::Http, tls);
        if !taken {
            to.timeout = std::time::Duration::from_secs(1);
        }
        let counts = Arc::new(TelemetryCounts::default());
        let (runtime, told) = (Handle::current(), Listener::default());
        let exporters = Exporters { runtime, counts, told };
        exporters.counts.traces.enter(9);
        let exporter = exporters.spans(&to, &Resource::builder_empty().build()).unwrap();
        assert_eq!(exporter.export(batch(1)).await, taken);
    }
}

/// A collector that is busy once, and says for how long; its URL, and how long it was left alone.
async fn busy(answer: String) -> (String, tokio::sync::oneshot::Receiver<Duration>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, alone) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let mut read = vec![0; 1 << 16];
        assert!(stream.read(&mut read).await.unwrap() > 0);
        // Before, as the other side counts from when it has read it.
        let since = Instant::now();
        stream.write_all(answer.as_bytes()).await.unwrap();
        assert!(stream.read(&mut read).await.unwrap() > 0);
        told.send(since.elapsed()).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    (format!("http://{address}/v1/traces"), alone)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_collector_is_left_alone_for_as_long_as_it_says() {
    // By itself it asks again after one second, and no sooner, whatever the collector says.
    for (asked, at_least) in [("3", 3), ("0", 1), ("Sun, 06 Nov 1994 08:49:37 GMT", 1)] {
        let alone = left_alone(asked).await;
        assert!(alone >= Duration::from_secs(at_least), "{asked}: {alone:?}");
    }
}

/// How long a collector is left alone that asks for it with a `Retry-After`.
async fn left_alone(asked: &str) -> Duration {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {asked}\r\ncontent-length: 0\r\n\r\n"
    );
    let (url, alone) = busy(answer).await;
    let to = destination(url, Protocol::Http, Tls::default());
    let counts = Arc::new(TelemetryCounts::default());
    counts.traces.set_bound(1_000);
    let (runtime, told) = (Handle::current(), Listener::default());
    let exporters = Exporters { runtime, counts, told };
    let exporter = exporters.spans(&to, &Resource::builder_empty().build()).unwrap();
    assert!(exporter.export(batch(1)).await);
    alone.await.unwrap()
}
