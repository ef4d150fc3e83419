//! What a crash left without an outcome: entries that said one would follow.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use serde::Deserialize;
use uuid::Uuid;
use windlass_proto::audit::{AuditEvent, AuditOutcome};
use windlass_proto::limits::{AUDIT_PENDING_BYTES, AUDIT_PENDING_MOST};

use super::trail::backwards;
use super::{AuditLine, outcome};

/// What is looked at of a line.
#[derive(Deserialize)]
struct Seen {
    id: Option<Uuid>,
    #[serde(default)]
    intent: Option<Uuid>,
    #[serde(default)]
    outcome: Option<AuditOutcome>,
}

/// The outcomes that are missing in a trail, the oldest first: none of them is known. Looks at its
/// last lines: nothing is under way for longer than they tell of.
pub(super) fn settle(path: &Path) -> io::Result<Vec<AuditEvent>> {
    let (mut settled, mut missing) = (HashSet::new(), Vec::new());
    let mut left = AUDIT_PENDING_BYTES;
    backwards(path, &mut |line| {
        left = left.saturating_sub(line.len() as u64);
        // Most lines have none.
        let has = |text: &[u8]| line.windows(text.len()).any(|it| it == text);
        if (has(b"\"outcome\":") || has(b"\"intent\":"))
            && let Ok(seen) = serde_json::from_slice::<Seen>(line)
        {
            settled.extend(seen.intent);
            let is_pending = seen.outcome == Some(AuditOutcome::Pending);
            if is_pending && seen.id.is_some_and(|id| !settled.contains(&id)) {
                missing.extend(serde_json::from_slice::<AuditLine>(line).ok().map(|it| it.event));
            }
        }
        left > 0 && missing.len() < AUDIT_PENDING_MOST
    })?;
    let why = "the coordinator ended before that was known";
    let unknown = |it: &AuditEvent| outcome(it, AuditOutcome::Unknown, Some(why));
    Ok(missing.iter().rev().map(unknown).collect())
}
