//! Signed tokens of identity providers: what is taken, and all that is not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use tokio::process::Command;

use super::Asking;
use crate::servers::Server;
use crate::support::client::Answer;
use crate::support::until::{SOON, until};

/// A provider: a web server with the documents of one, whose keys the test has.
struct Provider {
    server: Server,
}

/// A key of a provider, by its id.
struct Key {
    id: &'static str,
    pair: KeyPair,
}

impl Key {
    fn new(id: &'static str) -> Self {
        Self { id, pair: KeyPair::generate().unwrap() }
    }

    /// Its public part, as providers publish it.
    fn published(&self) -> Value {
        // An uncompressed point: a byte that says so, and two numbers.
        let point = self.pair.der_bytes();
        let number = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": number(&point[1..33]), "y": number(&point[33..65])})
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(Algorithm::ES256) };
        self.sign_with(&header, claims)
    }

    fn sign_with(&self, header: &Header, claims: &Value) -> String {
        let key = EncodingKey::from_ec_der(&self.pair.serialize_der());
        encode(header, claims, &key).unwrap()
    }
}

impl Provider {
    async fn start(keys: &[&Key]) -> Self {
        let server = Server::start(|port, folder| {
            let mut command = Command::new("python3");
            command.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory"]);
            command.arg(folder.join("files")).arg(port.to_string());
            command
        })
        .await;
        let provider = Self { server };
        let discovery = json!({
            "issuer": provider.url(), "jwks_uri": format!("{}/keys.json", provider.url()),
        });
        provider.write(".well-known/openid-configuration", &discovery);
        provider.publish(keys);
        provider
    }

    fn url(&self) -> String {
        self.server.url()
    }

    fn write(&self, name: &str, document: &Value) {
        let path = self.server.folder.path().join("files").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, document.to_string()).unwrap();
    }

    fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|it| it.published()).collect();
        self.write("keys.json", &json!({ "keys": keys }));
    }

    /// How it stands in `auth.toml`, with a role for those called `ada`.
    fn granted(&self, name: &str) -> String {
        format!(
            "[[issuer]]\nname = \"{name}\"\nurl = \"{}\"\naudiences = [\"windlass\"]\n\
             groups = \".groups\"\n\
             grants = '[.windlass[]? | {{role, namespaces: [.namespace]}}]'\n\
             [[grant]]\nissuer = \"{name}\"\nsubjects = [\"ada\"]\nrole = \"viewer\"\n\
             namespaces = [\"*\"]\n",
            self.url()
        )
    }

    /// How many times its keys were asked for.
    fn asked(&self) -> usize {
        self.server.stderr().matches("GET /keys.json").count()
    }

    /// The claims of a good token.
    fn claims(&self, subject: &str) -> Value {
        json!({"iss": self.url(), "aud": "windlass", "sub": subject, "exp": now() + 600})
    }
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

async fn ask(asking: &Asking, token: &str) -> Answer {
    asking.dev.api.bearing(token).get("/v1/instances").await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_provider_has_signed_for_this_server_is_taken() {
    let (key, other) = (Key::new("one"), Key::new("one"));
    let provider = Provider::start(&[&key]).await;
    let asking = Asking::start(&provider.granted("corp")).await;
    let good = provider.claims("ada");
    ask(&asking, &key.sign(&good)).await.ok();
    let with = |name: &str, value: Value| {
        let mut claims = provider.claims("ada");
        claims[name] = value;
        claims
    };
    // Within the minute that clocks may differ by, and with more than one audience.
    for fine in [
        with("exp", json!(now() - 30)),
        with("nbf", json!(now() + 30)),
        with("aud", json!(["other", "windlass"])),
    ] {
        ask(&asking, &key.sign(&fine)).await.ok();
    }
    let without = |name: &str| {
        let mut claims = provider.claims("ada");
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let typed = |typ: &str| {
        let kid = Some("one".to_owned());
        Header { typ: Some(typ.to_owned()), kid, ..Header::new(Algorithm::ES256) }
    };
    let hmac = {
        // The public key, taken for a secret.
        let public = key.published()["x"].as_str().unwrap().to_owned();
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &good, &EncodingKey::from_secret(public.as_bytes())).unwrap()
    };
    let unsigned = {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "JWT"}).to_string());
        format!("{header}.{}.", URL_SAFE_NO_PAD.encode(good.to_string()))
    };
    let critical = {
        // The library writes no such header: it is put together by hand, and signed.
        let header = json!({"alg": "ES256", "kid": "one", "crit": ["more"], "more": 1});
        let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
        let message = format!("{}.{}", part(&header), part(&good));
        let signer = EncodingKey::from_ec_der(&key.pair.serialize_der());
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &signer, Algorithm::ES256).unwrap();
        format!("{message}.{signature}")
    };
    let mut bent = key.sign(&good);
    bent.pop();
    for (what, token) in [
        ("nothing signed", unsigned),
        ("a symmetric algorithm", hmac),
        ("another key of the same id", other.sign(&good)),
        ("an altered signature", bent),
        ("another audience", key.sign(&with("aud", json!("other")))),
        ("no audience", key.sign(&without("aud"))),
        ("an end in the past", key.sign(&with("exp", json!(now() - 120)))),
        ("no end", key.sign(&without("exp"))),
        ("a begin in the future", key.sign(&with("nbf", json!(now() + 120)))),
        ("an issuer that is not known", key.sign(&with("iss", json!("http://localhost:1")))),
        ("no subject", key.sign(&without("sub"))),
        ("a token for another use", key.sign_with(&typed("logout+jwt"), &good)),
        ("a nested token", key.sign_with(&typed("JWE"), &good)),
        ("a header that must be understood", critical),
        ("too much", "x".repeat(20_000)),
    ] {
        let answer = ask(&asking, &token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("invalid_token"), "{what}: {challenge}");
    }
    ask(&asking, &key.sign_with(&typed("at+jwt"), &good)).await.ok();
    // Somebody who is known and has nothing, and somebody whose claims grant it.
    ask(&asking, &key.sign(&provider.claims("eve"))).await.problem(403);
    let mut told = provider.claims("eve");
    told["windlass"] = json!([{"role": "viewer", "namespace": "shop"}]);
    ask(&asking, &key.sign(&told)).await.ok();
    assert_eq!(provider.asked(), 1, "made-up tokens made the server ask for keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_asked_for_once_and_a_gone_provider_stops_nobody() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let mut provider = Provider::start(&[&old]).await;
    let asking = Asking::start(&provider.granted("corp")).await;
    ask(&asking, &old.sign(&provider.claims("ada"))).await.ok();
    provider.publish(&[&new]);
    // The keys were asked for a moment ago; soon they are asked for again.
    let token = new.sign(&provider.claims("ada"));
    until(SOON, "the new key", async || (ask(&asking, &token).await.status == 200).then_some(()))
        .await;
    assert_eq!(provider.asked(), 2);
    let unknown = Key::new("unknown");
    for _ in 0..20 {
        ask(&asking, &unknown.sign(&provider.claims("ada"))).await.problem(401);
    }
    assert_eq!(provider.asked(), 2, "an unknown key made the server ask again at once");
    provider.server.stop().await;
    ask(&asking, &new.sign(&provider.claims("ada"))).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_told_from_a_token_that_is_wrong() {
    let key = Key::new("one");
    let mut provider = Provider::start(&[&key]).await;
    provider.server.stop().await;
    let asking = Asking::start(&provider.granted("corp")).await;
    let away = ask(&asking, &key.sign(&provider.claims("ada"))).await;
    assert!(away.headers.contains_key("retry-after"), "{:?}", away.headers);
    let problem = away.problem(503);
    assert_eq!(problem["code"], "WL0546");
    // Who comes with a token of the server's own does not notice.
    asking.root.get("/v1/instances").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_providers_may_call_different_people_the_same() {
    let (here, there) = (Key::new("here"), Key::new("there"));
    let one = Provider::start(&[&here]).await;
    let two = Provider::start(&[&there]).await;
    let second = format!(
        "[[issuer]]\nname = \"other\"\nurl = \"{}\"\naudiences = [\"windlass\"]\n",
        two.url()
    );
    let asking = Asking::start(&format!("{}{second}", one.granted("corp"))).await;
    ask(&asking, &here.sign(&one.claims("ada"))).await.ok();
    ask(&asking, &there.sign(&two.claims("ada"))).await.problem(403);
    // A provider does not speak for another one.
    ask(&asking, &there.sign(&one.claims("ada"))).await.problem(401);
}

/// How often the cost of a token is measured.
const MEASURED: u32 = 2_000;

/// What a token costs that was verified a moment ago, and one that was not, is printed, not judged:
/// `cargo test … --test it -- what_a_verified_token_costs --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_verified_token_costs() {
    let key = Key::new("one");
    let provider = Provider::start(&[&key]).await;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("auth.toml");
    std::fs::write(&place, provider.granted("corp")).unwrap();
    let access = windlass_coordinator::access::Access::open(place, None).unwrap();
    let token = key.sign(&provider.claims("ada"));
    let who = async |token: &str| {
        let (who, _) = access.authenticate(Some(token), None).await.unwrap();
        assert_eq!(&*who.subject, "ada");
    };
    // The keys are asked for.
    who(&token).await;
    let begun = std::time::Instant::now();
    for _ in 0..MEASURED {
        who(&token).await;
    }
    let remembered = begun.elapsed() / MEASURED;
    let mut claims = provider.claims("ada");
    let fresh: Vec<_> = (0..MEASURED / 20)
        .map(|it| {
            claims["jti"] = it.into();
            key.sign(&claims)
        })
        .collect();
    let begun = std::time::Instant::now();
    for token in &fresh {
        who(token).await;
    }
    let verified = begun.elapsed() / (MEASURED / 20);
    println!("a remembered JWT: {remembered:?}, one that is verified: {verified:?}");
    assert_eq!(provider.asked(), 1, "its keys are kept");
}
