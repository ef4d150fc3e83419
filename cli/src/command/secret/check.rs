//! `windlass secret check`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use windlass_coordinator::policy::Policy;
use windlass_proto::definition::{Options, load};
use windlass_proto::id::WorkflowId;
use windlass_proto::limits::POLICY_BYTES;
use windlass_proto::plan::{Plan, ReachableSecrets};
use windlass_proto::secret::SecretName;
use windlass_proto::wire::{Field, Work};
use windlass_worker::SecretsConfig;

use super::existence::Store;
use crate::client::Client;
use crate::code::{NOT_UNDERSTOOD, SECRET_MISSING};
use crate::definition::{self, Support};
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// Say of each secret of definitions whether it is declared, permitted and in its store.
///
/// No secret is read. Exit code 1 when one is not in order.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass secret check order.yaml --url http://coordinator:7400\n  \
                  VAULT_TOKEN=… windlass secret check order.yaml --secrets-config secrets.toml"
)]
pub(super) struct Args {
    /// Definitions, YAML or JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    /// Look into the Vault of this configuration, with the token in VAULT_TOKEN, which must be
    /// allowed to read metadata
    #[arg(long, value_name = "FILE")]
    secrets_config: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// What is known of one secret of a definition.
struct Finding {
    workflow: WorkflowId,
    secret: SecretName,
    /// It stands in `use.secrets`.
    declared: bool,
    /// The policy of the coordinator permits it.
    permitted: bool,
    /// It is in its store; none where nobody looked.
    exists: Option<bool>,
}

impl Finding {
    fn is_good(&self) -> bool {
        self.declared && self.permitted && self.exists != Some(false)
    }

    fn row(&self) -> Vec<String> {
        let word = |it: bool| if it { "yes" } else { "no" }.to_owned();
        let exists = self.exists.map_or_else(|| "-".to_owned(), word);
        let (workflow, name) = (self.workflow.to_string(), self.secret.to_string());
        vec![workflow, name, word(self.declared), word(self.permitted), exists]
    }

    fn json(&self) -> Json {
        let Self { workflow, secret, declared, permitted, exists } = self;
        let (workflow, secret) = (workflow.to_string(), &secret.0);
        json!({
            "workflow": workflow, "secret": secret, "declared": declared, "permitted": permitted,
            "exists": exists,
        })
    }
}

/// Which secrets may be read does not depend on what can be performed.
const ANY: Support = Support { allow_unsupported: true };

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let checked: Vec<_> = args.files.iter().map(|it| definition::check(it, ANY)).collect();
    let checked = checked.into_iter().collect::<Result<Vec<_>, _>>()?;
    let store = args.secrets_config.as_deref().map(store).transpose()?;
    let client = Client::new(&args.remote)?;
    let environment = client.get(&["v1", "secrets"], &[]).await?["environment"].clone();
    let environment = environment.as_str().unwrap_or("default");
    let text = client.text(&["v1", "secrets", "policy"], POLICY_BYTES).await?;
    let policy = Policy::parse(&text)
        .map_err(|error| CliError::coded(&NOT_UNDERSTOOD, &format!("its policy: {error}")))?;
    // They have no error: there is a plan.
    let plans = checked.iter().filter_map(|it| load(&it.text, &Options::default()).plan);
    let mut findings: Vec<_> = plans.flat_map(|it| findings(&it, &policy, environment)).collect();
    if let Some(store) = store {
        for finding in &mut findings {
            let Finding { workflow, secret, .. } = &*finding;
            finding.exists = Some(store.has(environment, workflow, &secret.0).await?);
        }
    }
    if Format::or_default(args.output) == Format::Json {
        let all: Vec<_> = findings.iter().map(Finding::json).collect();
        output::json(&json!({ "environment": environment, "items": all }));
    } else {
        let rows: Vec<_> = findings.iter().map(Finding::row).collect();
        output::table(&["WORKFLOW", "SECRET", "DECLARED", "PERMITTED", "EXISTS"], &rows);
    }
    let bad: Vec<_> = findings.iter().filter(|it| !it.is_good()).map(|it| &*it.secret.0).collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(CliError::coded(&SECRET_MISSING, &format!("not in order: {}", bad.join(", "))))
}

fn store(config: &Path) -> Result<Store, CliError> {
    let read = SecretsConfig::load(config).map_err(|error| CliError::Usage(error.to_string()))?;
    let Some(vault) = read.vault else {
        let text = "secrets can be looked for in Vault only: of other stores nobody can tell without \
                    reading them";
        return Err(CliError::Usage(text.to_owned()));
    };
    Store::new(vault)
}

/// The secrets that a definition declares or its tasks name, sorted.
fn findings(plan: &Arc<Plan>, policy: &Policy, environment: &str) -> Vec<Finding> {
    let mut names: BTreeSet<SecretName> = plan.secrets.iter().cloned().collect();
    for task in &plan.tasks {
        let fields = [
            Field::Condition,
            Field::InputFrom,
            Field::Definition,
            Field::OutputAs,
            Field::ExportAs,
        ];
        let works = std::iter::once(Work::Perform).chain(fields.map(Work::Evaluate));
        for work in works {
            names.extend(ReachableSecrets::by(task, &work).names.into_iter().map(SecretName));
        }
    }
    let finding = |secret: SecretName| Finding {
        workflow: plan.id.clone(),
        declared: plan.secrets.contains(&secret),
        permitted: policy.permits(&plan.id, environment, &secret),
        exists: None,
        secret,
    };
    names.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use windlass_coordinator::policy::Policy;
    use windlass_proto::definition::{Options, load};

    use super::{Finding, findings};

    #[test]
    fn each_secret_is_looked_up_in_the_definition_and_in_the_policy() {
        let text = "document: {dsl: '1.0.3', namespace: acme, name: order, version: '1.0.0'}\n\
                    use: {secrets: [a, b]}\n\
                    do: [{t: {set: {x: '${ $secrets.a }'}}}]\n";
        let plan = load(text, &Options::default()).plan.unwrap();
        let policy = Policy::parse("[[allow]]\nsecrets = [\"a\"]\nenvironment = \"test\"").unwrap();
        let of = |environment| -> Vec<_> {
            findings(&plan, &policy, environment).iter().map(Finding::row).collect()
        };
        let expected = [
            ["acme/order:1.0.0", "a", "yes", "yes", "-"],
            ["acme/order:1.0.0", "b", "yes", "no", "-"],
        ];
        assert_eq!(of("test"), expected);
        assert!(of("production").iter().all(|it| it[3] == "no"));
    }
}
