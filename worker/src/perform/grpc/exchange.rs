//! One call by gRPC: what goes out with it, its deadline, its answers.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::http::Uri;
use hyper::http::uri::PathAndQuery;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use super::status::Failure;
use super::transport::{Raw, Transport};
use super::{Target, configuration};
use crate::attempt::Attempt;
use crate::authentication::Authorization;
use crate::http_client::Protocol;
use crate::http_client::identity::ClientIdentity;
use crate::perform::time_limit;
use crate::request::Request;
use crate::trace::RpcSpan;

impl Attempt<'_> {
    /// Calls `target` with these messages; gives those of the answer. Takes a new token once, where
    /// the first was refused.
    pub(super) async fn grpc_exchange(
        &mut self,
        target: &Target,
        authorization: &mut Option<Authorization>,
        requests: Vec<Vec<u8>>,
    ) -> Result<Result<Vec<Bytes>, Failure>, Problem> {
        let requests: Vec<Bytes> = requests.into_iter().map(Bytes::from).collect();
        let identity =
            authorization.as_ref().and_then(|it| it.identity(&target.place.url)).cloned();
        let header = match authorization.as_ref() {
            None => None,
            Some(Authorization::Digest(_)) => {
                let detail = "`digest` answers a challenge of HTTP, which gRPC does not have: use \
                              `basic`, `bearer`, `oauth2`, `oidc` or `certificate`";
                return Err(configuration(detail));
            }
            Some(authorization) => authorization.header()?,
        };
        let done = self.grpc_once(target, header, identity.as_ref(), &requests).await?;
        if matches!(&done, Err(failure) if failure.is(Code::Unauthenticated))
            && let Some(authorization) = authorization
        {
            let (method, url) = (Method::POST, target.place.url.clone());
            let asked =
                Request { method, url, headers: HeaderMap::new(), body: None, identity: None };
            if let Some(header) = self.answer(authorization, &asked, &[]).await? {
                return self.grpc_once(target, Some(header), identity.as_ref(), &requests).await;
            }
        }
        Ok(done)
    }

    pub(super) fn grpc_problem(&self, target: &Target, failure: &Failure) -> Problem {
        match failure {
            Failure::Refused(refusal) => self.worker.clients.refusal(refusal, self.caller()),
            failure => failure.problem(target, &self.seal),
        }
    }

    async fn grpc_once(
        &mut self,
        target: &Target,
        header: Option<HeaderValue>,
        identity: Option<&ClientIdentity>,
        requests: &[Bytes],
    ) -> Result<Result<Vec<Bytes>, Failure>, Problem> {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header);
        }
        self.add_own_headers(&mut headers);
        let span = RpcSpan::new(&target.name, &target.place.host, target.place.port);
        span.inject(&mut headers);
        let left = self.grpc_time_left();
        let called = converse(self, target, (headers, identity), left, requests).await?;
        match &called {
            Ok(_) => span.ended(super::status::word(Code::Ok)),
            Err(failure) => span.failed(failure.word()),
        }
        let about_to_end = Duration::from_millis(limits::GRPC_DEADLINE_SLACK_MS);
        if matches!(&called, Err(failure) if failure.is(Code::DeadlineExceeded))
            && self.grpc_time_left() <= about_to_end
        {
            // It is the task's own timeout that the server tells of: it is over at any moment.
            std::future::pending::<()>().await;
        }
        Ok(called)
    }

    /// What is left of the time that the task may take.
    fn grpc_time_left(&self) -> Duration {
        let limit = time_limit(self.assignment, self.task);
        match self.assignment.deadline {
            Some(_) => limit,
            None => limit.saturating_sub(self.began.elapsed()),
        }
    }
}

/// Sends `requests` and takes what is answered, as long as it takes.
async fn converse(
    attempt: &Attempt<'_>,
    target: &Target,
    (headers, identity): (HeaderMap, Option<&ClientIdentity>),
    left: Duration,
    requests: &[Bytes],
) -> Result<Result<Vec<Bytes>, Failure>, Problem> {
    let protocol =
        if target.place.url.scheme() == "https" { Protocol::GrpcTls } else { Protocol::Grpc };
    let _turn = attempt.worker.clients.limits.turn(&target.place.url).await;
    let route =
        attempt.worker.clients.route(&target.place.url, protocol, identity, attempt.caller())?;
    let impossible = |_| configuration(format!("{} cannot be called", target.shown()));
    let path = PathAndQuery::try_from(format!("/{}", target.name)).map_err(impossible)?;
    let origin = Uri::try_from(route.url.as_str()).map_err(impossible)?;
    let client = Transport(route.client);
    let mut grpc =
        Grpc::with_origin(client, origin).max_decoding_message_size(limits::GRPC_MESSAGE_BYTES);
    let mut request = tonic::Request::new(stream::iter(requests.to_vec()));
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    request.set_timeout(left);
    let failed = |status: Status| Failure::new(target, status);
    let answer = match grpc.streaming(request, path, Raw).await {
        Ok(answer) => answer,
        Err(status) => return Ok(Err(Failure::unanswered(target, status))),
    };
    let mut answer = answer.into_inner();
    let (mut answers, mut bytes) = (Vec::new(), 0);
    loop {
        let message = match answer.message().await {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(status) => return Ok(Err(failed(status))),
        };
        bytes += message.len();
        if bytes > limits::RESPONSE_BYTES || answers.len() >= limits::GRPC_MESSAGES {
            let (most, messages) = (limits::RESPONSE_BYTES, limits::GRPC_MESSAGES);
            let why = format!("the answer is larger than {most} bytes or {messages} messages");
            return Ok(Err(Failure::TooLarge(why)));
        }
        answers.push(message);
    }
    if answers.len() != 1 && !target.is_stream {
        let detail = format!("{} answered {} messages, not one", target.shown(), answers.len());
        return Err(Problem::new(Standard::Communication, detail));
    }
    Ok(Ok(answers))
}
