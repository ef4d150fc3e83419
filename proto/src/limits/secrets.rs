//! Bounds of secrets, their stores, identities of tasks and the audit trail.

/// Milliseconds one request to Vault may take, unless configured: a read takes two or three, and
/// the login and the read of a secret together must fit into [`SECRET_TIMEOUT_MS`].
pub const VAULT_TIMEOUT_MS: u64 = 5_000;

/// Requests a worker has open at Vault at once, unless configured: a login and its return wait for
/// the store's disk several times each, and what waits together is written together. One Vault
/// serves so many well from a whole fleet.
pub const VAULT_CONCURRENCY: usize = 64;

/// Requests a worker sends to Vault in a second, unless configured: what one core of it answers, so
/// that a worker gone wild does not take all of a store from others.
pub const VAULT_REQUESTS_PER_SECOND: u32 = 2_000;

/// Failures in a row after which Vault is left alone for a while: fewer would be chance, more would
/// hold up tasks that could fail or be retried.
pub const VAULT_FAILURES: u32 = 5;

/// Milliseconds Vault is left alone after the first such row; the time doubles with every probe
/// that fails.
pub const VAULT_PAUSE_MS: u64 = 500;

/// Milliseconds Vault is left alone at most where it asks for that: it is noticed soon when it is
/// back.
pub const VAULT_LONGEST_PAUSE_MS: u64 = 30_000;

/// Milliseconds Vault is left alone at most where it does not answer: results that wait to be
/// sealed have a token of a minute, and one probe of a worker is no load.
pub const VAULT_LONGEST_PROBE_MS: u64 = 8_000;

/// Bytes of an answer of Vault: a batch of encryption of the largest payload, in base64.
pub const VAULT_ANSWER_BYTES: usize = 24 << 20;

/// Milliseconds between two renewals of one lease at least, however short it is: no busy loop.
pub const LEASE_RENEWAL_MS: u64 = 500;

/// Milliseconds a secret may be kept in the cache at most: for so long a right that was taken away
/// still works.
pub const SECRET_CACHE_MS: u64 = 300_000;

/// Secrets in that cache.
pub const CACHED_SECRETS: usize = 1_000;

/// Milliseconds by which a lease may outlive the deadline of its task before it is shortened: a
/// worker that dies leaves no more behind, and most leases need no request for this.
pub const LEASE_OVERHANG_MS: u64 = 60_000;

/// Milliseconds for which attempts with the same rights may begin to use a login they share: what
/// the store's operator takes away from logins to come is gone for all that begin later than this,
/// as it is when one attempt takes a minute.
pub const SHARED_LOGIN_MS: u64 = 60_000;

/// Milliseconds after which a shared login that no attempt uses is given back: loops and sequences
/// of tasks come again within less, and rights do not outlive the last task by more.
pub const SHARED_LOGIN_IDLE_MS: u64 = 5_000;

/// Milliseconds for which a worker logs in with the role for all slots after the store did not take
/// that for a few: it was set up before there were any, and may be set up anew.
pub const SECRET_ROLES_MS: u64 = 300_000;

/// Secrets one task may reach: each has a slot of its own in the identity that a store's rules are
/// written for, and every slot makes each login longer.
pub const SECRETS_PER_TASK: usize = 16;

/// Slots that the roles of a store are made for: at each request the store fills in a rule for
/// every slot there is, and most tasks read one secret or a few.
pub const SECRET_SLOTS: [usize; 3] = [1, 4, SECRETS_PER_TASK];

/// Seconds the identity of a task lasts: it is used once, right after it was sent, and may be of no
/// use to whoever finds it later.
pub const IDENTITY_LIFE_S: u64 = 60;

/// Seconds by which the clocks of the coordinator and a store of secrets may differ: what an
/// identity says of its beginning is so much early, and a store that `windlass secret setup` sets
/// up takes one so much before and after its time. Machines without a time service are off by this
/// within weeks.
pub const IDENTITY_LEEWAY_S: u64 = 30;

/// Milliseconds after which identities are signed with the next key, unless configured. A stolen
/// key is of no use for longer, and the next one has been published all that time.
pub const IDENTITY_ROTATION_MS: u64 = 24 * 3_600_000;

/// Milliseconds a key is published after the last identity it signed: far longer than one lasts, so
/// that clocks may differ.
pub const IDENTITY_PUBLISHED_MS: u64 = 3_600_000;

/// Keys that are published after their time: how many fit into [`IDENTITY_PUBLISHED_MS`] at the
/// shortest rotation, a minute.
pub const IDENTITY_RETIRED: usize = 60;

/// Milliseconds between two looks whether it is time for the next key.
pub const IDENTITY_LOOK_MS: u64 = 30_000;

/// Seconds that readers may keep the published keys: the next one is there for much longer before
/// it signs, and a reader that does not know a key asks anyway.
pub const IDENTITY_CACHE_S: u64 = 300;

/// Bytes of a policy of secrets: thousands of rules.
pub const POLICY_BYTES: usize = 1 << 20;

/// Rules of a policy, each of which is looked at for every secret of a task that is sent.
pub const POLICY_RULES: usize = 10_000;

/// Bytes of one pattern of a policy: more than any name it could match.
pub const PATTERN_BYTES: usize = 256;

/// Audit events that wait for the disk before nothing more is done with secrets.
pub const AUDIT_QUEUE: usize = 10_000;

/// Audit events a worker sends at once, and then waits until they are on disk.
pub const AUDIT_BATCH: usize = 256;

/// Audit events of reads that a worker holds for its coordinator, or has promised room to, before
/// further attempts wait and it takes no more work: four batches, so that one is always ready.
pub const AUDIT_OUTBOX: usize = 1_024;

/// Audit events that a worker holds for its coordinator in all: what attempts that have read
/// already still tell comes on top of [`AUDIT_OUTBOX`], some events for each of
/// [`WORKER_CONCURRENCY`](super::WORKER_CONCURRENCY). Some 30 MB; those beyond are lost, and the
/// log says so.
pub const AUDIT_OUTBOX_MOST: usize = 1 << 16;

/// Milliseconds an attempt waits for room for what it will do with secrets before it is handed
/// back: its identity is good for a minute only, and has to be fresh when it is used.
pub const AUDIT_WAIT_MS: u64 = 30_000;

/// Milliseconds between two changes of whether a worker takes more work, as far as that depends on
/// room for audit events: each is a message that lists all it holds.
pub const AUDIT_TURN_MS: u64 = 100;

/// Milliseconds until a result that cannot be sealed now is tried again for the first time; the
/// pause doubles from then on.
pub const SEAL_AGAIN_MS: u64 = 250;

/// Milliseconds of the longest such pause: the store is asked by one probe for all while it fails.
pub const SEAL_LONGEST_PAUSE_MS: u64 = 4_000;

/// Milliseconds for which a result that cannot be sealed is kept where neither the task nor the
/// token it is sealed with has an end.
pub const SEAL_MS: u64 = 300_000;

/// Bytes of one audit event as a line of the file: all its texts are short.
pub const AUDIT_EVENT_BYTES: usize = 8 << 10;

/// Bytes of the file of audit events after which the next one begins: a hundred thousand events.
pub const AUDIT_FILE_BYTES: u64 = 64 << 20;

/// Audit events whose ids are remembered, to tell repeats: workers repeat what was not
/// acknowledged, one batch each.
pub const AUDIT_REMEMBERED: usize = 1 << 16;

/// Audit events that wait to be published; those beyond are in the file only.
pub const AUDIT_PUBLISH_QUEUE: usize = 10_000;

/// Milliseconds an audit event of the coordinator's own may take to be on disk before the request
/// it belongs to fails.
pub const AUDIT_KEEP_MS: u64 = 10_000;

/// Milliseconds after which audit events that could not be written are tried again.
pub const AUDIT_AGAIN_MS: u64 = 500;

/// Bytes of the shortest secret that is searched for in results. Shorter ones would be found in
/// everything; a warning says that such a secret is not protected.
pub const SECRET_SHORTEST_BYTES: usize = 3;

/// Bytes of a line of a secret that is searched for by itself: the lines of a key are of 64,
/// shorter ones are often words that other texts have as well.
pub const SECRET_LINE_BYTES: usize = 16;

/// Bytes of the beginning by which a long secret is recognised: by chance no other text has as many
/// in common, and what is searched for stays small, however large secrets are.
pub const SECRET_HEAD_BYTES: usize = 128;

/// Digits of a number that is a secret up to which it is looked for in texts as other programs
/// write it: with an exponent, or without; longer ones are texts.
pub const SECRET_NUMBER_DIGITS: usize = 40;

/// Digits of a number that is a secret from which it is looked for in texts with any exponent:
/// fewer are at the beginning of many other numbers.
pub const SECRET_MANTISSA_DIGITS: usize = 5;

/// Names of secrets that are remembered because a warning about them was given: one is enough.
pub const SECRET_WARNINGS: usize = 1_000;

/// Milliseconds a process that ends waits until what its tasks held of secrets has been given back:
/// a request or two to the store. What is left then ends by itself.
pub const RELEASE_MS: u64 = 5_000;

/// Milliseconds one read of a store may take unless configured: stores answer within tens, and a
/// task has to be told of one that hangs before [`SECRET_TIMEOUT_MS`] is
/// over.
pub const STORE_TIMEOUT_MS: u64 = 5_000;

/// Bytes of a store's answer: a secret of [`SECRET_BYTES`] in base64, and what is around it.
pub const SECRET_ANSWER_BYTES: usize = 2 * SECRET_BYTES;

/// Files of a directory that is one secret; Kubernetes mounts a handful.
pub const SECRET_FILES: usize = 256;

/// Milliseconds an access token to a store is kept at most, whatever life it is said to have.
pub const TOKEN_KEPT_MS: u64 = 24 * 3_600_000;

/// Files of secrets read at once: a file system that hangs keeps a thread for each, and everything
/// else that needs a thread waits when there are none left.
pub const FILE_READS: usize = 16;

/// Texts that the results of one task are searched for: the parts of its secrets, and the sealed
/// values in its input that do not plainly contain one. Each is looked for in dozens of encodings,
/// which takes memory.
pub const SECRET_TEXTS: usize = 1_000;

/// Texts up to which lines of a secret are searched for by themselves: the longest keys and chains
/// of certificates fit. Lines must not take the room of other secrets.
pub const SECRET_LINES: usize = SECRET_TEXTS / 2;

/// Milliseconds one read of a secret may take, so that a store that hangs becomes an error.
pub const SECRET_TIMEOUT_MS: u64 = 10_000;

/// Bytes of the text of one secret or of a file of secrets: certificates and key files fit.
pub const SECRET_BYTES: usize = 1 << 20;

/// Bytes the audit stream keeps.
pub const AUDIT_BYTES: i64 = 64 << 20;

/// Milliseconds the audit stream keeps an event: time enough for whoever archives them.
pub const AUDIT_AGE_MS: u64 = 30 * 24 * 3_600_000;

/// Audit events published together.
pub const AUDIT_PUBLISH_BATCH: usize = 64;

/// Milliseconds that one request of `windlass secret setup` and `check` to Vault may take.
pub const SETUP_REQUEST_MS: u64 = 30_000;

/// Seconds that a task's token of Vault lives unless it is renewed: what a killed worker held ends
/// after that.
pub const TASK_TOKEN_S: u64 = 60;

/// Versions of secrets of one visit that are kept: all secrets, each read again after it was
/// replaced.
pub const SECRET_USES: usize = 2 * SECRETS_PER_TASK;

/// Bytes of the name of a version of a secret.
pub const SECRET_VERSION_BYTES: usize = 128;

/// Messages of audit events that share one write to disk.
pub const AUDIT_GROUP: usize = 256;

/// Tries of one request to AWS within its time: the second is for connections that were closed
/// while idle. What fails longer is for the workflow's own retry.
pub const AWS_TRIES: u32 = 2;

/// Seconds that a signed request to Google for a token is good for: what the service allows at
/// most.
pub const GOOGLE_ASSERTION_S: u64 = 3_600;

/// Times that giving something back to a store is tried.
pub const RELEASE_TRIES: u32 = 3;

/// Times that what was undone of escapes is looked at again: texts in JSON in JSON have their
/// escapes escaped.
pub const UNESCAPE_ROUNDS: usize = 3;

/// Bytes of the file of audit events read at a time, from its end on.
pub const AUDIT_BLOCK_BYTES: u64 = 256 << 10;
