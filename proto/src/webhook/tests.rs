#![allow(clippy::unwrap_used)]

use super::{Delivery, NotVerified, Preset, is_secret, verify};

const BODY: &[u8] = b"Hello, World!";

fn delivery<'a>(signature: &'a str, body: &'a [u8]) -> Delivery<'a> {
    Delivery { signature, id: "", timestamp: "", body }
}

/// The example of GitHub's documentation.
#[test]
fn github() {
    let secrets = ["It's a Secret to Everybody"];
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let id = verify(Preset::Github, &secrets, &delivery(good, BODY), 0).unwrap();
    assert_eq!(id, verify(Preset::Github, &secrets, &delivery(good, BODY), 9).unwrap());
    assert!(verify(Preset::Hmac, &secrets, &delivery(&good[7..], BODY), 0).is_ok());
    for (signature, body) in [
        (good, &b"Hello, World?"[..]),
        (&good.replace("757", "758"), BODY),
        (&good[..good.len() - 2], BODY),
    ] {
        let refused = verify(Preset::Github, &secrets, &delivery(signature, body), 0);
        assert_eq!(refused, Err(NotVerified::Mismatch), "{signature}");
    }
    for signature in ["", "sha1=757107", &good[7..], "sha256=", "sha256=zz", &"s".repeat(9_000)] {
        let refused = verify(Preset::Github, &secrets, &delivery(signature, BODY), 0);
        assert!(refused.is_err(), "{signature}");
    }
    let rotated = ["new", secrets[0]];
    assert!(verify(Preset::Github, &rotated, &delivery(good, BODY), 0).is_ok());
    assert!(verify(Preset::Github, &["new"], &delivery(good, BODY), 0).is_err());
    assert!(verify(Preset::Github, &[""; 0], &delivery(good, BODY), 0).is_err());
}

#[test]
fn a_secret_is_as_long_as_what_it_is_written_for() {
    let standard = |text: &str| is_secret(Preset::Standard, text.as_bytes());
    assert!(standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") && standard("sixteen-or-more!"));
    assert!(!standard("whsec_MfKQ9r8GKYqr"), "nine bytes");
    assert!(!standard("whsec_this is no base64 at all"));
    assert!(is_secret(Preset::Stripe, b"whsec_MfKQ9r8GKYqr"), "it is the text there");
    assert!(!is_secret(Preset::Hmac, b"tooshort"));
}

/// The example of the specification of Standard Webhooks.
#[test]
fn standard() {
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let delivery = Delivery {
        signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        body: br#"{"test": 2432232314}"#,
    };
    let at = |delivery, now| verify(Preset::Standard, &secrets, &delivery, now);
    assert_eq!(at(delivery, 1_614_265_330).unwrap(), delivery.id);
    // What we sign is what their example has.
    let ours = super::sign(secrets[0].as_bytes(), delivery.id, 1_614_265_330, delivery.body);
    assert_eq!(ours.as_deref(), Some(delivery.signature));
    assert_eq!(super::sign(b"whsec_!", delivery.id, 0, delivery.body), None);
    let both = format!("v1a,AAAA v1,AAAA {}", delivery.signature);
    assert!(at(Delivery { signature: &both, ..delivery }, 1_614_265_100).is_ok());
    assert_eq!(at(delivery, 1_614_265_330 + 301), Err(NotVerified::Stale));
    assert_eq!(at(delivery, 1_614_265_330 - 301), Err(NotVerified::Stale));
    let other = Delivery { id: "msg_other", ..delivery };
    assert_eq!(at(other, 1_614_265_330), Err(NotVerified::Mismatch));
    for (id, timestamp) in [("", "1614265330"), ("a.b", "1614265330"), ("a", "+1614265330")] {
        let odd = Delivery { id, timestamp, ..delivery };
        assert_eq!(at(odd, 1_614_265_330), Err(NotVerified::Malformed), "{id} {timestamp}");
    }
}

#[test]
fn stripe() {
    let secrets = ["whsec_test"];
    // HMAC-SHA256 of `1492774577.Hello, World!`, as OpenSSL gives it.
    let good = "0e7e593a33b1ba2ec36bd757b7d3ca0b336674dadf03efd8a0c757e069492fb0";
    let header = format!("t=1492774577,v1={good},v0=aa");
    let at = |header: &str, now| verify(Preset::Stripe, &secrets, &delivery(header, BODY), now);
    assert!(at(&header, 1_492_774_600).is_ok());
    assert!(at(&format!("t=1492774577,v1=00,v1={good}"), 1_492_774_600).is_ok());
    assert_eq!(at(&header, 1_492_775_000), Err(NotVerified::Stale));
    let later = header.replace("1492774577", "1492774578");
    assert_eq!(at(&later, 1_492_774_600), Err(NotVerified::Mismatch));
    for odd in [
        format!("v1={good}"),
        format!("t=1492774577,t=1492774577,v1={good}"),
        "t=1492774577".to_owned(),
        format!("t=1492774577,v1={}", ["00"; 20].join(",v1=")),
    ] {
        assert_eq!(at(&odd, 1_492_774_600), Err(NotVerified::Malformed), "{odd}");
    }
}
