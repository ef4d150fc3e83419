//! Bounds of the journal: commits, disk, retention, backups, checks.

/// Bytes of commits that wait for the disk at most, over all partitions; one that is larger goes
/// alone.
pub const COMMIT_QUEUE_BYTES: usize = 4 << 20;

/// Records that one write of the journal takes together: beyond some hundred a group only gets
/// slower, not cheaper.
pub const GROUP_RECORDS: usize = 256;

/// Bytes of facts and snapshots after which a group of commits takes no more: a few milliseconds
/// of writing. A single commit may be larger.
pub const GROUP_BYTES: usize = 1 << 20;

/// Instances one call of a list looks at: some tens of milliseconds. A filter that matches little
/// takes several calls.
pub const LIST_SCAN: usize = 20_000;

/// Instances of a segment of the search index. Larger ones make a search of a million instances
/// faster and leave more recent ones, whose heads are read for each search, before them.
pub const SEARCH_SEGMENT: usize = 512;

/// Instances that one record keeps for the search index until they are in a segment, at most.
pub const SEARCH_ARRIVALS: usize = 128;

/// Segments one call of a search looks at: 16 million instances, some hundred milliseconds.
pub const SEARCH_SEGMENTS: usize = 32_000;

/// Heads one call reads to count: of instances that have not ended, where that matters. Some
/// hundred milliseconds.
pub const COUNT_SCAN: usize = 50_000;

/// Segments one round of indexing looks at to see whether they are to be made anew.
pub const SEARCH_REFRESHES: usize = 64;

/// Milliseconds between two such rounds while nothing is started.
pub const SEARCH_REFRESH_MS: u64 = 60_000;

/// A segment is made anew when one in so many of those that were open has ended: more often costs
/// more than it saves.
pub const SEARCH_REFRESH_SHARE: usize = 4;

/// Records one round of retention looks at, so that a large journal is gone through in many short
/// rounds.
pub const RETENTION_SCAN: usize = 50_000;

/// Bytes of changes that wait for a backup to take them: a backup that falls behind this far fails,
/// commits never wait for it.
pub const BACKUP_BEHIND_BYTES: usize = 64 << 20;

/// Bytes of pages the journal keeps in memory by default: a process that only wrote, 300,000
/// instances of five steps, then took 101 MB. Ended instances that are kept fill it, by as much as
/// they take on the disk (some 60 bytes of a small one), which looks like a leak up to the second
/// million; from then on one takes 2 to 4 bytes, which are sled's table of its pages. A journal
/// alone took 126 MB after 1.5 million and 134 MB after 3.5 million; with 16 MiB of pages, 48 MB
/// after 0.45 million and 52 MB after 1.5 million. (`bench` itself keeps 4 to 8 bytes a
/// workflow for its latencies.)
pub const JOURNAL_CACHE_BYTES: u64 = 128 << 20;

/// Bytes free on the journal's disk below which nothing new is taken up: what is under way, and
/// what other programs write meanwhile, needs some.
pub const DISK_LOW_BYTES: u64 = 64 << 20;

/// Bytes free from which work goes on after that: more, so that it does not stop again at once.
pub const DISK_AGAIN_BYTES: u64 = 96 << 20;

/// Bytes past its end that the journal keeps for itself, filled up again at half: a disk that
/// others fill at one stroke must still take what is being committed at that moment, and what
/// operators do about it.
pub const DISK_RESERVED_BYTES: u64 = 32 << 20;

/// Bytes of that reserve which operators' requests leave: what was under way may still need them.
pub const DISK_RESERVE_LEFT_BYTES: u64 = 8 << 20;

/// Operators' requests that a partition takes at a time while the disk is full, each time waiting
/// until they are durable: a few hundred KiB, so that the reserve is never overdrawn.
pub const OPERATED_AT_ONCE: usize = 64;

/// Milliseconds between looks at the free space of the journal's disk.
pub const DISK_LOOK_MS: u64 = 20;

/// Bytes of each half of the journal's write-ahead log. One half gathers what is written while the
/// other one is moved to the store: under full load, a third of a second's. What waits in both must
/// fit, as the store writes it, into what is left of [`DISK_RESERVED_BYTES`].
pub const JOURNAL_WAL_HALF_BYTES: usize = 2 << 20;

/// Bytes of a group of commits beyond which it goes to the store at once: it would be written
/// twice, and what it gathers is enough for one write.
pub const JOURNAL_WAL_GROUP_BYTES: usize = 256 << 10;

/// Bytes of a text in facts from which on it is not copied on its way to the journal: less is not
/// worth an allocation and a search.
pub const FACT_TEXT_SHARED_BYTES: usize = 64 << 10;

/// Bytes of encoded facts that lie in one piece, roughly: one that grew without bound would be
/// moved as it does.
pub const FACT_PIECE_BYTES: usize = 64 << 10;

/// Bytes that the facts of most turns take: room for them is made at once.
pub const FACT_USUAL_BYTES: usize = 256;

/// Bytes of a larger group that the store is given before it has to write them: it would keep all
/// of it in memory a second time.
pub const JOURNAL_AHEAD_BYTES: usize = 1 << 20;

/// Milliseconds by which what the journal's witness says may reach the disk later than the journal:
/// what a machine that loses its power may lose of the proof that nothing was lost.
pub const WITNESS_SYNC_MS: u64 = 50;

/// Records up to which a journal is added up before it counts as open, to see that none is missing:
/// some hundred milliseconds. A larger one is added up while work goes on already.
pub const VERIFY_AT_OPEN_RECORDS: u64 = 100_000;

/// Records that are added up at a time while commits wait: a millisecond or so.
pub const VERIFY_AT_ONCE: usize = 1_000;

/// Milliseconds a journal may take to open by default. One of 3 GB that was not closed took 7 s.
pub const JOURNAL_OPEN_MS: u64 = 300_000;

/// Batches that wait for the committer at most: with this many the partitions wait for the disk.
pub const COMMIT_QUEUE: usize = 16;

/// Microseconds left to commits between two steps of adding a journal up.
pub const VERIFY_PAUSE_US: u64 = 200;

/// Milliseconds between two looks for what retention can remove. Nobody notices a minute on a time
/// of days.
pub const RETENTION_MS: u64 = 60_000;

/// Milliseconds before the first such look after a start: partitions take up what was open first.
pub const RETENTION_FIRST_MS: u64 = 1_000;

/// Definitions of which retention keeps in mind how long they want instances kept: a hundred bytes
/// each.
pub const RETENTION_DEFINITIONS: usize = 10_000;

/// Entries of a history that archiving an instance reads at a time.
pub const ARCHIVE_PAGE: usize = 1_000;

/// Instances that retention removes in one go: commits wait meanwhile, so few enough to take
/// milliseconds.
pub const RETENTION_INSTANCES: usize = 200;

/// Such goes in one round at most: about what a busy minute adds, many times over.
pub const RETENTION_GOES: usize = 5_000;

/// Milliseconds between two tries to delete an instance whose end is on its way to the disk, or to
/// its parent.
pub const REMOVAL_AGAIN_MS: u64 = 20;

/// Such tries: two seconds, which is long for either.
pub const REMOVAL_TRIES: u32 = 100;

/// Changes that retention writes in one batch.
pub const RETENTION_CHANGES: usize = 1_000;

/// Instances that retention removes at a time while commits wait.
pub const RETENTION_EXCLUSIVE: usize = 100;

/// Records that a backup reads at a time.
pub const BACKUP_PAGE: usize = 256;

/// Bytes of one frame of a backup that a reader accepts: a page of records, or of one group of
/// commits, is far smaller.
pub const BACKUP_FRAME_BYTES: usize = 256 << 20;

/// Records of a piece of a backup on average, where they are small: some hundred KiB, so that one
/// that changes has little written anew, and a journal of a hundred million records has a hundred
/// thousand pieces.
pub const BACKUP_PIECE_RECORDS: u32 = 1_024;

/// Bytes from which a piece of a backup is cut whatever its records are: it is in memory some times
/// over.
pub const BACKUP_PIECE_BYTES: usize = 4 << 20;

/// Bytes of an object of a backup at most: a piece, with the record that ended it. A reader takes
/// no more into memory at once.
pub const BACKUP_OBJECT_BYTES: u64 = 16 << 20;

/// Bytes that sealing and packing may add to what is packed badly: a part in 255, a nonce, a tag.
pub const BACKUP_SEAL_BYTES: u64 = 1 << 20;

/// Bytes of a manifest at most: of a million objects, a terabyte or so.
pub const BACKUP_MANIFEST_BYTES: u64 = 256 << 20;

/// Bytes of what a place of backups says of itself.
pub const BACKUP_HEADER_BYTES: u64 = 64 << 10;

/// Bytes of a passphrase at most.
pub const BACKUP_PASSPHRASE_BYTES: u64 = 1_024;

/// Bytes of a passphrase at least: fewer are guessed, whatever each guess costs.
pub const BACKUP_PASSPHRASE_LEAST: usize = 12;

/// scrypt's cost for a passphrase, the logarithm of N: with r = 8 a guess takes 32 MiB and a tenth
/// of a second, and so does opening a backup.
pub const BACKUP_SCRYPT_LOG_N: u8 = 15;

/// scrypt's block size.
pub const BACKUP_SCRYPT_R: u32 = 8;

/// scrypt's parallelism: what OWASP recommends for that cost.
pub const BACKUP_SCRYPT_P: u32 = 3;

/// Frames of a backup that wait for their reader: few, as each may have some MiB.
pub const BACKUP_STREAM_FRAMES: usize = 2;

/// Milliseconds that a backup waits for whoever reads it: what is written meanwhile waits in
/// memory.
pub const BACKUP_STALLED_MS: u64 = 60_000;

/// Milliseconds that a directory of backups is waited for while another process has it: its
/// retention, or a look at it.
pub const BACKUP_LOCK_MS: u64 = 10_000;

/// Milliseconds between two looks whether it is free.
pub const BACKUP_LOCK_AGAIN_MS: u64 = 50;

/// Milliseconds between two looks whether a backup is due.
pub const BACKUP_LOOK_MS: u64 = 10_000;

/// Milliseconds after which a scheduled backup that failed is tried again: what was in its way,
/// such as another one that is being taken, may pass.
pub const BACKUP_AGAIN_MS: u64 = 300_000;

/// Changes applied at a time when a backup is restored.
pub const RESTORE_CHANGES: usize = 1_000;

/// Heads that a list reads ahead of one partition at a time.
pub const LIST_READ_AHEAD: usize = 128;

/// Times that a large record which changes while it is read is read again. Large records change
/// with a commit of their instance, so the second time nearly always succeeds.
pub const READ_ATTEMPTS: usize = 16;

/// Milliseconds between two tries to open a store that this process has just closed.
pub const STORE_CLOSING_PAUSE_MS: u64 = 10;

/// Such tries: two seconds, for a thread that ends.
pub const STORE_CLOSING_TRIES: usize = 200;

/// Bytes of the journal's witness that are read at most: that of 65,536 partitions.
pub const WITNESS_BYTES: u64 = 8 << 20;

/// Records that salvaging writes at a time.
pub const SALVAGE_RECORDS: usize = 1_000;

/// Halvings of a range that cannot be read, to find what can within it.
pub const SALVAGE_HALVINGS: u32 = 8;

/// Instances named in a report of what was salvaged.
pub const SALVAGE_NAMED: usize = 1_000;

/// Lines of damage that a check of a journal keeps: more would not help anyone.
pub const CHECK_LINES: usize = 1_000;

/// Instances that are gone which such a check names.
pub const CHECK_GONE: usize = 1_000;

/// Records that such a check reads at a time.
pub const CHECK_PAGE: usize = 512;

/// Records of facts read at once: each may hold one of the largest payloads.
pub const FACT_RECORDS: usize = 8;

/// Lines of a report of impossible facts at most.
pub const REPLAY_LINES: usize = 1_000;

/// Instances that such a report lists at once.
pub const REPLAY_PAGE: usize = 256;

/// Milliseconds between two looks of a partition for room while the disk is full.
pub const DISK_LOOK_AGAIN_MS: u64 = 100;
