//! What pages know a browser by: a cookie with the token that somebody signed in with, and a token
//! in each form, without which nothing is done.
//!
//! The cookie counts for pages alone: the API takes none, so no page of another site can give it
//! orders. Browsers send it with nothing that another site has begun (`SameSite=Strict`).

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use data_encoding::HEXLOWER;
use hmac::digest::{Key, KeyInit};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use windlass_proto::limits::UI_COOKIE_BYTES;

use super::counts::Counts;
use super::problem::ApiProblem;
use crate::access::Principal;
use crate::code::Code;

const COOKIE: &str = "windlass-ui";

/// Where browsers send the cookie.
const PATH: &str = "/ui";

/// What pages need beside the coordinator; cheap to clone.
#[derive(Clone)]
pub(super) struct Pages {
    /// Makes the tokens of forms; of this process alone.
    key: Arc<[u8; 32]>,
    /// Whether browsers come by TLS.
    secure: bool,
    /// How many instances lists say there are.
    pub(super) counts: Arc<Counts>,
}

impl Pages {
    /// With a key of its own; `secure` where browsers come by TLS.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(super) fn new(secure: bool) -> std::io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(std::io::Error::other)?;
        Ok(Self { key: Arc::new(key), secure, counts: Arc::default() })
    }

    /// A token for the forms of a page that is made for `principal`. It is another one each time,
    /// so that compressed pages tell nothing of it.
    pub(super) fn form_token(&self, principal: &Principal) -> String {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let code = self.code(&nonce, principal).finalize().into_bytes();
        format!("{nonce}.{}", HEXLOWER.encode(&code))
    }

    /// Refuses what is no token of a form of a page that was made for `principal`.
    pub(super) fn check_form(
        &self,
        token: Option<&str>,
        principal: &Principal,
    ) -> Result<(), ApiProblem> {
        let parts = token.and_then(|it| it.split_once('.'));
        let decoded =
            parts.and_then(|(nonce, code)| Some((nonce, HEXLOWER.decode(code.as_bytes()).ok()?)));
        match decoded {
            Some((nonce, code)) if self.code(nonce, principal).verify_slice(&code).is_ok() => {
                Ok(())
            }
            _ => {
                let detail = "the form is not one that this server made for whoever sends it now";
                Err(ApiProblem::new(Code::StaleForm, detail).denied())
            }
        }
    }

    fn code(&self, nonce: &str, principal: &Principal) -> Hmac<Sha256> {
        let mut block = Key::<Hmac<Sha256>>::default();
        block.iter_mut().zip(&*self.key).for_each(|(to, from)| *to = *from);
        let mut code = <Hmac<Sha256> as KeyInit>::new(&block);
        for part in [nonce, principal.method.word(), &principal.issuer, &principal.subject] {
            code.update(&(part.len() as u64).to_le_bytes());
            code.update(part.as_bytes());
        }
        code
    }

    /// The header that has a browser keep a token; none of what cannot be a cookie.
    pub(super) fn kept(&self, token: &str) -> Option<HeaderValue> {
        let plain = |it: u8| it.is_ascii_graphic() && !b"\",;\\".contains(&it);
        if token.is_empty() || token.len() > UI_COOKIE_BYTES || !token.bytes().all(plain) {
            return None;
        }
        HeaderValue::from_str(&self.cookie(token, "")).ok()
    }

    /// The header that has it forget the token.
    pub(super) fn forgotten(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.cookie("", "; Max-Age=0")).ok()
    }

    fn cookie(&self, token: &str, more: &str) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{COOKIE}={token}; Path={PATH}; HttpOnly; SameSite=Strict{secure}{more}")
    }
}

/// The token that a browser shows, if it shows one.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
    let pairs = cookies.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, token)| token).find(|it| !it.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{Pages, token};
    use crate::access::Principal;

    #[test]
    fn a_form_counts_for_whom_it_was_made_and_here_alone() {
        let (here, there) = (Pages::new(false).unwrap(), Pages::new(false).unwrap());
        let ada = Principal::anyone();
        let bob = Principal { subject: "bob".into(), ..Principal::anyone() };
        let made = here.form_token(&ada);
        assert!(here.check_form(Some(&made), &ada).is_ok());
        assert_ne!(made, here.form_token(&ada));
        assert!(here.check_form(Some(&made), &bob).is_err(), "it is another's");
        assert!(there.check_form(Some(&made), &ada).is_err(), "another process made it");
        let (nonce, code) = made.split_once('.').unwrap();
        for wrong in [None, Some(""), Some("."), Some(nonce), Some("x.y"), Some(code)] {
            assert!(here.check_form(wrong, &ada).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_cookie_is_kept_for_pages_and_from_scripts() {
        let kept = Pages::new(true).unwrap().kept("wlt_a.b-c").unwrap();
        let expected = "windlass-ui=wlt_a.b-c; Path=/ui; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(kept, expected);
        let plain = Pages::new(false).unwrap();
        assert!(!plain.kept("a").unwrap().to_str().unwrap().contains("Secure"));
        for wrong in ["", "a;b", "a b", "a\"", "ä", &"x".repeat(4_000)] {
            assert!(plain.kept(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(token(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; xwindlass-ui=no"));
        headers.append(header::COOKIE, HeaderValue::from_static("windlass-ui=; windlass-ui=t"));
        assert_eq!(token(&headers), Some("t"));
    }
}
