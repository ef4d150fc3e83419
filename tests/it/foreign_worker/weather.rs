//! The whole check, over a bus that loses 30 of 100 messages, repeats 20 and holds up 30.

use serde_json::json;

use super::{Language, PATIENCE, Stage};
use crate::support::client::is_final;
use crate::support::until::until;
use crate::support::weather::Weather;

/// Calls of each kind.
const CALLS: usize = 12;
/// Calls that the worker takes at once.
const PLACES: usize = 8;

async fn a_bad_bus_loses_nothing(language: Language, seed: u64) {
    let mut stage = Stage::new(language).await;
    let weather = Weather::on(&stage.nats.url(), seed).await;
    stage
        .worker(&[("WINDLASS_BUS", weather.prefix), ("WINDLASS_CONCURRENCY", &PLACES.to_string())])
        .await;
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let input = json!({"id": number.to_string(), "all": [number, 1]});
        calls.push((stage.start("add", &input).await, Some(number + 1)));
        let ugly = ["half a character", "deeper than deep", "cancelled from within"][number % 3];
        let input = json!({"kind": ugly, "levels": 300});
        calls.push((stage.start("ugly", &input).await, None));
        let hex = ["80", "81a6726573756c7481a24f6ba2fffe", ""][number % 3];
        calls.push((stage.start("raw", &json!({"hex": hex})).await, None));
    }
    for (id, sum) in &calls {
        let view = until(PATIENCE, "the end of a call", || async {
            Some(stage.fleet.api.show(id).await).filter(is_final)
        })
        .await;
        match sum {
            Some(sum) => assert_eq!(view["output"]["sum"], *sum, "{view}"),
            None => assert_eq!(view["status"], "faulted", "{view}"),
        }
    }
    // What is lost is sent again, and what is late or comes twice does no harm; nothing more.
    let sent = stage.counter("windlass_assignments_sent_total").await;
    let most = 5 * calls.len() as u64;
    assert!(sent <= most, "{sent} deliveries of {} calls", calls.len());
    let notes = stage.notes();
    for number in 0..CALLS {
        let times = notes.iter().filter(|it| **it == format!("add {number}")).count();
        assert!((1..=4).contains(&times), "call {number} was performed {times} times");
    }
    assert!(weather.carried() < 2_000, "{} messages", weather.carried());
    stage.has_places(PLACES).await;
    stage.fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_bus_costs_a_worker_in_python_nothing_but_time() {
    a_bad_bus_loses_nothing(Language::Python, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_bus_costs_a_worker_in_javascript_nothing_but_time() {
    a_bad_bus_loses_nothing(Language::Node, 11).await;
}
