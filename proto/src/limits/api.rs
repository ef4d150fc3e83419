//! Bounds of the HTTP API: connections, requests and answers.

use super::{INSTANCE_BYTES, PAYLOAD_BYTES};

/// Milliseconds a caller of the API may wait for an outcome: under the idle timeouts common in
/// proxies.
pub const API_WAIT_MS: u64 = 60_000;

/// Milliseconds one API request may take in all: the longest wait, and time to read and answer.
pub const API_REQUEST_MS: u64 = 75_000;

/// Milliseconds that a command without a deadline looks for a server that it has lost: longer than
/// a restart that reads a large journal.
pub const API_RECONNECT_MS: u64 = 300_000;

/// Milliseconds between two looks for a server at most: a person at a terminal sees it come back.
pub const API_RECONNECT_PAUSE_MS: u64 = 2_000;

/// API requests handled at once, without those that wait, watch or operate; past it the answer is
/// 429, while memory still has room.
pub const API_REQUESTS: usize = 1_024;

/// Callers of the API that wait for an outcome at once. Past it the one that has waited longest is
/// told that there is none yet: nobody who waits keeps others from it.
pub const API_WAITS: usize = 2_048;

/// Requests of probes and operators (show, cancel, suspend, resume, log, metrics, readiness) that
/// are handled at once. They have room of their own, as they are what helps when all other room is
/// taken.
pub const API_OPERATORS: usize = 256;

/// Bytes of the directives that say what is logged: some twenty modules, and little enough for an
/// audit event that tells of two of them.
pub const LOG_DIRECTIVES_BYTES: usize = 2_048;

/// Connections of the API open at once, unless configured; fewer where the process may not open
/// that many descriptors. Each takes some ten kilobytes.
pub const API_CONNECTIONS: usize = 8_192;

/// Connections of one client address, unless configured: three quarters of all, as one address may
/// be a proxy or all of this machine.
pub const API_CLIENT_CONNECTIONS: usize = API_CONNECTIONS / 4 * 3;

/// Connections of the port for health and metrics: a few probes and scrapers, each for a moment.
pub const API_ADMIN_CONNECTIONS: usize = 64;

/// Milliseconds between two looks for changed TLS files. Certificates are renewed days before they
/// end; a few seconds are for who waits for a new one to show.
pub const API_TLS_RELOAD_MS: u64 = 2_000;

/// Milliseconds the head of a request may take from its first byte: it is a few hundred bytes.
pub const API_HEAD_MS: u64 = 10_000;

/// Milliseconds the body of a request may take: the largest one at two megabits a second.
pub const API_BODY_MS: u64 = 70_000;

/// Milliseconds without a byte after which a body counts as one that does not come, where
/// connections are short.
pub const API_UNMOVED_MS: u64 = 1_000;

/// Milliseconds a connection stays open without a request. Pools of clients commonly keep one for
/// 90 s, and see that it was closed.
pub const API_IDLE_MS: u64 = 75_000;

/// Bytes of answers that are on their way to clients who may be slow, all together; past it large
/// ones are refused with 429. Room for 16 of the largest payloads.
pub const API_ANSWERS_BYTES: u64 = 16 * PAYLOAD_BYTES as u64;

/// Bytes of an answer that counts as large: smaller ones are bounded by the number of connections.
pub const API_LARGE_ANSWER_BYTES: u64 = 256 << 10;

/// Milliseconds a client may take nothing of an answer that is there for it.
pub const API_STALL_MS: u64 = 30_000;

/// Milliseconds between two looks for connections whose time is over.
pub const API_SWEEP_MS: u64 = 1_000;

/// Milliseconds until the next connection is accepted after one could not be: descriptors that are
/// short now may not be soon, and a loop without a pause would only burn a core.
pub const API_ACCEPT_PAUSE_MS: u64 = 50;

/// Milliseconds a body waits for memory that others hold before the answer is 429.
pub const API_BODY_ROOM_MS: u64 = 2_000;

/// Descriptors kept for all but connections of the API, at least and at most; a quarter of what
/// there are in between: the journal, the bus, workers' connections and processes.
pub const RESERVED_DESCRIPTORS: (usize, usize) = (64, 4_096);

/// Bytes of request bodies held at once, over all requests: sixteen of the largest.
pub const API_BODY_BYTES: usize = 16 * PAYLOAD_BYTES;

/// Clients that watch instances at once; each holds a connection and a few kilobytes.
pub const API_WATCHERS: usize = 1_024;

/// Milliseconds between keep-alive comments of a watch: proxies drop silent connections after 30 s
/// or more.
pub const API_KEEP_ALIVE_MS: u64 = 15_000;

/// Milliseconds that requests under way may take to end when the server stops.
pub const API_DRAIN_MS: u64 = 10_000;

/// Bytes of values after which a page of a history ends: a page is held in memory by the server and
/// by who reads it.
pub const HISTORY_BYTES: u64 = 4 << 20;

/// Instances that are read from the journal at a time to be shown: each may hold
/// [`INSTANCE_BYTES`], and decoding then takes a processor for a tenth of a second. Others wait.
pub const INSTANCE_READS: usize = 2;

/// Facts that a page of a history reads over without a thought: about a millisecond. To spare more,
/// states are kept, and snapshots read.
pub const HISTORY_STATE_FACTS: u64 = 1_000;

/// States that pages of histories leave for the pages after them: one for each of that many who
/// read a long history at the same time.
pub const HISTORY_STATES: usize = 64;

/// Of those, states of one instance: where a few readers of it stand.
pub const HISTORY_STATES_EACH: usize = 4;

/// Bytes of all those states, what several share counted for each: the largest instance fits.
pub const HISTORY_STATES_BYTES: u64 = INSTANCE_BYTES;

/// Entries of one page of a list or a history; the answer stays within what a client can hold.
pub const API_PAGE: usize = 1_000;

/// Events of one batch: they are decided one after the other within one request.
pub const API_EVENT_BATCH: usize = 1_000;

/// Events of one batch that are handed over before any of them is waited for: they share a write of
/// the journal, and events of others need not wait for the whole batch.
pub const API_EVENTS_TOGETHER: usize = 64;

/// Milliseconds that callers are told to wait when too much work is open.
pub const RETRY_AFTER_MS: u64 = 1_000;

/// Tasks that the view of an instance shows: a view is for people. Nobody reads more, and a wide
/// fork has thousands.
pub const VIEW_TASKS: usize = 200;

/// Bytes that one permit of a budget of bytes stands for: a semaphore counts to 2^29 on small
/// machines, and takes permits by a number of 32 bits.
pub const PERMIT_BYTES: usize = 1 << 10;

/// Bytes of an answer handed to the connection at a time; it asks for more when it has sent most of
/// them.
pub const API_PIECE_BYTES: usize = 64 << 10;

/// Milliseconds that callers are told to wait while the disk is full: people have to do something
/// about it.
pub const ROOM_AGAIN_MS: u64 = 10_000;

/// Pairs of the query of one request at most: more are a mistake or an attack.
pub const API_QUERY_PAIRS: usize = 128;

/// Entries of a page where the caller does not say.
pub const API_PAGE_USUAL: usize = 100;

/// Characters of an operator's reason that are kept.
pub const REASON_CHARACTERS: usize = 1_000;

/// Milliseconds that the journal may take to show that it answers before the server counts as not
/// ready.
pub const API_READY_MS: u64 = 2_000;

/// Bytes of the id that a caller gives a request: kept in the audit trail with what it changed.
pub const REQUEST_ID_BYTES: usize = 128;

/// Conditions of one filter: far more than anybody writes, each a look into every segment.
pub const FILTER_CONDITIONS: usize = 64;

/// Bytes of one filter: it is kept with a bulk job and told in the audit trail.
pub const FILTER_BYTES: usize = 2_048;
