//! Who asks for a token, and when.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::Secret;

use super::{AccessToken, Found, TokenCache, failed, usable};

const WHO: [u8; 32] = [7; 32];

fn token(value: &str) -> AccessToken {
    AccessToken { scheme: "Bearer".into(), value: Arc::new(Secret::new(value.to_owned())) }
}

/// What is found: a letter for its kind, and the token.
async fn found(cache: &TokenCache, refused: Option<&AccessToken>) -> (char, String, Found) {
    let found = cache.find(&WHO, refused).await.unwrap();
    let (kind, value) = match &found {
        Found::Fresh(token) => ('f', token.value.expose().clone()),
        Found::Ageing(token, _) => ('a', token.value.expose().clone()),
        Found::Nothing(_) => ('n', String::new()),
    };
    (kind, value, found)
}

#[tokio::test(start_paused = true)]
async fn one_of_many_asks_and_the_others_take_what_it_got() {
    let cache = Arc::new(TokenCache::new());
    let (kind, _, turn) = found(&cache, None).await;
    assert_eq!(kind, 'n');
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move {
                let (kind, value, _) = found(&cache, None).await;
                (kind, value)
            })
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|it| !it.is_finished()));
    cache.keep(WHO, token("one"), Duration::from_secs(600));
    drop(turn);
    for it in waiting {
        assert_eq!(it.await.unwrap(), ('f', "one".to_owned()));
    }
    // Another identity does not wait for it.
    assert!(matches!(cache.find(&[8; 32], None).await, Ok(Found::Nothing(_))));
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_one_that_got_none_does_not_ask_again() {
    let cache = Arc::new(TokenCache::new());
    let (_, _, found_nothing) = found(&cache, None).await;
    let Found::Nothing(mut turn) = found_nothing else { panic!("a token?") };
    let waiting = tokio::spawn({
        let cache = cache.clone();
        async move { cache.find(&WHO, None).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    failed(&mut turn, &Problem::new(Standard::Authentication, "refused"));
    drop(turn);
    assert_eq!(waiting.await.unwrap().unwrap_err().status, 401);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(found(&cache, None).await.0, 'n', "who comes later asks anew");
    // One that gives up, as its task is cancelled, leaves the turn to the next.
    let (_, _, given_up) = found(&cache, None).await;
    let waiting = tokio::spawn({
        let cache = cache.clone();
        async move { cache.find(&WHO, None).await.is_ok_and(|it| matches!(it, Found::Nothing(_))) }
    });
    tokio::task::yield_now().await;
    drop(given_up);
    assert!(waiting.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_replaced_before_it_ends_by_one_while_others_use_it() {
    let cache = TokenCache::new();
    let skew = Duration::from_millis(limits::TOKEN_SKEW_MS);
    let usable = Duration::from_secs(100);
    cache.keep(WHO, token("one"), usable + skew);
    tokio::time::advance(Duration::from_secs(79)).await;
    assert_eq!(found(&cache, None).await.0, 'f');
    tokio::time::advance(Duration::from_secs(2)).await;
    let (kind, value, turn) = found(&cache, None).await;
    assert_eq!((kind, &*value), ('a', "one"));
    assert_eq!(found(&cache, None).await.0, 'f', "one asks");
    // It got none: nobody tries for a while, and then one does.
    cache.put_off(WHO);
    drop(turn);
    assert_eq!(found(&cache, None).await.0, 'f');
    tokio::time::advance(Duration::from_millis(limits::TOKEN_RETRY_MS)).await;
    let (kind, _, turn) = found(&cache, None).await;
    assert_eq!(kind, 'a');
    cache.keep(WHO, token("two"), usable + skew);
    drop(turn);
    let (kind, value, _) = found(&cache, None).await;
    assert_eq!((kind, &*value), ('f', "two"));
    tokio::time::advance(usable).await;
    assert_eq!(found(&cache, None).await.0, 'n');
}

#[tokio::test(start_paused = true)]
async fn a_token_with_a_short_life_is_used_for_half_of_it() {
    let cache = TokenCache::new();
    cache.keep(WHO, token("short"), Duration::from_secs(20));
    tokio::time::advance(Duration::from_secs(7)).await;
    let (kind, value, _) = found(&cache, None).await;
    assert_eq!((kind, &*value), ('f', "short"));
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(found(&cache, None).await.0, 'n');
    let skew = Duration::from_millis(limits::TOKEN_SKEW_MS);
    assert_eq!(usable(skew * 2), skew);
    assert_eq!((usable(skew * 3), usable(Duration::ZERO)), (skew * 2, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let cache = TokenCache::new();
    cache.keep(WHO, token("one"), Duration::from_secs(600));
    let (kind, _, turn) = found(&cache, Some(&token("one"))).await;
    assert_eq!(kind, 'n');
    cache.keep(WHO, token("two"), Duration::from_secs(600));
    drop(turn);
    let (kind, value, _) = found(&cache, Some(&token("one"))).await;
    assert_eq!((kind, &*value), ('f', "two"), "the next one that was refused takes the new one");
}
