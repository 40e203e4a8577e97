//! The simple protocol: a text of statements, run one after another up to the first that fails.
//!
//! INSERTs that follow each other in it are one commit. Other statements stand once they are done, whatever follows.

use std::sync::Arc;

use ebbtide_sql::Statement;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::EmptyQueryResponse;

use super::connection::Connection;
use super::interrupt::Interrupt;
use super::{Ended, answer};

/// Runs every statement of `sql`; the first error ends it.
pub(super) async fn query(connection: &mut Connection, sql: &str) -> Result<(), Ended> {
    let statements = connection.session.parse(sql)?;
    if statements.is_empty() {
        let empty = EmptyQueryResponse::new();
        return connection.say(PgWireBackendMessage::EmptyQueryResponse(empty)).await;
    }
    // A cancel request means the whole text.
    let interrupt = connection.begin();
    let several = statements.len() > 1;
    for statement in statements {
        connection.next_of_unit(statement.verb(), several).await?;
        run(connection, &interrupt, statement).await?;
    }
    connection.end_unit().await
}

async fn run(connection: &mut Connection, interrupt: &Interrupt, statement: Statement) -> Result<(), Ended> {
    let verb = statement.verb();
    // Boxed: planning has much state, and every caller up to the task would carry room for it.
    let prepared = interrupt.guard(Box::pin(connection.session.prepare(statement, &[]))).await?;
    let outcome = connection.execute(interrupt, &Arc::new(prepared), Vec::new()).await?;
    answer::whole(connection, interrupt, verb, outcome).await
}
