//! What tests of exporters share: certificates, a destination, spans.

use std::time::{Duration, SystemTime};

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use windlass_proto::time::Timestamp;
use windlass_proto::trace::{SpanId, TraceId};

use crate::settings::{Destination, Headers, Protocol, Tls};
use crate::span::FinishedSpan;
use crate::span_batch::SpanBatch;
use crate::wire;

/// PEM texts of one authority: its certificate, and a certificate with its key for each.
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) server: (String, String),
    pub(crate) client: (String, String),
}

/// Certificates for a server at 127.0.0.1 and one client.
pub(crate) fn certificates() -> Certificates {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = |usage| {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let server = issue(ExtendedKeyUsagePurpose::ServerAuth);
    let client = issue(ExtendedKeyUsagePurpose::ClientAuth);
    Certificates { authority: authority.pem(), server, client }
}

/// Where to export, with no words beside.
pub(crate) fn destination(endpoint: String, protocol: Protocol, tls: Tls) -> Destination {
    let (headers, timeout) = (Headers::default(), Duration::from_secs(60));
    Destination { endpoint, protocol, headers, timeout, gzip: false, tls }
}

/// A span that is over.
pub(crate) fn span() -> SpanData {
    let state = TraceState::NONE;
    SpanData {
        span_context: SpanContext::new(7.into(), 9.into(), TraceFlags::SAMPLED, false, state),
        parent_span_id: opentelemetry::SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "a".into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("test").build(),
    }
}

/// A span as it is handed over, from one millisecond to another.
pub(crate) fn finished_span(start: u64, end: u64) -> FinishedSpan {
    FinishedSpan {
        trace_id: TraceId::new(1),
        span_id: SpanId::new(2),
        parent: None,
        is_parent_remote: false,
        name: "a".into(),
        kind: SpanKind::Internal,
        start: Timestamp(start),
        end: Timestamp(end),
        encloses: false,
        state: None,
        random: false,
        status: Status::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        dropped_links: 0,
    }
}

/// Spans that leave together.
pub(crate) fn batch(spans: usize) -> SpanBatch {
    batch_of(&vec![span(); spans])
}

/// These spans, which leave together.
pub(crate) fn batch_of(spans: &[SpanData]) -> SpanBatch {
    let mut batch = SpanBatch::default();
    spans.iter().for_each(|it| batch.add(&it.instrumentation_scope, &wire::span(it), None));
    batch
}
