//! A link that takes its time: what goes to a server nearby takes as long as to one that is far away.
//!
//! Bytes are held up and not fewer per second, so it is the distance that is measured and nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Error;

/// Pieces under way on one connection and way, at most: a sender who is faster waits.
const UNDER_WAY_MAX: usize = 4096;
const PIECE_BYTES: usize = 64 << 10;

/// A link, up until it is dropped.
pub(super) struct Link {
    address: SocketAddr,
    _down: DropGuard,
}

/// The host of the endpoint in a storage's CONFIG, and what makes a CONFIG with another one.
pub(super) fn endpoint(config: Option<&str>) -> Result<(String, impl FnOnce(SocketAddr) -> String), Error> {
    let mut config: serde_json::Value = serde_json::from_str(config.unwrap_or("{}"))?;
    let endpoint =
        config.get("endpoint").and_then(serde_json::Value::as_str).and_then(|url| url.strip_prefix("http://"));
    let host = endpoint.ok_or("--round-trip needs an endpoint that begins with http:// in --config")?.to_owned();
    Ok((host, move |address| {
        config["endpoint"] = format!("http://{address}").into();
        config.to_string()
    }))
}

impl Link {
    /// A link to a server, on a port of its own.
    pub(super) async fn to(server: &str, round_trip: Duration) -> Result<Self, Error> {
        let (listener, server, way) = (TcpListener::bind("127.0.0.1:0").await?, server.to_owned(), round_trip / 2);
        let address = listener.local_addr()?;
        let down = CancellationToken::new();
        let until = down.clone();
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    () = until.cancelled() => return,
                    Some(_) = connections.join_next() => {}
                    Ok((client, _)) = listener.accept() => {
                        connections.spawn(connection(client, server.clone(), way));
                    }
                }
            }
        });
        Ok(Self { address, _down: down.drop_guard() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// One connection breaks when either end does.
async fn connection(client: TcpStream, server: String, way: Duration) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        ended = hold_up(from_client, to_server, way) => ended,
        ended = hold_up(from_server, to_client, way) => ended,
    }
}

async fn hold_up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Duration) -> std::io::Result<()> {
    let (sender, mut under_way) = mpsc::channel::<(Instant, Bytes)>(UNDER_WAY_MAX);
    let reading = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(PIECE_BYTES);
            if from.read_buf(&mut buffer).await? == 0
                || sender.send((Instant::now() + way, buffer.split().freeze())).await.is_err()
            {
                drop(sender);
                return Ok(());
            }
        }
    };
    let writing = async {
        while let Some((at, piece)) = under_way.recv().await {
            sleep_until(at).await;
            to.write_all(&piece).await?;
        }
        Ok(())
    };
    tokio::try_join!(reading, writing).map(drop)
}
