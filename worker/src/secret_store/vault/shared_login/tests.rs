//! When a shared login is joined, renewed and given back, by a clock that stands still.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::{Instant, advance};
use windlass_proto::secret::SecretName;
use windlass_proto::wire::{Grant, IdentityToken, Sealing};
use zeroize::Zeroizing;

use super::{IDLE, Next, Rights, SharedLogin, YOUNG};
use crate::secret_store::SecretContext;
use crate::secret_store::vault::call::{Auth, Wiped};
use crate::secret_store::vault::token::Token;
use crate::testing::secret_context;

const SECOND: Duration = Duration::from_secs(1);

fn login(seconds: u64, renewable: bool) -> Arc<SharedLogin> {
    let auth = Auth {
        client_token: Wiped(Zeroizing::new("token".to_owned())),
        accessor: Wiped(Zeroizing::new("accessor".to_owned())),
        lease_duration: seconds,
        renewable,
        token_type: "service".to_owned(),
    };
    let token = Arc::new(Token::new(auth, "request".into()));
    Arc::new(SharedLogin::new(token, secret_context().audit))
}

#[tokio::test(start_paused = true)]
async fn it_is_given_back_when_nobody_has_used_it_for_a_while() {
    let (login, audit) = (login(600, true), secret_context().audit);
    let (first, second) = (login.join(&audit).unwrap(), login.join(&audit).unwrap());
    drop(first);
    advance(IDLE * 2).await;
    assert!(matches!(login.next(), Next::Wait(_)), "one still uses it");
    drop(second);
    let until = Instant::now() + IDLE;
    assert_eq!(login.next(), Next::Wait(Some(until)));
    advance(IDLE - SECOND).await;
    drop(login.join(&audit).unwrap());
    assert_eq!(login.next(), Next::Wait(Some(Instant::now() + IDLE)), "it was used again");
    advance(IDLE).await;
    assert_eq!(login.next(), Next::GiveBack);
    assert!(login.join(&audit).is_none(), "what is given back cannot be joined");
}

#[tokio::test(start_paused = true)]
async fn only_a_young_one_is_joined_and_an_old_one_lasts_while_it_is_used() {
    let (login, audit) = (login(60, true), secret_context().audit);
    let long = login.join(&audit).unwrap();
    assert_eq!(login.next(), Next::Wait(Some(Instant::now() + SECOND * 40)));
    advance(SECOND * 40).await;
    assert_eq!(login.next(), Next::Renew);
    login.token.set_life(crate::secret_store::vault::token::Life::new(SECOND * 60, true));
    advance(YOUNG - SECOND * 40).await;
    assert!(login.join(&audit).is_none(), "who begins later logs in anew");
    assert!(matches!(login.next(), Next::Wait(_)), "it is still used");
    login.retire();
    assert!(matches!(login.next(), Next::Wait(_)), "it is still used");
    drop(long);
    assert_eq!(login.next(), Next::GiveBack, "nobody can come any more");
}

#[tokio::test(start_paused = true)]
async fn one_that_has_ended_is_neither_used_nor_renewed() {
    let (login, audit) = (login(20, false), secret_context().audit);
    let user = login.join(&audit).unwrap();
    assert_eq!(login.next(), Next::Wait(Some(Instant::now() + SECOND * 20)));
    advance(SECOND * 20).await;
    assert!(login.join(&audit).is_none());
    assert_eq!(login.next(), Next::GiveBack);
    drop(user);
}

/// A task that may read `secrets`, with an identity of this subject.
fn context(subject: &str, secrets: &[&str]) -> SecretContext {
    let claims = URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"{subject}\"}}"));
    let grant = Grant {
        environment: "test".into(),
        secrets: secrets.iter().map(|it| SecretName((*it).into())).collect(),
        identity: Some(IdentityToken::new(format!("h.{claims}.s"))),
        sealing: Sealing::Seal,
    };
    SecretContext { grant: Some(grant), ..secret_context() }
}

#[tokio::test]
async fn rights_are_the_same_when_all_they_depend_on_is() {
    let rights = |context: &SecretContext| Rights::of(context);
    let one = context("acme:order:1", &["a", "b"]);
    assert!(
        rights(&one).is_some() && rights(&one) == rights(&context("acme:order:1", &["a", "b"]))
    );
    let mut workflow = one.clone();
    workflow.workflow.version = "2.0.0".into();
    let mut environment = one.clone();
    environment.grant.as_mut().unwrap().environment = "production".into();
    // A hash in the subject may be the same by chance; the rest is not.
    let others = [
        context("acme:order:2", &["a", "b"]),
        context("acme:order:1", &["a"]),
        workflow,
        environment,
    ];
    assert!(others.iter().all(|it| rights(it).is_some() && rights(it) != rights(&one)));
    assert!(rights(&context("", &["a"])).is_none(), "nobody in particular shares nothing");
    assert!(rights(&secret_context()).is_none(), "nor does who has no identity");
}
