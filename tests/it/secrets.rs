//! Secrets over the whole product: who may read which, how that is proved, and what is told of it.

mod audit;
mod canary;
mod database;
mod hand;
mod house;
mod identity;
mod outage;
mod policy;
mod rights;
mod seed_vault;

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
