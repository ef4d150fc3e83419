//! The token that shows the server who asks.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::HeaderValue;
use windlass_proto::limits::ACCESS_CREDENTIAL_BYTES;
use zeroize::Zeroizing;

use super::is_loopback;
use crate::error::CliError;
use crate::options::TokenOptions;

/// The variable that is a token.
const VARIABLE: &str = "WINDLASS_TOKEN";

/// The header with the token of the file that the options name, else of the environment, else of
/// the last login.
pub(super) fn authorization(
    options: &TokenOptions,
    server: &Url,
) -> Result<Option<HeaderValue>, CliError> {
    let given = windlass_worker::variable(VARIABLE).and_then(|it| it.into_string().ok());
    let token = match (&options.token_file, given) {
        (Some(path), _) => read(path)?,
        (None, Some(token)) if !token.is_empty() => Zeroizing::new(token),
        (None, _) => match kept(server).filter(|it| it.exists()) {
            Some(path) => read(&path)?,
            None => return Ok(None),
        },
    };
    if server.scheme() == "http" && !is_loopback(server) {
        let text = format!(
            "{server} is plain HTTP to another machine: whoever is between could read the token. \
             Write https://, or unset {VARIABLE} and --token-file"
        );
        return Err(CliError::Usage(text));
    }
    let value = Zeroizing::new(format!("Bearer {}", token.trim()));
    let mut header = HeaderValue::from_str(&value)
        .map_err(|_| CliError::Usage("a token is one line of visible characters".to_owned()))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// Where `windlass login` keeps the token for a server: in the folder for configuration of who runs
/// this.
pub(crate) fn kept(server: &Url) -> Option<PathBuf> {
    let folder =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    let host = server.host_str()?.trim_start_matches('[').trim_end_matches(']').replace(':', ".");
    let port = server.port_or_known_default()?;
    let scheme = server.scheme();
    Some(base.join("windlass").join("tokens").join(format!("{scheme}_{host}_{port}")))
}

fn read(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let unusable =
        |reason: &dyn std::fmt::Display| CliError::Usage(format!("{}: {reason}", path.display()));
    let mut text = Zeroizing::new(String::new());
    let mut file = File::open(path).map_err(|error| unusable(&error))?;
    let most = ACCESS_CREDENTIAL_BYTES as u64 + 1;
    file.by_ref().take(most).read_to_string(&mut text).map_err(|error| unusable(&error))?;
    match text.trim().is_empty() || text.len() > ACCESS_CREDENTIAL_BYTES {
        true => Err(unusable(&format!("a token has 1 to {ACCESS_CREDENTIAL_BYTES} bytes"))),
        false => Ok(text),
    }
}
