//! Bounds of what workers do: calls, processes, fetched documents.

/// Milliseconds that a `Retry-After` holds a retry back at most: what others say may not stop a
/// workflow for days, and limits of services are mostly by the hour.
pub const RETRY_AFTER_MOST_MS: u64 = 3_600_000;

/// Bytes of an HTTP response a call reads.
pub const RESPONSE_BYTES: usize = 10 << 20;

/// Values in a body of many (JSON Lines, event streams): each takes more memory than its two bytes.
pub const RESPONSE_RECORDS: usize = 100_000;

/// Bytes of standard output or standard error kept of a process.
pub const PROCESS_OUTPUT_BYTES: usize = 4 << 20;

/// Milliseconds to establish a connection.
pub const CONNECT_TIMEOUT_MS: u64 = 10_000;

/// Milliseconds a call may take where the task sets no timeout.
pub const CALL_TIMEOUT_MS: u64 = 300_000;

/// Redirects followed by one call, as browsers and curl bound them.
pub const REDIRECTS: usize = 10;

/// Milliseconds a process may run where the task sets no timeout: long batch work fits, a forgotten
/// process does not stay for ever.
pub const PROCESS_TIMEOUT_MS: u64 = 3_600_000;

/// Milliseconds between asking a process to end and killing it.
pub const PROCESS_GRACE_MS: u64 = 5_000;

/// Seconds of processor time that one process of a task may take unless the worker is told another
/// number: those of all its threads add up, so it is far more than a task takes that does not spin.
pub const PROCESS_CPU_S: u64 = 86_400;

/// Seconds between the signal that says that the processor time is over (SIGXCPU) and SIGKILL.
pub const PROCESS_CPU_GRACE_S: u64 = 5;

/// Bytes of memory of its own (`RLIMIT_DATA`) that one process of a task may have unless the worker
/// is told another number: interpreters with large data fit, a leak does not take the machine.
pub const PROCESS_MEMORY_BYTES: u64 = 4 << 30;

/// The least of it: with less no interpreter starts, nor does what watches the process.
pub const PROCESS_MEMORY_LEAST: u64 = 32 << 20;

/// Processes and threads that one task may have in its sandbox unless the worker is told another
/// number: builds and thread pools fit, a fork bomb does not.
pub const PROCESS_COUNT: u64 = 256;

/// Bytes of a file that a process of a task may write unless the worker is told another number: an
/// archive fits, an endless log does not.
pub const PROCESS_FILE_BYTES: u64 = 16 << 30;

/// The least of it: what makes a sandbox writes its own options.
pub const PROCESS_FILE_LEAST: u64 = 64 << 10;

/// Files that one process of a task may have open.
pub const PROCESS_OPEN_FILES: u64 = 4_096;

/// Bytes of the `/tmp` that one task has to itself in its sandbox, and of its `/var/tmp`: they are
/// memory.
pub const SANDBOX_TMP_BYTES: u64 = 256 << 20;

/// Bytes of shared memory (`/dev/shm`) in a sandbox, as containers have.
pub const SANDBOX_SHM_BYTES: u64 = 64 << 20;

/// Bytes of the empty folders that stand in for hidden ones, which nothing is written to.
pub const SANDBOX_HIDDEN_BYTES: u64 = 64 << 10;

/// Milliseconds that a sandbox may take to be there: a start takes some, a machine that is busy
/// with others more.
pub const SANDBOX_START_MS: u64 = 10_000;

/// Bytes of what the program that makes a sandbox says of how it went: it says a line or two.
pub const SANDBOX_STATUS_BYTES: usize = 4_096;

/// Bytes of a response body or of standard error that an error's detail shows.
pub const EXCERPT_BYTES: usize = 512;

/// Access tokens a worker keeps: one for each policy and set of credentials in use.
pub const CACHED_TOKENS: usize = 1_000;

/// Milliseconds before its expiry from which an access token is not used any more, or from the half
/// of a life that is shorter than twice as long.
pub const TOKEN_SKEW_MS: u64 = 30_000;

/// The part of the time an access token is used, at its end, in which a new one is asked for: one
/// that is slow to come, or does not, holds nobody up.
pub const TOKEN_RENEWAL_PART: u32 = 5;

/// Milliseconds before somebody tries again to replace an access token that is still good.
pub const TOKEN_RETRY_MS: u64 = 10_000;

/// Milliseconds an access token is kept at most, whatever its lifetime.
pub const ACCESS_TOKEN_KEPT_MS: u64 = 24 * 3_600_000;

/// HTTP clients that show a certificate, which a worker keeps: one for each certificate in use.
pub const CLIENT_IDENTITIES: usize = 64;

/// Milliseconds such a client is kept before it is made anew.
pub const CLIENT_IDENTITY_MS: u64 = 600_000;

/// Bytes of a document (schema, OpenAPI description, script) fetched from elsewhere.
pub const RESOURCE_BYTES: usize = 4 << 20;

/// Bytes of a description of an interface (OpenAPI): GitHub's has 13 MB. It is not parsed whole.
pub const OPENAPI_BYTES: usize = 64 << 20;

/// Documents that one description of an interface may refer to, as far as a call needs them.
pub const OPENAPI_DOCUMENTS: usize = 64;

/// Bytes of fetched documents a worker keeps, all together.
pub const CACHED_RESOURCE_BYTES: usize = 256 << 20;

/// Fetched documents a worker keeps.
pub const CACHED_RESOURCES: usize = 64;

/// Milliseconds a fetched document is used before it is asked for again.
pub const RESOURCE_FRESH_MS: u64 = 60_000;

/// Most calls that a limit of the calls to a host may speak of: more is no limit for one worker.
pub const CALL_LIMIT_CALLS: usize = 1_000_000;

/// Idle connections kept to one host: what a busy worker reuses, without hoarding descriptors.
pub const IDLE_CONNECTIONS: usize = 64;

/// Milliseconds a connection to one host may be idle before it is closed: less than the 5 s after
/// which common servers (uvicorn, Node.js) close theirs, so that few requests meet a server that
/// hangs up.
pub const IDLE_CONNECTION_MS: u64 = 4_000;

/// Connections that are remembered because they have carried an answer: as many as a busy worker
/// has open within [`IDLE_CONNECTION_MS`].
pub const KNOWN_CONNECTIONS: usize = 10_000;

/// Milliseconds between two looks for descendants of a task's program that do not go.
pub const DESCENDANTS_LOOK_MS: u64 = 10;

/// Milliseconds that output may still arrive after a process and its group are gone.
pub const PROCESS_LAST_OUTPUT_MS: u64 = 1_000;

/// Ids of operations that a message shows.
pub const OPENAPI_SHOWN: usize = 20;

/// Parts of a schema (`allOf`, references, …) that are looked at for one property.
pub const OPENAPI_SCHEMA_PARTS: usize = 256;

/// References followed from one place of a description: more than that is a circle.
pub const OPENAPI_REFERENCES: usize = 16;

/// Bytes at the beginning of XML or HTML in which it says what charset it has.
pub const CHARSET_DECLARATION_BYTES: usize = 1_024;

/// Sources of sources of a function's error that are told: more are a circle.
pub const ERROR_SOURCES: usize = 16;

/// Seconds a client assertion is good for: the time of one request, with room for clocks that
/// differ.
pub const CLIENT_ASSERTION_S: i64 = 300;

/// Seconds that an access token is kept whose server does not say how long it lives.
pub const TOKEN_LIFE_S: u64 = 60;

/// Milliseconds for a message to a server of which no answer is awaited: that a call is over.
pub const ERRAND_MS: u64 = 5_000;

/// MCP servers that a worker remembers to keep no sessions: one for each endpoint in use.
pub const KNOWN_MCP_SERVERS: usize = 1_000;

/// Milliseconds that is remembered: a server that is replaced by an older one is asked anew after.
pub const MCP_SERVER_KNOWN_MS: u64 = 300_000;

/// Milliseconds that an MCP server over stdio has to say whether it keeps sessions before it is
/// taken for one that is silent until there is one. It may still say so later: it may have to be
/// fetched first.
pub const MCP_DISCOVER_MS: u64 = 10_000;

/// Milliseconds that an MCP server over stdio has to end by itself when its input is closed.
pub const MCP_END_MS: u64 = 2_000;

/// Messages to an MCP server over stdio that it has not read: a call has a handful, the rest are
/// answers to what the server asks, which it may do without reading any.
pub const MCP_UNREAD_MESSAGES: usize = 64;

/// Bytes of the standard error of an MCP server that are kept, its last ones.
pub const MCP_STDERR_BYTES: usize = 8 << 10;

/// Milliseconds between two connections to an event stream that ends before it has the answer,
/// where the server does not say, and the bounds of what it may say.
pub const STREAM_AGAIN_MS: u64 = 1_000;

/// The least such time, so that a server cannot make a worker ask without pause.
pub const STREAM_AGAIN_LEAST_MS: u64 = 100;

/// The most such time.
pub const STREAM_AGAIN_MOST_MS: u64 = 60_000;

/// Pages of the list of tools that are asked for to find one.
pub const MCP_TOOL_PAGES: usize = 100;

/// Levels of a tool's arguments that are looked through for what is repeated in headers.
pub const MCP_PARAMETER_LEVELS: usize = 16;

/// A2A agents that a worker remembers to speak an older version, of those called without a card.
pub const KNOWN_A2A_AGENTS: usize = 1_000;

/// Milliseconds that is remembered: until then a newer one that has taken its place is asked in
/// vain first.
pub const A2A_AGENT_KNOWN_MS: u64 = 300_000;

/// Milliseconds between two looks at a task that another delivery has begun.
pub const A2A_POLL_MS: u64 = 1_000;

/// Tasks of an agent that are listed at a time to find one: what it gives when nobody asks for a
/// number.
pub const A2A_TASK_PAGE: i64 = 50;

/// Pages of them, the latest first: one that is not among them is long over.
pub const A2A_TASK_PAGES: usize = 20;

/// Milliseconds that an authorization server has to answer a request for a token: all attempts that
/// need the same one wait for it.
pub const TOKEN_REQUEST_MS: u64 = 10_000;
