//! Secrets of AWS Secrets Manager.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Credentials, Region};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_secretsmanager::operation::RequestId as _;
use aws_sdk_secretsmanager::operation::get_secret_value::{
    GetSecretValueError, GetSecretValueOutput,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::OnceCell;
use windlass_proto::limits;
use windlass_proto::secret::{Secret, SecretName};
use zeroize::Zeroizing;

use super::places::{Places, Rule};
use super::setup::{StoreConfig, StoreError, StoreSettings};
use super::{SecretContext, SecretError, SecretStore, SecretValue, payload, remote};

/// The section `[aws]`.
pub type AwsConfig = StoreConfig<AwsSettings>;

/// What only the section `[aws]` has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub struct AwsSettings {
    /// The region; by default that of `AWS_REGION`, of the profile or of the machine.
    #[serde(default)]
    pub region: Option<String>,
    /// Another address of the service than the region's own.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// A file like `~/.aws/credentials`, to be used in place of all other credentials.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
    /// The profile of that file, or of AWS's own files; by default that of `AWS_PROFILE`, else
    /// `default`.
    #[serde(default)]
    pub profile: Option<String>,
}

impl StoreSettings for AwsSettings {
    /// Names or ARNs of secrets; by default `{environment}/{namespace}/{name}`.
    const USUAL_PATH: &str = "{environment}/{namespace}/{name}";
}

/// Reads the versions with the label `AWSCURRENT`; those that are JSON objects are structures,
/// others texts, or base64 where they are binary.
///
/// Credentials come from where AWS puts them: the environment, a profile, the web identity of a pod
/// (IRSA), the container (ECS, EKS Pod Identity), the machine (instance metadata, version 2). They
/// need `secretsmanager:GetSecretValue`, and `kms:Decrypt` where a key of one's own is used.
/// Proxies that the environment names are not used: without a way to the internet there are VPC
/// endpoints.
pub struct AwsSecrets {
    /// Made at the first read, as finding region and credentials may take requests.
    client: OnceCell<Client>,
    config: AwsSettings,
    timeout: Duration,
    places: Places,
}

/// The credentials of the environment, where they were taken out of it: the library looks there
/// first of all, and would not find them.
fn taken_credentials() -> Option<Credentials> {
    let text = |name| crate::variable(name)?.into_string().ok().filter(|it| !it.is_empty());
    if std::env::var_os("AWS_SECRET_ACCESS_KEY").is_some() {
        return None;
    }
    let (id, secret) = (text("AWS_ACCESS_KEY_ID")?, text("AWS_SECRET_ACCESS_KEY")?);
    Some(Credentials::new(id, secret, text("AWS_SESSION_TOKEN"), None, "Environment"))
}

impl AwsSecrets {
    /// A store by these settings.
    ///
    /// # Errors
    /// When the settings mean nothing.
    pub fn new(StoreConfig { own: config, shared }: AwsConfig) -> Result<Self, StoreError> {
        if let Some(endpoint) = &config.endpoint {
            let url = remote::base("aws.endpoint", endpoint)?;
            remote::warn_of_plain_http("aws.endpoint", &url);
        }
        // The colons of an ARN can only come from the settings: values have none.
        let rule = Rule {
            allowed: |it| it.is_ascii_alphanumeric() || "/_+=.@-:".contains(it),
            longest: 2_048,
        };
        let places = shared.places(rule)?;
        if let Some(file) = &config.credentials_file {
            std::fs::File::open(file).map_err(|error| StoreError::file(file, error))?;
        }
        Ok(Self { client: OnceCell::new(), config, timeout: shared.timeout, places })
    }

    async fn connect(&self) -> Client {
        let config = &self.config;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder().operation_timeout(self.timeout).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(limits::AWS_TRIES));
        if let Some(region) = &config.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &config.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(file) = &config.credentials_file {
            let kind = EnvConfigFileKind::Credentials;
            let files = EnvConfigFiles::builder().with_file(kind, file).build();
            let provider = ProfileFileCredentialsProvider::builder()
                .configure(&ProviderConfig::default().with_http_client(http))
                .profile_files(files);
            let provider = match &config.profile {
                Some(profile) => provider.profile_name(profile),
                None => provider,
            };
            loader = loader.credentials_provider(provider.build());
        } else if let Some(credentials) = taken_credentials() {
            loader = loader.credentials_provider(credentials);
        }
        let shared = loader.load().await;
        let mut builder = aws_sdk_secretsmanager::config::Builder::from(&shared);
        // For this service alone: credentials come from where they always do.
        if let Some(endpoint) = &config.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        Client::from_conf(builder.build())
    }

    async fn find(
        &self,
        name: &SecretName,
        context: &SecretContext,
    ) -> Result<SecretValue, SecretError> {
        let (path, field) = self.places.of(name, context)?;
        let client = self.client.get_or_init(|| self.connect()).await;
        let asked = client.get_secret_value().secret_id(path).send().await;
        let mut output = asked.map_err(|error| meaning(&error))?;
        let request = output.request_id().map(Into::into);
        let version = output.version_id.take().map(Into::into);
        let data = payload::object_or_text(content(output)?);
        Ok(SecretValue {
            data: Secret::new(payload::take(data, field)?),
            version,
            request,
            lease: None,
        })
    }
}

impl SecretStore for AwsSecrets {
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        Box::pin(remote::bounded(self.timeout, self.find(name, context)))
    }
}

/// The library takes any answer with the status 200 for one, even an empty one.
fn content(output: GetSecretValueOutput) -> Result<Zeroizing<String>, SecretError> {
    match (output.secret_string, output.secret_binary) {
        (Some(text), _) => Ok(Zeroizing::new(text)),
        (None, Some(blob)) => Ok(payload::from_bytes(&Zeroizing::new(blob.into_inner()))),
        (None, None) => Err(remote::unreadable()),
    }
}

/// What an error says of a secret.
fn meaning(error: &SdkError<GetSecretValueError>) -> SecretError {
    let unavailable = |what: &str| SecretError::Unavailable(what.to_owned());
    match error {
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status().as_u16();
            of_code(refused.err().code().unwrap_or_default(), status)
        }
        SdkError::TimeoutError(_) => unavailable("it did not answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            unavailable("it did not answer in time")
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            unavailable("no connection to it can be made, or it broke")
        }
        SdkError::ResponseError(_) => remote::unreadable(),
        // Region or credentials were not found: see the log.
        other => {
            let reason = aws_sdk_secretsmanager::error::DisplayErrorContext(other);
            tracing::warn!("cannot ask AWS for a secret: {reason}");
            unavailable("the worker has no usable credentials or region for it")
        }
    }
}

/// The service's own words for what is wrong.
fn of_code(code: &str, status: u16) -> SecretError {
    match code {
        // An invalid request is one for a secret that is scheduled for deletion, a validation error
        // one for a name that there cannot be.
        "ResourceNotFoundException"
        | "InvalidRequestException"
        | "ValidationException"
        | "InvalidParameterException" => SecretError::Missing,
        "AccessDeniedException"
        | "DecryptionFailure"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnrecognizedClientException" => SecretError::Forbidden,
        // Throttling has several names and the statuses 400 and 429.
        _ => SecretError::Unavailable(format!("it answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretError, of_code};

    #[test]
    fn only_what_may_pass_is_unavailable() {
        assert_eq!(of_code("ResourceNotFoundException", 400), SecretError::Missing);
        assert_eq!(of_code("AccessDeniedException", 400), SecretError::Forbidden);
        assert_eq!(of_code("UnrecognizedClientException", 400), SecretError::Forbidden);
        for (code, status) in
            [("ThrottlingException", 400), ("InternalServiceError", 500), ("", 503)]
        {
            assert!(matches!(of_code(code, status), SecretError::Unavailable(_)), "{code}");
        }
    }
}
