//! The setup as a shell script, for people who read before they run.

use super::layout::Layout;

/// A script for `sh` that makes what `layout` says, in a namespace of the store where one is given,
/// with the command line of Vault or OpenBao. Run twice, it changes nothing the second time.
pub(super) fn script(layout: &Layout, namespace: Option<&str>) -> String {
    let Layout { auth, config, roles, transit, policies, groups } = layout;
    let mut text = String::from(
        "#!/bin/sh\n# Lets tasks of Windlass log in at Vault or OpenBao, each with rights of its own.\n\
         # Needs VAULT_ADDR and a VAULT_TOKEN that may do this; VAULT=bao for OpenBao.\n\
         set -eu\nVAULT=${VAULT:-vault}\n\n",
    );
    if let Some(namespace) = namespace {
        let namespace = quoted(namespace);
        // Each of the two command lines reads its own.
        text.push_str(&format!(
            "export VAULT_NAMESPACE={namespace}\nexport BAO_NAMESPACE={namespace}\n\n"
        ));
    }
    text.push_str(&format!(
        "\"$VAULT\" read sys/auth/{auth} >/dev/null 2>&1 || \"$VAULT\" auth enable -path={auth} jwt\n\
         \"$VAULT\" read sys/mounts/{transit} >/dev/null 2>&1 || \
         \"$VAULT\" secrets enable -path={transit} transit\n\
         ACCESSOR=$(\"$VAULT\" read -field=accessor sys/auth/{auth})\n\n",
    ));
    text.push_str(&write(&format!("auth/{auth}/config"), &pretty(config)));
    for (name, policy) in policies {
        text.push_str(&format!("\"$VAULT\" policy write {name} - <<END\n{policy}END\n\n"));
    }
    for (role, definition) in roles {
        text.push_str(&write(&format!("auth/{auth}/role/{role}"), &pretty(definition)));
    }
    for group in groups {
        let (name, secret) = (&group.name, quoted(&group.secret));
        text.push_str(&format!(
            "\"$VAULT\" write identity/group/name/{name} type=external policies={name}\n\
             GROUP=$(\"$VAULT\" read -field=id identity/group/name/{name})\n\
             # Says something else than an id where there is none.\n\
             [ \"$(\"$VAULT\" write -field=id identity/lookup/group alias_name={secret} \\\n  \
             alias_mount_accessor=\"$ACCESSOR\")\" = \"$GROUP\" ] || \\\n  \
             \"$VAULT\" write identity/group-alias name={secret} \\\n    \
             mount_accessor=\"$ACCESSOR\" canonical_id=\"$GROUP\"\n\n"
        ));
    }
    text
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn write(path: &str, json: &str) -> String {
    format!("\"$VAULT\" write {path} - <<'END'\n{json}\nEND\n\n")
}

fn pretty(json: &serde_json::Value) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default()
}
