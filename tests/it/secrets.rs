//! Secrets over the whole product: where they come from, who may read which, and that they stay
//! there.

mod audit;
mod canary;
mod clocks;
mod database;
mod hand;
mod house;
mod identity;
mod observed;
mod outage;
mod policy;
mod pressure;
mod rights;
mod sealing;
mod seed_vault;
mod setup;
mod shared_login;
mod slots;
mod store_aws;
mod store_azure;
mod store_files;
mod store_google;
mod store_kubernetes;
mod stores;
mod urls;
mod vault_cache;
mod vault_engines;
mod vault_failures;
mod vault_leases;
mod vault_login;
mod vault_run;
mod vault_seal;
mod vault_setup;
mod vault_shared;

use crate::support::fleet::Fleet;

/// Deploys a workflow of one call to `endpoint`, which carries the secret `api-key` in a header.
async fn deploy_call(fleet: &Fleet, endpoint: &str) -> serde_json::Value {
    fleet.api.deploy(&call(endpoint)).await
}

fn call(endpoint: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: acme, name: order, version: '1.0.0'}}\n\
         use: {{secrets: [api-key]}}\n\
         do:\n- pay: {{call: http, with: {{method: get, endpoint: '{endpoint}', headers: \
         {{x-key: '${{ $secrets.\"api-key\" }}'}}}}}}\n"
    )
}
