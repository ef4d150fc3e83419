//! What TLS of HTTP clients is made with.

/// Makes sure that there is something; before the first client is made.
pub(crate) fn provide() {
    // An error means that the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
