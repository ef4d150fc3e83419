//! gRPC over the worker's HTTP client: the same certificates, proxies and hosts that may be called.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, stream};
use hyper::body::Body as _;
use hyper::http::{Request, Response};
use reqwest::Client;
use tonic::Status;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// A client that speaks HTTP/2 alone.
pub(super) struct Transport(pub(super) Client);

/// There is no answer, or not all of it. Without a source: what it was caused by is looked at here
/// alone.
#[derive(Debug)]
pub(super) struct Broken(pub(super) reqwest::Error);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no answer")
    }
}

impl std::error::Error for Broken {}

impl GrpcService<Body> for Transport {
    type ResponseBody = reqwest::Body;
    type Error = Broken;
    type Future = BoxFuture<'static, Result<Response<reqwest::Body>, Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.0.clone();
        let request = reqwest::Request::try_from(request.map(sent));
        async move {
            let response = client.execute(request.map_err(Broken)?).await.map_err(Broken)?;
            Ok(response.into())
        }
        .boxed()
    }
}

/// The body of a request, as the HTTP client takes it: a client has no trailers to send.
fn sent(body: Body) -> reqwest::Body {
    let mut body = Box::pin(body);
    let next = move |context: &mut Context<'_>| {
        loop {
            let frame = match Pin::new(&mut body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            };
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(Ok::<_, Status>(data)));
            }
        }
    };
    reqwest::Body::wrap_stream(stream::poll_fn(next))
}

/// Messages as the bytes they are: what they mean is found elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
