//! What rules decide. That calls keep to it is shown by `perform/egress_tests.rs`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use windlass_proto::audit::AuditAction;
use windlass_proto::limits::{EGRESS_REFUSALS_MS, EGRESS_REFUSALS_TOLD};

use super::refusal::{REASONS, Reason};
use super::{Caller, Egress, EgressRule, Named, Refusals};
use crate::HttpOptions;
use crate::http_client::Clients;
use crate::seal::Seal;
use crate::testing::{Audited, no_proxy};

/// Stands in for name servers: what a name resolves to; none asks the system.
pub(crate) type Names = fn(&str) -> Option<Vec<IpAddr>>;

impl Egress {
    /// With other names.
    pub(crate) fn resolving(mut self, names: Names) -> Self {
        self.names = Some(names);
        self
    }
}

fn rule(text: &str) -> EgressRule {
    text.parse().unwrap()
}

/// `public` with these rules.
fn public(allow: &[&str], deny: &[&str]) -> Egress {
    let allowed = allow.iter().fold(Egress::public(), |it, text| it.allow(rule(text)));
    deny.iter().fold(allowed, |it, text| it.deny(rule(text)))
}

/// What is decided of an address that a name without a rule stands for.
fn decided(egress: &Egress, address: &str) -> Result<(), Reason> {
    egress.address(address.parse().unwrap(), Some(80), Named::Unknown)
}

#[test]
fn a_fleet_calls_the_internet_and_what_is_allowed() {
    let none = public(&[], &[]);
    assert_eq!(decided(&none, "1.1.1.1"), Ok(()));
    for address in ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:10.0.0.1", "0.0.0.0"] {
        assert!(decided(&none, address).is_err(), "{address}");
    }
    let some = public(&["10.0.0.0/8", "192.168.1.1", "fd00::/8"], &["10.9.0.0/16"]);
    for address in ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "192.168.1.1", "fd00::1"] {
        assert_eq!(decided(&some, address), Ok(()), "{address}");
    }
    assert_eq!(decided(&some, "192.168.1.2"), Err(Reason::Private));
    for address in ["10.9.0.1", "::ffff:10.9.0.1", "64:ff9b::a09:1", "2002:a09:1::"] {
        assert_eq!(decided(&some, address), Err(Reason::Denied), "{address}");
    }
}

#[test]
fn a_metadata_service_is_called_by_its_own_address_alone() {
    for allow in [&["169.254.0.0/16"][..], &["*"], &["0.0.0.0/0", "metadata.google.internal"]] {
        let egress = public(allow, &[]);
        let address = "169.254.169.254".parse().unwrap();
        for named in [Named::Unknown, Named::Allowed] {
            assert_eq!(
                egress.address(address, Some(80), named),
                Err(Reason::Metadata),
                "{allow:?}"
            );
        }
    }
    assert_eq!(decided(&public(&["*"], &[]), "10.0.0.1"), Ok(()));
    assert_eq!(decided(&public(&["169.254.169.254"], &[]), "::ffff:169.254.169.254"), Ok(()));
    assert_eq!(decided(&Egress::unrestricted(), "169.254.169.254"), Ok(()));
}

#[test]
fn only_what_is_allowed_is_called_where_all_is_denied() {
    let egress = public(&["1.1.1.0/24", "api.example.com:443", "*.internal"], &["*"]);
    assert_eq!(decided(&egress, "1.1.1.1"), Ok(()));
    assert_eq!(decided(&egress, "8.8.8.8"), Err(Reason::NotAllowed));
    for (host, port, expected) in [
        ("api.example.com", 443, Named::Allowed),
        ("api.example.com.", 443, Named::Allowed),
        ("api.example.com", 80, Named::Unknown),
        ("a.b.internal", 80, Named::Allowed),
        ("internal", 80, Named::Unknown),
        (".internal", 80, Named::Unknown),
        ("evilinternal", 80, Named::Unknown),
    ] {
        assert_eq!(egress.host(host, port), Ok(expected), "{host}:{port}");
    }
    assert!(egress.host("8.8.8.8", 443).is_err());
    let denied = public(&["*.internal"], &["db.internal"]);
    assert_eq!(denied.host("db.internal", 1).unwrap_err().word(), "denied");
    assert_eq!(denied.host("a.internal", 1), Ok(Named::Allowed));
}

#[test]
fn a_rule_for_a_port_is_about_that_port() {
    let egress = public(&["10.0.0.1:5432"], &["1.1.1.1:25"]);
    let at = |address: &str, port| egress.address(address.parse().unwrap(), port, Named::Unknown);
    assert_eq!(at("10.0.0.1", Some(5432)), Ok(()));
    assert_eq!(at("10.0.0.1", Some(80)), Err(Reason::Private));
    assert_eq!(at("10.0.0.1", None), Err(Reason::Private));
    assert_eq!(at("1.1.1.1", Some(25)), Err(Reason::Denied));
    assert_eq!(at("1.1.1.1", Some(80)), Ok(()));
    assert!(egress.cares_for(5432) && egress.cares_for(25) && !egress.cares_for(80));
}

#[test]
fn names_go_to_a_proxy_when_they_are_allowed_or_it_is_trusted() {
    let reason = |egress: &Egress, host: &str| egress.proxied(host, 80).err().map(|it| it.word());
    let some = public(&["*.example.com"], &[]);
    assert_eq!(reason(&some, "api.example.com"), None);
    assert_eq!(reason(&some, "1.1.1.1"), None);
    assert_eq!(reason(&some, "example.org"), Some("proxy"));
    assert_eq!(reason(&some, "10.0.0.1"), Some("private"));
    let trusting = public(&[], &["bad.example.org"]).trust_proxy(true);
    assert_eq!(reason(&trusting, "example.org"), None);
    for (host, expected) in [
        ("localhost", "proxy"),
        ("a.localhost.", "proxy"),
        ("bad.example.org", "denied"),
        ("[::1]", "loopback"),
        ("169.254.169.254", "metadata"),
    ] {
        assert_eq!(reason(&trusting, host), Some(expected), "{host}");
    }
    assert_eq!(reason(&public(&[], &["*"]).trust_proxy(true), "a.test"), Some("not_allowed"));
    assert_eq!(reason(&Egress::unrestricted(), "localhost"), None);
}

#[tokio::test]
async fn who_makes_connections_gets_addresses_that_are_allowed() {
    fn names(name: &str) -> Option<Vec<IpAddr>> {
        let all = ["10.0.0.1", "1.1.1.1"].map(|it| it.parse().unwrap());
        (name == "both.test").then(|| all.into())
    }
    let clients = |egress: Egress| {
        let resolve = vec!["given.test:80:127.0.0.1:81".parse().unwrap()];
        let egress = egress.resolving(names);
        Clients::new(HttpOptions { egress, resolve, ..no_proxy() }).unwrap()
    };
    let of = async |egress: Egress, host: &str| {
        let (seal, audit) = (&Seal::default(), &Audited::default().attempt());
        let found = clients(egress).addresses(host, 80, Caller { seal, audit }).await;
        found.map_err(|problem| problem.status)
    };
    let some = |text: &str| Ok(vec![text.parse().unwrap()]);
    assert_eq!(of(public(&[], &[]), "both.test").await, some("1.1.1.1:80"));
    assert_eq!(of(public(&[], &[]), "given.test").await, some("127.0.0.1:81"));
    assert_eq!(of(public(&["::1"], &[]), "[::1]").await, some("[::1]:80"));
    assert_eq!(of(public(&[], &[]), "[::1]").await, Err(403));
    assert_eq!(of(public(&[], &["1.0.0.0/8"]), "both.test").await, Err(403));
    assert_eq!(of(public(&[], &["127.0.0.1"]), "given.test").await, Err(403));
}

#[test]
fn a_refusal_names_the_host_and_what_to_set_but_no_address() {
    let refusal =
        public(&[], &[]).allowed("db.test", ["10.1.2.3".parse().unwrap()], None, Named::Unknown);
    let problem = refusal.unwrap_err().problem();
    let detail = problem.detail.unwrap();
    assert_eq!(problem.status, 403);
    assert!(detail.contains("db.test: it resolves to a private address"), "{detail}");
    assert!(detail.ends_with("--egress-allow db.test") && !detail.contains("10.1"), "{detail}");
    let words = [Reason::Loopback, Reason::Metadata, Reason::Proxy].map(|it| REASONS[it as usize]);
    assert_eq!(words, ["loopback", "metadata", "proxy"]);
}

#[test]
fn the_audit_trail_has_the_rule_but_no_address_and_no_secret() {
    let (refusals, audited, mut seal) = (Refusals::default(), Audited::default(), Seal::default());
    seal.add("s3cret-part");
    let egress = public(&[], &["*.internal", "10.9.0.0/16", "1.1.1.1"]);
    let named = |host: &str| egress.host(host, 80).unwrap_err();
    let resolved = |host: &str, address: &str| {
        let found = egress.allowed(host, [address.parse().unwrap()], Some(80), Named::Unknown);
        found.unwrap_err()
    };
    for (refusal, expected) in [
        (named("127.0.0.1"), "127.0.0.1: it is a loopback address"),
        (named("db.internal"), "db.internal: a rule of --egress-deny names it (*.internal)"),
        (named("1.1.1.1"), "1.1.1.1: a rule of --egress-deny names it (1.1.1.1)"),
        (
            resolved("db.test", "10.9.8.7"),
            "db.test: a rule of --egress-deny names it (10.9.0.0/16)",
        ),
        (resolved("db.test", "10.1.2.3"), "db.test: it resolves to a private address"),
        (
            named("s3cret-part.internal"),
            "«sealed».internal: a rule of --egress-deny names it (*.internal)",
        ),
    ] {
        refusals.tell(&refusal, Caller { seal: &seal, audit: &audited.attempt() });
        let told = audited.take();
        let [event] = &told[..] else { panic!("{told:?}") };
        assert_eq!(event.detail.as_deref(), Some(expected));
        assert_eq!((event.action, event.success), (AuditAction::EgressDenied, false));
        assert_eq!(&*event.task.as_ref().unwrap().task, "/do/0/task");
    }
}

#[test]
fn what_is_refused_too_often_is_counted_and_told_together() {
    let (refusals, audited) = (Refusals::default(), Audited::default());
    let refusal = public(&[], &[]).host("127.0.0.1", 80).unwrap_err();
    let (seal, audit) = (&Seal::default(), &audited.attempt());
    let now = Instant::now();
    let tell = |at| refusals.tell_at(&refusal, Caller { seal, audit }, at);
    (0..EGRESS_REFUSALS_TOLD + 7).for_each(|_| drop(tell(now)));
    assert_eq!(audited.take().len() as u64, EGRESS_REFUSALS_TOLD);
    tell(now + Duration::from_millis(EGRESS_REFUSALS_MS));
    let told = audited.take();
    let [others, this] = &told[..] else { panic!("{told:?}") };
    assert_eq!(others.detail.as_deref(), Some("7 more calls were refused in the minute before"));
    assert!(others.task.is_none() && this.task.is_some());
}
