//! Who may do what: who somebody is, from the credential that a request shows, and what they are
//! granted. What a route needs stands with the routes.
//!
//! ```text
//!  Authorization: Bearer wlt_…   ──> tokens of the server's own, and of auth.toml ─┐
//!  Authorization: Bearer eyJ…    ──> issuer ──> keys ──> claims ───────────────────┼──> Principal
//!  client certificate            ──> distinguished name ───────────────────────────┘    (grants)
//! ```

mod certificate;
mod jwt;
mod keys;
mod permission;
mod principal;
mod remembered;
mod rules;
mod tokens;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::MissedTickBehavior;
use windlass_proto::limits;
use windlass_proto::secret::Secret;
use windlass_proto::time::Timestamp;

pub use certificate::ClientCertificate;
pub use permission::{BUILT_IN, BuiltIn, Permission, Permissions, Scope};
pub use principal::{Denied, Forbidden, Grant, Method, Principal, Resource, Visible};
pub use rules::{Granted, Login, Rules, RulesError};
pub use tokens::{NewToken, PREFIX, TokenRecord, TokensError, generate, sha256};

use self::keys::Keys;
pub(crate) use self::principal::ANONYMOUS;
use self::principal::{CERTIFICATE, TOKEN};
use self::remembered::Remembered;
use self::rules::IssuerRule;
use self::tokens::Tokens;
use crate::{clock, hangup};

pub use rules::is_secure;

/// Why a file of rules cannot be used, or tokens not be kept.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file says nothing of use.
    #[error("{}: {error}", path.display())]
    Rules {
        /// Which one.
        path: PathBuf,
        /// What is wrong, and where.
        error: RulesError,
    },
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They show nothing.
    Missing,
    /// What they show is not taken.
    Invalid(String),
    /// What it says cannot be verified now: this provider gave no keys.
    Provider(Arc<str>),
}

impl Refusal {
    fn token(reason: &str) -> Self {
        Self::Invalid(format!("the token is not taken: {reason}"))
    }
}

/// What a request shows.
#[derive(Clone, Debug, Default)]
pub struct Credential {
    /// SHA-256 of the bearer token, by which it is remembered.
    hash: Option<[u8; 32]>,
    /// Who the connection's certificate is of.
    certificate: Option<Arc<ClientCertificate>>,
}

/// Who may do what on one server.
pub struct Access {
    place: PathBuf,
    rules: RwLock<Arc<InForce>>,
    tokens: Tokens,
    remembered: Remembered,
    /// Of the file as it was looked at last, good or not.
    seen: Mutex<[u8; 32]>,
}

/// The digest of no file: whatever is read is another one.
const UNREAD: [u8; 32] = [0; 32];

/// A file that was read.
struct InForce {
    rules: Rules,
    /// Keys of the issuers, in their order.
    keys: Vec<Arc<Keys>>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Access").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Access {
    /// Reads the file at `place`, and the tokens that are kept at `tokens`. Blocking.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn open(place: PathBuf, tokens: Option<PathBuf>) -> Result<Self, AccessError> {
        let text = read(&place)?;
        let rules = parse(&place, &text)?;
        let rules = RwLock::new(Arc::new(InForce::new(rules, None)));
        let (tokens, seen) = (Tokens::open(tokens)?, Mutex::new(digest(&text)));
        Ok(Self { place, rules, tokens, remembered: Remembered::default(), seen })
    }

    /// Where the command line may get tokens.
    #[must_use]
    pub fn logins(&self) -> Vec<Login> {
        self.in_force().rules.issuers.iter().filter_map(|it| it.login.clone()).collect()
    }

    /// What the file says.
    fn in_force(&self) -> Arc<InForce> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whoever shows a bearer token, or else a certificate.
    ///
    /// # Errors
    /// When they show neither, what they show is not taken, or its issuer cannot be asked.
    pub async fn authenticate(
        &self,
        bearer: Option<&str>,
        certificate: Option<&Arc<ClientCertificate>>,
    ) -> Result<(Arc<Principal>, Credential), Refusal> {
        let now = clock::now();
        let Some(bearer) = bearer else {
            let certificate = certificate.ok_or(Refusal::Missing)?;
            let credential = Credential { hash: None, certificate: Some(certificate.clone()) };
            return Ok((self.of_certificate(certificate)?, credential));
        };
        if bearer.len() > limits::ACCESS_CREDENTIAL_BYTES {
            return Err(Refusal::token("it is too long"));
        }
        let hash: [u8; 32] = Sha256::digest(bearer.as_bytes()).into();
        let credential = Credential { hash: Some(hash), certificate: None };
        if let Some(principal) = self.remembered.get(&hash, now) {
            self.tokens.used(&hash, now);
            return Ok((principal, credential));
        }
        let generation = self.remembered.generation();
        let principal = Arc::new(self.verify(bearer, &hash, now).await?);
        self.remembered.put(hash, principal.clone(), generation, now);
        Ok((principal, credential))
    }

    async fn verify(
        &self,
        bearer: &str,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Principal, Refusal> {
        let force = self.in_force();
        if bearer.starts_with(PREFIX) {
            return self.own(&force.rules, hash, now);
        }
        let unknown = || Refusal::token("its issuer is not known here");
        let url = jwt::issuer_of(bearer)
            .ok_or_else(|| Refusal::token("it is neither a token of this server nor a JWT"))?;
        let named = |it: &Arc<IssuerRule>| *it.url == *url;
        let at = force.rules.issuers.iter().position(named).ok_or_else(unknown)?;
        let (issuer, keys) =
            force.rules.issuers.get(at).zip(force.keys.get(at)).ok_or_else(unknown)?;
        jwt::verify(bearer, issuer, keys, &force.rules, now).await
    }

    /// Whoever shows a token of the server's own, or of the file.
    fn own(&self, rules: &Rules, hash: &[u8; 32], now: Timestamp) -> Result<Principal, Refusal> {
        let (name, grants, expires): (Arc<str>, _, _) = match rules.tokens.get(hash) {
            Some(given) => (given.name.clone(), given.grants.clone(), given.expires),
            None => {
                let unknown = || Refusal::token("it is unknown here, or was revoked");
                let record = self.tokens.shown(hash, now).ok_or_else(unknown)?;
                let grants = rules.all(&record.grants);
                (record.name.into(), grants, record.expires_at)
            }
        };
        if expires.is_some_and(|it| it <= now) {
            return Err(Refusal::token("it has expired"));
        }
        Ok(Principal {
            issuer: TOKEN.into(),
            subject: name,
            method: Method::Token,
            groups: Vec::new(),
            granted_by_rules: grants.len(),
            grants,
            expires,
        })
    }

    fn of_certificate(&self, certificate: &ClientCertificate) -> Result<Arc<Principal>, Refusal> {
        let now = clock::now();
        if let Some(principal) = self.remembered.get(&certificate.fingerprint, now) {
            return Ok(principal);
        }
        let generation = self.remembered.generation();
        let force = self.in_force();
        if !force.rules.certificates {
            let reason = "a client certificate does not say who you are here: show a token";
            return Err(Refusal::Invalid(reason.to_owned()));
        }
        let ClientCertificate { subject, groups, fingerprint, .. } = certificate;
        let grants = force.rules.grants(CERTIFICATE, subject, groups);
        let principal = Arc::new(Principal {
            issuer: CERTIFICATE.into(),
            subject: subject.clone(),
            method: Method::Certificate,
            groups: groups.clone(),
            granted_by_rules: grants.len(),
            grants,
            expires: certificate.ends,
        });
        self.remembered.put(*fingerprint, principal.clone(), generation, now);
        Ok(principal)
    }

    /// Returns once a credential that was taken may count no longer: it was revoked or has ended,
    /// or the rules have changed in what they grant its holder.
    pub async fn ended(&self, credential: &Credential, principal: &Principal) {
        let mut looks = tokio::time::interval(Duration::from_millis(limits::ACCESS_WATCH_MS));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if !self.counts(credential, principal) {
                return;
            }
        }
    }

    /// True while a credential that was taken before counts as it did.
    fn counts(&self, credential: &Credential, principal: &Principal) -> bool {
        let now = clock::now();
        if principal.expires.is_some_and(|it| it <= now) {
            return false;
        }
        let force = self.in_force();
        let rules = &force.rules;
        let Principal { issuer, subject, groups, grants, .. } = principal;
        match (principal.method, &credential.hash, &credential.certificate) {
            (Method::None, ..) => true,
            (Method::Token, Some(hash), _) => match rules.tokens.get(hash) {
                Some(given) => given.grants == *grants,
                None => (self.tokens.get(hash)).is_some_and(|it| rules.all(&it.grants) == *grants),
            },
            // What claims grant counts until the token ends.
            (Method::Jwt, ..) => {
                rules.issuers.iter().any(|it| it.name == *issuer)
                    && grants.starts_with(&rules.grants(issuer, subject, groups))
                    && rules.grants(issuer, subject, groups).len() == principal.granted_by_rules
            }
            (Method::Certificate, _, Some(_)) => rules.grants(issuer, subject, groups) == *grants,
            (Method::Token | Method::Certificate, ..) => false,
        }
    }

    /// Makes a token, durably; its text is told this once. Blocking.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn create_token(
        &self,
        new: NewToken,
        by: &Principal,
    ) -> Result<(Secret<String>, TokenRecord), TokensError> {
        self.tokens.create(new, &by.to_string(), clock::now())
    }

    /// The tokens there are, the oldest first.
    #[must_use]
    pub fn tokens(&self) -> Vec<TokenRecord> {
        self.tokens.all()
    }

    /// Ends a token at once. Blocking.
    ///
    /// # Errors
    /// When there is none, or that cannot be kept.
    pub fn revoke_token(&self, id: &str) -> Result<TokenRecord, TokensError> {
        let revoked = self.tokens.revoke(id);
        self.remembered.clear();
        revoked
    }

    /// The grant that a role gives; nothing when there is no such role.
    #[must_use]
    pub fn grant(&self, granted: &Granted) -> Option<Grant> {
        self.in_force().rules.grant(granted)
    }

    /// Looks for a changed file, and writes down when tokens were used, until it is dropped.
    /// `told` is given what became of a change, before it counts.
    pub async fn follow<F: Future<Output = bool>>(
        self: Arc<Self>,
        told: impl Fn(Result<String, String>) -> F,
    ) {
        let mut looks = tokio::time::interval(Duration::from_millis(limits::ACCESS_RELOAD_MS));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let uses = (limits::ACCESS_LAST_USE_MS / limits::ACCESS_RELOAD_MS).max(1);
        for turn in 1_u64.. {
            tokio::select! {
                _ = looks.tick() => {}
                () = hangup::heard() => {}
            }
            let access = self.clone();
            let writes = turn.is_multiple_of(uses);
            // A panic in it was reported already, and the next look is another one.
            let looked = tokio::task::spawn_blocking(move || access.look(writes)).await;
            match looked {
                Ok(Some(Ok((force, digest)))) => {
                    if told(Ok(tokens::hex(&digest))).await {
                        self.replace(force);
                    } else {
                        // The next look finds it changed again.
                        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = UNREAD;
                    }
                }
                Ok(Some(Err(error))) => {
                    tracing::warn!(%error, "access rules not reloaded, the old ones stay");
                    told(Err(error.to_string())).await;
                }
                Ok(None) | Err(_) => {}
            }
        }
    }

    fn replace(&self, force: InForce) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(force);
        self.remembered.clear();
        tracing::info!(file = %self.place.display(), "access rules reloaded");
    }

    /// The file, if it has changed since the last look.
    fn look(&self, writes: bool) -> Option<Result<(InForce, [u8; 32]), AccessError>> {
        if writes && let Err(error) = self.tokens.write_down_use() {
            tracing::warn!(%error, "last use of tokens not written");
        }
        let text = match read(&self.place) {
            // Somebody is about to write it: nobody means to lock everybody out.
            Ok(text) if text.trim().is_empty() => return None,
            Ok(text) => text,
            Err(error) => {
                self.unread(&error);
                return None;
            }
        };
        let new = digest(&text);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *seen, new) == new {
            return None;
        }
        let parsed = parse(&self.place, &text);
        if let Err(AccessError::Unreadable { .. }) = parsed {
            // A file that it names may be on its way: it is looked at again.
            *seen = UNREAD;
        }
        drop(seen);
        let before = self.in_force();
        Some(parsed.map(|rules| (InForce::new(rules, Some(&before)), new)))
    }

    /// Says once that the file cannot be read.
    fn unread(&self, error: &AccessError) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *seen, UNREAD) != UNREAD {
            tracing::warn!(%error, "access rules cannot be read, the old ones stay");
        }
    }
}

impl InForce {
    /// What was there before gives the keys of issuers that are the same: a provider that is away
    /// while something else is changed stops nobody.
    fn new(rules: Rules, before: Option<&Self>) -> Self {
        let known = |issuer: &IssuerRule| {
            let before = before?;
            let same = before.rules.issuers.iter().position(|it| it.has_keys_of(issuer))?;
            before.keys.get(same).cloned()
        };
        let keys = rules.issuers.iter().map(|it| known(it).unwrap_or_default()).collect();
        Self { rules, keys }
    }
}

/// Reads a file of rules and says what is wrong with it. Blocking.
///
/// # Errors
/// When it cannot be used.
pub fn check(place: &std::path::Path) -> Result<Rules, AccessError> {
    parse(place, &read(place)?)
}

fn read(place: &std::path::Path) -> Result<String, AccessError> {
    let failed = |error| AccessError::Unreadable { path: place.to_owned(), error };
    let size = std::fs::metadata(place).map_err(failed)?.len();
    if size > limits::ACCESS_BYTES as u64 {
        let error = format!("more than {} bytes", limits::ACCESS_BYTES);
        return Err(failed(std::io::Error::other(error)));
    }
    std::fs::read_to_string(place).map_err(failed)
}

fn parse(place: &std::path::Path, text: &str) -> Result<Rules, AccessError> {
    let folder = place.parent().unwrap_or(std::path::Path::new(""));
    let rules = Rules::parse(text, folder)
        .map_err(|error| AccessError::Rules { path: place.to_owned(), error })?;
    let files = rules.issuers.iter().flat_map(|it| [&it.authorities, &it.bearer_file]);
    for path in files.flatten() {
        let failed = |error| AccessError::Unreadable { path: path.clone(), error };
        std::fs::File::open(path).map_err(failed)?;
    }
    Ok(rules)
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A moment that a claim has in seconds.
fn clock_seconds(seconds: f64) -> Timestamp {
    // What is negative or has no end is cut to what there is.
    Timestamp((seconds * 1_000.0).clamp(0.0, 2_f64.powi(53)) as u64)
}
