//! What a statement gives, sent to the client: rows as they come, a tag, or the rows of a COPY taken.

use ebbtide_sql::Outcome;
use pgwire::api::portal::Format;
use pgwire::api::results::FieldInfo;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, RowDescription};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};

use super::connection::Connection;
use super::encode::Rows;
use super::interrupt::Interrupt;
use super::{Ended, copy};

/// How much of a result was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it; so many rows by this call.
    All(u64),
    /// As many rows as were wanted; there may be more.
    Some,
}

/// Sends rows: all of them, or at most `rows_max`.
pub(super) async fn rows(
    connection: &mut Connection,
    interrupt: &Interrupt,
    rows: &mut Rows,
    rows_max: u64,
) -> Result<Sent, Ended> {
    let sending = async {
        for sent in 0..rows_max {
            match rows.next().await? {
                Some(row) => connection.say(PgWireBackendMessage::DataRow(row)).await?,
                None => return Ok(Sent::All(sent)),
            }
        }
        Ok::<_, Ended>(Sent::Some)
    };
    interrupt.guard(sending).await
}

/// Sends the outcome of a statement in the simple protocol, where rows bring their description along.
pub(super) async fn whole(
    connection: &mut Connection,
    interrupt: &Interrupt,
    verb: &str,
    outcome: Outcome,
) -> Result<(), Ended> {
    let Outcome::Rows { stream, .. } = outcome else { return rowless(connection, interrupt, verb, outcome).await };
    let mut result = Rows::new(stream, &Format::UnifiedText, connection.threads())?;
    connection.say(description(result.fields())).await?;
    let sent = match rows(connection, interrupt, &mut result, u64::MAX).await? {
        Sent::All(sent) => sent,
        Sent::Some => u64::MAX,
    };
    complete(connection, tag(verb, Some(sent))).await
}

/// Sends an outcome that has no rows.
pub(super) async fn rowless(
    connection: &mut Connection,
    interrupt: &Interrupt,
    verb: &str,
    outcome: Outcome,
) -> Result<(), Ended> {
    match outcome {
        Outcome::Affected { tag: verb, rows } => {
            // A ROLLBACK takes settings back as well.
            connection.settings_touched |= matches!(verb, "SET" | "RESET" | "ROLLBACK");
            complete(connection, tag(verb, rows)).await
        }
        Outcome::CopyIn(sink) => {
            let rows = copy::receive(connection, interrupt, sink).await?;
            complete(connection, tag("COPY", Some(rows))).await
        }
        Outcome::Deallocate { name } => {
            connection.named.deallocate(name.as_deref())?;
            connection.settings_touched |= verb == "DISCARD ALL";
            let all = verb == "DEALLOCATE" && name.is_none();
            complete(connection, if all { "DEALLOCATE ALL" } else { verb }.to_owned()).await
        }
        Outcome::Empty | Outcome::Rows { .. } => {
            connection.say(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await
        }
    }
}

/// Says that a statement is done. What is done can no longer be cancelled.
pub(super) async fn complete(connection: &mut Connection, tag: String) -> Result<(), Ended> {
    connection.say(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag))).await
}

/// What a statement did: its verb and, where it counts, how many rows.
pub(super) fn tag(verb: &str, rows: Option<u64>) -> String {
    match (verb, rows) {
        // The zero stands where PostgreSQL once named the row's object id.
        ("INSERT", Some(rows)) => format!("INSERT 0 {rows}"),
        ("SELECT" | "COPY" | "DELETE", Some(rows)) => format!("{verb} {rows}"),
        // psql takes what follows MOVE for a number of rows, as a cursor's.
        _ if verb.starts_with("MOVE ") => verb.replacen("MOVE", "MOVING", 1),
        _ => verb.to_owned(),
    }
}

/// The names and types of columns.
pub(super) fn description(fields: &[FieldInfo]) -> PgWireBackendMessage {
    let fields: Vec<FieldDescription> = fields.iter().map(FieldDescription::from).collect();
    PgWireBackendMessage::RowDescription(RowDescription::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_postgresqls() {
        assert_eq!(tag("INSERT", Some(3)), "INSERT 0 3");
        assert_eq!(tag("SELECT", Some(3)), "SELECT 3");
        assert_eq!(tag("COPY", Some(3)), "COPY 3");
        assert_eq!(tag("DELETE", Some(1)), "DELETE 1");
        assert_eq!(tag("SHOW", Some(1)), "SHOW");
        assert_eq!(tag("CREATE TABLE", None), "CREATE TABLE");
        assert_eq!(tag("MOVE USER", None), "MOVING USER");
    }
}
