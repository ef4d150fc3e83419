//! The API by TLS.

use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::client::Api;
use crate::support::command::{Output, windlass};
use crate::support::dev::Dev;
use crate::support::tls::{Certificates, certificates};
use crate::support::until::{SOON, until, within};

/// The files of an authority, a server and a client.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(made: &Certificates) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.write(made);
        files
    }

    fn write(&self, made: &Certificates) {
        for (name, text) in [
            ("ca.pem", &made.authority),
            ("server.pem", &made.server.0),
            ("server.key", &made.server.1),
            ("client.pem", &made.client.0),
            ("client.key", &made.client.1),
        ] {
            std::fs::write(self.path(name), text).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// What a server is started with.
    fn serving(&self) -> Vec<String> {
        ["--tls-cert", &self.text("server.pem"), "--tls-key", &self.text("server.key")]
            .map(str::to_owned)
            .to_vec()
    }
}

async fn list(url: &str, more: &[String]) -> Output {
    let mut arguments = ["list", "--url", url].map(str::to_owned).to_vec();
    arguments.extend_from_slice(more);
    windlass(&arguments).await
}

#[tokio::test]
async fn who_knows_its_authority_talks_to_it() {
    let files = Files::new(&certificates(&["127.0.0.1", "localhost"]));
    let dev = Dev::with(&files.serving()).await;
    let url = dev.api.base();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let trusting = ["--certificate-authority".to_owned(), files.text("ca.pem")];
    list(&url, &trusting).await.exits(0);

    let stranger = list(&url, &[]).await;
    assert!(stranger.code != Some(0) && stranger.stderr.contains("certificate"), "{stranger:?}");

    let plain = list(&url.replace("https:", "http:"), &[]).await;
    assert!(plain.code != Some(0) && plain.stderr.contains("WL0543"), "{plain:?}");
    assert!(plain.stderr.contains("https://"), "{plain:?}");
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let files = Files::new(&certificates(&["127.0.0.1"]));
    let dev = Dev::with(&files.serving()).await;
    let url = dev.api.base();
    let before = Api::trusting(&url, &std::fs::read_to_string(files.path("ca.pem")).unwrap());
    before.get("/healthz").await;

    // One file has come, the other has not: the old pair stays.
    let renewed = certificates(&["127.0.0.1"]);
    std::fs::write(files.path("server.pem"), &renewed.server.0).unwrap();
    until(SOON, "a word on the pair that does not fit", || async {
        dev.stderr().contains("TLS certificate not reloaded").then_some(())
    })
    .await;
    let trusting = ["--certificate-authority".to_owned(), files.text("ca.pem")];
    list(&url, &trusting).await.exits(0);

    files.write(&renewed);
    until(SOON, "the new certificate", || async {
        let api = Api::trusting(&url, &renewed.authority);
        Api::send(api.request(reqwest::Method::GET, "/healthz")).await.ok()
    })
    .await;
    // A connection that was open goes on.
    before.get("/healthz").await;
    let old = Api::trusting(&url, &certificates(&["127.0.0.1"]).authority);
    assert!(Api::send(old.request(reqwest::Method::GET, "/healthz")).await.is_err());
}

#[tokio::test]
async fn only_clients_with_a_certificate_are_let_in_where_that_is_asked() {
    let files = Files::new(&certificates(&["127.0.0.1"]));
    let mut flags = files.serving();
    flags.extend(["--tls-client-ca".to_owned(), files.text("ca.pem")]);
    flags.extend(["--admin-bind", "127.0.0.1:0"].map(str::to_owned));
    let mut dev = Dev::with(&flags).await;
    let url = dev.api.base();
    let mut known = vec!["--certificate-authority".to_owned(), files.text("ca.pem")];
    let unknown = list(&url, &known).await;
    assert!(unknown.code != Some(0), "{unknown:?}");
    known.extend(["--client-certificate".to_owned(), files.text("client.pem")]);
    known.extend(["--client-key".to_owned(), files.text("client.key")]);
    list(&url, &known).await.exits(0);

    // Probes and Prometheus need none: they have a port of their own, with nothing else on it.
    let line = dev.process().stderr().after("windlass: health and metrics on ");
    let admin = within(SOON, "the port for health and metrics", line).await.unwrap();
    let admin = Api::new(&admin);
    assert_eq!(admin.get("/healthz").await.status, 200);
    assert_eq!(admin.get("/readyz").await.status, 200);
    let metrics = admin.get("/metrics").await;
    assert!(metrics.body.as_str().unwrap().contains("windlass_build_info"));
    admin.get("/v1/instances").await.problem(404);
    let asked = own_metrics(&url, files.folder.path()).await;
    assert_eq!(asked, 404, "metrics are on the other port alone");
}

/// The status of `/metrics` at the API's own port.
async fn own_metrics(url: &str, files: &Path) -> u16 {
    let read = |name: &str| std::fs::read(files.join(name)).unwrap();
    let pem = [read("client.pem"), read("client.key")].concat();
    let client = reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&read("ca.pem")).unwrap())
        .identity(reqwest::Identity::from_pem(&pem).unwrap())
        .no_proxy()
        .timeout(SOON)
        .build()
        .unwrap();
    client.get(format!("{url}/metrics")).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn handshakes_that_do_not_come_on_keep_nobody_out() {
    let files = Files::new(&certificates(&["127.0.0.1"]));
    let mut flags = files.serving();
    flags.extend(["--max-connections", "16"].map(str::to_owned));
    let dev = Dev::with(&flags).await;
    let url = dev.api.base();
    let address = url.trim_start_matches("https://").to_owned();
    let mut silent = Vec::new();
    for turn in 0..48 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        if turn % 2 == 0 {
            // The head of a record whose rest never comes.
            stream.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
        }
        silent.push(stream);
    }
    let api = Api::trusting(&url, &std::fs::read_to_string(files.path("ca.pem")).unwrap());
    assert_eq!(api.get("/healthz").await.status, 200);
    // Some of them made room for others.
    let metrics = api.get("/metrics").await.body;
    let closed = metrics.as_str().unwrap().lines().filter(|it| {
        it.starts_with("windlass_http_connections_closed_total{at=\"head\"}") && !it.ends_with(" 0")
    });
    assert_eq!(closed.count(), 1, "{metrics}");
    drop(silent);
}

#[tokio::test]
async fn what_tls_cannot_be_served_with_is_named_at_the_start() {
    let files = Files::new(&certificates(&["127.0.0.1"]));
    let other = certificates(&["127.0.0.1"]);
    std::fs::write(files.path("other.key"), &other.server.1).unwrap();
    std::fs::write(files.path("empty.pem"), "nothing\n").unwrap();
    let start = async |certificate: &str, key: &str| {
        let data = files.text("data");
        let (certificate, key) = (files.text(certificate), files.text(key));
        let tls = ["--tls-cert", &certificate, "--tls-key", &key];
        windlass(&[&["dev", "--bind", "127.0.0.1:0", "--data-dir", &data][..], &tls].concat()).await
    };
    let missing = start("absent.pem", "server.key").await;
    assert!(missing.stderr.contains("absent.pem") && missing.stderr.contains("WL"), "{missing:?}");
    let empty = start("empty.pem", "server.key").await;
    assert!(empty.stderr.contains("empty.pem has no certificate in PEM"), "{empty:?}");
    let pair = start("server.pem", "other.key").await;
    assert!(pair.code != Some(0) && pair.stderr.contains("other.key"), "{pair:?}");
}
