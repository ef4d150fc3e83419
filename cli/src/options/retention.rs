//! How long ended instances are kept, and where they go before they are removed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use windlass_coordinator::accept::rendering;
use windlass_coordinator::archive::Archive;
use windlass_coordinator::retention::{RetentionPolicy, RetentionRule};
use windlass_proto::duration::typed;

use crate::code::NOT_STARTED;
use crate::error::CliError;

/// What retention counts in.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What becomes of instances that have ended.
#[derive(Args)]
#[command(next_help_heading = "Retention")]
pub(crate) struct RetentionOptions {
    /// Days that ended instances are kept; 0 keeps them for ever
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    retention_days: u32,
    /// How long those of a namespace or a workflow are kept instead, or `forever`; may be repeated.
    /// A definition may say less (`metadata.windlass.retention`)
    #[arg(long, value_name = "NAMESPACE[/NAME]=DURATION", value_parser = rule)]
    retention: Vec<RetentionRule>,
    /// Write instances to files in this directory before they are removed
    #[arg(long, env = "WINDLASS_ARCHIVE", value_name = "DIR")]
    archive: Option<PathBuf>,
}

impl RetentionOptions {
    /// The same, for the coordinator.
    pub(crate) fn policy(&self) -> RetentionPolicy {
        let usual = (self.retention_days > 0).then(|| DAY * self.retention_days);
        RetentionPolicy { usual, rules: self.retention.clone() }
    }

    /// Where instances are kept before they are removed.
    pub(crate) fn archive(&self) -> Result<Option<Archive>, CliError> {
        let open = |it: &PathBuf| Archive::open(it, rendering());
        let opened = self.archive.as_ref().map(open).transpose();
        opened.map_err(|error| CliError::coded(&NOT_STARTED, &format!("--archive: {error}")))
    }
}

/// Reads `shop/order=7d`.
fn rule(text: &str) -> Result<RetentionRule, String> {
    let form = "write NAMESPACE=DURATION or NAMESPACE/NAME=DURATION, such as shop/order=7d";
    let (of, keep) = text.split_once('=').ok_or(form)?;
    let (namespace, name) = match of.split_once('/') {
        Some((namespace, name)) if !name.is_empty() => (namespace, Some(name.into())),
        Some(_) => return Err(form.to_owned()),
        None => (of, None),
    };
    if namespace.is_empty() {
        return Err(form.to_owned());
    }
    let keep = match keep {
        "forever" => None,
        keep => Some(typed::parse(keep).map_err(|error| error.to_string())?),
    };
    Ok(RetentionRule { namespace: namespace.into(), name, keep })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::rule;

    #[test]
    fn a_rule_names_what_it_is_about() {
        let read = |text| {
            let it = rule(text).ok()?;
            Some((it.namespace.to_string(), it.name.map(|it| it.to_string()), it.keep))
        };
        let day = Duration::from_secs(86_400);
        assert_eq!(read("shop=7d"), Some(("shop".to_owned(), None, Some(7 * day))));
        let order = Some("order".to_owned());
        assert_eq!(read("shop/order=P1D"), Some(("shop".to_owned(), order, Some(day))));
        assert_eq!(read("bank=forever"), Some(("bank".to_owned(), None, None)));
        for wrong in ["", "shop", "=7d", "shop/=7d", "/order=7d", "shop=soon", "shop="] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
