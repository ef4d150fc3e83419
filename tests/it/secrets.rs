//! Secrets, read from real stores.

mod vault_cache;
mod vault_engines;
mod vault_failures;
mod vault_leases;
mod vault_login;
mod vault_run;
mod vault_seal;
mod vault_setup;
