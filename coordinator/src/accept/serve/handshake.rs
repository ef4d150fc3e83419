//! The beginning of a connection of a server that speaks TLS.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use windlass_proto::limits::API_ACCEPT_PAUSE_MS;

use crate::accept::problem::ApiProblem;
use crate::access::ClientCertificate;
use crate::code::Code;

/// A connection that is secured, and who its client's certificate is of.
pub(super) type Secured = (TlsStream<TcpStream>, Option<Arc<ClientCertificate>>);

/// Begins TLS; nothing when that fails. It has no end of its own: the connection is in the phase
/// of a head meanwhile, and ends with that.
pub(super) async fn secure(stream: TcpStream, acceptor: TlsAcceptor) -> Option<Secured> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 1 && first[0].is_ascii_alphabetic() {
        // A record of TLS begins with a number of kind, which no letter is.
        explain(stream).await;
        return None;
    }
    match acceptor.accept(stream).await {
        Ok(stream) => {
            let certificates = stream.get_ref().1.peer_certificates();
            let first = certificates.and_then(|it| it.first());
            let client = first.and_then(|it| ClientCertificate::read(it)).map(Arc::new);
            Some((stream, client))
        }
        Err(error) => {
            // Whoever connects causes it, as often as they like.
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
    }
}

/// Says to who speaks plain HTTP what is spoken here.
async fn explain(mut stream: TcpStream) {
    let detail = "this server speaks TLS: write https:// instead of http://";
    let answer = ApiProblem::new(Code::PlainHttp, detail).to_http();
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // What was sent and not read would reset the connection, and the answer with it.
        let mut rest = [0; 1_024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // It fits into the socket's buffer, or nobody reads it.
    let _ = tokio::time::timeout(Duration::from_millis(API_ACCEPT_PAUSE_MS), told).await;
}
