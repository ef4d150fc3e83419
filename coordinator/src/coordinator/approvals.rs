//! Questions to people: finding those that are open, and deciding them.

use windlass_proto::id::{InstanceId, PartitionId, WorkflowId};
use windlass_proto::limits::{
    APPROVAL_DATA_BYTES, APPROVAL_PAGE, APPROVAL_PAGE_BYTES, APPROVAL_ROWS, APPROVALS_LOOKED_AT,
};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::repair::turns;
use super::{Coordinator, CoordinatorError, Operator};
use crate::access::{Resource, Visible};
use crate::approval::{ApprovalError, ApprovalId, OpenApproval};
use crate::engine::{Fact, Input, Journaled, Question, Verdict};
use crate::journal::{Journal, JournalError, Row, Table};
use crate::partition::approval as row_of;
use crate::view::ApprovalView;

/// Which questions somebody looks for.
#[derive(Clone, Debug, Default)]
pub struct ApprovalFilter {
    /// Those of workflows that they may see.
    pub visible: Visible,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of workflows of this name.
    pub name: Option<String>,
    /// Those that they may decide.
    pub mine: Option<Operator>,
}

/// A page of questions, and where the next one begins.
pub type ApprovalPage = (Vec<(ApprovalId, OpenApproval)>, Option<ApprovalId>);

/// What somebody decides.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whether they approve.
    pub approved: bool,
    /// What they give along.
    pub data: Value,
}

impl Coordinator {
    /// Questions that are open, in the order in which their instances were started.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn approvals(
        &self,
        filter: ApprovalFilter,
        after: Option<ApprovalId>,
        limit: usize,
    ) -> Result<ApprovalPage, CoordinatorError> {
        // A few at a time: what is read of one is megabytes.
        self.reading(move |runtime| Ok(listed(&*runtime.journal, &filter, after, limit)?)).await
    }

    /// One that is open.
    ///
    /// # Errors
    /// When there is none, or it is closed.
    pub async fn approval(&self, id: ApprovalId) -> Result<ApprovalView, CoordinatorError> {
        let unknown = |error| match error {
            CoordinatorError::UnknownInstance(_) => ApprovalError::Unknown(id).into(),
            other => other,
        };
        // Views for people are cut; this one is of the question alone.
        let view = self.view(id.instance, Some(id.number)).await.map_err(unknown)?;
        let mut asked = view.open.into_iter().filter_map(|it| it.approval);
        match asked.find(|it| it.id == id) {
            Some(open) => Ok(open),
            None => Err(self.closed(id).await),
        }
    }

    /// Looks whether somebody may decide a question so, before anybody is told that they do; says
    /// of which workflow it is.
    ///
    /// # Errors
    /// When it is closed, assigned to others, or the data does not fit its form.
    pub async fn may_decide(
        &self,
        id: ApprovalId,
        decision: &Decision,
        by: &Operator,
    ) -> Result<WorkflowId, CoordinatorError> {
        let asked = self.approval(id).await?;
        let (workflow, question) = (&asked.open.workflow, &asked.open.question);
        if !by.is_assigned(question, &workflow.namespace, &workflow.name) {
            return Err(ApprovalError::NotAssigned(id).into());
        }
        let refused = |detail: String| {
            let problem = Problem::new(Standard::Validation, detail).at(&"/data".into());
            Err(ApprovalError::Form { id, problem: Box::new(problem) }.into())
        };
        if decision.data.weight() > APPROVAL_DATA_BYTES {
            return refused(format!("the data takes more than {APPROVAL_DATA_BYTES} bytes"));
        }
        match asked.form.filter(|_| decision.approved) {
            Some((_, form)) => match form.validate(&decision.data) {
                Ok(()) => Ok(asked.open.workflow),
                Err(unfit) => refused(unfit.to_string()),
            },
            None => Ok(asked.open.workflow),
        }
    }

    /// Decides a question, durably. What [`Coordinator::may_decide`] looks at does not change while
    /// it is open.
    ///
    /// # Errors
    /// When it is closed, as where somebody else was faster.
    pub async fn decide(&self, id: ApprovalId, decision: Decision) -> Result<(), CoordinatorError> {
        self.needs_room()?;
        let Decision { approved, data } = decision;
        let verdict = Verdict { approved, data, by: self.requester.clone() };
        let input = Input::Decide { number: id.number, verdict };
        match self.operate(id.instance, input, "decide a question of").await {
            Err(refused @ CoordinatorError::Conflict { .. }) => match self.approval(id).await {
                // It is open, but its instance was set aside.
                Ok(_) => Err(refused),
                Err(closed) => Err(closed),
            },
            other => other,
        }
    }

    /// Why a question is not open: who has decided it, where somebody has.
    async fn closed(&self, id: ApprovalId) -> CoordinatorError {
        let found =
            self.reading(move |runtime| Ok(ended(&turns(runtime, id.instance)?, id.number)));
        match found.await {
            Ok(None) => ApprovalError::Unknown(id).into(),
            Ok(Some(how)) => ApprovalError::Closed { id, how }.into(),
            Err(CoordinatorError::HistoryTooLarge(_)) => {
                let how = "is not open any more".to_owned();
                ApprovalError::Closed { id, how }.into()
            }
            Err(error) => error,
        }
    }
}

/// What came of a question; none where the fact of this number asks nothing.
fn ended(turns: &[Journaled], number: u64) -> Option<String> {
    let all = || turns.iter().flat_map(|turn| turn.facts.iter().map(move |it| (turn.at, it)));
    let asked = usize::try_from(number).ok().and_then(|it| all().nth(it));
    if !matches!(asked, Some((_, Fact::ApprovalAsked { .. }))) {
        return None;
    }
    let decided = |(at, fact): (Timestamp, &Fact)| match fact {
        Fact::ApprovalDecided { number: of, approved, by, .. } if *of == number => {
            let what = if *approved { "approved" } else { "rejected" };
            let who = by.as_ref().and_then(|it| it.name());
            let who = who.map_or_else(String::new, |it| format!(" by {it}"));
            Some(format!("was {what}{who} at {}", at.to_rfc3339()))
        }
        _ => None,
    };
    let otherwise = || {
        "was not decided in time, or its task was ended: `windlass history` of the instance tells"
            .to_owned()
    };
    Some(all().find_map(decided).unwrap_or_else(otherwise))
}

impl Operator {
    /// True when a question is for them: nobody is asked who they are, or nobody is given roles; it
    /// is assigned to nobody in particular, to them, or to a role that they have for the workflow.
    #[must_use]
    pub fn is_assigned(&self, question: &Question, namespace: &str, name: &str) -> bool {
        let Some(known) = self.known().filter(|it| !it.has_no_roles()) else { return true };
        let Question { roles, users, .. } = question;
        let who = known.to_string();
        let of = Resource::Workflow(namespace, name);
        roles.is_empty() && users.is_empty()
            || users.iter().any(|it| **it == *who)
            || roles.iter().any(|it| known.has_role(it, of))
    }
}

impl ApprovalFilter {
    fn has(&self, open: &OpenApproval) -> bool {
        let (namespace, name) = (&*open.workflow.namespace, &*open.workflow.name);
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|it| it == found);
        self.visible.has(namespace, name)
            && is(&self.namespace, namespace)
            && is(&self.name, name)
            && self.mine.as_ref().is_none_or(|it| it.is_assigned(&open.question, namespace, name))
    }
}

/// A page of what all partitions have, by the ids of the instances, which are in order of start.
fn listed(
    journal: &dyn Journal,
    filter: &ApprovalFilter,
    after: Option<ApprovalId>,
    limit: usize,
) -> Result<ApprovalPage, JournalError> {
    let mut row = after.map(|it| it.row());
    let (mut found, mut after, mut looked, mut bytes) = (Vec::new(), after, 0, 0);
    loop {
        let (page, last) = merged(journal, row.as_deref())?;
        for (name, value) in page {
            looked += 1;
            // One that is damaged must not hide all others.
            match row_of(&name, &value) {
                Ok((id, open)) => {
                    after = Some(id);
                    if filter.has(&open) && is_open(journal, id.instance)? {
                        bytes += value.len();
                        found.push((id, open));
                    }
                }
                Err(error) => tracing::error!(%error, "a question is left out of the list"),
            }
            row = Some(name);
            let full = found.len() == limit || bytes > APPROVAL_PAGE_BYTES;
            if full || looked >= APPROVALS_LOOKED_AT {
                return Ok((found, after));
            }
        }
        if last {
            return Ok((found, None));
        }
    }
}

/// The rows that come next in all partitions together, and whether these are the last.
fn merged(journal: &dyn Journal, after: Option<&[u8]>) -> Result<(Vec<Row>, bool), JournalError> {
    let each = (APPROVAL_PAGE / usize::from(journal.partitions()).max(1)).max(APPROVAL_ROWS);
    let mut all = Vec::new();
    let mut known_until: Option<Vec<u8>> = None;
    for partition in (0..journal.partitions()).map(PartitionId) {
        let rows = journal.rows(partition, Table::Approvals, after, each)?;
        // What comes behind the last row of a partition that has more is not known yet.
        if let Some((name, _)) = rows.last().filter(|_| rows.len() >= each) {
            known_until = Some(known_until.unwrap_or_else(|| name.clone()).min(name.clone()));
        }
        all.extend(rows);
    }
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    if let Some(last) = &known_until {
        all.retain(|(name, _)| name <= last);
    }
    Ok((all, known_until.is_none()))
}

/// A damaged journal may have lost an instance and kept its row.
fn is_open(journal: &dyn Journal, id: InstanceId) -> Result<bool, JournalError> {
    Ok(journal.head(id)?.is_some_and(|it| !it.status.is_final()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::Operator;
    use crate::access::{Grant, Method, Permissions, Principal};
    use crate::engine::Question;

    fn question(roles: &[&str], users: &[&str]) -> Question {
        let all = |names: &[&str]| names.iter().map(|it| Arc::from(*it)).collect();
        Question { title: "t".into(), description: None, roles: all(roles), users: all(users) }
    }

    fn known(issuer: &str, role: &str, namespace: &str) -> Operator {
        let any: Arc<[Arc<str>]> = Arc::new(["*".into()]);
        let grant = Grant {
            role: role.into(),
            permissions: Permissions::default(),
            namespaces: Arc::new([namespace.into()]),
            workflows: any.clone(),
            types: any,
        };
        let (issuer, subject) = (issuer.into(), "ada".into());
        let principal = Principal {
            issuer,
            subject,
            method: Method::Jwt,
            grants: vec![grant],
            ..Principal::anyone()
        };
        Operator { caller: Some(Arc::new(principal)), ..Operator::default() }
    }

    #[test]
    fn a_question_is_for_whom_it_names() {
        let ada = known("corp", "approver", "shop");
        let is = |by: &Operator, question: Question| by.is_assigned(&question, "shop", "order");
        assert!(is(&ada, question(&[], &[])));
        assert!(is(&ada, question(&["approver"], &[])));
        assert!(is(&ada, question(&["other"], &["corp:ada"])));
        assert!(!is(&ada, question(&["other"], &[])));
        // Names of two issuers are never the same one, and a role somewhere else is none here.
        assert!(!is(&known("rival", "approver", "shop"), question(&[], &["corp:ada"])));
        assert!(!is(&ada, question(&[], &["ada"])));
        assert!(!is(&known("corp", "approver", "bank"), question(&["approver"], &[])));
        // Nobody is asked who they are, so nobody can be told from others.
        assert!(is(&Operator::default(), question(&["approver"], &[])));
    }
}
