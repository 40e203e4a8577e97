//! One connection: a message in, its answer out, until somebody goes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use datafusion::scalar::ScalarValue;
use ebbtide_sql::{Outcome, Prepared, Session, TransactionStatus as Standing};
use futures::{FutureExt, SinkExt, StreamExt};
use pgwire::messages::response::{ErrorResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_util::codec::Framed;
use tokio_util::task::AbortOnDropHandle;

use super::cancel::Entry;
use super::codec::{Codec, Incoming};
use super::errors::{Problem, sqlstate};
use super::extended::Named;
use super::interrupt::Interrupt;
use super::startup::{self, Reported, Wish};
use super::unit::Unit;
use super::{Ended, Shared, Socket, copy, extended, simple};

/// A client that has not said who it is by then is gone.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that does not read is not waited for when it is told that its connection ends.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes taken from the operating system at once.
const READ_BYTES: usize = 64 << 10;
/// Answers are sent when so many bytes wait, or when the client waits for them.
const SEND_BYTES: usize = 64 << 10;

/// A client's session, its socket, and what it has prepared.
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) session: Arc<Session>,
    pub(super) named: Named,
    pub(super) unit: Unit,
    /// A statement ran that may have changed settings which the client is to hear of.
    pub(super) settings_touched: bool,
    reported: Reported,
    shared: Arc<Shared>,
    entry: Entry,
    /// After an error in the extended protocol, messages are passed over up to the next Sync.
    discarding: bool,
}

/// Serves one connection from its first byte to its end.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection went away at once");
        return;
    }
    let mut socket = Framed::with_capacity(stream, Codec::new(shared.options.message_bytes_max), READ_BYTES);
    socket.set_backpressure_boundary(SEND_BYTES);
    let stop = shared.stop.clone();
    let greeting = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Problem::shutdown().into()),
        wish = tokio::time::timeout(STARTUP_TIMEOUT, startup::listen(&mut socket, &shared.sessions)) => match wish {
            Ok(Ok(Wish::Session(greeting))) => Ok(greeting),
            Ok(Ok(Wish::Nothing)) | Err(_) => return,
            Ok(Err(ended)) => Err(ended),
        },
    };
    let greeting = match greeting {
        Ok(greeting) => greeting,
        Err(ended) => return goodbye(&mut socket, ended).await,
    };
    let Ok(_place) = Arc::clone(&shared.places).try_acquire_owned() else {
        let limit = shared.options.connections_max;
        let problem = Problem::fatal(sqlstate::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
            .hint(format!("There may be {limit} connections; close some, or raise server.connections_max."));
        return goodbye(&mut socket, problem.into()).await;
    };
    let session = Arc::new(shared.database.session(greeting.identity.clone()));
    let mut reported = Reported::default();
    let entry = match startup::welcome(&mut socket, &greeting, &session, &mut reported, &shared.sessions).await {
        Ok(entry) => entry,
        Err(ended) => return goodbye(&mut socket, ended).await,
    };
    let mut connection = Connection {
        socket,
        session,
        named: Named::default(),
        unit: Unit::Plain,
        settings_touched: false,
        reported,
        shared,
        entry,
        discarding: false,
    };
    // A fault of ours ends this connection and no other.
    let ended = AssertUnwindSafe(connection.run()).catch_unwind().await.unwrap_or_else(|_| {
        let problem = Problem::fatal(sqlstate::INTERNAL_ERROR, "a fault of the server; its log has more");
        Err(problem.into())
    });
    if let Err(ended) = ended {
        goodbye(&mut connection.socket, ended).await;
    }
}

/// Tells a client why its connection ends, if it listens.
async fn goodbye(socket: &mut Socket, ended: Ended) {
    match ended {
        Ended::Problem(problem) => {
            let message = PgWireBackendMessage::ErrorResponse(ErrorResponse::from(problem));
            // Whether it arrives makes no difference any more.
            let _ = tokio::time::timeout(GOODBYE_TIMEOUT, socket.send(message)).await;
        }
        Ended::Lost(error) => tracing::debug!(%error, "a connection went away"),
    }
}

impl Connection {
    async fn run(&mut self) -> Result<(), Ended> {
        loop {
            let incoming = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return Err(Problem::shutdown().into()),
                incoming = self.socket.next() => incoming,
            };
            let Some(incoming) = incoming else { return Ok(()) };
            let (until_sync, answered) = match incoming? {
                Incoming::Refused { fault, extended } => (extended, Err(Problem::from(fault).into())),
                Incoming::Message(PgWireFrontendMessage::Terminate(_)) => return Ok(()),
                Incoming::Message(message) => {
                    let sync = matches!(message, PgWireFrontendMessage::Sync(_));
                    (message.is_extended_query() && !sync, self.answer(message).await)
                }
            };
            match answered {
                Ok(()) => {}
                Err(Ended::Problem(problem)) if !problem.is_fatal() => self.refuse(problem, until_sync).await?,
                Err(ended) => return Err(ended),
            }
        }
    }

    async fn answer(&mut self, message: PgWireFrontendMessage) -> Result<(), Ended> {
        if self.discarding && !matches!(message, PgWireFrontendMessage::Sync(_)) {
            return Ok(());
        }
        match message {
            PgWireFrontendMessage::Query(query) => {
                simple::query(self, &query.query).await?;
                self.ready().await
            }
            PgWireFrontendMessage::Parse(parse) => extended::parse(self, parse).await,
            PgWireFrontendMessage::Bind(bind) => extended::bind(self, &bind).await,
            PgWireFrontendMessage::Describe(describe) => extended::describe(self, &describe).await,
            PgWireFrontendMessage::Execute(execute) => extended::execute(self, &execute).await,
            PgWireFrontendMessage::Close(close) => extended::close(self, &close).await,
            PgWireFrontendMessage::Flush(_) => self.flush().await,
            PgWireFrontendMessage::Sync(_) => {
                self.discarding = false;
                let ended = self.end_unit().await;
                self.named.end_of_unit(self.session.transaction_status());
                ended?;
                self.ready().await
            }
            // What a client still sends of a COPY that failed is passed over.
            PgWireFrontendMessage::CopyData(_)
            | PgWireFrontendMessage::CopyDone(_)
            | PgWireFrontendMessage::CopyFail(_) => Ok(()),
            other => Err(Problem::protocol(format!("unexpected message: {}", copy::kind(&other))).into()),
        }
    }

    /// Something is to be done: what would interrupt it. A cancel request that came before has no effect on it.
    pub(super) fn begin(&self) -> Interrupt {
        Interrupt::new(self.entry.begin(), self.shared.stop.clone())
    }

    /// The threads that statements run on.
    pub(super) fn threads(&self) -> &Handle {
        self.shared.compute.handle()
    }

    /// Runs a statement up to its outcome. One that writes is not interrupted: it would be unknown whether it did.
    pub(super) async fn execute(
        &mut self,
        interrupt: &Interrupt,
        prepared: &Arc<Prepared>,
        values: Vec<ScalarValue>,
    ) -> Result<Outcome, Ended> {
        if prepared.is_brief(&values) {
            // Two changes of threads cost more than what such a statement does before it waits for the disk.
            return Ok(self.session.execute(prepared, values).await?);
        }
        let (session, statement) = (Arc::clone(&self.session), Arc::clone(prepared));
        let execution = self.threads().spawn(async move { session.execute(&statement, values).await });
        let execution = async {
            let outcome = AbortOnDropHandle::new(execution).await.map_err(|error| {
                tracing::error!(%error, "a statement broke down");
                Problem::fatal(sqlstate::INTERNAL_ERROR, "a fault of the server; its log has more")
            })?;
            Ok::<_, Ended>(outcome?)
        };
        if prepared.writes() { execution.await } else { interrupt.guard(execution).await }
    }

    /// An error that the connection survives.
    async fn refuse(&mut self, problem: Problem, until_sync: bool) -> Result<(), Ended> {
        self.drop_unit();
        tracing::debug!(sqlstate = problem.sqlstate, message = problem.message, "a statement was refused");
        self.say(PgWireBackendMessage::ErrorResponse(ErrorResponse::from(problem))).await?;
        if until_sync {
            self.discarding = true;
            self.flush().await
        } else {
            self.ready().await
        }
    }

    /// Says something; it is sent with what follows, or when enough has gathered. Where the client must take something
    /// first and does not, the end of the server ends the wait.
    pub(super) async fn say(&mut self, message: PgWireBackendMessage) -> Result<(), Ended> {
        let stop = self.shared.stop.clone();
        tokio::select! {
            biased;
            said = self.socket.feed(message) => Ok(said?),
            () = stop.cancelled() => Err(Problem::shutdown().into()),
        }
    }

    /// Sends what was said.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        let stop = self.shared.stop.clone();
        tokio::select! {
            biased;
            flushed = self.socket.flush() => Ok(flushed?),
            () = stop.cancelled() => Err(Problem::shutdown().into()),
        }
    }

    /// Everything that was asked is answered.
    async fn ready(&mut self) -> Result<(), Ended> {
        if std::mem::take(&mut self.settings_touched) {
            self.reported.tell(&mut self.socket, &self.session).await?;
        }
        let status = match self.session.transaction_status() {
            Standing::Idle => TransactionStatus::Idle,
            Standing::Active => TransactionStatus::Transaction,
            Standing::Failed => TransactionStatus::Error,
        };
        self.say(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(status))).await?;
        self.flush().await
    }
}
