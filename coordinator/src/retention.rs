//! How long instances are kept once they have ended: what operators say, and definitions.

use std::sync::Arc;
use std::time::Duration;

use windlass_proto::id::WorkflowId;

/// What operators say; without a word, instances are kept for ever.
#[derive(Clone, Debug, Default)]
pub struct RetentionPolicy {
    /// For all of which nothing else is said.
    pub usual: Option<Duration>,
    /// For namespaces and workflows.
    pub rules: Vec<RetentionRule>,
}

/// What an operator says of a namespace or a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// `document.namespace`
    pub namespace: Arc<str>,
    /// `document.name`; all of the namespace where there is none.
    pub name: Option<Arc<str>>,
    /// How long; for ever where there is none.
    pub keep: Option<Duration>,
}

impl RetentionPolicy {
    /// Whether instances of some workflow may go, by what operators say.
    #[must_use]
    pub fn removes(&self) -> bool {
        self.usual.is_some() || self.rules.iter().any(|it| it.keep.is_some())
    }

    /// Milliseconds that instances of a workflow are kept, whose definition wants `own`; for ever
    /// where there are none. A definition may shorten what operators say, not lengthen it.
    #[must_use]
    pub fn keeps(&self, workflow: &WorkflowId, own: Option<u64>) -> Option<u64> {
        let of = |it: &&RetentionRule| *it.namespace == *workflow.namespace;
        let named = |it: &&RetentionRule| it.name.as_ref() == Some(&workflow.name);
        let all = |it: &&RetentionRule| it.name.is_none();
        // Of two that say the same, the later one counts, as for any option.
        let mut rules = self.rules.iter().rev().filter(of);
        let rule = rules.clone().find(named).or_else(|| rules.find(all));
        let keep = rule.map_or(self.usual, |it| it.keep);
        let keep = keep.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
        match (keep, own) {
            (Some(keep), Some(own)) => Some(keep.min(own)),
            (keep, own) => keep.or(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use windlass_proto::id::WorkflowId;

    use super::{RetentionPolicy, RetentionRule};

    fn rule(namespace: &str, name: Option<&str>, keep: Option<u64>) -> RetentionRule {
        let keep = keep.map(Duration::from_millis);
        RetentionRule { namespace: namespace.into(), name: name.map(Into::into), keep }
    }

    #[test]
    fn the_nearest_counts_and_definitions_only_shorten() {
        let policy = RetentionPolicy {
            usual: Some(Duration::from_millis(100)),
            rules: vec![
                rule("shop", Some("order"), Some(10)),
                rule("shop", None, Some(50)),
                rule("bank", None, None),
            ],
        };
        let keeps = |namespace: &str, name: &str, own| {
            let version = "1.0.0".into();
            let id = WorkflowId { namespace: namespace.into(), name: name.into(), version };
            policy.keeps(&id, own)
        };
        assert_eq!(keeps("shop", "order", None), Some(10));
        assert_eq!(keeps("shop", "invoice", None), Some(50));
        assert_eq!(keeps("other", "order", None), Some(100));
        assert_eq!(keeps("bank", "order", None), None);
        assert_eq!(keeps("shop", "order", Some(5)), Some(5));
        assert_eq!(keeps("shop", "order", Some(500)), Some(10));
        assert_eq!(keeps("bank", "order", Some(500)), Some(500));
    }
}
