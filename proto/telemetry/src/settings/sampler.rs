//! Which traces are recorded.

use windlass_proto::trace::{self, TraceContext, TraceId};

use super::text::{Variables, error};
use super::{Flags, SettingsError};

/// Says which traces are recorded. The same for everybody who asks, so nothing is stored of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether a caller's flag counts, where there is a caller.
    pub follows_parent: bool,
    /// What is recorded of the rest.
    pub root: Root,
}

/// Which traces are recorded that no caller has decided on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Root {
    /// All.
    All,
    /// None at all, not even those of instances that fault.
    None,
    /// This share of all, from 0 to 1, and those of instances that fault.
    Share(f64),
}

impl Default for Sampler {
    fn default() -> Self {
        Self { follows_parent: true, root: Root::Share(1.0) }
    }
}

/// Names the sampler.
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";

/// What the sampler is told: the share.
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

impl Sampler {
    pub(super) fn read(variables: &Variables, flags: &Flags) -> Result<Self, SettingsError> {
        if let Some(ratio) = flags.ratio {
            let share = share(ratio).ok_or_else(|| wrong("--trace-ratio"))?;
            return Ok(Self { follows_parent: true, root: Root::Share(share) });
        }
        let ratio = || match variables.get(ARGUMENT) {
            None => Ok(Root::Share(1.0)),
            Some(text) => {
                let ratio = text.parse().ok().and_then(share);
                ratio.map(Root::Share).ok_or_else(|| wrong(ARGUMENT))
            }
        };
        // Without a name it is the one that takes an argument.
        let name = variables.get(SAMPLER);
        let (follows_parent, root) = match name.as_deref().unwrap_or("parentbased_traceidratio") {
            "always_on" => (false, Root::All),
            "always_off" => (false, Root::None),
            "traceidratio" => (false, ratio()?),
            "parentbased_always_on" => (true, Root::All),
            "parentbased_always_off" => (true, Root::None),
            "parentbased_traceidratio" => (true, ratio()?),
            _ => {
                return Err(error(
                    SAMPLER,
                    "write always_on, always_off, traceidratio, or one of these after parentbased_",
                ));
            }
        };
        Ok(Self { follows_parent, root })
    }

    /// Whether a trace is recorded that began with `parent`, or here.
    #[must_use]
    pub fn is_sampled(&self, trace: TraceId, parent: Option<&TraceContext>) -> bool {
        match (parent, self.root) {
            (Some(parent), _) if self.follows_parent => parent.sampled,
            (_, Root::All) => true,
            (_, Root::None) => false,
            (_, Root::Share(ratio)) => trace::is_within_ratio(trace, ratio),
        }
    }

    /// Whether instances that fault are recorded although they were not sampled.
    #[must_use]
    pub fn tells_of_faults(&self) -> bool {
        self.root != Root::None
    }
}

fn share(ratio: f64) -> Option<f64> {
    (0.0..=1.0).contains(&ratio).then_some(ratio)
}

fn wrong(name: &str) -> SettingsError {
    error(name, "write a share from 0 to 1, such as 0.01")
}
