//! Which events are asked for.

use clap::ValueEnum;

/// Whether it was done.
#[derive(Clone, Copy, ValueEnum)]
enum Outcome {
    /// It was done
    Success,
    /// It was refused or failed
    Failure,
}

/// All that is given has to hold.
#[derive(clap::Args)]
#[command(next_help_heading = "Which events")]
pub(super) struct Filters {
    /// At or after, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// What was done, such as secret.granted
    #[arg(long)]
    action: Option<String>,
    /// Whether it was done
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
    /// For workflows in this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// For this workflow: NAME, NAMESPACE/NAME or NAMESPACE/NAME:VERSION
    #[arg(long)]
    workflow: Option<String>,
    /// For this instance
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// By this worker
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    /// With this secret
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
}

impl Filters {
    /// As the API takes them.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let outcome = self.outcome.map(|it| match it {
            Outcome::Success => "success".to_owned(),
            Outcome::Failure => "failure".to_owned(),
        });
        let all = [
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("action", self.action.clone()),
            ("outcome", outcome),
            ("namespace", self.namespace.clone()),
            ("workflow", self.workflow.clone()),
            ("instance", self.instance.clone()),
            ("worker", self.worker.clone()),
            ("secret", self.secret.clone()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
