//! Bounds of a cluster: the log, leases, and those who follow.

/// Milliseconds for which a leader is not asked whether it lives, by default: a standby takes over
/// that much after a leader is killed. Less is lost to a pause of the scheduler on a busy machine.
pub const CLUSTER_LEASE_MS: u64 = 2_000;

/// The shortest lease that can be asked for: the server looks for what is over only so often.
pub const CLUSTER_LEASE_LEAST_MS: u64 = 500;

/// The longest: longer, and nobody would call it failover.
pub const CLUSTER_LEASE_MOST_MS: u64 = 60_000;

/// Milliseconds that one request to the log waits for its answer before it is looked at whether it
/// came to pass: many times what an append takes, and less than an election of the stream.
pub const CLUSTER_REQUEST_MS: u64 = 1_000;

/// Milliseconds between two tries of an append, or of a look at the log, that failed.
pub const CLUSTER_RETRY_MS: u64 = 100;

/// Milliseconds after which an append that is under way counts as stalled: new work is refused from
/// then on. An election of the stream takes longer, and clients are better off when they know.
pub const CLUSTER_STALLED_MS: u64 = 2_000;

/// Milliseconds beyond a lease after which a leader that could not renew it takes nothing more up,
/// also where nothing is under way that would stall. A busy machine may be late by a second or two.
pub const CLUSTER_UNHEARD_MS: u64 = 5_000;

/// Milliseconds after which who was refused for want of the log, or of a leader, is asked to try
/// again.
pub const CLUSTER_AGAIN_MS: u64 = 1_000;

/// Milliseconds that a leader which stops gives to an append that is under way.
pub const CLUSTER_STOP_MS: u64 = 5_000;

/// Bytes of one entry of the log at most, unpacked: larger than any group of commits can be.
pub const CLUSTER_ENTRY_BYTES: usize = 256 << 20;

/// Bytes of a part of an entry at most: more in one message makes others wait behind it, and the
/// servers advise against it.
pub const CLUSTER_PART_BYTES: usize = 512 << 10;

/// Bytes that the server's own bound on a message is more than a part: header and protocol.
pub const CLUSTER_PART_ROOM_BYTES: usize = 4 << 10;

/// Bytes of the last messages that a leader keeps, for a log that loses its end.
pub const CLUSTER_RECENT_BYTES: usize = 16 << 20;

/// Bytes of records in one entry of a snapshot.
pub const CLUSTER_SNAPSHOT_BYTES: usize = 256 << 10;

/// Entries that who follows applies in one write: a group of groups, so that a standby that is
/// behind catches up faster than the leader writes.
pub const CLUSTER_APPLY_ENTRIES: usize = 64;

/// Bytes of entries that it applies in one write: what fits the write-ahead log.
pub const CLUSTER_APPLY_BYTES: usize = 1 << 20;

/// Entries that are read ahead of what is applied.
pub const CLUSTER_READ_AHEAD: i64 = 256;

/// Bytes of them: several of the largest parts, and memory that a standby has.
pub const CLUSTER_READ_AHEAD_BYTES: i64 = 16 << 20;

/// Milliseconds that a candidate reads on for the end of the log before it gives its lease back.
pub const CLUSTER_CATCH_UP_MS: u64 = 60_000;

/// Times that a candidate tries to append its epoch while others append.
pub const CLUSTER_EPOCH_TRIES: usize = 16;

/// Milliseconds between two looks of a leader for files beside the journal that have changed.
pub const CLUSTER_FILES_MS: u64 = 500;

/// Bytes of a file beside the journal that goes through the log.
pub const CLUSTER_FILE_BYTES: u64 = 16 << 20;

/// Bytes of the address that a coordinator advertises: what fits a message beside the rest.
pub const ADVERTISE_BYTES: usize = 512;

/// Coordinators that `windlass cluster status` shows.
pub const CLUSTER_MEMBERS: usize = 64;

/// Bytes of what a coordinator says of itself: an address and some numbers.
pub const CLUSTER_MEMBER_BYTES: usize = 4 << 10;

/// Milliseconds that `windlass cluster status` waits for all its answers at most.
pub const CLUSTER_STATUS_MS: u64 = 5_000;

/// Milliseconds that a request waits at a standby for somebody who leads: a lease and a takeover.
/// Longer, and clients and proxies would have given up.
pub const CLUSTER_ELECTION_MS: u64 = 4_000;

/// Milliseconds after the last leader was seen for which a standby still says that it is ready:
/// requests wait for the next leader meanwhile, and who balances load need not act on a failover.
pub const CLUSTER_READY_MS: u64 = 10_000;

/// Bytes of a frame of a pipe between two coordinators.
pub const CLUSTER_PIPE_FRAME_BYTES: usize = 32 << 10;

/// Bytes that may be on their way in a pipe in one direction, unread: some frames, so that a large
/// body moves on while credit comes back.
pub const CLUSTER_PIPE_WINDOW_BYTES: usize = 256 << 10;

/// What a frame of a pipe counts at least of those: its share of queues and headers.
pub const CLUSTER_PIPE_FRAME_LEAST_BYTES: usize = 256;

/// Frames of a pipe that may wait to be read: what the window has room for, and some that have no
/// bytes, such as those that give credit.
pub const CLUSTER_PIPE_FRAMES: usize =
    CLUSTER_PIPE_WINDOW_BYTES / CLUSTER_PIPE_FRAME_LEAST_BYTES + 64;

/// Milliseconds of silence after which the other end of a pipe is asked whether it is there. The
/// bus says at once where its process is gone.
pub const CLUSTER_PIPE_PING_MS: u64 = 1_000;

/// Milliseconds of silence after which a pipe is given up: the other end stands still, or its
/// machine is lost.
pub const CLUSTER_PIPE_SILENT_MS: u64 = 6_000;

/// Pipes that may be about to open at a leader: each has a second to say what it is for.
pub const CLUSTER_PIPES_OPENING: usize = 1_024;

/// Requests that were passed on and wait to be taken up, which is done at once.
pub const CLUSTER_PASSED: usize = 1_024;

/// Bytes of what a standby tells of who sends a request: an address and a certificate.
pub const CLUSTER_CLIENT_BYTES: usize = 64 << 10;

/// Looks at a lease until it shows what was just heard of it.
pub const CLUSTER_LOOKS: usize = 5;

/// Milliseconds between two of them: what a stream takes to have a message that others have heard.
pub const CLUSTER_LOOK_MS: u64 = 10;

/// Messages in a row that are not of the cluster and are passed over, where they have to be looked
/// at one by one: some seconds' worth.
pub const CLUSTER_JUNK: usize = 4_096;

/// Milliseconds between two lines that tell of them: whoever publishes does not fill a log.
pub const CLUSTER_JUNK_TOLD_MS: u64 = 60_000;
