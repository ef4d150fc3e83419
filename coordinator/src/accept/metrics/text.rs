//! The text format of Prometheus.

use std::fmt::Write as _;

/// The Prometheus text format, as it grows.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// One family with its samples: labels and value.
    pub(super) fn family(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: &[(String, String)],
    ) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    /// A family of one sample without labels.
    pub(super) fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help, &[(String::new(), value.to_string())]);
    }
}
