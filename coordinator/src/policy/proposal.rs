//! A policy that waits for a second person (`--secret-policy-approval`).
//!
//! One proposal waits at a time; a newer one takes its place. It is kept beside the policy, so that
//! it outlives the process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::store::{Place, Policies, ReplaceError};
use super::{Policy, PolicyError};
use crate::audit::AuditError;
use crate::file;

/// A policy that somebody has proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its text.
    pub text: Arc<str>,
    /// What tells it from others.
    pub tag: String,
    /// The tag of the policy that it would replace: another one in between needs a new proposal.
    pub replaces: String,
    /// Who has proposed it, as the audit trail names them: issuer, colon, subject.
    pub proposed_by: String,
    /// When.
    pub proposed_at: Timestamp,
}

/// Whether policies need a second person, and what waits for one.
#[derive(Debug, Default)]
pub(super) struct Approval {
    needed: bool,
    waiting: Option<Arc<Proposal>>,
}

impl Policies {
    /// Lets nobody replace the policy alone any more. What was proposed to an earlier process waits
    /// again. Blocking.
    ///
    /// # Errors
    /// When the proposal that is kept cannot be read.
    pub fn need_approval(&self) -> Result<(), ReplaceError> {
        let waiting = match self.proposal_file() {
            Some(path) => read(&path)?.map(Arc::new),
            None => None,
        };
        *self.approval() = Approval { needed: true, waiting };
        Ok(())
    }

    /// True when nobody replaces the policy alone.
    #[must_use]
    pub fn needs_approval(&self) -> bool {
        self.approval().needed
    }

    /// What waits for a second person.
    #[must_use]
    pub fn proposal(&self) -> Option<Arc<Proposal>> {
        self.approval().waiting.clone()
    }

    /// Keeps a policy until another person approves it, durably; with `expected`, only when that is
    /// the tag of the present one. `tell` hears of it before that. Blocking.
    ///
    /// # Errors
    /// As those of [`Policies::replace`], and when it cannot be told.
    pub(crate) fn propose(
        &self,
        text: &str,
        expected: Option<&str>,
        (proposed_by, proposed_at): (String, Timestamp),
        tell: impl FnOnce(&Policy) -> Result<(), AuditError>,
    ) -> Result<Arc<Proposal>, ReplaceError> {
        let _guard = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let replaces = self.replaceable(expected)?;
        let policy = Policy::parse(text)?;
        tell(&policy).map_err(ReplaceError::Untold)?;
        let (text, tag) = (policy.text().clone(), policy.tag().to_owned());
        let proposal = Arc::new(Proposal { text, tag, replaces, proposed_by, proposed_at });
        if let Some(path) = self.proposal_file() {
            let failed = |error| ReplaceError::File(path.clone(), error);
            let bytes =
                serde_json::to_vec(&*proposal).map_err(|it| failed(io::Error::other(it)))?;
            file::replace(&path, &bytes, 0o600).map_err(failed)?;
        }
        self.approval().waiting = Some(proposal.clone());
        Ok(proposal)
    }

    /// Puts the policy with this tag, which another person has proposed, in force, durably. `tell`
    /// hears of it before that. Blocking.
    ///
    /// # Errors
    /// When nothing or another one waits, the same person has proposed it, the policy was replaced
    /// meanwhile, it cannot be told or written.
    pub(crate) fn approve(
        &self,
        tag: &str,
        approver: &str,
        tell: impl FnOnce(&Policy, &Proposal) -> Result<(), AuditError>,
    ) -> Result<Arc<Policy>, ReplaceError> {
        let _guard = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let proposal = self.waiting(tag)?;
        if proposal.proposed_by == approver {
            return Err(ReplaceError::SamePerson(approver.to_owned()));
        }
        self.replaceable(Some(&proposal.replaces))?;
        let policy = Arc::new(Policy::parse(&proposal.text)?);
        tell(&policy, &proposal).map_err(ReplaceError::Untold)?;
        self.put(&policy)?;
        // The policy is in force: what stays would replace one that is not there any more.
        if let Err(error) = self.forget() {
            tracing::warn!(%error, "the proposal of a policy that was approved is not removed");
            self.approval().waiting = None;
        }
        Ok(policy)
    }

    /// Takes the proposal with this tag back. `tell` hears of it before that. Blocking.
    ///
    /// # Errors
    /// When nothing or another one waits, it cannot be told or removed.
    pub(crate) fn withdraw(
        &self,
        tag: &str,
        tell: impl FnOnce(&Proposal) -> Result<(), AuditError>,
    ) -> Result<(), ReplaceError> {
        let _guard = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let proposal = self.waiting(tag)?;
        tell(&proposal).map_err(ReplaceError::Untold)?;
        self.forget()
    }

    fn waiting(&self, tag: &str) -> Result<Arc<Proposal>, ReplaceError> {
        let waiting = self.proposal().ok_or(ReplaceError::NoProposal)?;
        if waiting.tag == tag { Ok(waiting) } else { Err(ReplaceError::Stale(waiting.tag.clone())) }
    }

    fn forget(&self) -> Result<(), ReplaceError> {
        if let Some(path) = self.proposal_file() {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Durably: a power loss brings no proposal back that was withdrawn.
                removed => {
                    let synced = removed.and_then(|()| file::sync_folder(&path));
                    synced.map_err(|error| ReplaceError::File(path, error))?;
                }
            }
        }
        self.approval().waiting = None;
        Ok(())
    }

    fn approval(&self) -> std::sync::MutexGuard<'_, Approval> {
        self.approval.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proposal_file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Own(path) => Some(path.with_file_name("secret-policy.proposal.json")),
            Place::Memory | Place::Given(_) => None,
        }
    }
}

/// The proposal in a file; none where there is no file.
fn read(path: &Path) -> Result<Option<Proposal>, ReplaceError> {
    let failed = |error| ReplaceError::File(path.to_owned(), error);
    // A text takes up to six times its bytes in JSON.
    let most = (limits::POLICY_BYTES as u64).saturating_mul(8);
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(found) if found.len() > most => {
            return Err(failed(io::Error::other(format!("more than {most} bytes"))));
        }
        Ok(_) => {}
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let proposal: Proposal =
        serde_json::from_slice(&bytes).map_err(|error| failed(io::Error::other(error)))?;
    let content = |error: PolicyError| ReplaceError::Content(path.to_owned(), error);
    Policy::parse(&proposal.text).map_err(content)?;
    Ok(Some(proposal))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::time::Timestamp;

    use super::super::{Policies, ReplaceError};

    const TEXT: &str = "[[allow]]\nnamespace = \"shop\"\n";

    fn open(folder: &std::path::Path) -> Policies {
        let policies = Policies::open(None, Some(folder.join("secret-policy.toml"))).unwrap();
        policies.need_approval().unwrap();
        policies
    }

    #[test]
    fn a_policy_counts_once_another_person_has_approved_it() {
        let folder = tempfile::tempdir().unwrap();
        let policies = open(folder.path());
        let before = policies.current().tag().to_owned();
        let by = |who: &str| (who.to_owned(), Timestamp(7));
        let proposal = policies.propose(TEXT, None, by("idp:ada"), |_| Ok(())).unwrap();
        assert_eq!(policies.current().tag(), before);
        drop(policies);

        let policies = open(folder.path());
        assert_eq!(policies.proposal().as_deref(), Some(&*proposal));
        let backed_up = crate::backup::kept_names(folder.path()).unwrap();
        assert!(backed_up.iter().any(|it| it == "secret-policy.proposal.json"), "{backed_up:?}");
        let approve = |tag: &str, who: &str| policies.approve(tag, who, |_, _| Ok(()));
        assert!(matches!(approve(&proposal.tag, "idp:ada"), Err(ReplaceError::SamePerson(_))));
        assert!(matches!(approve("other", "idp:bob"), Err(ReplaceError::Stale(_))));
        assert_eq!(&**approve(&proposal.tag, "idp:bob").unwrap().text(), TEXT);
        assert!(matches!(approve(&proposal.tag, "idp:bob"), Err(ReplaceError::NoProposal)));
        drop(policies);
        assert!(open(folder.path()).proposal().is_none());
    }

    #[test]
    fn a_proposal_for_a_policy_that_was_replaced_is_not_approved() {
        let folder = tempfile::tempdir().unwrap();
        let policies = open(folder.path());
        let by = |who: &str| (who.to_owned(), Timestamp(7));
        let proposal = policies.propose(TEXT, None, by("idp:ada"), |_| Ok(())).unwrap();
        policies.replace("[[allow]]\n", None).unwrap();
        let late = policies.approve(&proposal.tag, "idp:bob", |_, _| Ok(()));
        assert!(matches!(late, Err(ReplaceError::Stale(_))));
        policies.withdraw(&proposal.tag, |_| Ok(())).unwrap();
        assert!(policies.proposal().is_none());
    }
}
