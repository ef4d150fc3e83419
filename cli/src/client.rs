//! Talks to a server's API.

mod certificate;
mod credential;
mod foreign;

use std::net::IpAddr;
use std::time::Duration;

use credential::Credential;
pub(crate) use credential::guard;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value as Json;
use windlass_proto::limits::{self, API_REQUEST_MS, CONNECT_TIMEOUT_MS};

use crate::code::{BROKEN_OFF, NOT_UNDERSTOOD, UNREACHABLE};
use crate::error::{CliError, chain};
use crate::exact;
use crate::header::Header;
use crate::options::{Remote, Target};

/// A client of one server.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    credential: Credential,
    /// What every request carries beside it.
    headers: Vec<Header>,
    /// True where there is a certificate.
    certified: bool,
}

impl Client {
    /// A client of the server that `remote` names.
    ///
    /// # Errors
    /// When the URL makes no sense, or TLS cannot be set up.
    pub(crate) fn new(remote: &Remote) -> Result<Self, CliError> {
        Self::of(&remote.target()?)
    }

    /// The same, of one that is known.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub(crate) fn of(target: &Target) -> Result<Self, CliError> {
        let credential = Credential::of(target)?;
        Ok(Self { credential, ..Self::without_token(target)? })
    }

    /// The same, which shows no token, whatever there is.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub(crate) fn without_token(target: &Target) -> Result<Self, CliError> {
        credential::guard_headers(target)?;
        let base = target.url.clone();
        crate::tls::provide();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS))
            // Headers would go along, and no server of ours redirects.
            .redirect(Policy::none())
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" {
            // Plain HTTP needs no certificates, and a machine without any is fine.
            builder = builder.tls_certs_only([]);
        } else {
            builder = certificate::apply(builder, &target.certificates)?;
        }
        if is_loopback(&base) {
            // A proxy cannot reach this machine's own addresses.
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| CliError::Usage(format!("the URL {base}: {}", chain(&error))))?;
        let certified = target.certificates.client_certificate.is_some();
        let headers = target.headers.clone();
        Ok(Self { http, base, credential: Credential::None, headers, certified })
    }

    /// A request to `path`, whose segments are encoded.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        // `cannot_be_a_base` was refused, so there are segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        self.http.request(method, url)
    }

    /// True when it shows the server who asks, by a token or a certificate.
    pub(crate) fn shows_who_asks(&self) -> bool {
        let shown = self.headers.iter().any(|it| it.name() == AUTHORIZATION);
        shown || self.credential.is_some() || self.certified
    }

    /// The JSON at `path`.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Json, CliError> {
        Ok(self.send(self.request(Method::GET, path).query(query)).await?.1)
    }

    /// What is at `path`, in the bytes of the answer.
    pub(crate) async fn bytes(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Vec<u8>, CliError> {
        let request = self.request(Method::GET, path).query(query);
        let answer = self.open(request.timeout(Duration::from_millis(API_REQUEST_MS))).await?;
        bytes(answer, limits::CLIENT_ANSWER_BYTES).await
    }

    /// The text at `path`, of at most `limit` bytes.
    pub(crate) async fn text(&self, path: &[&str], limit: usize) -> Result<String, CliError> {
        let request = self.request(Method::GET, path);
        let answer = self.open(request.timeout(Duration::from_millis(API_REQUEST_MS))).await?;
        let bytes = bytes(answer, limit).await?;
        String::from_utf8(bytes)
            .map_err(|error| CliError::coded(&NOT_UNDERSTOOD, &format!("not UTF-8: {error}")))
    }

    /// Sends a request and reads the JSON it is answered with.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, Json), CliError> {
        let response = self.open(request.timeout(Duration::from_millis(API_REQUEST_MS))).await?;
        let status = response.status();
        Ok((status, read(response).await?))
    }

    /// Sends a request and returns the answer to read from, unless it is a refusal.
    pub(crate) async fn open(&self, mut request: RequestBuilder) -> Result<Response, CliError> {
        for header in &self.headers {
            request = request.header(header.name(), header.value());
        }
        if let Some(value) = self.credential.header().await? {
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|error| {
            let advice = self.advice(&error);
            let code = if error.is_connect() { &UNREACHABLE } else { &BROKEN_OFF };
            // The URL is said already.
            let detail = format!("{}: {}{advice}", self.base, chain(&error.without_url()));
            CliError::coded(code, &detail)
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        if let Some(refusal) = foreign::refusal(&self.base, &response) {
            return Err(refusal);
        }
        let status = response.status();
        match read(response).await? {
            problem @ Json::Object(_) => Err(CliError::Problem(Box::new(problem))),
            _ => Err(CliError::coded(&NOT_UNDERSTOOD, &format!("status {status}, no problem"))),
        }
    }
}

impl Client {
    /// What to try when no connection could be made.
    fn advice(&self, error: &reqwest::Error) -> &'static str {
        if error.is_connect() && self.base.scheme() == "https" {
            let why = chain(error);
            if why.contains("UnknownIssuer") {
                return ". --certificate-authority and WINDLASS_CERTIFICATE_AUTHORITY name the file \
                        of the authority that its certificate is from";
            }
            if why.contains("InvalidContentType") {
                return ". Does the server speak plain HTTP? Then the URL begins with http://";
            }
            if why.contains("proxy authorization required") {
                return ". The proxy that HTTPS_PROXY names asks who you are: it is told by a user \
                        and a password in that URL";
            }
        }
        match (error.is_connect(), is_loopback(&self.base)) {
            (true, true) => ". Is a server running? `windlass dev` starts one",
            (true, false) => ". Is this the right URL? --url and WINDLASS_URL name the server",
            (false, _) => "",
        }
    }
}

async fn read(response: Response) -> Result<Json, CliError> {
    let status = response.status();
    let bytes = bytes(response, limits::CLIENT_ANSWER_BYTES).await?;
    let not_json = |error: &dyn std::fmt::Display| {
        let detail = format!("the answer (status {status}) is not JSON: {error}");
        CliError::coded(&NOT_UNDERSTOOD, &detail)
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| not_json(&error))?;
    exact::read(text).map_err(|error| not_json(&error))
}

async fn bytes(mut response: Response, limit: usize) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| CliError::coded(&BROKEN_OFF, &chain(&error)))?
    {
        if bytes.len() + chunk.len() > limit {
            let detail = format!("the answer is more than {limit} bytes");
            return Err(CliError::coded(&NOT_UNDERSTOOD, &detail));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("");
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use reqwest::Method;

    use super::{CliError, Client, Header, Target};
    use crate::options::Remote;

    #[test]
    fn no_header_goes_where_others_read_it() {
        let with = |url: &str, header: &str| {
            let headers = vec![Header::parse(header).unwrap()];
            let remote = Remote { url: Some(url.to_owned()), ..Remote::default() };
            Target { headers, ..remote.target().ok().unwrap() }
        };
        for header in ["X-Access: c4nary", "Cookie: c4nary", "Authorization: c4nary"] {
            let far = with("http://192.0.2.1:1", header);
            for refused in [Client::of(&far).err(), Client::without_token(&far).err()] {
                let Some(CliError::Usage(text)) = refused else { panic!("{header} is sent") };
                assert!(text.contains("leave the header") && !text.contains("c4nary"), "{text}");
            }
            for near in ["https://192.0.2.1:1", "http://127.0.0.1:1"] {
                assert!(Client::without_token(&with(near, header)).is_ok(), "{near}");
            }
        }
    }

    fn client(url: &str) -> Option<Client> {
        Client::new(&Remote { url: Some(url.to_owned()), ..Remote::default() }).ok()
    }

    #[test]
    fn paths_are_encoded_below_the_base() {
        let client = client("http://127.0.0.1:7400/base/").unwrap();
        let request = client.request(Method::GET, &["v1", "a/b", "ü"]).build().unwrap();
        assert_eq!(request.url().as_str(), "http://127.0.0.1:7400/base/v1/a%2Fb/%C3%BC");
    }

    #[test]
    fn urls_that_are_no_servers_are_refused() {
        for url in ["127.0.0.1:7400", "ftp://a", "mailto:a@b"] {
            assert!(client(url).is_none(), "{url}");
        }
    }
}
