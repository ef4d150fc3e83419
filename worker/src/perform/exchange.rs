//! A whole exchange: authentication, one repeat where the server asks for it, redirects.

use reqwest::cookie::{CookieStore as _, Jar};
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, LOCATION,
    PROXY_AUTHORIZATION, SET_COOKIE, WWW_AUTHENTICATE,
};
use reqwest::{Method, StatusCode};
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use crate::attempt::Attempt;
use crate::authentication::Authorization;
use crate::egress::Caller;
use crate::http_client::Clients;
use crate::request::{Extent, Request, Response, send, shown};

/// The last request of an exchange and the response to it.
pub(crate) struct Exchange {
    pub(crate) request: Request,
    pub(crate) response: Response,
    /// Whether redirects were followed, so that one left over is no error.
    pub(crate) redirects: bool,
    /// Whether one of them led to another origin, be it back as well.
    pub(crate) strayed: bool,
}

impl Exchange {
    /// One that was answered at once; `redirects` as in [`Attempt::exchange`].
    pub(crate) fn of(request: Request, response: Response, redirects: bool) -> Self {
        Self { request, response, redirects, strayed: false }
    }
}

impl Attempt<'_> {
    /// Sends `request`, authenticated, and follows redirects where `redirects` says so.
    pub(crate) async fn exchange(
        &mut self,
        request: Request,
        authorization: Option<Authorization>,
        redirects: bool,
    ) -> Result<Exchange, Problem> {
        let all = Extent::all(limits::RESPONSE_BYTES);
        self.exchange_within(request, authorization, redirects, all).await
    }

    /// [`Self::exchange`] of which as much of the response is read as `extent` says.
    pub(crate) async fn exchange_within(
        &mut self,
        mut request: Request,
        mut authorization: Option<Authorization>,
        redirects: bool,
        extent: Extent,
    ) -> Result<Exchange, Problem> {
        request.identity = authorization.as_ref().and_then(|it| it.identity(&request.url)).cloned();
        let mut cookies = Cookies::new(&request, extent);
        let mut strayed = false;
        for _ in 0..=limits::REDIRECTS {
            let response =
                self.send_authorized(&mut request, authorization.as_mut(), &mut cookies).await?;
            let Some(location) = redirects.then(|| location(&response)).flatten() else {
                return Ok(Exchange { request, response, redirects, strayed });
            };
            if self.strays(&mut request, &mut authorization, response.status, &location)? {
                strayed = true;
                cookies.own.clear();
            }
        }
        Err(endless(&request))
    }

    /// Turns `request` into the one that `location` asks for. True where that is one to another
    /// origin, which gets no credentials.
    pub(super) fn strays(
        &mut self,
        request: &mut Request,
        authorization: &mut Option<Authorization>,
        status: StatusCode,
        location: &str,
    ) -> Result<bool, Problem> {
        let origin = request.url.origin();
        self.redirect(request, status, location)?;
        let strays = request.url.origin() != origin;
        if strays {
            *authorization = None;
            self.drop_credentials(request)?;
        }
        Ok(strays)
    }

    /// Turns `request` into the one that `location` asks for.
    fn redirect(
        &mut self,
        request: &mut Request,
        status: StatusCode,
        location: &str,
    ) -> Result<(), Problem> {
        let wrong = || {
            let detail = format!("{} redirects to what is no HTTP URL", shown(&request.url));
            Problem::new(Standard::Communication, detail)
        };
        let target = request.url.join(location).map_err(|_| wrong())?;
        if !matches!(target.scheme(), "http" | "https") {
            return Err(wrong());
        }
        self.seal.learn_url(location, &target);
        request.url = target;
        let becomes_get = match status {
            StatusCode::SEE_OTHER => request.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            request.method = Method::GET;
            request.body = None;
            request.headers.remove(CONTENT_TYPE);
            request.headers.remove(CONTENT_LENGTH);
        }
        Ok(())
    }

    /// Takes out of `request` what must not reach another origin.
    fn drop_credentials(&self, request: &mut Request) -> Result<(), Problem> {
        request.identity = None;
        for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
            request.headers.remove(name);
        }
        // Who has the id of a session can speak in it.
        for name in ["mcp-session-id", "last-event-id"] {
            request.headers.remove(name);
        }
        let holds_secret =
            |value: &HeaderValue| self.seal.found_in(&String::from_utf8_lossy(value.as_bytes()));
        let kept: HeaderMap = request
            .headers
            .iter()
            .filter(|(_, value)| !holds_secret(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        request.headers = kept;
        let body = request.body.as_deref().unwrap_or_default();
        if self.seal.found_in(&String::from_utf8_lossy(body)) {
            let detail = format!(
                "a redirect to {} was not followed: the body holds a secret meant for another host",
                shown(&request.url)
            );
            return Err(Problem::new(Standard::Communication, detail));
        }
        Ok(())
    }

    /// Sends `request` with `authorization`; answers a challenge, or takes a new token, once.
    async fn send_authorized(
        &mut self,
        request: &mut Request,
        authorization: Option<&mut Authorization>,
        cookies: &mut Cookies,
    ) -> Result<Response, Problem> {
        let clients = &self.worker.clients;
        let Some(authorization) = authorization else {
            return cookies.send(clients, request, self.caller()).await;
        };
        if let Some(header) = authorization.header()? {
            request.headers.insert(AUTHORIZATION, header);
        }
        let response = cookies.send(clients, request, self.caller()).await?;
        if response.status != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let challenges: Vec<_> =
            response.headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect();
        match self.answer(authorization, request, &challenges).await? {
            Some(header) => {
                request.headers.insert(AUTHORIZATION, header);
                let response = cookies.send(clients, request, self.caller()).await?;
                if matches!(authorization, Authorization::Digest(_)) {
                    // The answer was good for this request only.
                    request.headers.remove(AUTHORIZATION);
                    if response.status == StatusCode::UNAUTHORIZED {
                        let what = shown(&request.url);
                        let detail = format!("{what} refused the user name or the password");
                        return Err(Problem::new(Standard::Authentication, detail));
                    }
                }
                Ok(response)
            }
            None => Ok(response),
        }
    }
}

/// The cookies of one exchange: what a server sets goes along with what the server, or the next one
/// it redirects to, is asked then. They are forgotten with the exchange.
struct Cookies {
    /// What the author gave for the origin that was called.
    own: Vec<String>,
    set: Jar,
    any_set: bool,
    /// What is read of a response.
    extent: Extent,
}

impl Cookies {
    fn new(request: &Request, extent: Extent) -> Self {
        let own = request.headers.get_all(COOKIE).iter().filter_map(|it| it.to_str().ok());
        let own = own.flat_map(|it| it.split(';')).map(|it| it.trim().to_owned());
        Self { own: own.collect(), set: Jar::default(), any_set: false, extent }
    }

    async fn send(
        &mut self,
        clients: &Clients,
        request: &mut Request,
        caller: Caller<'_>,
    ) -> Result<Response, Problem> {
        if self.any_set {
            self.write(request);
        }
        let response = send(clients, request, self.extent, caller).await?;
        let mut set = response.headers.get_all(SET_COOKIE).iter().peekable();
        if set.peek().is_some() {
            self.set.set_cookies(&mut set, &request.url);
            self.any_set = true;
        }
        Ok(response)
    }

    /// Puts those for the URL of `request` into it: one that was set replaces the author's.
    fn write(&self, request: &mut Request) {
        let set = self.set.cookies(&request.url);
        let set = set.as_ref().and_then(|it| it.to_str().ok()).unwrap_or_default();
        let set: Vec<_> = set.split("; ").filter(|pair| !pair.is_empty()).collect();
        let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
        let own = self.own.iter().map(String::as_str);
        let own = own.filter(|mine| !set.iter().any(|pair| name(pair) == name(mine)));
        let all: Vec<_> = own.chain(set.iter().copied()).collect();
        request.headers.remove(COOKIE);
        if let Some(value) = HeaderValue::try_from(all.join("; ")).ok().filter(|it| !it.is_empty())
        {
            request.headers.insert(COOKIE, value);
        }
    }
}

/// The problem of a request that is redirected again and again.
pub(super) fn endless(request: &Request) -> Problem {
    let most = limits::REDIRECTS;
    let detail = format!("{} redirects more than {most} times", shown(&request.url));
    Problem::new(Standard::Communication, detail)
}

/// Where a response redirects to.
pub(super) fn location(response: &Response) -> Option<String> {
    let followed = matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers.get(LOCATION)?.to_str().ok()?;
    followed.then(|| location.to_owned())
}
