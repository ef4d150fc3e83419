//! Which server a command talks to, whom that must be, and what it is shown.

use std::path::PathBuf;

use clap::Args;
use reqwest::Url;
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::header::Header;
use crate::output;
use crate::profile::{Profile, Profiles, VARIABLE as PROFILE_VARIABLE};

/// Which server to talk to.
#[derive(Args, Default)]
pub(crate) struct Remote {
    /// The server's URL [default: the profile's, or http://127.0.0.1:7400]
    #[arg(long, env = URL_VARIABLE, value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) certificates: Certificates,
    #[command(flatten)]
    pub(crate) token: TokenOptions,
    #[command(flatten)]
    pub(crate) profile: ProfileOptions,
}

/// What stands in a file for several servers, or is for what is before one.
#[derive(Args, Clone, Default)]
pub(crate) struct ProfileOptions {
    /// The profile that says which server, and what it is shown: `windlass profile`
    // The whole command line has it as well, for who writes it first: by the same name.
    #[arg(long, env = PROFILE_VARIABLE, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Send this header with each request, for what is before a server; may be repeated. A profile
    /// keeps it out of the shell's history
    // A text, as what refuses it must not show it.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
}

impl ProfileOptions {
    /// For commands without these options.
    pub(crate) fn of_environment() -> Self {
        Self { profile: std::env::var(PROFILE_VARIABLE).ok(), headers: Vec::new() }
    }
}

/// What shows the server who asks.
#[derive(Args, Clone, Default)]
pub(crate) struct TokenOptions {
    /// Show the server the token in this file; WINDLASS_TOKEN is the token itself
    #[arg(long, env = TOKEN_FILE_VARIABLE, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Whom a server must be, and who asks it.
#[derive(Args, Clone, Default)]
pub(crate) struct Certificates {
    /// Trust a server with a certificate of these authorities, in PEM, instead of those that the
    /// system knows
    #[arg(long, env = AUTHORITY_VARIABLE, value_name = "FILE")]
    pub(crate) certificate_authority: Option<PathBuf>,
    /// Show the server this certificate, in PEM; its key may be in the same file
    #[arg(long, env = CERTIFICATE_VARIABLE, value_name = "FILE")]
    pub(crate) client_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, env = KEY_VARIABLE, value_name = "FILE", requires = "client_certificate")]
    pub(crate) client_key: Option<PathBuf>,
}

/// The variable that names a file with a token, as secrets are mounted.
const TOKEN_FILE_VARIABLE: &str = "WINDLASS_TOKEN_FILE";
/// The variable that is a token.
const TOKEN_VARIABLE: &str = "WINDLASS_TOKEN";
const AUTHORITY_VARIABLE: &str = "WINDLASS_CERTIFICATE_AUTHORITY";
const CERTIFICATE_VARIABLE: &str = "WINDLASS_CLIENT_CERTIFICATE";
const KEY_VARIABLE: &str = "WINDLASS_CLIENT_KEY";
/// The variable that names the server.
const URL_VARIABLE: &str = "WINDLASS_URL";

/// Where `windlass dev` and `windlass coordinator` listen unless told otherwise.
const LOCAL_URL: &str = "http://127.0.0.1:7400";

/// A server, and what it is shown: all that the command line, variables and a profile say.
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) certificates: Certificates,
    pub(crate) token: TokenFrom,
    pub(crate) headers: Vec<Header>,
}

/// Where the token is that shows a server who asks.
#[derive(Clone)]
pub(crate) enum TokenFrom {
    /// In a file.
    File(PathBuf),
    /// In the environment.
    Text(Zeroizing<String>),
    /// In what a program prints.
    Command(Vec<String>),
    /// Where the last login keeps it, if there was one.
    Login,
}

impl Remote {
    /// The server at a URL, or at the usual one, with what variables and the profile say.
    pub(crate) fn at(url: Option<String>, profile: ProfileOptions) -> Self {
        let file = |name| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        let certificates = Certificates {
            certificate_authority: file(AUTHORITY_VARIABLE),
            client_certificate: file(CERTIFICATE_VARIABLE),
            client_key: file(KEY_VARIABLE),
        };
        let token = TokenOptions { token_file: file(TOKEN_FILE_VARIABLE) };
        let url = url.or_else(|| std::env::var(URL_VARIABLE).ok());
        Self { url, certificates, token, profile }
    }

    /// All that is said of the server: by the command line, else by variables, else by the profile.
    ///
    /// # Errors
    /// When the profile is not there, or something makes no sense.
    pub(crate) fn target(&self) -> Result<Target, CliError> {
        let said = self.url.as_deref().filter(|it| !it.is_empty()).map(url).transpose()?;
        let chosen = self.profile.profile.as_deref().filter(|it| !it.is_empty());
        let profile = match Profiles::read()? {
            Some(all) => all.choose(chosen)?,
            None => chosen.map_or(Ok(None), |name| Err(Profiles::none(name)))?,
        };
        let profile = profile.map(|it| Ok::<_, CliError>((url(&it.url)?, it))).transpose()?;
        let (url, profile) = match (said, profile) {
            (None, None) => (url(LOCAL_URL)?, None),
            (Some(said), None) => (said, None),
            (None, Some((own, profile))) => (own, Some(profile)),
            (Some(said), Some((own, profile))) if said.origin() == own.origin() => {
                (said, Some(profile))
            }
            // Nobody else is shown what is for its server.
            (Some(said), Some((own, profile))) => {
                if chosen.is_some() {
                    output::message(&format!(
                        "the profile {} is of {own}: {said} is shown nothing of it",
                        profile.name
                    ));
                }
                (said, None)
            }
        };
        let headers = self.headers(profile.as_ref())?;
        let token = self.token(profile.as_ref());
        let certificates = self.certificates(profile);
        Ok(Target { url, certificates, token, headers })
    }

    fn headers(&self, profile: Option<&Profile>) -> Result<Vec<Header>, CliError> {
        let read = |text: &String| {
            Header::parse(text).map_err(|why| CliError::Usage(format!("--header: {why}")))
        };
        let given = self.profile.headers.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut all = given.clone();
        // What is given replaces those of the same name.
        let is_given = |it: &&Header| given.iter().any(|given| given.name() == it.name());
        let kept = profile.into_iter().flat_map(|it| &it.headers).filter(|it| !is_given(it));
        all.extend(kept.cloned());
        Ok(all)
    }

    fn token(&self, profile: Option<&Profile>) -> TokenFrom {
        let variable = || windlass_worker::variable(TOKEN_VARIABLE)?.into_string().ok();
        let text = || Some(TokenFrom::Text(variable().filter(|it| !it.is_empty())?.into()));
        let file = |path: &PathBuf| TokenFrom::File(path.clone());
        let of_profile = |it: &Profile| match (&it.token_file, &it.token_command[..]) {
            (Some(path), _) => Some(file(path)),
            (None, []) => None,
            (None, command) => Some(TokenFrom::Command(command.to_vec())),
        };
        let given = self.token.token_file.as_ref().map(file).or_else(text);
        given.or_else(|| profile.and_then(of_profile)).unwrap_or(TokenFrom::Login)
    }

    fn certificates(&self, profile: Option<Profile>) -> Certificates {
        let mut all = self.certificates.clone();
        let Some(profile) = profile else { return all };
        all.certificate_authority = all.certificate_authority.or(profile.certificate_authority);
        // A key belongs to its certificate.
        if all.client_certificate.is_none() {
            all.client_certificate = profile.client_certificate;
            all.client_key = profile.client_key;
        }
        all
    }
}

/// Reads the URL of a server.
fn url(text: &str) -> Result<Url, CliError> {
    // What is before an `@` may be a password, which nothing shows.
    let shown = if text.contains('@') { String::new() } else { format!(" {text}") };
    let refused = |reason: &str| CliError::Usage(format!("the URL{shown}: {reason}"));
    let url = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        let reason = "write it without a user and a password; --token-file, or a header in a \
                      profile, says who asks";
        return Err(refused(reason));
    }
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(refused("write http://HOST:PORT or https://HOST:PORT"));
    }
    Ok(url)
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::{CliError, url};

    #[test]
    fn a_url_with_a_password_is_refused_and_not_shown() {
        for text in
            ["https://u:c4nary@h", "https://c4nary@h:1", "u:c4nary@h", "http://u:c4nary@h:99999"]
        {
            let Err(CliError::Usage(error)) = url(text) else { panic!("{text} is taken") };
            assert!(error.starts_with("the URL: ") && !error.contains("c4nary"), "{error}");
        }
        assert!(url("https://[::1]:7400/@base").is_ok());
    }
}
