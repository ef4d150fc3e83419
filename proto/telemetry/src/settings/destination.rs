//! Where a signal goes.

use std::fmt;
use std::time::Duration;

use http::Uri;
use reqwest::Url;
use windlass_proto::limits;

use super::text::{self, Variables, error};
use super::tls::Tls;
use super::{Flags, SettingsError};
use crate::counts::{SignalCounts, TelemetryCounts};

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

/// Where a signal goes, and how.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The URL that exports are sent to; of gRPC, the server.
    pub endpoint: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Headers of each export.
    pub headers: Headers,
    /// How long an export may take, repetitions included.
    pub timeout: Duration,
    /// Whether exports are compressed.
    pub gzip: bool,
    /// Whom to trust, and what to show.
    pub tls: Tls,
}

/// What a collector is spoken to with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over HTTP with protobuf.
    Http,
    /// OTLP over gRPC.
    #[cfg(feature = "otlp-grpc")]
    Grpc,
}

/// Headers of exports, which may be credentials.
#[derive(Clone, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Signal {
    /// What became of its items.
    #[must_use]
    pub fn counts(self, counts: &TelemetryCounts) -> &SignalCounts {
        match self {
            Self::Traces => &counts.traces,
            Self::Metrics => &counts.metrics,
            Self::Logs => &counts.logs,
        }
    }

    /// What variables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
            Self::Logs => "v1/logs",
        }
    }
}

impl Destination {
    /// Where the signal goes; `None` where no endpoint is named for it, or it is switched off.
    pub(super) fn read(
        variables: &Variables,
        signal: Signal,
        flags: &Flags,
    ) -> Result<Option<Self>, SettingsError> {
        let exporter = format!("OTEL_{}_EXPORTER", signal.name());
        match variables.get(&exporter).as_deref() {
            Some("none") => return Ok(None),
            None | Some("otlp") => {}
            Some(_) => return Err(error(&exporter, "write `otlp` or `none`")),
        }
        let lookup = Lookup { variables, signal };
        let Some((endpoint, name, is_base)) = lookup.endpoint(flags) else { return Ok(None) };
        let protocol = lookup.protocol(flags)?;
        let endpoint = checked(&endpoint, &name)?;
        let endpoint = match protocol {
            Protocol::Http if is_base => {
                format!("{}/{}", endpoint.trim_end_matches('/'), signal.path())
            }
            _ => endpoint,
        };
        let timeout = match lookup.named("TIMEOUT") {
            Some((name, _)) => variables.milliseconds(&name, limits::EXPORT_TIMEOUT_MS)?,
            None => Duration::from_millis(limits::EXPORT_TIMEOUT_MS),
        };
        let gzip = match lookup.named("COMPRESSION") {
            None => false,
            Some((name, text)) => match &*text {
                "gzip" => true,
                "none" => false,
                _ => return Err(error(&name, "write `gzip` or `none`")),
            },
        };
        let (headers, tls) = (lookup.headers()?, Tls::read(&lookup)?);
        Ok(Some(Self { endpoint, protocol, headers, timeout, gzip, tls }))
    }
}

/// What is said of one signal: its own variable wins over that of all.
pub(super) struct Lookup<'l> {
    variables: &'l Variables<'l>,
    signal: Signal,
}

impl Lookup<'_> {
    fn names(&self, of: &str) -> [String; 2] {
        let signal = self.signal.name();
        [format!("OTEL_EXPORTER_OTLP_{signal}_{of}"), format!("OTEL_EXPORTER_OTLP_{of}")]
    }

    /// The variable that counts, and what it says.
    pub(super) fn named(&self, of: &str) -> Option<(String, String)> {
        let mut names = self.names(of).into_iter();
        names.find_map(|name| self.variables.get(&name).map(|it| (name, it)))
    }

    /// The endpoint, what names it, and whether the signal's path is to be added.
    fn endpoint(&self, flags: &Flags) -> Option<(String, String, bool)> {
        if let Some(endpoint) = &flags.endpoint {
            return Some((endpoint.clone(), "--otlp-endpoint".to_owned(), true));
        }
        let (name, endpoint) = self.named("ENDPOINT")?;
        let is_base = name == "OTEL_EXPORTER_OTLP_ENDPOINT";
        Some((endpoint, name, is_base))
    }

    fn protocol(&self, flags: &Flags) -> Result<Protocol, SettingsError> {
        let flag = flags.protocol.clone().map(|it| ("--otlp-protocol".to_owned(), it));
        let Some((name, text)) = flag.or_else(|| self.named("PROTOCOL")) else {
            return Ok(Protocol::Http);
        };
        match &*text {
            "http/protobuf" => Ok(Protocol::Http),
            #[cfg(feature = "otlp-grpc")]
            "grpc" => Ok(Protocol::Grpc),
            #[cfg(not(feature = "otlp-grpc"))]
            "grpc" => Err(error(&name, "this program was built without gRPC (`otlp-grpc`)")),
            _ => Err(error(&name, "write `http/protobuf` or `grpc`")),
        }
    }

    fn headers(&self) -> Result<Headers, SettingsError> {
        let [own, all] = self.names("HEADERS");
        let mut headers = header_pairs(self.variables, &all)?;
        for (name, value) in header_pairs(self.variables, &own)? {
            headers.retain(|(it, _)| !it.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        Ok(Headers(headers))
    }
}

/// Headers that say how an export is sent, and so are not for others to set.
const RESERVED: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The headers that one variable names.
fn header_pairs(
    variables: &Variables,
    variable: &str,
) -> Result<Vec<(String, String)>, SettingsError> {
    let pairs = text::pairs(variables, variable)?;
    for (name, value) in &pairs {
        let is_name = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
        if !is_name || http::HeaderValue::from_str(value).is_err() {
            let text = "a name or a value has characters that no header may have";
            return Err(error(variable, text));
        }
        if RESERVED.iter().any(|it| name.eq_ignore_ascii_case(it)) {
            let text = format!("`{}` is set by each export itself", name.to_ascii_lowercase());
            return Err(error(variable, &text));
        }
    }
    Ok(pairs)
}

/// A URL that exports can be sent to.
fn checked(endpoint: &str, name: &str) -> Result<String, SettingsError> {
    let wrong = || error(name, "write a URL, such as http://localhost:4318");
    let uri: Uri = endpoint.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    // The two readers of URLs differ: the one takes ports that there are not, the other mends what
    // is wrong.
    let url = Url::parse(endpoint).map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_more = url.query().is_some() || url.fragment().is_some();
    if !is_http || has_more || uri.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if authority.as_str().contains('@') {
        return Err(error(
            name,
            "a URL with a user or a password shows them; OTEL_EXPORTER_OTLP_HEADERS has a place \
             for credentials: authorization=Basic%20...",
        ));
    }
    Ok(endpoint.to_owned())
}
