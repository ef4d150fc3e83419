//! What the rest of the world can ask about secrets, which is never a value.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use windlass_proto::audit::AuditAction;

use super::handle::blocking;
use super::{Coordinator, CoordinatorError, Operator};
use crate::audit::{Filter, Page, Position, PublicKey, Start};
use crate::clock;
use crate::policy::{NotPermitted, Policy, Proposal, ReplaceError};
use crate::secrets::{SecretUses, Secrets, SecretsError};

/// Who asks, as the audit trail names them.
fn person(by: &Operator) -> Result<String, SecretsError> {
    by.known().map(ToString::to_string).ok_or(SecretsError::Policy(ReplaceError::NobodyKnown))
}

impl Coordinator {
    /// The secrets that current definitions declare, and who uses them.
    ///
    /// # Errors
    /// When the coordinator is stopping.
    pub async fn secrets(&self) -> Result<Vec<SecretUses>, CoordinatorError> {
        let router = self.runtime.router.clone();
        blocking(move || router.secrets.uses(&router.catalog)).await
    }

    /// Which environment's secrets tasks get.
    #[must_use]
    pub fn environment(&self) -> &Arc<str> {
        &self.own_secrets().environment
    }

    /// The policy that is in force.
    #[must_use]
    pub fn secret_policy(&self) -> Arc<Policy> {
        self.own_secrets().policies.current()
    }

    /// Replaces the policy, durably; with `expected`, only when that is the tag of the present one.
    /// Gives the policy, and what current definitions declare and lose by it.
    ///
    /// That it is replaced is in the audit trail before it is.
    ///
    /// # Errors
    /// When it is not the coordinator's to replace or another than expected, the text is no policy,
    /// or cannot be kept; when the trail cannot be told.
    pub async fn set_secret_policy(
        &self,
        text: String,
        expected: Option<String>,
        by: &Operator,
    ) -> Result<(Arc<Policy>, Vec<NotPermitted>), CoordinatorError> {
        self.needs_log()?;
        let (secrets, tell) =
            (self.own_secrets().clone(), self.teller(AuditAction::PolicyChanged, by));
        let replace = move || {
            secrets.policies.replace_told(&text, expected.as_deref(), |policy| {
                tell(None, format!("tag {}, {} rules", policy.tag(), policy.rules()))
            })
        };
        let replaced = blocking(replace).await?;
        if let Err(ReplaceError::Given(_)) = &replaced {
            let why = "the policy is not the coordinator's to replace".to_owned();
            self.refused(AuditAction::PolicyChanged, why, by);
        }
        let policy = replaced.map_err(SecretsError::from)?;
        Ok((policy, self.losers().await?))
    }

    /// Whether a policy counts only once another person has approved it.
    #[must_use]
    pub fn secret_policy_needs_approval(&self) -> bool {
        self.own_secrets().policies.needs_approval()
    }

    /// The policy that waits for a second person.
    #[must_use]
    pub fn secret_policy_proposal(&self) -> Option<Arc<Proposal>> {
        self.own_secrets().policies.proposal()
    }

    /// Keeps a policy until another person approves it; with `expected`, only when that is the tag
    /// of the present one. That it is proposed is in the audit trail before.
    ///
    /// # Errors
    /// As [`Coordinator::set_secret_policy`], and when nobody is asked who they are.
    pub(crate) async fn propose_secret_policy(
        &self,
        text: String,
        expected: Option<String>,
        by: &Operator,
    ) -> Result<Arc<Proposal>, CoordinatorError> {
        self.needs_log()?;
        let proposer = (person(by)?, clock::now());
        let (secrets, tell) =
            (self.own_secrets().clone(), self.teller(AuditAction::PolicyChanged, by));
        let propose = move || {
            secrets.policies.propose(&text, expected.as_deref(), proposer, |policy| {
                tell(None, format!("propose tag {}, {} rules", policy.tag(), policy.rules()))
            })
        };
        Ok(blocking(propose).await?.map_err(SecretsError::from)?)
    }

    /// Puts a policy in force that another person has proposed.
    ///
    /// # Errors
    /// When nothing or another one waits, the same person has proposed it, or it cannot be kept.
    pub(crate) async fn approve_secret_policy(
        &self,
        tag: String,
        by: &Operator,
    ) -> Result<(Arc<Policy>, Vec<NotPermitted>), CoordinatorError> {
        self.needs_log()?;
        let approver = person(by)?;
        let (secrets, tell) =
            (self.own_secrets().clone(), self.teller(AuditAction::PolicyChanged, by));
        let approve = move || {
            secrets.policies.approve(&tag, &approver, |policy, proposal| {
                let (tag, rules) = (policy.tag(), policy.rules());
                let proposer = &proposal.proposed_by;
                tell(None, format!("tag {tag}, {rules} rules, proposed by {proposer}"))
            })
        };
        let approved = blocking(approve).await?;
        if let Err(error @ ReplaceError::SamePerson(_)) = &approved {
            self.refused(AuditAction::PolicyChanged, error.to_string(), by);
        }
        let policy = approved.map_err(SecretsError::from)?;
        Ok((policy, self.losers().await?))
    }

    /// Takes a proposal back.
    ///
    /// # Errors
    /// When nothing or another one waits, or that cannot be kept.
    pub(crate) async fn withdraw_secret_policy(
        &self,
        tag: String,
        by: &Operator,
    ) -> Result<(), CoordinatorError> {
        self.needs_log()?;
        let (secrets, tell) =
            (self.own_secrets().clone(), self.teller(AuditAction::PolicyChanged, by));
        let withdraw = move || {
            secrets.policies.withdraw(&tag, |proposal| {
                tell(None, format!("withdraw the proposal {}", proposal.tag))
            })
        };
        Ok(blocking(withdraw).await?.map_err(SecretsError::from)?)
    }

    /// What current definitions declare and have no right to.
    async fn losers(&self) -> Result<Vec<NotPermitted>, CoordinatorError> {
        let router = self.runtime.router.clone();
        let refused = move || {
            let plans = router.catalog.all().into_iter().map(|it| router.catalog.plan(&it.digest));
            plans.flatten().filter_map(|it| router.secrets.check(&it).err()).collect()
        };
        blocking(refused).await
    }

    /// Some of what was done with secrets: what `filter` takes, at most `limit`.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub async fn audit(
        &self,
        filter: Filter,
        start: Start,
        limit: usize,
    ) -> Result<Page, CoordinatorError> {
        let secrets = self.own_secrets().clone();
        let page = blocking(move || secrets.audit.page(&filter, start, limit)).await?;
        Ok(page.map_err(SecretsError::from)?)
    }

    /// The last line of the audit trail that is on disk.
    #[must_use]
    pub fn audited_last(&self) -> Position {
        self.own_secrets().audit.last_position()
    }

    /// Returns when the audit trail has a line after this number, at the latest after `patience`.
    pub async fn audit_grows(&self, after: u64, patience: Duration) {
        let mut last = self.own_secrets().audit.grows();
        let grown = last.wait_for(|it| it.sequence > after);
        // Neither that time is over nor that nothing more will come is an error.
        let _ = tokio::time::timeout(patience, grown).await;
    }

    /// What verifies the heads of the audit trail.
    #[must_use]
    pub fn audit_key(&self) -> PublicKey {
        self.own_secrets().audit.public_key()
    }

    /// The public keys of identities, as a JWKS.
    #[must_use]
    pub fn identity_keys(&self) -> Json {
        self.own_secrets().identity.published(clock::now())
    }

    /// Where those keys are, and what identities look like.
    #[must_use]
    pub fn identity_discovery(&self) -> Json {
        self.own_secrets().identity.discovery()
    }

    fn own_secrets(&self) -> &Arc<Secrets> {
        &self.runtime.router.secrets
    }
}
