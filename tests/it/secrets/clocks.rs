//! A coordinator and a store of secrets whose clocks differ.

use serde_json::{Value, json};

use super::deploy_call;
use super::house::{House, Wishes};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};
use crate::support::{faketime, skip};

/// The outcome of a task with a secret where the coordinator's clock is off by so much, and the
/// house.
async fn with_offset(offset: &'static str) -> (Value, House) {
    let stub = Stub::http(|_| Reply::Json(200, json!({"paid": true}))).await;
    let clock = Some(offset);
    let house = House::with(Wishes { workers: 1, clock, ..Wishes::default() }).await;
    house.put("acme", "api-key", json!({"value": "hunter2"})).await;
    let workflow = deploy_call(&house.fleet, &stub.url("/")).await;
    (house.fleet.api.run(&workflow, &json!({})).await, house)
}

/// What the metric says of the store's clock, in seconds ahead of the coordinator's.
async fn ahead(house: &House) -> f64 {
    until(SOON, "the skew in the metrics", || async {
        let request = house.fleet.api.request(reqwest::Method::GET, "/metrics");
        let text = request.send().await.ok()?.text().await.ok()?;
        let name = "windlass_secret_store_clock_ahead_seconds ";
        text.lines().find_map(|it| it.strip_prefix(name)?.parse().ok())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn seconds_between_the_clocks_of_coordinator_and_store_do_not_matter() {
    if let Err(reason) = faketime::works() {
        return skip("clocks of stores", &reason, "faketime");
    }
    for offset in ["+25s", "-25s"] {
        let (ended, house) = with_offset(offset).await;
        assert_eq!(ended["status"], "completed", "{offset}: {ended}");
        let ahead = ahead(&house).await;
        let expected = if offset == "+25s" { -25.0 } else { 25.0 };
        // Compared when it is heard: a loaded machine hears late, which makes it seem behind.
        assert!((ahead - expected).abs() < 10.0, "{offset}: {ahead}");
        until(SOON, "a warning", || async {
            house.fleet.coordinator.stderr().contains("the secret store's clock is").then_some(())
        })
        .await;
        house.fleet.assert_sound();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_minutes_apart_are_named() {
    if let Err(reason) = faketime::works() {
        return skip("clocks of stores", &reason, "faketime");
    }
    for (offset, parts) in [
        ("+200s", ["not valid yet", "s ahead of the secret store's"]),
        ("-200s", ["has expired", "s behind the secret store's"]),
    ] {
        let (ended, house) = with_offset(offset).await;
        let error = &ended["error"];
        assert_eq!(
            (&ended["status"], &error["status"]),
            (&"faulted".into(), &503.into()),
            "{ended}"
        );
        assert!(error["type"].as_str().unwrap().ends_with("/runtime"), "{ended}");
        let detail = error["detail"].as_str().unwrap();
        assert!(parts.iter().all(|it| detail.contains(it)), "{offset}: {detail}");
        let skew = detail.split(' ').filter_map(|it| it.parse::<i64>().ok()).next().unwrap();
        assert!((skew - 200).abs() < 30, "{detail}");
        house.fleet.assert_sound();
    }
}
