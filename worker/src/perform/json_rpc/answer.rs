//! What comes back for a message over HTTP, and the problems where that is no answer or an error.

use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::message::{Reply, RpcError, answers};
use super::stream::{self, Told};
use crate::attempt::Attempt;
use crate::charset;
use crate::media::content_type;
use crate::request::{Response, excerpt, shown};

/// What came back for a message.
pub(in crate::perform) struct Answer {
    pub(in crate::perform) status: StatusCode,
    pub(in crate::perform) headers: HeaderMap,
    /// In the order in which they came: one, unless a stream has more.
    pub(in crate::perform) replies: Vec<Reply>,
    /// The end of a stream that broke off before a reply.
    pub(in crate::perform) rest: Option<Told>,
    /// What was there in place of a reply.
    body: Vec<u8>,
}

impl Answer {
    /// To the request with the number `asked`; of a stream, what comes up to the reply that
    /// `is_last`.
    pub(in crate::perform) fn of(
        response: Response,
        asked: Option<i64>,
        is_last: impl Fn(&Reply) -> bool,
    ) -> Self {
        let Response { status, headers, body } = response;
        let mut answer =
            Self { status, headers, replies: Vec::new(), rest: None, body: Vec::new() };
        if stream::is_stream(&answer.headers) {
            let mut told = stream::read(&body, asked, is_last);
            answer.replies = std::mem::take(&mut told.replies);
            answer.rest = answer.replies.is_empty().then_some(told);
            return answer;
        }
        let message = charset::json(&content_type(&answer.headers), &body).ok();
        let message = message.and_then(|text| Value::from_json(&text).ok());
        let reply = message.and_then(|it| Reply::in_message(&it, answers(asked)));
        answer.replies.extend(reply.map(|(_, reply)| reply));
        answer.body = body;
        answer
    }

    /// The first reply.
    pub(in crate::perform) fn reply(&self) -> Option<&Reply> {
        self.replies.first()
    }

    /// True where nothing else of the protocol is to be tried: who asks may have to be another, or
    /// to wait, whatever is in the body; or nothing in it is of the protocol at all.
    pub(in crate::perform) fn is_refusal(&self) -> bool {
        let status = self.status.as_u16();
        let says_nothing = matches!(status, 300..=399 | 401 | 403 | 407 | 408 | 429 | 500..);
        matches!(status, 401 | 403 | 407 | 429 | 503) || says_nothing && self.replies.is_empty()
    }
}

/// Who answers.
#[derive(Clone, Copy)]
pub(in crate::perform) struct Peer(pub(in crate::perform) &'static str);

impl Attempt<'_> {
    /// The problem of an error that `peer` answered.
    pub(in crate::perform) fn rpc_error(
        &self,
        peer: Peer,
        method: &str,
        error: &RpcError,
    ) -> Problem {
        let RpcError { code, message, data } = error;
        let said = self.rpc_text(message);
        let mut detail = format!("the {} answered {method} with the error {code}: {said}", peer.0);
        if let Some(data) = data {
            let data = self.rpc_text(&data.to_text());
            if !data.is_empty() {
                detail.push_str(&format!(" ({data})"));
            }
        }
        Problem::new(Standard::Runtime, detail)
    }

    /// The problem of a response of `url` that is no answer.
    pub(in crate::perform) fn rpc_unanswered(
        &self,
        peer: Peer,
        url: &Url,
        answer: &Answer,
    ) -> Problem {
        let (status, place) = (answer.status, shown(url));
        let text = match answer.reply() {
            Some(Reply::Error(error)) => format!("{}: {}", error.code, error.message),
            _ => String::from_utf8_lossy(&answer.body).into_owned(),
        };
        let said = self.rpc_text(&text);
        let mut detail = if answer.rest.is_some() {
            format!("the stream of {place} ended before the {} answered", peer.0)
        } else {
            format!("{place} answered {status}, which is no answer of an {}", peer.0)
        };
        if !said.is_empty() && answer.rest.is_none() {
            detail.push_str(&format!(": {said}"));
        }
        let problem = Problem::new(Standard::Runtime, detail);
        if status.is_client_error() || status.is_server_error() {
            problem.with_status(status.as_u16())
        } else {
            problem
        }
    }

    /// A text of another for an error's detail. Sealed before it is cut: half of a secret would not
    /// be recognised.
    pub(in crate::perform) fn rpc_text(&self, text: &str) -> String {
        excerpt(self.seal.text(text).as_bytes())
    }
}
