//! The streams: what each must be, and whether one that is there is.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use windlass_proto::limits;
use windlass_proto::wire::subject::Prefix;

/// What streams are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// CloudEvents in and out.
    Events,
    /// Lifecycle CloudEvents, out.
    Lifecycle,
    /// The audit trail, out.
    Audit,
}

impl Purpose {
    pub(super) const ALL: [Self; 3] = [Self::Events, Self::Lifecycle, Self::Audit];

    /// The word that names it in subjects, streams and metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Lifecycle => "lifecycle",
            Self::Audit => "audit",
        }
    }

    /// What does not work without it.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Events => "events come in over HTTP only, and `emit` waits",
            Self::Lifecycle => "no lifecycle events are published",
            Self::Audit => "no audit events are published",
        }
    }
}

/// How a stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamStatus {
    /// Not known: the bus is away, or does not answer.
    #[default]
    Unknown,
    /// It is there and as it must be.
    Ready,
    /// It is there and other than it must be, or cannot be made.
    Unusable,
    /// The bus has no `JetStream`.
    Off,
}

/// The stream for a purpose, as it is made.
///
/// Limits, not interest or a work queue: other programs read the same events. The oldest are
/// dropped when it is full, since refusing new ones would stop every workflow that emits.
pub(super) fn wanted(prefix: &Prefix, purpose: Purpose, replicas: u8) -> Config {
    let (subject, bytes, age) = match purpose {
        Purpose::Events => (prefix.all_events(), limits::EVENTS_BYTES, limits::EVENTS_AGE_MS),
        Purpose::Lifecycle => {
            (prefix.all_lifecycle(), limits::LIFECYCLE_BYTES, limits::LIFECYCLE_AGE_MS)
        }
        Purpose::Audit => (prefix.all_audit(), limits::AUDIT_BYTES, limits::AUDIT_AGE_MS),
    };
    Config {
        name: prefix.stream(purpose.word()),
        description: Some(format!("Windlass: {}", purpose.word())),
        subjects: vec![subject],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_bytes: bytes,
        max_age: Duration::from_millis(age),
        max_message_size: limits::EVENT_MESSAGE_BYTES,
        duplicate_window: Duration::from_millis(limits::DUPLICATE_WINDOW_MS),
        num_replicas: usize::from(replicas),
        ..Config::default()
    }
}

/// One thing that is other than it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// What is, and what is wanted.
    text: String,
    /// The flag of `nats stream edit` that mends it; none where only a new stream does.
    flag: Option<String>,
}

/// Why a stream cannot be used, or not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    stream: String,
    differences: Vec<Difference>,
}

impl fmt::Display for Mismatch {
    /// What is, what is wanted, and the command that changes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.differences.iter().map(|it| it.text.as_str()).collect();
        write!(f, "stream {}: {}", self.stream, texts.join("; "))?;
        let flags: Option<Vec<_>> = self.differences.iter().map(|it| it.flag.clone()).collect();
        match flags {
            Some(flags) => {
                write!(f, ". To change it: nats stream edit {} {}", self.stream, flags.join(" "))
            }
            None => write!(
                f,
                ". That cannot be changed: nats stream rm {}, and it is made anew (what is in it is \
                 lost; `nats stream backup` keeps a copy)",
                self.stream
            ),
        }
    }
}

/// What makes `found` unusable. Sizes, ages and the like are the operator's to choose.
pub(super) fn mismatch(found: &Config, wanted: &Config) -> Option<Mismatch> {
    let mut differences = Vec::new();
    let mut differs = |text: String, flag: Option<String>| {
        differences.push(Difference { text, flag });
    };
    if let Some(missing) = wanted.subjects.iter().find(|it| !found.subjects.contains(it)) {
        let is = match &found.mirror {
            Some(mirror) => format!("it mirrors {}", mirror.name),
            None => format!("its subjects are {}", found.subjects.join(", ")),
        };
        let flag = found.mirror.is_none().then(|| {
            let all: Vec<_> = found.subjects.iter().chain([missing]).map(|it| &**it).collect();
            format!("--subjects '{}'", all.join(","))
        });
        differs(format!("{is}, wanted is {missing}"), flag);
    }
    if found.retention != wanted.retention {
        let (is, be) = (retention(found.retention), retention(wanted.retention));
        differs(format!("its retention is {is}, wanted is {be}"), None);
    }
    if found.storage != wanted.storage {
        differs("its storage is memory, wanted is file".to_owned(), None);
    }
    if found.discard != wanted.discard {
        let text = "it refuses new messages when full (discard is new), wanted is old";
        differs(text.to_owned(), Some("--discard old".to_owned()));
    }
    if found.no_ack {
        differs("it does not acknowledge, wanted is that it does".to_owned(), Some("--ack".into()));
    }
    if found.sealed {
        differs("it is sealed, wanted is one that takes messages".to_owned(), None);
    }
    let stream = found.name.clone();
    (!differences.is_empty()).then_some(Mismatch { stream, differences })
}

/// What an operator asked for and does not have, though the stream can be used.
pub(super) fn shortfall(found: &Config, wanted: &Config) -> Option<Mismatch> {
    // A server gives 0 for 1.
    let (is, be) = (found.num_replicas.max(1), wanted.num_replicas.max(1));
    (is < be).then(|| Mismatch {
        stream: found.name.clone(),
        differences: vec![Difference {
            text: format!("it has {is} replicas, wanted are {be}"),
            flag: Some(format!("--replicas {be}")),
        }],
    })
}

fn retention(policy: RetentionPolicy) -> &'static str {
    match policy {
        RetentionPolicy::Limits => "limits",
        RetentionPolicy::Interest => "interest",
        RetentionPolicy::WorkQueue => "workqueue",
    }
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
    use windlass_proto::wire::subject::Prefix;

    use super::{Purpose, mismatch, shortfall, wanted};

    fn events() -> Config {
        wanted(&Prefix::default(), Purpose::Events, 3)
    }

    fn told(change: impl FnOnce(&mut Config)) -> String {
        let mut found = events();
        change(&mut found);
        mismatch(&found, &events()).map(|it| it.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_operators_may_choose_is_no_mismatch() {
        let text = told(|it| {
            it.max_bytes = 1;
            it.max_age = std::time::Duration::from_secs(1);
            it.num_replicas = 1;
            it.subjects.push("other.>".to_owned());
        });
        assert_eq!(text, "");
    }

    #[test]
    fn what_can_be_edited_comes_with_the_command() {
        let text = told(|it| {
            it.subjects = vec!["a.b".to_owned()];
            it.discard = DiscardPolicy::New;
        });
        assert!(text.contains("its subjects are a.b, wanted is windlass.event.*"), "{text}");
        let command =
            "nats stream edit WINDLASS_EVENTS --subjects 'a.b,windlass.event.*' --discard old";
        assert!(text.ends_with(command), "{text}");
    }

    #[test]
    fn what_cannot_be_edited_needs_a_new_stream() {
        for text in [
            told(|it| it.retention = RetentionPolicy::WorkQueue),
            told(|it| it.storage = StorageType::Memory),
            told(|it| it.sealed = true),
        ] {
            assert!(text.contains("nats stream rm WINDLASS_EVENTS"), "{text}");
        }
    }

    #[test]
    fn fewer_replicas_are_told_and_used() {
        let mut found = events();
        found.num_replicas = 1;
        let told = shortfall(&found, &events()).map(|it| it.to_string()).unwrap_or_default();
        assert!(told.ends_with("nats stream edit WINDLASS_EVENTS --replicas 3"), "{told}");
        assert_eq!(shortfall(&events(), &events()), None);
    }
}
