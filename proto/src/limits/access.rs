//! Who may reach the API, and how they prove who they are.

/// Bytes of `auth.toml`: some thousand grants.
pub const ACCESS_BYTES: usize = 1 << 20;

/// Grants, tokens and roles in `auth.toml`, each: every request of a person not seen before goes
/// through the grants.
pub const ACCESS_RULES: usize = 10_000;

/// Identity providers in `auth.toml`: companies have a few, and one for each CI.
pub const ACCESS_ISSUERS: usize = 32;

/// Bytes of one pattern, of one name in `auth.toml`, and of a subject or a group that a provider
/// tells: a distinguished name has a few hundred.
pub const ACCESS_NAME_BYTES: usize = 1_024;

/// Patterns of one grant.
pub const ACCESS_PATTERNS: usize = 256;

/// Groups of one person that count: directories have hundreds.
pub const ACCESS_GROUPS: usize = 1_024;

/// Bytes of the credential that a request shows: tokens with many groups have some kilobytes, and
/// the head of a request has a bound of its own.
pub const ACCESS_CREDENTIAL_BYTES: usize = 16 << 10;

/// Credentials that are remembered as verified, of one kilobyte or so each.
pub const ACCESS_REMEMBERED: usize = 4_096;

/// Milliseconds that a verified token is remembered, when it does not end before: a key that its
/// provider withdrew counts no longer.
pub const ACCESS_REMEMBERED_MS: u64 = 300_000;

/// Seconds by which the clocks of a provider and of this machine may differ.
pub const ACCESS_CLOCK_SKEW_S: u64 = 60;

/// Milliseconds between two looks for a changed `auth.toml`: as for certificates, a few seconds are
/// for who waits for it.
pub const ACCESS_RELOAD_MS: u64 = 2_000;

/// Milliseconds that asking a provider for its keys may take, each of the two requests.
pub const ACCESS_FETCH_MS: u64 = 5_000;

/// Bytes of a provider's answer: a set of keys has a few kilobytes.
pub const ACCESS_FETCH_BYTES: usize = 1 << 20;

/// Milliseconds after which a provider's keys are asked for again, in use or not: what it withdrew
/// counts no longer then.
pub const ACCESS_KEYS_MS: u64 = 600_000;

/// Milliseconds between two questions for keys because of a key that is not known, or after a
/// failure: whoever sends made-up tokens causes no more of them.
pub const ACCESS_KEYS_AGAIN_MS: u64 = 10_000;

/// Milliseconds for which keys count whose provider does not answer: a day without it should stop
/// nobody's work, and a key that is withdrawn meanwhile should not count for ever.
pub const ACCESS_KEYS_STALE_MS: u64 = 24 * 3_600_000;

/// Tokens of the server's own that are kept.
pub const ACCESS_TOKENS: usize = 10_000;

/// Characters of a token's name.
pub const ACCESS_TOKEN_NAME: usize = 128;

/// Longest life of a token of the server's own, in milliseconds: five years. One that must last
/// longer belongs into `auth.toml`, where it is seen.
pub const ACCESS_TOKEN_LIFE_MS: u64 = 5 * 366 * 24 * 3_600_000;

/// Milliseconds between two times that the last use of tokens is written down, when they were used.
pub const ACCESS_LAST_USE_MS: u64 = 60_000;

/// Milliseconds within which a watch ends whose token was revoked, or has ended.
pub const ACCESS_WATCH_MS: u64 = 1_000;

/// Milliseconds for which refusals are counted together.
pub const ACCESS_REFUSALS_MS: u64 = 60_000;

/// Random bytes of a token: no list of guesses gets near it, so that a plain hash keeps it.
pub const ACCESS_TOKEN_BYTES: usize = 32;

/// Failed authentications and denials that are told to the audit trail in a minute: past it they
/// are counted and told together, so that whoever reaches the port does not fill the disk.
pub const ACCESS_REFUSALS_TOLD: u64 = 120;

/// Types of published events that an audit event names.
pub const AUDIT_EVENT_TYPES: usize = 8;

/// Bytes of what a provider answers the command line: a token, or why there is none.
pub const LOGIN_ANSWER_BYTES: usize = 256 << 10;

/// Milliseconds that a provider may take to answer the command line.
pub const LOGIN_REQUEST_MS: u64 = 30_000;

/// Seconds between two questions whether somebody has logged in, where the provider does not say,
/// and by how much it is more when it says that this is too often (RFC 8628).
pub const LOGIN_INTERVAL_S: u64 = 5;

/// Seconds that somebody has to log in at most, whatever the provider says.
pub const LOGIN_PATIENCE_S: u64 = 1_800;

/// Milliseconds before its end that a token is renewed: a request with it is on its way by then.
pub const LOGIN_REFRESH_EARLY_MS: u64 = 60_000;

/// Milliseconds that a process waits for another one that renews the same token: as long as the
/// provider may take, and a little.
pub const LOGIN_LOCK_MS: u64 = LOGIN_REQUEST_MS + 5_000;

/// Milliseconds between two looks at whether it is done.
pub const LOGIN_LOCK_AGAIN_MS: u64 = 50;

/// Connections at once to the port that a browser comes back to: it opens some in advance.
pub const LOGIN_CONNECTIONS: usize = 32;

/// Milliseconds that such a connection may take to say what it wants, and to take the answer.
pub const LOGIN_CALLBACK_MS: u64 = 10_000;

/// Bytes of what it may say: a code, a state, and what browsers say of themselves.
pub const LOGIN_CALLBACK_BYTES: usize = 32 << 10;

/// Characters of a part of an audit event that whoever acts chooses: three of them and what else is
/// told fit into one.
pub const AUDIT_PART_CHARACTERS: usize = 512;
