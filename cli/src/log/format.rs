//! How a line of the log looks: for people, or for programs. Within a task it has the ids of its
//! trace.

use std::fmt;
use std::io::{self, IsTerminal as _};

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use windlass_telemetry::current;

/// How logs are written.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct LogOptions {
    /// What is logged: a level, and others by module: `info`, `warn,windlass_worker=debug`. In a
    /// coordinator's configuration file it counts as soon as the file changes. WINDLASS_OTLP_LOG
    /// says the same of what a collector gets [default there: info]
    #[arg(long, env = "WINDLASS_LOG", value_name = "DIRECTIVES")]
    pub(crate) log: Option<String>,
    /// How lines of the log are written, on standard error: for people, or one JSON object a line
    #[arg(long, env = "WINDLASS_LOG_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people, in colour on a terminal
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Writes lines to standard error.
pub(super) fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => Box::new(lines.fmt_fields(Traced).with_ansi(io::stderr().is_terminal())),
        LogFormat::Json => {
            let json = Format::default().json().flatten_event(true).with_current_span(false);
            let json = lines.fmt_fields(JsonFields::new()).event_format(TracedJson(json));
            Box::new(json.with_ansi(false))
        }
    }
}

/// Fields of a line for people, and the ids.
struct Traced;

impl<'writer> FormatFields<'writer> for Traced {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        DefaultFields::new().format_fields(Writer::new(&mut OneLine(&mut writer)), fields)?;
        match current() {
            Some(it) => write!(writer, " trace_id={} span_id={}", it.trace_id, it.span_id),
            None => Ok(()),
        }
    }
}

/// Writes what may hold data so that it stays within its line, whatever is in it: nobody whose data
/// is logged writes lines of their own, colours them, or turns the order of what is shown.
struct OneLine<'w, W>(&'w mut W);

impl<W: fmt::Write> fmt::Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let breaks = |it: char| it.is_control() || is_order(it);
        let mut rest = text;
        while let Some(at) = rest.find(breaks) {
            let (before, after) = rest.split_at(at);
            self.0.write_str(before)?;
            let mut after = after.chars();
            if let Some(it) = after.next() {
                write!(self.0, "{}", it.escape_default())?;
            }
            rest = after.as_str();
        }
        self.0.write_str(rest)
    }
}

/// True for characters that break lines, or change the direction of what follows (UAX 9, UAX 14).
fn is_order(it: char) -> bool {
    matches!(it, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line as one JSON object, with the ids as its last members.
struct TracedJson(Format<Json>);

impl<S> FormatEvent<S, JsonFields> for TracedJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        fields: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(it) = current() else { return self.0.format_event(fields, writer, event) };
        let mut line = String::new();
        self.0.format_event(fields, Writer::new(&mut line), event)?;
        let Some(open) = line.trim_end().strip_suffix('}') else {
            return writer.write_str(&line);
        };
        let (trace, span) = (it.trace_id, it.span_id);
        writeln!(writer, "{open},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fmt::Write as _;

    use super::OneLine;

    #[test]
    fn what_is_logged_stays_within_its_line() {
        let mut written = String::new();
        let line = "a\n2026 ERROR b\r\u{202e}c\u{9b}31m\u{2028}d\u{1b}[3mä\t.";
        OneLine(&mut written).write_str(line).unwrap();
        let one = "a\\n2026 ERROR b\\r\\u{202e}c\\u{9b}31m\\u{2028}d\\u{1b}[3mä\\t.";
        assert_eq!(written, one);
    }
}
