#![allow(clippy::unwrap_used)]

use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use uuid::Uuid;
use windlass_proto::audit::{AuditAction, AuditEvent};
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;

use super::AuditRecords;
use crate::{Flags, Role, Settings, Telemetry};

#[test]
fn a_record_has_the_name_the_time_and_the_trace_of_its_event() {
    let exporter = InMemoryLogExporter::default();
    let provider = SdkLoggerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let mut event = AuditEvent::new(
        Uuid::from_u128(7),
        Timestamp(1_700_000_000_123),
        AuditAction::Denied,
        false,
    );
    event.secret = Some(SecretName("api-key".into()));
    event.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    event.detail = Some("the policy does not permit it".into());
    AuditRecords::new(&provider).tell(&event);
    let records = exporter.get_emitted_logs().unwrap();
    let record = &records[0].record;
    assert_eq!(record.event_name(), Some("windlass.secret.denied"));
    let at = record.timestamp().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(at.as_millis(), 1_700_000_000_123);
    let context = record.trace_context().unwrap();
    assert_eq!(context.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(context.span_id.to_string(), "00f067aa0ba902b7");
    let has = |name: &str, value: &AnyValue| {
        record.attributes_iter().any(|(key, it)| key.as_str() == name && it == value)
    };
    assert!(has("windlass.secret.name", &"api-key".to_owned().into()));
    assert!(has("windlass.audit.success", &false.into()));
    assert_eq!(record.body(), Some(&"the policy does not permit it".to_owned().into()));
}

/// A collector that takes connections and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_is_dropped_and_counted() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let variable = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
        "OTEL_EXPORTER_OTLP_TIMEOUT" => Some("1000".to_owned()),
        "OTEL_BLRP_MAX_QUEUE_SIZE" => Some("8".to_owned()),
        _ => None,
    };
    let settings = Settings::read(&variable, &Flags::default()).unwrap();
    let telemetry = Telemetry::start(&settings, Role::Coordinator, None).unwrap();
    let records = AuditRecords::new(&telemetry.logger_provider().unwrap());
    let event = AuditEvent::new(Uuid::nil(), Timestamp(0), AuditAction::Granted, true);
    (0..1_000).for_each(|_| records.tell(&event));
    let counts = telemetry.counts();
    telemetry.shutdown().await;
    let totals = counts.logs.totals();
    assert!(totals.dropped > 0, "{totals:?}");
    assert_eq!(totals.exported, 0);
    assert_eq!(totals.dropped + totals.failed + totals.queued, 1_000, "{totals:?}");
}
