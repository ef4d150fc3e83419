//! Where a browser comes back to after a login: a port of this machine that takes one answer
//! (RFC 8252, 7.3).

use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use windlass_proto::limits;
use zeroize::Zeroizing;

use super::failed;
use crate::error::CliError;
use crate::output::printable;

use std::sync::Arc;
use std::time::Duration;

/// The path that the provider sends the browser to.
const PATH: &str = "/callback";

/// A port that waits for a browser.
pub(super) struct Redirect {
    listener: TcpListener,
    /// What the provider is told.
    pub(super) uri: String,
}

/// What an answer has to say to be the one.
pub(super) struct Expected {
    pub(super) state: String,
    pub(super) issuer: String,
    /// True when the provider always says who it is (RFC 9207).
    pub(super) says_issuer: bool,
}

/// What a browser brought.
type Brought = Result<Zeroizing<String>, CliError>;

impl Redirect {
    /// Listens on a free port, for this machine alone.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn open() -> Result<Self, CliError> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener =
            listener.map_err(|error| failed(&format!("no port to come back to: {error}")))?;
        let address = listener.local_addr();
        let address =
            address.map_err(|error| failed(&format!("no port to come back to: {error}")))?;
        Ok(Self { listener, uri: format!("http://{address}{PATH}") })
    }

    /// The code that the provider gives to whoever logs in.
    ///
    /// # Errors
    /// When it refuses, or nobody comes in time.
    pub(super) async fn code(self, expected: Expected) -> Brought {
        let patience = Duration::from_secs(limits::LOGIN_PATIENCE_S);
        let came = timeout(patience, self.wait(Arc::new(expected))).await;
        came.unwrap_or_else(|_| Err(failed("nobody has logged in in time")))
    }

    async fn wait(self, expected: Arc<Expected>) -> Brought {
        // Browsers open connections in advance, which say nothing: the others must not wait.
        let mut open: JoinSet<Option<Brought>> = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < limits::LOGIN_CONNECTIONS => {
                    // One that broke at once is none.
                    let Ok((stream, _)) = accepted else { continue };
                    open.spawn(answer(stream, expected.clone()));
                }
                Some(answered) = open.join_next() => {
                    if let Ok(Some(brought)) = answered {
                        return brought;
                    }
                }
            }
        }
    }
}

/// Answers one connection; gives what it brought, if that is of this login.
async fn answer(mut stream: TcpStream, expected: Arc<Expected>) -> Option<Brought> {
    let patience = Duration::from_millis(limits::LOGIN_CALLBACK_MS);
    let head = timeout(patience, head(&mut stream)).await.ok().flatten()?;
    let (status, text, brought) = judge(&head, &expected);
    let page = format!("<!doctype html><meta charset=utf-8><title>Windlass</title><p>{text}</p>\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // What was brought counts, also when the browser has gone.
    let write = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = timeout(patience, write).await;
    brought
}

/// The head of a request.
async fn head(stream: &mut TcpStream) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(limits::LOGIN_CALLBACK_BYTES));
    while !bytes.windows(4).any(|it| it == b"\r\n\r\n") {
        if bytes.len() >= limits::LOGIN_CALLBACK_BYTES {
            return None;
        }
        let room = (limits::LOGIN_CALLBACK_BYTES - bytes.len()) as u64;
        if stream.take(room).read_buf(&mut *bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Zeroizing::new(std::str::from_utf8(&bytes).ok()?.to_owned()))
}

/// What is answered to a request, and what it brought.
fn judge(head: &str, expected: &Expected) -> (&'static str, &'static str, Option<Brought>) {
    let nothing = ("404 Not Found", "There is nothing here.", None);
    let mut line = head.split("\r\n").next().unwrap_or_default().split(' ');
    let (Some("GET"), Some(target)) = (line.next(), line.next()) else { return nothing };
    let url = Url::parse("http://127.0.0.1").and_then(|base| base.join(target));
    let Some(url) = url.ok().filter(|it| it.path() == PATH && target.starts_with('/')) else {
        return nothing;
    };
    let value = |name: &str| {
        let mut found = url.query_pairs().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.into_owned())
    };
    if value("state").as_deref() != Some(expected.state.as_str()) {
        return ("400 Bad Request", "This is not of the login that is under way.", None);
    }
    let bad = "Nobody was logged in. The terminal says why.";
    let issuer = value("iss");
    if issuer.as_deref().map_or(expected.says_issuer, |it| it != expected.issuer) {
        return ("400 Bad Request", bad, Some(Err(failed("another one has answered"))));
    }
    if let Some(error) = value("error") {
        let why = value("error_description").map(|it| format!(": {it}")).unwrap_or_default();
        let why = printable(&format!("{error}{why}"));
        return ("200 OK", bad, Some(Err(failed(&why))));
    }
    match value("code").filter(|it| !it.is_empty()) {
        Some(code) => {
            let text = "You are logged in. Close this window and go back to the terminal.";
            ("200 OK", text, Some(Ok(Zeroizing::new(code))))
        }
        None => ("400 Bad Request", bad, Some(Err(failed("it gave no code")))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Expected, judge};

    fn given(request: &str, says_issuer: bool) -> (&'static str, Option<Option<String>>) {
        let (state, issuer) = ("abc".to_owned(), "https://id".to_owned());
        let head = format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n");
        let (status, _, brought) = judge(&head, &Expected { state, issuer, says_issuer });
        (&status[..3], brought.map(|it| it.ok().map(|code| code.to_string())))
    }

    #[test]
    fn one_answer_is_the_one() {
        let code = Some(Some("c d".to_owned()));
        assert_eq!(given("GET /callback?code=c+d&state=abc", false), ("200", code.clone()));
        let iss = "GET /callback?code=c%20d&state=abc&iss=https%3A%2F%2Fid";
        assert_eq!(given(iss, true), ("200", code));
        for other in [
            "GET /",
            "GET /favicon.ico",
            "POST /callback?code=c&state=abc",
            "GET http://elsewhere/callback?code=c&state=abc",
            "",
        ] {
            assert_eq!(given(other, false), ("404", None), "{other}");
        }
        // Somebody else's, which ends nothing.
        assert_eq!(given("GET /callback?code=c&state=abd", false), ("400", None));
        assert_eq!(given("GET /callback?code=c", false), ("400", None));
        // Of this login, and a refusal.
        assert_eq!(given("GET /callback?state=abc", false), ("400", Some(None)));
        assert_eq!(
            given("GET /callback?state=abc&error=access_denied", false),
            ("200", Some(None))
        );
        assert_eq!(given("GET /callback?code=c&state=abc", true), ("400", Some(None)));
        let mixed = "GET /callback?code=c&state=abc&iss=https%3A%2F%2Fother";
        assert_eq!(given(mixed, false), ("400", Some(None)));
    }
}
