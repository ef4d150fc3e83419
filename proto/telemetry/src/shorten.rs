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

/// Cuts the text of a log record.
pub(crate) fn record(record: &mut SdkLogRecord) {
    if let Some(AnyValue::String(text)) = record.body()
        && text.as_str().len() > limits::RECORD_TEXT_BYTES
    {
        let text = cut(text.as_str(), limits::RECORD_TEXT_BYTES).into_owned();
        record.set_body(text.into());
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
    use opentelemetry::KeyValue;
    use windlass_proto::limits;

    use super::{shortened, span};

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
}
