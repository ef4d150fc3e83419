//! Secrets: leased when a task needs them, and never anywhere else.

mod canary;
mod database;
mod house;
mod outage;
mod rights;
mod seed_vault;
