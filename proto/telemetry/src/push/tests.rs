//! Whatever a collector does, exports are counted for what they were, and the end comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use windlass_proto::metric::Snapshot;
use windlass_proto::metric::table::journal;

use super::{MetricPusher, Way};
use crate::client::ExportClient;
use crate::counts::{SignalTotals, TelemetryCounts};
use crate::settings::{Destination, Headers, Protocol, Signal, Tls};

/// A collector that gives this answer to everything, and none where it is empty; its URL.
async fn collector(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = vec![0; 1 << 16];
                while stream.read(&mut read).await.is_ok_and(|it| it > 0) {
                    if !answer.is_empty() && stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}/v1/metrics")
}

/// For those that fail.
const SHORT: Duration = Duration::from_millis(100);

/// What became of exports to this URL, once some were, which have so much time each.
async fn exported(endpoint: String, timeout: Duration) -> SignalTotals {
    let counts = Arc::new(TelemetryCounts::default());
    let (headers, tls, protocol) = (Headers::default(), Tls::default(), Protocol::Http);
    let to = Destination { endpoint, protocol, headers, timeout, gzip: false, tls };
    let client = ExportClient::new(Signal::Metrics, &to, Handle::current(), counts.clone());
    let pusher = MetricPusher {
        way: Way::Http(Box::new(client.unwrap())),
        to,
        interval: Duration::from_millis(10),
        explicit_buckets: false,
        resource: opentelemetry_sdk::Resource::builder_empty().build(),
        counts: counts.clone(),
    };
    let push = pusher.start(Arc::new(|| {
        let mut snapshot = Snapshot::default();
        snapshot.add(&journal::PAUSED, true);
        Box::pin(std::future::ready(snapshot))
    }));
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    loop {
        tick.tick().await;
        let it = counts.metrics.totals();
        if it.exported + it.failed > 2 {
            break;
        }
    }
    push.finish().await;
    counts.metrics.totals()
}

#[tokio::test]
async fn what_is_taken_counts_as_exported() {
    let url = collector("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let it = exported(url, Duration::from_secs(60)).await;
    assert!(it.exported > 2 && it.failed == 0 && it.rejected == 0, "{it:?}");
}

#[tokio::test]
async fn what_is_refused_redirected_or_not_answered_counts_as_failed() {
    for answer in [
        "",
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 307 Elsewhere\r\nlocation: /v1/other\r\ncontent-length: 0\r\n\r\n",
        "this is no HTTP\r\n\r\n",
    ] {
        let it = exported(collector(answer).await, SHORT).await;
        assert!(it.exported == 0 && it.failed > 2, "{answer:?}: {it:?}");
    }
    let nobody = exported("http://127.0.0.1:1/v1/metrics".to_owned(), SHORT).await;
    assert!(nobody.exported == 0 && nobody.failed > 2, "{nobody:?}");
}
