//! Webhooks that come in, for whoever looks after them and for services that deliver.

use std::sync::Arc;

use windlass_proto::audit::AuditAction;
use windlass_proto::cloudevent::CloudEvent;

use super::handle::blocking;
use super::{Coordinator, CoordinatorError, Operator};
use crate::clock;
use crate::webhooks::{Endpoint, Headers, Webhook, Webhooks};

impl Coordinator {
    /// The webhooks of a namespace.
    #[must_use]
    pub fn webhooks(&self, namespace: &str) -> Vec<Arc<Endpoint>> {
        self.hooks().of(namespace)
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn webhook(&self, namespace: &str, name: &str) -> Result<Arc<Endpoint>, CoordinatorError> {
        Ok(self.hooks().get(namespace, name)?)
    }

    /// Makes a webhook, or changes one; told to the audit trail before.
    ///
    /// # Errors
    /// When it is not as one must be, its secret cannot be read, or it cannot be told or kept.
    pub async fn put_webhook(
        &self,
        mut webhook: Webhook,
        by: &Operator,
    ) -> Result<Arc<Endpoint>, CoordinatorError> {
        webhook.created_at = clock::now();
        let detail = format!(
            "put webhook {}/{}, {}, type {}",
            webhook.namespace, webhook.name, webhook.preset, webhook.r#type
        );
        let namespace = Some(webhook.namespace.as_str().into());
        let endpoint = Endpoint::new(webhook)?;
        self.needs_room()?;
        let action = AuditAction::WebhookChanged;
        self.audited_in(action, namespace, detail, by).await?;
        let hooks = self.hooks().clone();
        Ok(blocking(move || hooks.put(endpoint)).await??)
    }

    /// Ends a webhook; told to the audit trail before.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be told or kept.
    pub async fn remove_webhook(
        &self,
        namespace: String,
        name: String,
        by: &Operator,
    ) -> Result<(), CoordinatorError> {
        self.hooks().get(&namespace, &name)?;
        let detail = format!("delete webhook {namespace}/{name}");
        let action = AuditAction::WebhookChanged;
        self.audited_in(action, Some(namespace.as_str().into()), detail, by).await?;
        let hooks = self.hooks().clone();
        Ok(blocking(move || hooks.remove(&namespace, &name)).await??)
    }

    /// Lets a delivery be read whose sender may have signed it.
    ///
    /// # Errors
    /// When there is no such webhook, or it is not signed.
    pub fn may_deliver(
        &self,
        namespace: &str,
        name: &str,
        headers: &dyn Headers,
    ) -> Result<(), CoordinatorError> {
        Ok(self.hooks().may_come((namespace, name), headers)?)
    }

    /// The event of a delivery.
    ///
    /// # Errors
    /// When the delivery is not of who says so (also where there is no such webhook), or makes no
    /// event.
    pub async fn delivered<H: Headers + Send + 'static>(
        &self,
        namespace: String,
        name: String,
        headers: H,
        body: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<CloudEvent, CoordinatorError> {
        let hooks = self.hooks().clone();
        let take = move || hooks.take((&namespace, &name), &headers, body.as_ref(), clock::now());
        Ok(blocking(take).await??)
    }

    fn hooks(&self) -> &Arc<Webhooks> {
        &self.runtime.router.webhooks
    }
}
