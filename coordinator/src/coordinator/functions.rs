//! The default catalog, for who asks the coordinator.

use super::handle::blocking;
use super::{Coordinator, CoordinatorError};
use crate::catalog::{PublishRefused, Published, PublishedFunction};
use crate::clock;

impl Coordinator {
    /// Publishes a function to the default catalog: `name` and `version`, which never change their
    /// text.
    ///
    /// # Errors
    /// When it is no function, exists with another text, or cannot be kept.
    pub async fn publish_function(
        &self,
        name: &str,
        version: &str,
        text: String,
    ) -> Result<Published, CoordinatorError> {
        let router = self.runtime.router.clone();
        let (function, version) = (name.to_owned(), version.to_owned());
        let reference = format!("{name}:{version}");
        let publish = move || router.catalog.publish(&function, &version, &text, clock::now());
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
