//! Processes of tasks: what they can reach, who may run them, and that they end.

mod allow;
mod containers;
mod descendants;
mod files;
mod sandbox;
mod search;

/// A workflow of one task, `task: …`.
fn definition(name: &str, task: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: processes, name: {name}, version: '1.0.0'}}\n\
         do:\n- it: {task}\n"
    )
}

/// A task that runs `command` in a shell.
fn shell(command: &str) -> String {
    let command = serde_json::json!(command);
    format!("{{run: {{shell: {{command: {command}}}}}}}")
}
