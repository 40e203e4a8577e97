//! COPY … FROM STDIN: the client's data handed to the statement as it comes.

use ebbtide_sql::CopySink;
use futures::{SinkExt, StreamExt};
use pgwire::messages::copy::CopyInResponse;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::Ended;
use super::codec::Incoming;
use super::connection::Connection;
use super::errors::{Problem, sqlstate};
use super::interrupt::Interrupt;

/// Text, as opposed to binary; CSV is a kind of text.
const TEXT: i8 = 0;

/// Takes data until the client has no more, and gives the number of rows. Waiting for the client can be interrupted;
/// a chunk that is being committed cannot.
pub(super) async fn receive(
    connection: &mut Connection,
    interrupt: &Interrupt,
    mut sink: CopySink,
) -> Result<u64, Ended> {
    let columns = i16::try_from(sink.columns()).unwrap_or(i16::MAX);
    let formats = vec![i16::from(TEXT); sink.columns()];
    let begin = PgWireBackendMessage::CopyInResponse(CopyInResponse::new(TEXT, columns, formats));
    interrupt.guard(connection.socket.send(begin)).await?;
    loop {
        let next = async { Ok::<_, Ended>(connection.socket.next().await.transpose()?) };
        let incoming = match interrupt.guard(next).await {
            Ok(incoming) => incoming,
            Err(ended) => return Err(given_up(sink, ended).await),
        };
        match incoming {
            Some(Incoming::Message(PgWireFrontendMessage::CopyData(data))) => sink.push(data.data).await?,
            Some(Incoming::Message(PgWireFrontendMessage::CopyDone(_))) => return Ok(sink.finish().await?),
            Some(Incoming::Message(PgWireFrontendMessage::CopyFail(fail))) => {
                let message = format!("COPY from stdin failed: {}", fail.message);
                return Err(given_up(sink, Problem::error(sqlstate::QUERY_CANCELED, message).into()).await);
            }
            // Clients may send these ahead, right behind the Execute that begins the COPY.
            Some(Incoming::Message(PgWireFrontendMessage::Flush(_) | PgWireFrontendMessage::Sync(_))) => {}
            Some(Incoming::Message(other)) => {
                let message = format!("unexpected message during COPY from stdin: {}", kind(&other));
                return Err(given_up(sink, Problem::protocol(message).into()).await);
            }
            Some(Incoming::Refused { fault, .. }) => {
                return Err(given_up(sink, Problem::from(fault).into()).await);
            }
            None => {
                sink.abort().await;
                return Err(Ended::Lost(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()));
            }
        }
    }
}

/// Chunks that were committed stay; the client is told how many rows those were.
async fn given_up(sink: CopySink, ended: Ended) -> Ended {
    let kept = sink.abort().await;
    match ended {
        Ended::Problem(problem) => problem.detail(kept).into(),
        lost @ Ended::Lost(_) => lost,
    }
}

/// A message's name, for errors.
pub(super) fn kind(message: &PgWireFrontendMessage) -> &'static str {
    match message {
        PgWireFrontendMessage::SslNegotiation(_) => "a request for encryption",
        PgWireFrontendMessage::Startup(_) => "Startup",
        PgWireFrontendMessage::CancelRequest(_) => "CancelRequest",
        PgWireFrontendMessage::PasswordMessageFamily(_) => "Password",
        PgWireFrontendMessage::Query(_) => "Query",
        PgWireFrontendMessage::Parse(_) => "Parse",
        PgWireFrontendMessage::Close(_) => "Close",
        PgWireFrontendMessage::Bind(_) => "Bind",
        PgWireFrontendMessage::Describe(_) => "Describe",
        PgWireFrontendMessage::Execute(_) => "Execute",
        PgWireFrontendMessage::PortalSuspended(_) => "PortalSuspended",
        PgWireFrontendMessage::Flush(_) => "Flush",
        PgWireFrontendMessage::Sync(_) => "Sync",
        PgWireFrontendMessage::Terminate(_) => "Terminate",
        PgWireFrontendMessage::CopyData(_) => "CopyData",
        PgWireFrontendMessage::CopyFail(_) => "CopyFail",
        PgWireFrontendMessage::CopyDone(_) => "CopyDone",
    }
}
