//! Texts as long as they may be: what waits for its export has a bound, and so has what a collector
//! takes at once.

use std::borrow::Cow;

use opentelemetry::logs::{AnyValue, LogRecord as _};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;
use windlass_proto::limits;

/// Ends a text that was cut.
const MORE: &str = "…";

/// A text of a span, cut after [`limits::SPAN_TEXT_BYTES`].
#[must_use]
pub fn shortened(text: &str) -> Cow<'_, str> {
    cut(text, limits::SPAN_TEXT_BYTES)
}

fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=most - MORE.len()).rev().find(fits).unwrap_or(0);
    Cow::Owned(format!("{}{MORE}", &text[..end]))
}

/// Cuts what is long in a span.
pub(crate) fn span(span: &mut SpanData) {
    if span.name.len() > limits::SPAN_TEXT_BYTES {
        span.name = shortened(&span.name).into_owned().into();
    }
    span.attributes.iter_mut().for_each(attribute);
    for event in &mut span.events.events {
        event.attributes.iter_mut().for_each(attribute);
    }
}

/// Cuts what is long in a log record; `blank` is one without content.
pub(crate) fn record(record: &mut SdkLogRecord, blank: &SdkLogRecord) {
    if let Some(AnyValue::String(text)) = record.body()
        && text.as_str().len() > limits::RECORD_TEXT_BYTES
    {
        let text = cut(text.as_str(), limits::RECORD_TEXT_BYTES).into_owned();
        record.set_body(text.into());
    }
    if record.attributes_iter().any(|(_, value)| shorter(value).is_some()) {
        *record = with_short_attributes(record, blank);
    }
}

/// The same with attributes that are cut, as the SDK lets nobody change those that are there.
fn with_short_attributes(record: &SdkLogRecord, blank: &SdkLogRecord) -> SdkLogRecord {
    let mut short = blank.clone();
    record.event_name().into_iter().for_each(|it| short.set_event_name(it));
    record.target().into_iter().for_each(|it| short.set_target(it.clone()));
    record.timestamp().into_iter().for_each(|it| short.set_timestamp(it));
    record.observed_timestamp().into_iter().for_each(|it| short.set_observed_timestamp(it));
    record.severity_text().into_iter().for_each(|it| short.set_severity_text(it));
    record.severity_number().into_iter().for_each(|it| short.set_severity_number(it));
    record.body().into_iter().for_each(|it| short.set_body(it.clone()));
    if let Some(of) = record.trace_context() {
        short.set_trace_context(of.trace_id, of.span_id, of.trace_flags);
    }
    for (key, value) in record.attributes_iter() {
        short.add_attribute(key.clone(), shorter(value).unwrap_or_else(|| value.clone()));
    }
    short
}

/// An attribute of a log record that is cut; none where it is short. Lists and maps are not among
/// them: neither lines nor audit events have any.
fn shorter(value: &AnyValue) -> Option<AnyValue> {
    match value {
        AnyValue::String(text) if text.as_str().len() > limits::SPAN_TEXT_BYTES => {
            Some(shortened(text.as_str()).into_owned().into())
        }
        AnyValue::Bytes(bytes) => {
            let cut = bytes.get(..limits::SPAN_TEXT_BYTES).filter(|it| it.len() < bytes.len())?;
            Some(AnyValue::Bytes(Box::new(cut.to_vec())))
        }
        _ => None,
    }
}

fn attribute(attribute: &mut KeyValue) {
    if let Value::String(text) = &attribute.value
        && text.as_str().len() > limits::SPAN_TEXT_BYTES
    {
        attribute.value = Value::from(shortened(text.as_str()).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use opentelemetry::logs::{
        AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity,
    };
    use opentelemetry::{Key, KeyValue, TraceFlags};
    use opentelemetry_sdk::logs::SdkLoggerProvider;
    use windlass_proto::limits;

    use super::{record, shortened, span};

    #[test]
    fn long_texts_are_cut_between_characters() {
        let fits = "ä".repeat(limits::SPAN_TEXT_BYTES / 2);
        assert_eq!(shortened(&fits), fits);
        for text in [format!("{fits}x"), "€".repeat(9_000), "x".repeat(1 << 20)] {
            let cut = shortened(&text);
            assert!(cut.len() <= limits::SPAN_TEXT_BYTES && cut.ends_with('…'), "{cut}");
            assert!(text.starts_with(cut.trim_end_matches('…')), "{cut}");
        }
        let mut long = crate::testing::span();
        let text = "\u{7f}\n\0é".repeat(1_000);
        long.name = text.clone().into();
        long.attributes = vec![KeyValue::new("a", text), KeyValue::new("b", 7)];
        span(&mut long);
        assert!(long.name.len() <= limits::SPAN_TEXT_BYTES);
        assert_eq!(long.attributes[0].value.to_string(), long.name);
    }
    #[test]
    fn all_texts_of_a_log_record_are_cut_and_the_rest_stays() {
        let blank = SdkLoggerProvider::builder().build().logger("test").create_log_record();
        let mut long = blank.clone();
        long.set_event_name("windlass.secret.granted");
        long.set_target("test");
        long.set_timestamp(SystemTime::UNIX_EPOCH);
        long.set_observed_timestamp(SystemTime::UNIX_EPOCH);
        long.set_severity_text("WARN");
        long.set_severity_number(Severity::Warn);
        long.set_trace_context(7.into(), 9.into(), Some(TraceFlags::SAMPLED));
        long.set_body("ä".repeat(1 << 20).into());
        let mut short = long.clone();
        short.set_body(format!("{}…", "ä".repeat(limits::RECORD_TEXT_BYTES / 2 - 2)).into());
        // More than the SDK keeps in one place.
        for number in 0..9 {
            long.add_attribute(Key::new("text"), "é".repeat(limits::SPAN_TEXT_BYTES * 4));
            short.add_attribute(
                Key::new("text"),
                format!("{}…", "é".repeat(limits::SPAN_TEXT_BYTES / 2 - 2)),
            );
            let bytes = |many: usize| AnyValue::Bytes(Box::new(vec![7; many]));
            long.add_attribute(Key::new("bytes"), bytes(1 << 20));
            short.add_attribute(Key::new("bytes"), bytes(limits::SPAN_TEXT_BYTES));
            for it in [&mut long, &mut short] {
                it.add_attribute(Key::new("number"), number);
                it.add_attribute(Key::new("fits"), "x".repeat(limits::SPAN_TEXT_BYTES));
            }
        }
        record(&mut long, &blank);
        assert_eq!(long, short);
    }
}
