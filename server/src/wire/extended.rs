//! The extended protocol: Parse a statement, Bind parameters to it, Describe it, Execute it in portions.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use ebbtide_sql::{Prepared, TransactionStatus};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete, PortalSuspended,
    TARGET_TYPE_BYTE_PORTAL, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::EmptyQueryResponse;

use super::connection::Connection;
use super::encode::{self, Rows};
use super::errors::{Problem, sqlstate};
use super::{Ended, answer, params};

/// Statements, and portals, that one connection may hold.
const NAMED_MAX: usize = 10_000;
/// Format codes of the protocol.
const TEXT: i16 = 0;
const BINARY: i16 = 1;

/// What a connection has prepared, by name; the empty name is the unnamed one.
#[derive(Default)]
pub(super) struct Named {
    statements: HashMap<String, Arc<Statement>>,
    portals: HashMap<String, Portal>,
}

impl Named {
    /// A Sync came: outside of a transaction portals do not outlive it.
    pub(super) fn end_of_unit(&mut self, transaction: TransactionStatus) {
        if transaction == TransactionStatus::Idle {
            self.portals.clear();
        }
    }

    /// Forgets a prepared statement, or all of them.
    pub(super) fn deallocate(&mut self, name: Option<&str>) -> Result<(), Problem> {
        match name {
            Some(name) => self.statement(name).map(|_| drop(self.statements.remove(name))),
            None => {
                self.statements.clear();
                Ok(())
            }
        }
    }

    fn statement(&self, name: &str) -> Result<Arc<Statement>, Problem> {
        self.statements.get(name).cloned().ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_owned(),
                name => format!("prepared statement \"{name}\" does not exist"),
            };
            Problem::error(sqlstate::INVALID_STATEMENT_NAME, message)
        })
    }

    fn portal(&self, name: &str) -> Result<&Portal, Problem> {
        self.portals.get(name).ok_or_else(|| no_portal(name))
    }
}

fn no_portal(name: &str) -> Problem {
    Problem::error(sqlstate::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

/// A statement that was parsed; without `prepared` it is the empty one.
struct Statement {
    verb: &'static str,
    prepared: Option<Arc<Prepared>>,
    parameters: Vec<Type>,
}

/// A statement with its parameters, perhaps under way.
struct Portal {
    statement: Arc<Statement>,
    values: Vec<ScalarValue>,
    format: Format,
    progress: Progress,
}

enum Progress {
    /// Not executed yet.
    New,
    /// Some rows were sent.
    Open(Box<Rows>),
    /// All was done.
    Done,
}

pub(super) async fn parse(connection: &mut Connection, message: Parse) -> Result<(), Ended> {
    let name = message.name.unwrap_or_default();
    if !name.is_empty() && connection.named.statements.contains_key(&name) {
        let problem = format!("prepared statement \"{name}\" already exists");
        return Err(Problem::error(sqlstate::DUPLICATE_STATEMENT, problem).into());
    }
    bounded(connection.named.statements.len(), "prepared statements")?;
    let mut statements = connection.session.parse(&message.query)?;
    if statements.len() > 1 {
        let problem = "cannot insert multiple commands into a prepared statement";
        return Err(Problem::error(sqlstate::SYNTAX_ERROR, problem).into());
    }
    let declared: Vec<Option<Type>> = message.type_oids.iter().map(|oid| Type::from_oid(*oid)).collect();
    let statement = match statements.pop() {
        None => Statement { verb: "", prepared: None, parameters: Vec::new() },
        Some(statement) => {
            let verb = statement.verb();
            if verb != "INSERT" {
                // It may read what was inserted before it.
                connection.end_unit().await?;
            }
            let hints: Vec<Option<DataType>> =
                declared.iter().map(|kind| kind.as_ref().and_then(params::arrow_type)).collect();
            let interrupt = connection.begin();
            // Boxed: planning has much state, and every caller up to the task would carry room for it.
            let prepared = interrupt.guard(Box::pin(connection.session.prepare(statement, &hints))).await?;
            let wanted = prepared.parameters().iter().enumerate();
            let parameters = wanted
                .map(|(index, wanted)| params::pg_type(declared.get(index).and_then(Option::as_ref), wanted))
                .collect::<Result<_, _>>()?;
            Statement { verb, prepared: Some(Arc::new(prepared)), parameters }
        }
    };
    connection.named.statements.insert(name, Arc::new(statement));
    connection.say(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await
}

fn bounded(held: usize, what: &str) -> Result<(), Problem> {
    if held < NAMED_MAX {
        return Ok(());
    }
    let message = format!("a connection may hold {NAMED_MAX} {what}");
    Err(Problem::error(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).hint("Close those that are not needed any more."))
}

pub(super) async fn bind(connection: &mut Connection, message: &Bind) -> Result<(), Ended> {
    let name = message.portal_name.clone().unwrap_or_default();
    if !name.is_empty() && connection.named.portals.contains_key(&name) {
        let problem = format!("portal \"{name}\" already exists");
        return Err(Problem::error(sqlstate::DUPLICATE_CURSOR, problem).into());
    }
    bounded(connection.named.portals.len(), "portals")?;
    let statement = connection.named.statement(message.statement_name.as_deref().unwrap_or_default())?;
    let values = values(message, &statement)?;
    let codes = &message.result_column_format_codes;
    let columns =
        statement.prepared.as_ref().and_then(|prepared| prepared.schema()).map_or(0, |schema| schema.fields().len());
    // One that names a format per column of a statement without columns means nothing by it.
    let format = if columns == 0 { Format::UnifiedText } else { format(codes, columns, "result columns")? };
    let portal = Portal { statement, values, format, progress: Progress::New };
    connection.named.portals.insert(name, portal);
    connection.say(PgWireBackendMessage::BindComplete(BindComplete::new())).await
}

fn values(message: &Bind, statement: &Statement) -> Result<Vec<ScalarValue>, Problem> {
    let (given, needed) = (message.parameters.len(), statement.parameters.len());
    if given != needed {
        let name = message.statement_name.as_deref().unwrap_or_default();
        return Err(Problem::protocol(format!(
            "bind message supplies {given} parameters, but prepared statement \"{name}\" requires {needed}"
        )));
    }
    let Some(prepared) = &statement.prepared else { return Ok(Vec::new()) };
    let format = format(&message.parameter_format_codes, given, "parameters")?;
    let kinds = statement.parameters.iter().zip(prepared.parameters());
    message
        .parameters
        .iter()
        .zip(kinds)
        .enumerate()
        .map(|(index, (bytes, (kind, wanted)))| {
            params::decode(index + 1, bytes.as_deref(), format.is_binary(index), kind, wanted)
        })
        .collect()
}

/// No code means text, one code means all, else there is one for each.
fn format(codes: &[i16], count: usize, what: &str) -> Result<Format, Problem> {
    if let Some(unknown) = codes.iter().find(|code| !matches!(**code, TEXT | BINARY)) {
        return Err(Problem::error(sqlstate::INVALID_PARAMETER, format!("unsupported format code: {unknown}")));
    }
    match codes {
        [] => Ok(Format::UnifiedText),
        [code] => Ok(Format::from(*code)),
        codes if codes.len() == count => Ok(Format::Individual(codes.to_vec())),
        codes => Err(Problem::protocol(format!("bind message has {} formats for {count} {what}", codes.len()))),
    }
}

pub(super) async fn describe(connection: &mut Connection, message: &Describe) -> Result<(), Ended> {
    let name = message.name.as_deref().unwrap_or_default();
    let (statement, format) = match message.target_type {
        TARGET_TYPE_BYTE_STATEMENT => {
            let statement = connection.named.statement(name)?;
            let oids = statement.parameters.iter().map(Type::oid).collect();
            let parameters = ParameterDescription::new(oids);
            connection.say(PgWireBackendMessage::ParameterDescription(parameters)).await?;
            (statement, Format::UnifiedText)
        }
        TARGET_TYPE_BYTE_PORTAL => {
            let portal = connection.named.portal(name)?;
            (Arc::clone(&portal.statement), portal.format.clone())
        }
        other => return Err(Problem::protocol(format!("cannot describe a thing of kind {other}")).into()),
    };
    let description = match statement.prepared.as_ref().and_then(|prepared| prepared.schema()) {
        Some(schema) => answer::description(&encode::fields(&schema, &format)?),
        None => PgWireBackendMessage::NoData(NoData::new()),
    };
    connection.say(description).await
}

pub(super) async fn execute(connection: &mut Connection, message: &Execute) -> Result<(), Ended> {
    let name = message.name.clone().unwrap_or_default();
    // Taken out while it runs: a portal whose execution fails is not there any more.
    let mut portal = connection.named.portals.remove(&name).ok_or_else(|| no_portal(&name))?;
    let interrupt = connection.begin();
    let mut result = match std::mem::replace(&mut portal.progress, Progress::Done) {
        Progress::Open(rows) => rows,
        Progress::Done => {
            let tag = answer::tag(portal.statement.verb, Some(0));
            connection.named.portals.insert(name, portal);
            return answer::complete(connection, tag).await;
        }
        Progress::New => {
            let Some(prepared) = &portal.statement.prepared else {
                let empty = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
                return connection.say(empty).await;
            };
            let values = std::mem::take(&mut portal.values);
            // Up to the Sync others may follow. Whether they have come already is chance, so it cannot matter.
            connection.next_of_unit(portal.statement.verb, true).await?;
            match connection.execute(&interrupt, prepared, values).await? {
                ebbtide_sql::Outcome::Rows { stream, .. } => {
                    Box::new(Rows::new(stream, &portal.format, connection.threads())?)
                }
                outcome => return answer::rowless(connection, &interrupt, portal.statement.verb, outcome).await,
            }
        }
    };
    let rows_max = match u64::try_from(message.max_rows) {
        Ok(1..) => u64::from(message.max_rows.unsigned_abs()),
        _ => u64::MAX,
    };
    match answer::rows(connection, &interrupt, &mut result, rows_max).await? {
        answer::Sent::Some => {
            portal.progress = Progress::Open(result);
            connection.named.portals.insert(name, portal);
            connection.say(PgWireBackendMessage::PortalSuspended(PortalSuspended::new())).await
        }
        answer::Sent::All(sent) => {
            let tag = answer::tag(portal.statement.verb, Some(sent));
            connection.named.portals.insert(name, portal);
            answer::complete(connection, tag).await
        }
    }
}

pub(super) async fn close(connection: &mut Connection, message: &Close) -> Result<(), Ended> {
    let name = message.name.as_deref().unwrap_or_default();
    // Closing what is not there is no error.
    match message.target_type {
        TARGET_TYPE_BYTE_STATEMENT => drop(connection.named.statements.remove(name)),
        TARGET_TYPE_BYTE_PORTAL => drop(connection.named.portals.remove(name)),
        other => return Err(Problem::protocol(format!("cannot close a thing of kind {other}")).into()),
    }
    connection.say(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_given_for_none_for_all_or_for_each() {
        let shown = |codes: &[i16], count| format(codes, count, "parameters").map(|format| format!("{format:?}"));
        assert_eq!(shown(&[], 3), Ok("UnifiedText".to_owned()));
        assert_eq!(shown(&[1], 3), Ok("UnifiedBinary".to_owned()));
        assert_eq!(shown(&[0, 1], 2), Ok("Individual([0, 1])".to_owned()));
        assert_eq!(shown(&[0, 1], 3).expect_err("refused").sqlstate, "08P01");
        assert_eq!(shown(&[2], 1).expect_err("refused").sqlstate, "22023");
    }
}
