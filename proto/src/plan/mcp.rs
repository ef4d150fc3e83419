//! `call: mcp`: which server, over what, in which version of the Model Context Protocol.

use std::fmt;
use std::sync::Arc;

use super::{Duration, Endpoint};
use crate::expression::Template;

/// `call: mcp`
#[derive(Debug)]
pub struct McpCall {
    /// `protocolVersion`; none is the newest that both sides speak.
    pub version: Option<McpVersion>,
    /// `method`
    pub method: Arc<str>,
    /// `parameters`
    pub parameters: Option<Template>,
    /// `timeout`
    pub timeout: Option<Duration>,
    /// `transport`
    pub transport: McpTransport,
    /// `client`, checked in form only.
    pub client: Option<Template>,
}

/// How a server is reached.
#[derive(Debug)]
pub enum McpTransport {
    /// `http`: streamable HTTP.
    Http {
        /// `endpoint`
        endpoint: Box<Endpoint>,
        /// `headers`
        headers: Option<Template>,
    },
    /// `stdio`: a program that is started for the call.
    Stdio {
        /// `command`: a path, or a name that is looked for in `PATH`; no shell reads it.
        command: Template,
        /// `arguments`
        arguments: Option<Template>,
        /// `environment`
        environment: Option<Template>,
    },
}

/// A revision of the protocol, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum McpVersion {
    /// `2024-11-05`
    V2024_11,
    /// `2025-03-26`
    V2025_03,
    /// `2025-06-18`
    V2025_06,
    /// `2025-11-25`: the last with sessions, which begin with `initialize`.
    V2025_11,
    /// `2026-07-28`: without sessions; each request says all about itself.
    V2026_07,
}

impl McpVersion {
    /// All that are spoken, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11, Self::V2025_03, Self::V2025_06, Self::V2025_11, Self::V2026_07];

    /// The newest that is spoken.
    pub const NEWEST: Self = Self::V2026_07;

    /// The newest that is agreed on by `initialize`.
    pub const NEWEST_WITH_SESSION: Self = Self::V2025_11;

    /// As it is written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11 => "2024-11-05",
            Self::V2025_03 => "2025-03-26",
            Self::V2025_06 => "2025-06-18",
            Self::V2025_11 => "2025-11-25",
            Self::V2026_07 => "2026-07-28",
        }
    }

    /// Reads what [`Self::as_str`] writes; none for what is not spoken here.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// True where there are no sessions, and so no `initialize`.
    #[must_use]
    pub fn is_stateless(self) -> bool {
        self > Self::NEWEST_WITH_SESSION
    }
}

impl fmt::Display for McpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
