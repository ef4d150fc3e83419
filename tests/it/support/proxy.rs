//! A network that can be made bad: a TCP proxy between a client and a server.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;
/// Chunks on their way in one direction; what comes beyond waits with the sender, as it does when
/// the window of a connection is full.
const UNDERWAY: usize = 64;

/// The state of the network between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Weather {
    /// How long everything takes in each direction.
    delay: Duration,
    /// Nothing passes, and nobody is told.
    dropping: bool,
    /// Counts the cuts: connections made before the last one are closed.
    cuts: u64,
}

const CLEAR: Weather = Weather { delay: Duration::ZERO, dropping: false, cuts: 0 };

/// A proxy to one server, for any number of connections; it stops when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    serving: AbortHandle,
}

impl Proxy {
    /// Starts one to the server on `port` of the loopback.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, seen) = watch::channel(CLEAR);
        let serving = tokio::spawn(serve(listener, port, seen)).abort_handle();
        Self { address, weather, serving }
    }

    /// The address as a `--nats`.
    pub(crate) fn nats(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on everything takes so much longer, in each direction.
    pub(crate) fn delay(&self, delay: Duration) {
        self.weather.send_modify(|it| it.delay = delay);
    }

    /// From now on nothing passes in either direction, and connections stay open. What is sent
    /// meanwhile arrives after `heal`, as TCP sends again what a network lost.
    pub(crate) fn drop_all(&self) {
        self.weather.send_modify(|it| it.dropping = true);
    }

    /// Closes all connections; new ones are served.
    pub(crate) fn cut(&self) {
        self.weather.send_modify(|it| it.cuts += 1);
    }

    /// No delay and no loss any more.
    pub(crate) fn heal(&self) {
        self.weather.send_modify(|it| *it = Weather { cuts: it.cuts, ..CLEAR });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Accepts until aborted; the connections end with the set that holds them.
async fn serve(listener: TcpListener, port: u16, weather: watch::Receiver<Weather>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connection(client, port, weather.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// One connection, until either end closes it or it is cut.
async fn connection(client: TcpStream, port: u16, weather: watch::Receiver<Weather>) {
    let mut cutting = weather.clone();
    let cuts = cutting.borrow().cuts;
    let pump = async {
        // A connection made while nothing passes is not known to the server until it does.
        passes(&mut weather.clone(), Instant::now()).await;
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            () = direction(from_client, to_server, weather.clone()) => {}
            () = direction(from_server, to_client, weather.clone()) => {}
        }
    };
    tokio::select! {
        () = pump => {}
        _ = cutting.wait_for(|it| it.cuts != cuts) => {}
    }
}

/// Carries bytes one way until the end of the stream has been carried too.
async fn direction(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    let (sender, mut underway) = mpsc::channel::<(Instant, Vec<u8>)>(UNDERWAY);
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let length = from.read(&mut chunk).await.unwrap_or(0);
            chunk.truncate(length);
            // An empty chunk stands for the end.
            if sender.send((Instant::now(), chunk)).await.is_err() || length == 0 {
                return std::future::pending().await;
            }
        }
    };
    let write = async {
        while let Some((arrived, chunk)) = underway.recv().await {
            passes(&mut weather, arrived).await;
            if chunk.is_empty() || to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}

/// Returns when the network lets pass what arrived at this moment.
async fn passes(weather: &mut watch::Receiver<Weather>, arrived: Instant) {
    loop {
        let now = *weather.borrow_and_update();
        let due = arrived + now.delay;
        if !now.dropping && due <= Instant::now() {
            return;
        }
        let wait = async {
            if now.dropping {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep_until(due).await;
        };
        tokio::select! {
            () = wait => {}
            changed = weather.changed() => if changed.is_err() {
                // The proxy was dropped, and with it this connection.
                return std::future::pending().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{Instant, timeout};

    use super::Proxy;

    /// A server that sends back what it gets, behind a proxy.
    async fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        Proxy::to(port).await
    }

    /// Sends and reads back.
    async fn round(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
        stream.write_all(text).await?;
        back(stream, text).await
    }

    async fn back(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
        let mut got = vec![0; text.len()];
        stream.read_exact(&mut got).await?;
        assert_eq!(got, text);
        Ok(())
    }

    #[tokio::test]
    async fn delays_hold_in_both_directions_and_end() {
        let proxy = echo().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        round(&mut stream, b"quick").await.unwrap();
        proxy.delay(Duration::from_millis(100));
        let begun = Instant::now();
        round(&mut stream, b"slow").await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
        proxy.delay(Duration::from_secs(3_600));
        stream.write_all(b"held").await.unwrap();
        proxy.heal();
        back(&mut stream, b"held").await.unwrap();
    }

    #[tokio::test]
    async fn nothing_passes_while_dropped_and_all_of_it_after() {
        let proxy = echo().await;
        let mut old = TcpStream::connect(proxy.address()).await.unwrap();
        round(&mut old, b"before").await.unwrap();
        proxy.drop_all();
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        let silent = Duration::from_millis(150);
        assert!(timeout(silent, round(&mut old, b"lost?")).await.is_err());
        assert!(timeout(silent, round(&mut new, b"unseen")).await.is_err());
        proxy.heal();
        back(&mut old, b"lost?").await.unwrap();
        back(&mut new, b"unseen").await.unwrap();
    }

    #[tokio::test]
    async fn a_cut_closes_all_connections_and_takes_new_ones() {
        let proxy = echo().await;
        let mut streams = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            round(&mut stream, b"before").await.unwrap();
            streams.push(stream);
        }
        proxy.drop_all();
        proxy.cut();
        for stream in &mut streams {
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0, "it is closed");
        }
        proxy.heal();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        let much = vec![7; 1 << 20];
        let (mut from, mut to) = stream.split();
        let (sent, mut got) = (to.write_all(&much), vec![0; much.len()]);
        let (sent, read) = tokio::join!(sent, from.read_exact(&mut got));
        assert_eq!((sent.unwrap(), read.unwrap(), got), ((), much.len(), much));
    }
}
