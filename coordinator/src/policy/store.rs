//! The policy that is in force, and where it is kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use windlass_proto::limits;

use super::proposal::Approval;
use super::{Policy, PolicyError};
use crate::audit::AuditError;
use crate::file;

/// Why a policy cannot be read or replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// The operator has given a file: that is where to change it.
    #[error(
        "the policy comes from {0}, which was given at the start: change it there, and restart"
    )]
    Given(PathBuf),
    /// Somebody else has replaced it meanwhile.
    #[error("the policy has been replaced meanwhile: its tag is {0} now")]
    Stale(String),
    /// The text is no policy.
    #[error("this is no policy: {0}")]
    Policy(#[from] PolicyError),
    /// The file is no policy.
    #[error("{0}: {1}")]
    Content(PathBuf, PolicyError),
    /// The file cannot be read or written.
    #[error("the policy in {0} cannot be used: {1}")]
    File(PathBuf, io::Error),
    /// The trail cannot be told.
    #[error(transparent)]
    Untold(AuditError),
    /// Nothing waits for a second person.
    #[error("no policy waits for approval")]
    NoProposal,
    /// Who has proposed it may not approve it.
    #[error("{0} has proposed this policy: another person has to approve it")]
    SamePerson(String),
    /// Two persons are needed, and nobody is asked who they are.
    #[error(
        "the policy needs a second person's approval (--secret-policy-approval), and this server \
         asks nobody who they are: start it with --auth"
    )]
    NobodyKnown,
}

/// The policy that is in force.
#[derive(Debug)]
pub struct Policies {
    pub(super) place: Place,
    current: RwLock<Arc<Policy>>,
    /// Held while it is replaced.
    pub(super) replacing: Mutex<()>,
    pub(super) approval: Mutex<Approval>,
}

#[derive(Debug)]
pub(super) enum Place {
    /// Nowhere: it ends with the process.
    Memory,
    /// Where the coordinator keeps it.
    Own(PathBuf),
    /// Where an operator keeps it.
    Given(PathBuf),
}

impl Policies {
    /// The policy in the file that was given, else the one that is kept in `own`, else the default
    /// one. Blocking.
    ///
    /// # Errors
    /// When a file cannot be read, or is no policy; one that was given must be there.
    pub fn open(given: Option<PathBuf>, own: Option<PathBuf>) -> Result<Self, ReplaceError> {
        let (place, policy) = match (given, own) {
            (Some(path), _) => {
                let policy = read(&path)?;
                (Place::Given(path), policy)
            }
            (None, Some(path)) => {
                let policy = match read(&path) {
                    Err(ReplaceError::File(_, it)) if it.kind() == io::ErrorKind::NotFound => {
                        Policy::default()
                    }
                    read => read?,
                };
                (Place::Own(path), policy)
            }
            (None, None) => (Place::Memory, Policy::default()),
        };
        let current = RwLock::new(Arc::new(policy));
        let (replacing, approval) = Default::default();
        Ok(Self { place, current, replacing, approval })
    }

    /// The policy that is in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Policy> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the policy, durably; with `expected`, only when that is the tag of the present one.
    /// Blocking.
    ///
    /// # Errors
    /// When the policy is not the coordinator's to change, or is another than expected, the text is
    /// none, or cannot be written.
    pub fn replace(&self, text: &str, expected: Option<&str>) -> Result<Arc<Policy>, ReplaceError> {
        self.replace_told(text, expected, |_| Ok(()))
    }

    /// The same; `tell` hears of the policy before it counts.
    ///
    /// # Errors
    /// As [`Self::replace`], and when it cannot be told.
    pub(crate) fn replace_told(
        &self,
        text: &str,
        expected: Option<&str>,
        tell: impl FnOnce(&Policy) -> Result<(), AuditError>,
    ) -> Result<Arc<Policy>, ReplaceError> {
        let _guard = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        self.replaceable(expected)?;
        let policy = Arc::new(Policy::parse(text)?);
        tell(&policy).map_err(ReplaceError::Untold)?;
        self.put(&policy)?;
        Ok(policy)
    }

    /// The tag of the present policy, if it may be replaced: with `expected`, only that one.
    pub(super) fn replaceable(&self, expected: Option<&str>) -> Result<String, ReplaceError> {
        if let Place::Given(path) = &self.place {
            return Err(ReplaceError::Given(path.clone()));
        }
        let tag = self.current().tag().to_owned();
        if expected.is_some_and(|it| it != tag) { Err(ReplaceError::Stale(tag)) } else { Ok(tag) }
    }

    /// Keeps a policy, and puts it in force.
    pub(super) fn put(&self, policy: &Arc<Policy>) -> Result<(), ReplaceError> {
        if let Place::Own(path) = &self.place {
            file::replace(path, policy.text().as_bytes(), 0o644)
                .map_err(|error| ReplaceError::File(path.clone(), error))?;
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = policy.clone();
        Ok(())
    }
}

fn read(path: &Path) -> Result<Policy, ReplaceError> {
    let failed = |error| ReplaceError::File(path.to_owned(), error);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > limits::POLICY_BYTES as u64 {
        let error = io::Error::other(format!("more than {} bytes", limits::POLICY_BYTES));
        return Err(failed(error));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Policy::parse(&text).map_err(|error| ReplaceError::Content(path.to_owned(), error))
}
