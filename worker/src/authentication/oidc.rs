//! `oidc`: `oauth2` at an endpoint that the authority's discovery document names.

use windlass_proto::plan::OAuth2;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::SecretName;
use windlass_proto::value::Value;

use super::Authorization;
use super::settings::{Settings, from_secret};
use crate::attempt::Attempt;

const DISCOVERY: &str = "/.well-known/openid-configuration";

impl Attempt<'_> {
    pub(super) async fn oidc(
        &mut self,
        policy: &OAuth2,
        input: &Value,
    ) -> Result<Authorization, Problem> {
        let settings = self.settings(policy, input)?;
        let url = self.discover(&settings).await?;
        self.token(settings, &url).await
    }

    pub(super) async fn oidc_from_secret(
        &mut self,
        name: &SecretName,
    ) -> Result<Authorization, Problem> {
        let settings = from_secret(self.secret(name)?, name, "oidc")?;
        let url = self.discover(&settings).await?;
        self.token(settings, &url).await
    }

    /// The token endpoint of an authority.
    async fn discover(&mut self, settings: &Settings) -> Result<String, Problem> {
        let authority = settings.authority.trim_end_matches('/');
        let url = if authority.ends_with(DISCOVERY) {
            authority.to_owned()
        } else {
            format!("{authority}{DISCOVERY}")
        };
        let refused = |why: &str| {
            let detail = format!("OpenID Connect discovery: {why}");
            Problem::new(Standard::Authentication, detail)
        };
        let document = self.fetch_public(&url).await.map_err(|problem| {
            if problem.status == Standard::Authorization.status() {
                return problem;
            }
            refused(problem.detail.as_deref().unwrap_or_default())
        })?;
        // Where clients show certificates, some servers listen elsewhere (RFC 8705, 5).
        let aliases = document.get("mtls_endpoint_aliases");
        let aliases = aliases.filter(|_| settings.client_identity.is_some());
        let endpoint = aliases.and_then(|it| it.get("token_endpoint"));
        let endpoint = endpoint.or_else(|| document.get("token_endpoint")).and_then(Value::as_str);
        endpoint.map(str::to_owned).ok_or_else(|| refused("the document has no `token_endpoint`"))
    }
}
