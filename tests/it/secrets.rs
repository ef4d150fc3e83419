//! Secrets: where they come from.

mod store_aws;
mod store_azure;
mod store_files;
mod store_google;
mod store_kubernetes;
mod stores;
