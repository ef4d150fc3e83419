//! A worker of one's own: two functions, which `order.yaml` calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_worker::fleet::FleetOptions;
use windlass_worker::{Call, Function, FunctionError, Worker};

#[derive(Deserialize)]
struct Charge {
    card: String,
    cents: u64,
}

#[derive(Serialize)]
struct Receipt {
    /// What the bank is told, so that a repeat of the call charges nothing twice.
    number: String,
    cents: u64,
}

async fn charge_card(charge: Charge, call: Call) -> Result<Receipt, FunctionError> {
    if charge.card.starts_with("0000") {
        // Definitions catch it by its type or status.
        return Err(FunctionError::new("https://example.com/errors/declined", 402)
            .title("Card Declined")
            .detail("the bank does not know this card"));
    }
    Ok(Receipt { number: call.idempotency_key(), cents: charge.cents })
}

#[derive(Deserialize)]
struct Parcel {
    items: Vec<String>,
}

async fn pack(parcel: Parcel, call: Call) -> Result<String, FunctionError> {
    for item in &parcel.items {
        if item.is_empty() {
            return Err(FunctionError::runtime("there is nothing to pack"));
        }
        // Packing may take long, but each item takes less than the limit below.
        call.heartbeat();
    }
    Ok(format!("a parcel of {}", parcel.items.join(" and ")))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    Worker::builder()
        .function("charge-card", charge_card)
        .offer(Function::new("pack", pack).stall(Duration::from_secs(30)))
        .only_functions()
        .run(FleetOptions::from_environment()?)
        .await?;
    Ok(())
}
