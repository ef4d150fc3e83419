//! Log records of lines: what the appender for `tracing` leaves out, or says otherwise than spans.

use std::time::SystemTime;

use opentelemetry::Key;
use opentelemetry::logs::LogRecord as _;
use opentelemetry_sdk::logs::SdkLogRecord;

use crate::names;

/// Fields of lines that spans have an attribute for: lines have short names, for people.
pub(crate) const FIELDS: [(&str, &str); 3] =
    [("instance", names::INSTANCE_ID), ("worker", names::WORKER), ("task", names::TASK_REFERENCE)];

/// Completes the record of a line: its time, and attributes by the names that spans have. The
/// appender takes the place in the source for the name of an event, by which audit events are told
/// from lines; it is taken out.
pub(crate) fn complete(record: &mut SdkLogRecord) {
    if record.timestamp().is_none() {
        record.set_timestamp(record.observed_timestamp().unwrap_or_else(SystemTime::now));
    }
    if record.event_name().is_some_and(|it| it.starts_with("event ")) {
        record.set_event_name("");
    }
    for (field, attribute) in FIELDS {
        let value = record.attributes_iter().find(|(key, _)| key.as_str() == field);
        if let Some(value) = value.map(|(_, value)| value.clone()) {
            record.add_attribute(Key::new(attribute), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _};
    use opentelemetry_sdk::logs::SdkLoggerProvider;

    use super::{complete, names};

    #[test]
    fn lines_get_a_time_and_the_attributes_of_spans() {
        let logger = SdkLoggerProvider::builder().build().logger("test");
        let mut record = logger.create_log_record();
        record.set_event_name("event src/it.rs:7");
        record.add_attribute("instance", "4711");
        complete(&mut record);
        assert!(record.timestamp().is_some());
        assert_eq!(record.event_name(), Some(""));
        let ids = record.attributes_iter().filter(|(key, _)| key.as_str() == names::INSTANCE_ID);
        assert_eq!(ids.count(), 1);
        let mut named = logger.create_log_record();
        named.set_event_name("windlass.lease.acquired");
        complete(&mut named);
        assert_eq!(named.event_name(), Some("windlass.lease.acquired"));
    }
}
