//! `digest`: RFC 7616. The server's challenge is answered once.

use digest_auth::{AlgorithmType, AuthContext, HttpMethod, WwwAuthenticateHeader};
use http_auth::parser::ChallengeParser;
use reqwest::header::HeaderValue;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::Secret;

use crate::request::{Request, shown};

/// User name and password, until a challenge comes.
pub(crate) struct Account {
    name: String,
    password: Secret<String>,
}

impl Account {
    pub(super) fn new(name: &str, password: &str) -> Self {
        let password = Secret::new(password.to_owned());
        Self { name: name.to_owned(), password }
    }

    /// The parameter of the `Authorization` header that answers the strongest of `challenges`.
    pub(super) fn answer(
        &self,
        request: &Request,
        challenges: &[HeaderValue],
    ) -> Result<String, Problem> {
        let refused = |why: &str| {
            let detail = format!("digest authentication at {}: {why}", shown(&request.url));
            Problem::new(Standard::Authentication, detail)
        };
        let mut challenge = challenges
            .iter()
            .filter_map(|it| it.to_str().ok())
            .flat_map(digests)
            .filter_map(|it| WwwAuthenticateHeader::parse(&it).ok())
            .max_by_key(|it| it.algorithm.algo != AlgorithmType::MD5)
            .ok_or_else(|| refused("the server sent no digest challenge that can be answered"))?;
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let uri = format!("{}{query}", request.url.path());
        let context = AuthContext::new_with_method(
            self.name.as_str(),
            self.password.expose().as_str(),
            uri.as_str(),
            request.body.as_deref(),
            HttpMethod::from(request.method.as_str()),
        );
        let answer = challenge.respond(&context).map_err(|error| refused(&error.to_string()))?;
        let text = answer.to_header_string();
        Ok(text.strip_prefix("Digest ").unwrap_or(&text).to_owned())
    }
}

/// The parameters of each digest challenge in a field; one that cannot be read ends it.
fn digests(field: &str) -> Vec<String> {
    let challenges = ChallengeParser::new(field).map_while(Result::ok);
    let challenges = challenges.filter(|it| it.scheme.eq_ignore_ascii_case("digest"));
    let challenges = challenges.map(|challenge| {
        let parameters = challenge.params.iter();
        let parameters =
            parameters.map(|(name, value)| format!("{name}=\"{}\"", value.as_escaped()));
        parameters.collect::<Vec<_>>().join(", ")
    });
    challenges.collect()
}
