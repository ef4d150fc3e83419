//! The default catalog, for who asks the coordinator.

use windlass_proto::audit::AuditAction;
use windlass_proto::id::Digest;

use super::handle::blocking;
use super::{Coordinator, CoordinatorError, Operator};
use crate::catalog::{PublishRefused, Published, PublishedFunction};
use crate::clock;
use crate::secrets::SecretsError;

impl Coordinator {
    /// Publishes a function to the default catalog: `name` and `version`, which never change their
    /// text. It is in the audit trail before.
    ///
    /// # Errors
    /// When it is no function, exists with another text, or cannot be kept.
    pub async fn publish_function(
        &self,
        name: &str,
        version: &str,
        text: String,
        by: Operator,
    ) -> Result<Published, CoordinatorError> {
        let router = self.runtime.router.clone();
        let (function, version) = (name.to_owned(), version.to_owned());
        let reference = format!("{name}:{version}");
        let (tell, told) = (self.teller(AuditAction::FunctionPublished, &by), reference.clone());
        let tell = move |digest: &Digest| tell(None, format!("{told}, digest none -> {digest}"));
        let publish =
            move || router.catalog.publish_told(&function, &version, &text, clock::now(), tell);
        blocking(publish).await?.map_err(|refused| match refused {
            PublishRefused::Invalid(found) => {
                let why = found.first().map(|it| it.message.clone()).unwrap_or_default();
                CoordinatorError::InvalidFunction(reference, why, found)
            }
            PublishRefused::Unpublished(why) => {
                CoordinatorError::InvalidFunction(reference, why, Vec::new())
            }
            PublishRefused::Exists(digest) => CoordinatorError::OtherFunction(reference, digest),
            PublishRefused::Full => {
                let why = "the default catalog is full".to_owned();
                CoordinatorError::InvalidFunction(reference, why, Vec::new())
            }
            PublishRefused::Journal(error) => CoordinatorError::Journal(error),
            PublishRefused::Untold(error) => SecretsError::from(error).into(),
        })
    }

    /// A function of the default catalog.
    ///
    /// # Errors
    /// When there is none of that name and version.
    pub fn function(
        &self,
        name: &str,
        version: &str,
    ) -> Result<PublishedFunction, CoordinatorError> {
        let unknown = || CoordinatorError::UnknownFunction(format!("{name}:{version}"));
        self.runtime.router.catalog.function(name, version).ok_or_else(unknown)
    }

    /// All functions of the default catalog.
    #[must_use]
    pub fn functions(&self) -> Vec<PublishedFunction> {
        self.runtime.router.catalog.functions()
    }
}
