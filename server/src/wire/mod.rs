//! The PostgreSQL wire protocol: a listener, and a session per connection.
//!
//! pgwire gives the messages and their encoding; what is done on which message stands here, because rows are to be
//! streamed, cancelled at any row and bounded, and because a message is to be checked before it is decoded.
//!
//! | part | file |
//! | --- | --- |
//! | bytes to messages, bounded and checked | `codec.rs`, `layout.rs` |
//! | who is it, what is set | `startup.rs` |
//! | one connection: message in, answer out | `connection.rs` |
//! | a Query: statements one after another | `simple.rs` |
//! | Parse, Bind, Describe, Execute | `extended.rs` |
//! | COPY … FROM STDIN | `copy.rs` |
//! | INSERTs sent together are one commit | `unit.rs` |
//! | what any statement gives, sent | `answer.rs` |
//! | threads that statements run on | `compute.rs` |
//! | what ends a statement early | `interrupt.rs`, `cancel.rs` |
//! | results computed, results to bytes | `batches.rs`, `encode.rs`, `float.rs`, `numeric.rs`, `temporal.rs` |
//! | bytes to parameters | `params.rs` |
//! | errors with SQLSTATE, position and hint | `errors.rs` |

mod answer;
mod batches;
mod cancel;
mod codec;
mod compute;
mod connection;
mod copy;
mod encode;
mod errors;
mod extended;
mod float;
mod interrupt;
mod layout;
mod numeric;
mod params;
mod simple;
mod startup;
mod temporal;
mod unit;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ebbtide_sql::Database;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use cancel::Registry;
use codec::Codec;
use compute::Compute;
use errors::Problem;

pub(crate) use compute::STACK_BYTES;
pub use startup::{SERVICE_NAME, check_loopback};

/// Connections beyond the limit that may be open at once, to be told so or to bring a cancel request.
const CONNECTIONS_SPARE: usize = 32;
/// How long the operating system is left alone after it could not give a connection, as when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Socket = Framed<TcpStream, Codec>;

/// Bounds of a listener.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sessions at the same time; one more is refused with SQLSTATE 53300.
    pub connections_max: usize,
    /// The longest message a client may send.
    pub message_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections_max: 512, message_bytes_max: 64 << 20 }
    }
}

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Anybody who can connect is believed to be who he says he is, so only this machine may.
    #[error(
        "will not listen on {listen}: there are no passwords yet, so whoever can connect may read and write \
         everything. Listen on a loopback address such as 127.0.0.1:{port}, and reach it from elsewhere through \
         a tunnel (ssh -L {port}:127.0.0.1:{port} HOST)", port = listen.port()
    )]
    NotLoopback {
        /// The address that was asked for.
        listen: SocketAddr,
    },
    /// The threads that statements run on could not be started.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    /// The operating system refused.
    #[error("cannot listen on {listen}: {source}. Is another server running there? Port 0 takes a free one")]
    Bind {
        /// The address that was asked for.
        listen: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// What all connections share.
struct Shared {
    database: Database,
    options: Options,
    sessions: Arc<Registry>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
    compute: Compute,
}

/// A listener that takes connections until it is stopped.
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    connections: TaskTracker,
}

impl Server {
    /// Listens on `listen`, which must be a loopback address, and serves `database` in the background.
    ///
    /// # Errors
    /// [`Error::NotLoopback`], or [`Error::Bind`] when the address is taken.
    pub async fn start(listen: SocketAddr, database: Database, options: Options) -> Result<Self, Error> {
        startup::check_loopback(listen)?;
        let bind = |source| Error::Bind { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let stop = CancellationToken::new();
        let connections = TaskTracker::new();
        let shared = Arc::new(Shared {
            database,
            sessions: Registry::new(),
            places: Arc::new(Semaphore::new(options.connections_max)),
            stop: stop.clone(),
            compute: Compute::start().map_err(Error::Threads)?,
            options,
        });
        let server = Self { address, stop, connections };
        server.connections.spawn(accept(listener, shared, server.connections.clone()));
        Ok(server)
    }

    /// Where it listens; tells the port that was taken for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, tells every session with SQLSTATE 57P01, and waits until all have ended. A write
    /// that is being committed is finished first; anything else is given up.
    pub async fn stop(self) {
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, connections: TaskTracker) {
    let doors = Arc::new(Semaphore::new(shared.options.connections_max + CONNECTIONS_SPARE));
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(door) = Arc::clone(&doors).try_acquire_owned() else {
            tracing::warn!(%peer, "too many connections: closed without a word");
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            connection::serve(stream, shared).await;
            drop(door);
        });
    }
}

/// Why a message was not answered as it should be.
#[derive(Debug)]
enum Ended {
    /// Something to tell the client.
    Problem(Problem),
    /// Nobody to tell it to.
    Lost(codec::Error),
}

impl From<Problem> for Ended {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<ebbtide_sql::Error> for Ended {
    fn from(error: ebbtide_sql::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl From<codec::Error> for Ended {
    fn from(error: codec::Error) -> Self {
        match error {
            codec::Error::Io(_) => Self::Lost(error),
            codec::Error::TooLarge { .. } | codec::Error::NotTheProtocol(_) => Self::Problem((&error).into()),
        }
    }
}
