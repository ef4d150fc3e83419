//! One connection: its bytes, its requests, and when it ends.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::handshake;
use super::sockets::{Phase, Place, Socket};
use crate::accept::standby::Via;
use crate::access::ClientCertificate;

/// Serves one connection until it ends, must end, or `stop` says that the server ends and its
/// request, if it has one, is answered. One with a handshake to do is at [`Phase::Head`] already.
pub(super) async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    place: Place,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let socket = place.socket.clone();
    let mut stop = pin!(stop);
    let Some(acceptor) = tls else {
        return requests(stream, socket, Sender::default(), router, stop).await;
    };
    let secured = tokio::select! {
        secured = handshake::secure(stream, acceptor) => secured,
        () = socket.closed() => None,
        () = stop.as_mut() => None,
    };
    if let Some((stream, client)) = secured {
        socket.enters(Phase::Idle);
        let from = Sender { client, via: None };
        requests(stream, socket, from, router, stop).await;
    }
}

/// Who is at the other end, as far as the connection says.
#[derive(Default)]
struct Sender {
    /// Whose certificate was shown.
    client: Option<Arc<ClientCertificate>>,
    /// The coordinator that passes it on.
    via: Option<Via>,
}

/// Serves a request that another coordinator passes on.
pub(super) async fn passed(
    stream: DuplexStream,
    client: Option<Arc<ClientCertificate>>,
    via: Arc<str>,
    place: Place,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let from = Sender { client, via: Some(Via(via)) };
    requests(stream, place.socket.clone(), from, router, pin!(stop)).await;
}

/// Answers the requests of a connection.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    socket: Arc<Socket>,
    from: Sender,
    router: Router,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) {
    let is_passed = from.via.is_some();
    let service = service_fn(|mut request: Request<Incoming>| {
        socket.enters(Phase::Working);
        request.extensions_mut().insert(socket.clone());
        if let Some(client) = &from.client {
            request.extensions_mut().insert(client.clone());
        }
        if let Some(via) = &from.via {
            request.extensions_mut().insert(via.clone());
        }
        let answer = TowerToHyperService::new(router.clone()).call(request.map(Body::new));
        let working = Working(socket.clone());
        async move {
            let answer = answer.await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body| Answer { body, _working: working }))
        }
    });
    let watched = Watched { stream, socket: socket.clone() };
    let served = http1::Builder::new().serve_connection(TokioIo::new(watched), service);
    let mut served = pin!(served);
    let mut stopping = false;
    loop {
        tokio::select! {
            // What went wrong with a connection is its client's doing, and nothing to tell of.
            _ = served.as_mut() => return,
            () = socket.closed() => return,
            // What was passed on was taken, and is one request: it is answered.
            () = stop.as_mut(), if !stopping && !is_passed => {
                // Nothing of these is done yet, and the rest may never come.
                if matches!(socket.phase(), Phase::Idle | Phase::Head | Phase::Body) {
                    return;
                }
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A request is worked on, or its answer is being sent, while this lives.
struct Working(Arc<Socket>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// The body of an answer.
struct Answer {
    body: Body,
    _working: Working,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells when a request begins, and when its client takes no more.
struct Watched<S> {
    stream: S,
    socket: Arc<Socket>,
}

impl<S> Watched<S> {
    fn written(&self, result: &Poll<io::Result<usize>>) {
        match (result, self.socket.phase()) {
            (Poll::Pending, Phase::Working) => self.socket.enters(Phase::Stalled),
            (Poll::Ready(_), Phase::Stalled) => self.socket.enters(Phase::Working),
            _ => {}
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            match self.socket.phase() {
                Phase::Idle => self.socket.enters(Phase::Head),
                // It counts from its last byte; how long it takes in all, who reads it sees to.
                Phase::Body => self.socket.enters(Phase::Body),
                Phase::Head | Phase::Working | Phase::Stalled => {}
            }
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
