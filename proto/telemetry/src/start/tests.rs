use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use windlass_proto::trace::SpanId;

use super::*;
use crate::counts::SignalTotals;
use crate::settings::Flags;
use crate::span::FinishedSpan;
use crate::testing::finished_span;

/// A collector that answers each request with these bytes; without any it never does.
async fn collector(answer: Option<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 65_536];
                while socket.read(&mut buffer).await.is_ok_and(|it| it > 0) {
                    // What is sent here fits into one packet of the loopback.
                    if let Some(body) = &answer {
                        let head =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                        let _ = socket.write_all(&[head.as_bytes(), body].concat()).await;
                    }
                }
            });
        }
    });
    address
}

fn started(address: SocketAddr, more: &[(&str, &str)]) -> Telemetry {
    let variable = |name: &str| {
        let more = more.iter().find(|(it, _)| *it == name);
        more.map(|(_, value)| (*value).to_owned())
    };
    let flags = Flags { endpoint: Some(format!("http://{address}")), ..Flags::default() };
    let settings = Settings::read(&variable, &flags).unwrap();
    Telemetry::start(&settings, Role::Embedded, None).unwrap()
}

fn span(number: u64) -> FinishedSpan {
    FinishedSpan { span_id: SpanId::new(number), ..finished_span(2, 1) }
}

/// What comes of three spans at a collector that answers so.
async fn exported(answer: Vec<u8>) -> SignalTotals {
    let telemetry = started(collector(Some(answer)).await, &[]);
    let (spans, counts) = (telemetry.spans().unwrap(), telemetry.counts());
    (1..=3).for_each(|it| spans.record(span(it)));
    telemetry.shutdown().await;
    counts.traces.totals()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_takes_is_told_from_what_it_refuses() {
    let all = SignalTotals { exported: 3, ..SignalTotals::default() };
    assert_eq!(exported(Vec::new()).await, all);
    let error_message = "one of them is odd".to_owned();
    let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
    let most = SignalTotals { exported: 2, rejected: 1, ..SignalTotals::default() };
    assert_eq!(exported(answer.encode_to_vec()).await, most);
    let endless = vec![b'x'; limits::EXPORT_ANSWER_BYTES + 1];
    assert_eq!(exported(endless).await.exported, 0, "an answer that is too long is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_is_dropped_and_counted() {
    let bound = [("OTEL_BSP_MAX_QUEUE_SIZE", "4")];
    let telemetry = started(collector(None).await, &bound);
    let (spans, counts) = (telemetry.spans().unwrap(), telemetry.counts());
    (1..=10).for_each(|it| spans.record(span(it)));
    let totals = counts.traces.totals();
    assert_eq!((totals.queued, totals.dropped), (4, 6), "those under way take room too");
    telemetry.shutdown().await;
    let totals = counts.traces.totals();
    assert_eq!(totals.exported, 0);
    assert_eq!(totals.queued + totals.failed, 4);
}

/// What exports has a thread of its own: neither waits for the other.
#[tokio::test]
async fn exports_go_on_while_the_runtime_of_the_process_is_busy() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, exports) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut read = vec![0; 1 << 16];
            while stream.read(&mut read).is_ok_and(|it| it > 0) {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                if stream.write_all(answer).is_err() || seen.send(()).is_err() {
                    return;
                }
            }
        }
    });
    let telemetry = started(address, &[("OTEL_BSP_SCHEDULE_DELAY", "1")]);
    telemetry.spans().unwrap().record(span(1));
    // Nothing else is done on this thread meanwhile.
    let within = std::time::Duration::from_secs(60);
    assert_eq!(exports.recv_timeout(within), Ok(()));
    telemetry.shutdown().await;
}
