//! Credentials for protocols that have no `Authorization` header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use windlass_proto::problem::Problem;
use zeroize::Zeroizing;

use crate::authentication::Authorization;
use crate::perform::documents::configuration;

/// Who a client says it is.
pub(super) enum Login {
    User { name: String, password: Zeroizing<String> },
    Token(Zeroizing<String>),
}

/// The problem of `digest`, which answers a challenge of HTTP, and of `certificate`.
pub(super) fn http_only() -> Problem {
    let detail = "`digest` and `certificate` are supported over HTTP alone: use `basic`, `bearer`, \
                  `oauth2` or `oidc`";
    configuration(detail)
}

impl Login {
    /// The user of `basic`, or the token of `bearer`, `oauth2` and `oidc`.
    ///
    /// # Errors
    /// A configuration problem for what is of HTTP.
    pub(super) fn of(authorization: Option<&Authorization>) -> Result<Option<Self>, Problem> {
        let (scheme, parameter) = match authorization {
            None => return Ok(None),
            Some(Authorization::Header { scheme, parameter }) => (*scheme, parameter),
            Some(Authorization::Token { token, .. }) => ("Bearer", &token.value),
            Some(Authorization::Digest(_) | Authorization::Certificate(_)) => {
                return Err(http_only());
            }
        };
        let parameter = parameter.expose();
        if scheme != "Basic" {
            return Ok(Some(Self::Token(Zeroizing::new(parameter.clone()))));
        }
        let unreadable = || configuration("the user name or the password is no text");
        let bytes = Zeroizing::new(STANDARD.decode(parameter).map_err(|_| unreadable())?);
        let pair = std::str::from_utf8(&bytes).map_err(|_| unreadable())?;
        let (name, password) = pair.split_once(':').unwrap_or((pair, ""));
        let password = Zeroizing::new(password.to_owned());
        Ok(Some(Self::User { name: name.to_owned(), password }))
    }
}
