//! Codes of the errors that operators and clients see, with what to do about each.

use crate::journal::JournalError;
use crate::journal::disk::Refusal;

/// Declares the codes once: the variant, its number, its HTTP status, a title and an explanation.
macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $status:literal, $title:literal, $text:literal;)*) => {
        /// An operator-facing error code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as people write it.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status it is answered with.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A stable title.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What it means and what to do.
            #[must_use]
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// The definition has errors.
    InvalidDefinition = "WL0501", 400, "Invalid definition",
        "The text sent is not a valid workflow definition. `diagnostics` lists every finding with \
         line, column and a code of its own; `windlass validate FILE` shows the same with the lines \
         concerned. Nothing was stored.";
    /// No such workflow.
    UnknownWorkflow = "WL0502", 404, "No such workflow",
        "No definition with this namespace, name and version is deployed. `windlass deploy FILE` \
         deploys one; GET /v1/workflows lists what there is. Without a version the highest semantic \
         version is taken, pre-releases only when there is nothing else.";
    /// No such instance.
    UnknownInstance = "WL0503", 404, "No such instance",
        "No instance has this id: it was never started here, or it was deleted after it ended, by an \
         operator or by retention. `windlass list` shows the instances there are.";
    /// The input does not fit the schema.
    InvalidInput = "WL0504", 400, "Invalid input",
        "The input does not fit the workflow's `input.schema`. `cause` holds the validation error. \
         Nothing was started; correct the input and send it again.";
    /// The instance is in another state.
    Conflict = "WL0505", 409, "Conflict with the current state",
        "The instance is in a status that does not allow the action: an ended instance can be \
         neither suspended nor resumed, nor cancelled unless it is cancelled already, and only a suspended one can be resumed. Look at \
         it with `windlass show ID`. The same goes for workflows and namespaces, which `windlass \
         suspend --list` shows. With all it has started, only an instance can be cancelled that no \
         other one has started.";
    /// Too much work is open.
    Overloaded = "WL0506", 429, "Overloaded",
        "A bound on work in progress is reached, so the request was refused before anything was \
         stored. Send it again after the seconds in `Retry-After`, with the same `Idempotency-Key`. \
         When it lasts, add workers or look for instances that never end.";
    /// A payload is too large.
    TooLarge = "WL0507", 413, "Payload too large",
        "A payload is larger than Windlass keeps or moves. Store large data elsewhere and pass a \
         reference to it through the workflow.";
    /// The journal failed.
    JournalFailed = "WL0508", 503, "Journal failure",
        "The coordinator could not write or read its journal. It takes no more work, because \
         nothing may be acknowledged that is not on disk. Check free space, permissions and the \
         health of the disk, then restart it: acknowledged work continues.";
    /// The coordinator is stopping.
    Stopping = "WL0509", 503, "Shutting down",
        "The coordinator is shutting down and takes no new requests. Send the request again in a \
         moment, with the same `Idempotency-Key` where it starts an instance.";
    /// The body is not the JSON expected.
    BadBody = "WL0510", 400, "Malformed request body",
        "The body of the request is not valid JSON, is nested too deeply, or lacks a field. `detail` \
         says where. /openapi.json describes every request.";
    /// A parameter is wrong.
    BadParameter = "WL0511", 400, "Invalid parameter",
        "A query parameter, header or part of the path is unknown or has a value that cannot be \
         read. Unknown ones are refused so that a misspelt filter does not list everything.";
    /// The media type is not supported.
    UnsupportedMediaType = "WL0512", 415, "Unsupported media type",
        "The `Content-Type` is not one this resource takes: application/json for requests; YAML, \
         JSON or plain text for definitions; application/cloudevents+json, \
         application/cloudevents-batch+json or the `ce-` headers for events.";
    /// Not a CloudEvent.
    NotACloudEvent = "WL0513", 400, "Not a CloudEvent",
        "Events follow CloudEvents 1.0: `id`, `source` and `type` must be non-empty strings and \
         `specversion` must be \"1.0\"; `time`, where it is there, is a time of RFC 3339 \
         (2026-01-31T12:00:00Z). No event of the request was taken.";
    /// It took too long.
    TimedOut = "WL0514", 503, "Request timed out",
        "The request was not finished in time. What it asked for may have happened: repeat a start \
         with the same `Idempotency-Key`, and look at the instance before repeating anything else.";
    /// Plain HTTP where TLS is spoken.
    PlainHttp = "WL0543", 400, "HTTPS required",
        "The server speaks TLS and was asked in plain HTTP. Write https:// instead of http:// in \
         `--url` or WINDLASS_URL, and name the authority of its certificate with \
         `--certificate-authority` where it is not one that the system knows.";
    /// Nobody knows who asks.
    Unauthenticated = "WL0544", 401, "Authentication required",
        "The server was started with --auth and asks everybody who they are: the request shows no \
         token, or one that is not taken; `detail` says why. Send `Authorization: Bearer TOKEN`; the \
         command line takes it from --token-file, WINDLASS_TOKEN or WINDLASS_TOKEN_FILE. `windlass \
         token create` makes tokens, and `auth.toml` says which identity providers are trusted: see \
         docs/access.md. Where a proxy stands before the server, it may be the proxy that asks.";
    /// Somebody may not do it.
    Forbidden = "WL0545", 403, "Permission denied",
        "Whoever the token is of may not do this: no grant of theirs has the permission that `detail` \
         names. `windlass auth whoami` shows who they are and what they are granted, `windlass auth \
         can-i PERMISSION NAMESPACE/WORKFLOW` whether they may. Roles are granted in `auth.toml`, and \
         with each token.";
    /// A provider's keys cannot be had.
    IssuerUnavailable = "WL0546", 503, "Identity provider unavailable",
        "The token names an identity provider whose keys the server could not read, so it cannot be \
         verified. The server's log says why. Keys that were read before count for a day. Send the \
         request again after the seconds in `Retry-After`.";
    /// No such token.
    UnknownToken = "WL0547", 404, "No such token",
        "No token has this id: it was revoked, or has ended and made room. `windlass token list` shows \
         those there are; tokens that stand in `auth.toml` are ended there.";
    /// Nobody is asked who they are.
    AccessOpen = "WL0548", 409, "Authentication is off",
        "The server asks nobody who they are, so it has no tokens: start it with --auth FILE. \
         docs/access.md says what stands in the file.";
    /// Only what has ended is deleted.
    NotEnded = "WL0556", 409, "Instance has not ended",
        "Only an instance that has ended is deleted: what runs would lose what it has done. Cancel it \
         with `windlass cancel ID` and delete it then, or say `windlass delete ID --force`, which does \
         both.";
    /// A parent waits for it.
    Awaited = "WL0557", 409, "Parent waits for it",
        "The instance has ended, and the one that started it has not taken note of that yet: were it \
         deleted, that one would start it again. Try again in a moment; while its parent is suspended, \
         resume, cancel or delete the parent first.";
    /// The archive fails.
    ArchiveFailed = "WL0558", 503, "Archive failure",
        "An instance is archived before it is removed, and its file could not be written, synced or \
         read; `detail` names it. Nothing was removed. Make room in the directory of `--archive`, \
         mend its permissions, or delete without archiving (`windlass delete ID --no-archive`). \
         `windlass archive verify DIR` finds files that are damaged.";
    /// No such question to people.
    UnknownApproval = "WL0650", 404, "No such approval",
        "No instance asks this, or has asked it: an approval is named by the instance, a dot and a \
         number. `windlass approval list` shows those that are open. A `try` that starts over, and an \
         instance that goes on for another one, ask anew, under another number or instance.";
    /// A question is not open any more.
    ApprovalClosed = "WL0651", 409, "Approval not open",
        "The approval was decided, and the first decision counts, or nobody waits for it any more: its \
         task took too long, or was skipped, or the instance has ended. `detail` says who decided, \
         how and when. Nothing was changed.";
    /// A question is for others.
    NotAssigned = "WL0652", 403, "Approval assigned to others",
        "The workflow assigns this approval to roles and users, as `windlass approval show ID` lists \
         them, and you have none of these roles for the workflow and are none of these users. Roles \
         are granted in auth.toml; a user is written ISSUER:SUBJECT, as `windlass auth whoami` shows \
         it. Who operates the instance may give the task's output with `windlass skip`.";
    /// The data does not fit the form.
    FormRefused = "WL0653", 422, "Approval data refused",
        "The data that comes with the approval does not fit the JSON Schema of its form: `cause` says \
         what is wrong and where. `windlass approval show ID` has the form. Nothing was decided.";
    /// No such session of a worker.
    UnknownWorkerSession = "WL0576", 404, "No such worker session",
        "A worker over HTTP took a turn in a session that is not there: it was silent for a lease, \
         has joined again, somebody else joined it, or the coordinator was started anew. It joins \
         again with POST /v1/worker-sessions, names what it holds, and goes on.";
    /// A worker may not join.
    WorkerRefused = "WL0577", 409, "Worker not admitted",
        "A worker over HTTP may not join as it is: `detail` says why. Each process needs an identity \
         of its own, such as a name and a part by chance.";
    /// No such bulk job.
    UnknownBulkJob = "WL0550", 404, "No such bulk job",
        "No bulk job of yours has this id: it was never given here, or ended long ago and made room. \
         `windlass bulk list` shows those there are.";
    /// No such webhook.
    UnknownWebhook = "WL0561", 404, "No such webhook",
        "The namespace has no webhook of this name: `windlass webhook list NAMESPACE` shows those \
         there are, and `windlass webhook create` makes one.";
    /// A delivery of a webhook is not of who says so.
    WebhookRefused = "WL0562", 401, "Webhook delivery refused",
        "The signature of the delivery does not fit its body and the secret, is missing, or was made \
         more than five minutes before or after now. Compare the secret at the service with the file \
         that the webhook names, its preset with what the service writes, and the clocks; nothing \
         on the way may change the body. A new secret goes into a line of its own before the service \
         gets it.";
    /// The secret of a webhook cannot be read.
    WebhookSecret = "WL0563", 503, "Secret of a webhook missing",
        "The server has no folder with secrets of webhooks (--webhook-secrets), or the file in it, \
         NAMESPACE/FILE, cannot be read, is empty, or has a line with fewer than 16 characters. Each \
         line is a secret that may sign. The detail says which, and never what is in it.";
    /// A webhook is not as one must be.
    BadWebhook = "WL0564", 400, "Webhook not as it must be",
        "The detail says what is wrong: a name, a preset other than github, stripe, standard and \
         hmac, or an expression that is no jq. There are a thousand webhooks at most.";
    /// A delivery makes no event.
    WebhookEvent = "WL0565", 422, "Webhook delivery makes no event",
        "The delivery is of who says so, but its body is no JSON, or the expression `map` or \
         `subject` of the webhook fails on it or takes too many steps. Try the expression on the \
         delivery, which the service shows, and change it by `windlass webhook create`.";
    /// No such event is kept.
    UnknownEvent = "WL0560", 404, "No such event",
        "The namespace keeps no event under this key: an instance has consumed it, or it was kept in \
         vain and is forgotten. `windlass event list --kept` and `--dead` show those there are.";
    /// No such resource.
    UnknownPath = "WL0515", 404, "No such resource",
        "There is nothing at this path. /openapi.json lists what there is.";
    /// The method is not allowed.
    UnknownMethod = "WL0516", 405, "Method not allowed",
        "The resource exists and does not offer this method. /openapi.json lists what it offers.";
    /// A web page of another site sent it.
    CrossOrigin = "WL0517", 403, "Cross-origin request refused",
        "The request came from a web page of another origin, or named a host that is not this \
         machine while the API is bound to it alone. Such requests are refused, because they would \
         let any page you visit command your workflows. Call the API from a program, or from a page \
         served by it.";
    /// A definition declares a secret that it has no right to.
    SecretNotPermitted = "WL0518", 403, "Secret access denied",
        "The policy of secrets does not permit the workflow to read a secret that it declares in \
         `use.secrets`, so the definition was not deployed. `detail` names the secret and the rule \
         that would permit it. `windlass secret policy show` shows the policy, `windlass secret \
         policy set FILE` replaces it.";
    /// Not a policy.
    BadPolicy = "WL0519", 400, "Invalid secret policy",
        "The text sent is not a policy of secrets: TOML with `[[allow]]` rules of `namespace`, \
         `workflow`, `version`, `environment` and `secrets`, in which `*` stands for any text, and \
         `[sealing]`. `detail` says what is wrong and where. The policy was not changed.";
    /// The policy comes from an operator's file.
    PolicyGiven = "WL0520", 409, "Secret policy is managed by a file",
        "The coordinator was started with --secret-policy: the policy is the content of that file, \
         and the API does not change it. Change the file and restart the coordinator, or start it \
         without the option.";
    /// A stream is not what it must be.
    StreamUnusable = "WL0521", 503, "Event stream unusable",
        "A JetStream stream that carries events is there and other than it must be, or cannot be \
         made. The coordinator's log says what is, what is wanted and the command that changes it; \
         the coordinator changes nothing by itself, as others may rely on what is there. Tasks and \
         the HTTP API work all the same. Events over the bus start within seconds once the stream is \
         as wanted, and `emit` tasks that waited for it continue.";
    /// Somebody else has replaced the policy.
    PolicyReplaced = "WL0522", 412, "Secret policy was changed concurrently",
        "The policy is not the one that `If-Match` names: somebody else has replaced it since it was \
         read. Read it again, make the change to that text, and send it with the new `ETag`.";
    /// No policy waits for a second person.
    NoPolicyProposal = "WL0585", 404, "No policy proposal",
        "No policy of secrets waits for approval: it was approved or withdrawn, or none was proposed. \
         `windlass secret policy proposal` shows what waits, `windlass secret policy set FILE` proposes \
         one where the coordinator runs with --secret-policy-approval.";
    /// A policy needs two persons.
    NeedsSecondPerson = "WL0586", 403, "Second person required",
        "The coordinator runs with --secret-policy-approval: whoever proposes a policy of secrets \
         cannot approve it. Let another account with the permission secret.policy run `windlass secret \
         policy approve TAG`. Where nobody is asked who they are (no --auth), no policy can be set.";
    /// What concerns secrets cannot be kept.
    SecretsFailed = "WL0523", 503, "Keys, policy or audit trail cannot be stored",
        "The coordinator could not read or write its signing keys, the policy of secrets or the audit \
         trail in its data directory. `detail` says which. Check free space and permissions. While \
         the audit trail cannot be written, tasks that need secrets wait.";
    /// The body did not come in time.
    TooSlow = "WL0524", 408, "Request read timed out",
        "The body of the request was not there in time, so nothing was done. Send it again, over a \
         faster line or in smaller parts. A head that does not come, and a connection without \
         requests, are closed without an answer.";
    /// Starts of it are suspended.
    Suspended = "WL0525", 409, "Starts are suspended",
        "An operator has suspended the workflow or its namespace, so nothing of it is started, neither \
         by requests nor by other instances, which wait. `windlass suspend --list` shows what is \
         suspended; `windlass resume --workflow NAMESPACE/NAME` or `--namespace NAMESPACE` lets it \
         go on.";
    /// An id or key belongs to another start.
    OtherStart = "WL0526", 409, "Idempotency key or id already used",
        "An instance has this id, or was started with this `Idempotency-Key`, and runs another \
         workflow or has another input, or was reset to another visit or with other data, so the \
         request is no repeat of that start. Nothing was started. Take another id or key for another \
         piece of work; for the same one, send what was sent first: `windlass show ID` has its \
         input. A version counts where the request names one. `windlass run --id NAME` makes the id \
         from the name.";
    /// What is to be logged cannot be read.
    BadLogDirectives = "WL0527", 400, "Invalid log directives",
        "What is logged is said by a level (off, error, warn, info, debug, trace) for all, and others \
         for modules, separated by commas: `warn,windlass_coordinator::fleet=debug`. One of them \
         cannot be read, so all stayed as it was: a misspelt level would be taken for the name of a \
         module, and nothing else logged. `windlass log level` shows what is in force.";
    /// The log of the process cannot be changed.
    LogFixed = "WL0528", 409, "Log level cannot be changed",
        "The process was set up without a log that can be changed while it runs. Set WINDLASS_LOG \
         and start it again.";
    /// No such schedule.
    UnknownSchedule = "WL0529", 404, "No such schedule",
        "The workflow has no schedule: it is not deployed, or its highest version has none of `every`, \
         `cron`, `after` and `on` in `schedule`. `windlass schedule list` shows those there are.";
    /// The text is no function.
    InvalidFunction = "WL0530", 400, "Invalid function",
        "The text cannot be published as this function. It is one task, in YAML or JSON, as it would \
         stand below a name in `do`; the functions of catalogs that it calls are published here \
         before, and have no URL. Name and version are 1 to 128 letters, digits, `-`, `_`, `.` and \
         `+`, the version a semantic one. `detail` says what is wrong. Nothing was stored.";
    /// The version of a function has another text.
    OtherFunction = "WL0531", 409, "Function already published",
        "This version of the function was published with another text. Definitions were deployed \
         with that one, so a version never changes: publish the new text as another version.";
    /// No such function.
    UnknownFunction = "WL0532", 404, "No such function",
        "The default catalog of this server has no function of this name and version. `windlass \
         function list` shows those there are.";
    /// A version has another text.
    VersionExists = "WL0540", 409, "Version has another text",
        "A version of a workflow keeps its text, so that what runs can be told from its version: the \
         one sent differs from the one that is deployed, and `difference` shows how. Raise \
         `document.version`. Where definitions are being written, `windlass dev` and `run` take the \
         file as it is, and `windlass deploy --replace` replaces it on a server that allows it: `dev`, \
         or a coordinator with --allow-replace. Instances keep to the text they were started with.";
    /// A version is retired.
    Retired = "WL0541", 409, "Version is retired",
        "An operator has retired this version: what runs of it goes on, and nothing new is started of \
         it, neither by requests nor by other workflows nor by its schedule. `windlass workflow list` \
         shows what there is; `windlass workflow restore NAMESPACE/NAME:VERSION` lets it be started \
         again.";
    /// A version cannot be deleted.
    VersionInUse = "WL0542", 409, "Version is in use",
        "Only a version that is retired and that no instance has can be deleted: the history of an \
         instance, also of one that has ended, is read by its definition. Retire it, and delete it \
         once retention has removed its instances (`windlass list --namespace NAMESPACE --name NAME`).";
    /// Nothing can go on for an instance.
    Unrepairable = "WL0549", 409, "Cannot go on from there",
        "`windlass retry` goes on at the task that failed, so one must have: an instance whose \
         workflow refused its own input or output, or took longer than its own `timeout`, would fail \
         the same way again; start it anew. `windlass reset` goes on at a visit that the instance \
         made (`windlass history ID` has them), at which no child was being waited for, unless that \
         is to be started anew (`--children rerun`). A history that is too long or too large cannot \
         be copied.";
    /// The id or key of a start is taken.
    StartKeyUsed = "WL0551", 409, "Idempotency key or id is taken",
        "An instance has this id or `Idempotency-Key`, and the request asks not to be answered for \
         it: `onRunning` or `onEnded` is `fail`, the instance cannot be ended as it stands (it is \
         set aside: `windlass resume ID` first), or another one goes on for it (`windlass retry`). Nothing was started. `use-existing` answers for it, \
         `terminate-existing` ends it while it runs, and `replace` starts another once it has ended; \
         `detail` names it.";
    /// A backup is being taken.
    BackupRunning = "WL0580", 409, "Backup under way",
        "A backup of this coordinator is being taken, by its schedule or by somebody else, and only \
         one can be at a time. Wait until it is done: windlass_backups_total counts it then.";
    /// A backup would go to whoever reaches the server.
    BackupUnasked = "WL0581", 403, "Backup needs a login",
        "A backup has the keys of the coordinator and all that its workflows were given, and this \
         server asks nobody who they are. Give it --auth (and `windlass backup` a token), or have it \
         back itself up (`[backup]` in windlass.toml, --backup-to), or stop it and use `windlass \
         backup --data DIR`.";
    /// The journal's directory cannot be used.
    JournalStore = "WL0601", 503, "Journal I/O error",
        "The disk or the store refused a read or a write. Check free space, quotas and permissions \
         of the data directory and the kernel's log for disk errors, then start again.";
    /// A record is damaged.
    JournalDamaged = "WL0602", 503, "Journal record damaged",
        "A record's checksum does not fit or the record does not decode. Stop windlass, run \
         `windlass fsck DIR` to see how much is damaged, and restore a backup.";
    /// A record of a newer format.
    JournalFormat = "WL0603", 503, "Unsupported journal format",
        "A record has a format this version does not know. Run the version that wrote it, or a \
         newer one; going back is possible only with a backup made before the upgrade.";
    /// Another process has it.
    JournalLocked = "WL0604", 503, "Journal locked by another process",
        "Another windlass process has the data directory open, and only one may. Stop it, or choose \
         another --data-dir.";
    /// It does not open.
    JournalUnopenable = "WL0605", 503, "Journal cannot be opened",
        "The store in the data directory did not open. Move the directory aside, restore a backup \
         in its place and start again; keep the old one until the restored one is checked.";
    /// A backup cannot be taken or used.
    JournalBackup = "WL0606", 503, "Backup failed",
        "A backup could not be written, or what was to be restored is not a whole backup. Check free \
         space where it goes; take a new one, or choose another one to restore.";
    /// It has lost something.
    JournalLost = "WL0607", 503, "Journal data loss",
        "The file beside the store that says how far the journal had come, or the sums kept in it, say \
         that records are missing: the disk has changed or dropped what was durable. `detail` says \
         of which partition, from which commit on, and how many instances. Nothing was started. \
         Restore a backup made before (and replace the disk); or save what can still be read with \
         `windlass fsck DIR --salvage TO`, which makes a new journal in TO (nothing can, when its file \
         `db` is gone); or start with --accept-loss to go on with what is there, without what is missing.";
    /// The disk is full.
    DiskFull = "WL0608", 507, "Journal disk full",
        "The file system of the data directory has no room (ENOSPC), or less than is kept in \
         reserve. Nothing is damaged. A running server answers reads, refuses what would have to be \
         written, keeps open work waiting, and goes on by itself once there is room; one that cannot \
         start needs to be started again. Free space, or enlarge the file system or the quota. \
         Cancelling and suspending go on meanwhile, in blocks that the journal keeps for that; they \
         are refused too when those are used up.";
    /// No more files may be opened.
    NoDescriptors = "WL0609", 503, "Too many open files",
        "The process or the machine is at its limit of open files (EMFILE, ENFILE). Nothing is \
         damaged. Raise the limit (`ulimit -n`, LimitNOFILE= of the service) and start again.";
    /// The file system is read-only.
    DiskReadOnly = "WL0610", 503, "Journal disk read-only",
        "The file system of the data directory is mounted read-only (EROFS). Kernels do this by \
         themselves when a disk fails: see the kernel's log. Mount it writable again, or choose \
         another --data-dir.";
    /// The user may not write there.
    DiskDenied = "WL0611", 503, "Permission denied on the data directory",
        "The user that windlass runs as may not read or write the data directory or a file in it \
         (EACCES). Nothing is damaged. Change the owner or the permissions of the directory and of \
         all files in it, and start again.";
    /// The disk fails.
    DiskFails = "WL0612", 503, "Journal disk I/O error",
        "The disk could not read or write (EIO). See the kernel's log, copy the data directory to a \
         sound disk, run `windlass fsck` on the copy, and start from there or from a backup.";
    /// A copy that was restored from a backup has taken over.
    Superseded = "WL0613", 503, "Superseded by a restored copy",
        "A copy of this coordinator was restored from a backup and has given tasks to its workers, so \
         this one has stopped: two would do everything twice. Keep to the copy. To go on with this one \
         all the same, stop the copy for good, back this one up (`windlass backup --data DIR`), and \
         restore that: a restored copy replaces all before it.";
    /// What is in a backup is not what was put there.
    BackupDamaged = "WL0614", 500, "Backup damaged",
        "A file of a backup is missing or is not as it was written; `detail` names it, and the backups \
         that need it cannot be restored. Others in the directory can: `windlass backup verify DIR` says \
         which. Take a new one: it writes anew what is damaged, as far as the coordinator still has it. \
         Then look at the disk.";
    /// A backup does not open with what was given.
    BackupLocked = "WL0615", 403, "Backup cannot be opened",
        "A backup is encrypted under a passphrase, and none was given or it is another one. \
         --passphrase-file names the file that has it, WINDLASS_BACKUP_PASSPHRASE_FILE does too. \
         Without the passphrase nobody can read the backup: keep it elsewhere than the backups.";
    /// It follows, and does not lead.
    Standby = "WL0620", 503, "No leader",
        "This coordinator follows another one of its cluster and passes on what it is asked, and for \
         some seconds nobody has led who could answer. Nothing was done. Send the request again after \
         the seconds in `Retry-After`. Where this lasts, `windlass cluster status` shows who is there \
         and what keeps them from taking over. What tells of one process alone, such as `/metrics`, is \
         not passed on: ask the leader, whose address, as it was given by --advertise, is in `detail` \
         and the header `Windlass-Leader`.";
    /// Another coordinator leads.
    Fenced = "WL0621", 503, "Leadership lost",
        "Another coordinator of the cluster has taken over, so this one has ended. What it had \
         acknowledged is kept; what was under way may have been kept or not: repeat starts under the \
         same `Idempotency-Key`. \
         Start it again (a service manager does), and it follows the new leader. Where this comes \
         often, the machine or its way to NATS stands still for longer than --cluster-lease.";
    /// The log does not answer.
    LogAway = "WL0622", 503, "Cluster log unavailable",
        "The log of the cluster, a stream of NATS JetStream, cannot be appended to: NATS does not \
         answer, too few of its servers do to agree, or the stream is full (`maximum bytes exceeded` in \
         the coordinator's log: give it more room). Nothing acknowledged is lost, reads go on, and new \
         work, tokens and policies are refused before anything is stored. It goes on by itself. Send the request again \
         after the seconds in `Retry-After`, with the same `Idempotency-Key` where it starts an \
         instance.";
    /// It was passed on, and no answer came.
    LeaderLost = "WL0625", 502, "Leader lost",
        "A standby has passed the request on to the leader of the cluster, which was lost before it \
         answered. What was asked may have been done or not: look, or repeat starts under the same \
         `Idempotency-Key`, of which each makes one instance however often it is sent.";
    /// The leader stays.
    NotMoved = "WL0626", 409, "Leadership not moved",
        "The leader of a cluster was asked to hand over to another coordinator, and `detail` says why \
         it did not, or that it is not known to have. `windlass cluster status` shows who leads, the \
         addresses of the others, and under WAITS what keeps one from taking over.";
    /// The log cannot be read.
    LogDamaged = "WL0623", 503, "Cluster log unreadable",
        "The log of the cluster lacks a message in the middle, has another one in its place, begins with \
         one that cannot be opened, or has one of a newer windlass's. \
         `detail` says which. Where it names a key: all coordinators of a cluster need the same \
         --key-file (or --cluster-key); where they have it, somebody else had published to the log's \
         subject before the cluster began: delete the log, and see in docs/cluster.md who may publish \
         there. Where it names a format: start the newer version. Else take out what has the place of \
         the message that is missing, if something has (`nats stream rmm`), and start the leader again: \
         a leader that finds its log \
         incomplete writes all that it has to it, and the others are filled from that.";
    /// A directory and the log do not fit.
    LogMisfit = "WL0624", 503, "Directory not of this cluster log",
        "A data directory belongs to another cluster, or holds what the log of its cluster does not \
         have, so that neither can follow from the other. `detail` says which. Give this coordinator \
         an empty --data-dir, and it is filled from the log; keep the old directory until you know what \
         is in it. docs/cluster.md has the cases.";
    /// A form of a page that this process did not make.
    StaleForm = "WL0640", 403, "Form out of date",
        "The form that was sent is not one that this server made for whoever sends it: the server was \
         started anew since the page was opened, somebody else has signed in, or a page of another \
         site sent it. Nothing was done. Open the page anew and send the form again. Programs send \
         orders to the API (`/openapi.json`), which asks for no form.";
}

impl Code {
    /// The code of a failure of the journal.
    #[must_use]
    pub fn of_journal(error: &JournalError) -> Self {
        match error {
            JournalError::Store(_) => Self::JournalStore,
            JournalError::Lost(_) | JournalError::StoreGone { .. } => Self::JournalLost,
            JournalError::NoRoom { .. } => Self::DiskFull,
            JournalError::Disk { refusal, .. } => match refusal {
                Refusal::Full => Self::DiskFull,
                Refusal::Descriptors => Self::NoDescriptors,
                Refusal::ReadOnly => Self::DiskReadOnly,
                Refusal::Denied => Self::DiskDenied,
                Refusal::Device => Self::DiskFails,
            },
            JournalError::Damaged(_) => Self::JournalDamaged,
            JournalError::UnknownFormat { .. } => Self::JournalFormat,
            JournalError::Locked(_) => Self::JournalLocked,
            JournalError::Unopenable { .. } | JournalError::NoJournal(_) => Self::JournalUnopenable,
            JournalError::Backup(_) => Self::JournalBackup,
            JournalError::Superseded { .. } => Self::Superseded,
            JournalError::Fenced(_) => Self::Fenced,
            JournalError::LogAway => Self::LogAway,
            JournalError::LogDamaged(_) => Self::LogDamaged,
            JournalError::LogMisfit(_) => Self::LogMisfit,
        }
    }
}

/// The explanation of one of this crate's codes, in any case; `None` for other codes.
#[must_use]
pub fn explain(code: &str) -> Option<String> {
    let found = Code::ALL.iter().find(|it| it.code().eq_ignore_ascii_case(code))?;
    Some(format!("{}: {}\n\n{}\n", found.code(), found.title(), found.explanation()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Code, explain};

    #[test]
    fn codes_are_unique_and_explained() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|it| it.code()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.code().starts_with("WL05") || code.code().starts_with("WL06"));
            assert!((400..600).contains(&code.status()), "{code:?}");
            assert!(explain(&code.code().to_lowercase()).is_some_and(|it| it.len() > 80));
        }
        assert_eq!(explain("WL9999"), None);
    }
}
