//! A prepared statement and its parameters, into an outcome.

use super::prepare::{Plan, Prepared};
use super::transaction::{Transaction, commit};
use super::{Outcome, Pending, Session, TransactionStatus};
use crate::copy::CopySink;
use crate::database::Inner;
use crate::error::{Error, Result, code};
use crate::parse::{Kind, SetValue};
use crate::{ddl, jobs, show, storages, users};
use datafusion::scalar::ScalarValue;
use ebbtide_engine::CommitError;

impl Session {
    /// Runs a prepared statement with these parameters. What it writes outside of a transaction is on disk when this
    /// returns; the rows it reads are those of one moment, taken now.
    ///
    /// # Errors
    /// The statement's. Inside a transaction the transaction has failed then.
    pub async fn execute(&self, prepared: &Prepared, parameters: Vec<ScalarValue>) -> Result<Outcome> {
        let kind = &prepared.statement.kind;
        if !matches!(kind, Kind::Commit | Kind::Rollback) {
            self.state().transaction.check()?;
        }
        // Boxed: a whole statement's state is too much for every caller's own.
        Box::pin(self.dispatch(prepared, parameters)).await.inspect_err(|_| self.shared.fail())
    }

    async fn dispatch(&self, prepared: &Prepared, parameters: Vec<ScalarValue>) -> Result<Outcome> {
        let kind = &prepared.statement.kind;
        match &prepared.plan {
            Plan::Query(planned) => return self.query(planned, parameters).await,
            Plan::Insert(insert) => {
                self.state().transaction.check_writable("INSERT")?;
                let rows = insert.run(self, parameters).await?;
                return Ok(Outcome::Affected { tag: "INSERT", rows: Some(rows) });
            }
            Plan::Other { .. } => {}
        }
        match kind {
            Kind::Query(_) | Kind::Insert(_) => Err(Error::internal("a query is prepared as one")),
            Kind::Copy(copy) => {
                self.state().transaction.check_writable("COPY")?;
                Ok(Outcome::CopyIn(CopySink::begin(self, copy)?))
            }
            Kind::CreateNamespace { .. }
            | Kind::DropNamespace { .. }
            | Kind::CreateTable(_)
            | Kind::DropTable { .. }
            | Kind::AlterTable(_) => {
                self.state().transaction.check_outside(prepared.verb())?;
                self.require_service(prepared.verb())?;
                ddl::run(self, kind).await?;
                Ok(done(prepared.verb()))
            }
            Kind::Storage(command) => {
                self.state().transaction.check_outside(prepared.verb())?;
                self.require_service(prepared.verb())?;
                storages::run(self, command).await
            }
            Kind::User(command) => {
                self.state().transaction.check_outside(prepared.verb())?;
                self.require_service(prepared.verb())?;
                users::run(self, command).await
            }
            Kind::FlushTable(_)
            | Kind::FlushAll { .. }
            | Kind::Job(_)
            | Kind::UserJob(_)
            | Kind::RunWorkflow(_)
            | Kind::ReloadWorkflows => {
                // EXPLAIN JOB changes nothing that a ROLLBACK would have to undo.
                if prepared.writes() {
                    self.state().transaction.check_outside(prepared.verb())?;
                }
                self.require_service(prepared.verb())?;
                jobs::run(self, kind).await
            }
            Kind::Show(shown) => show::run(self, shown),
            Kind::Describe(table) => show::describe(self, table),
            Kind::Begin { read_only } => {
                self.open(*read_only);
                Ok(done("BEGIN"))
            }
            Kind::Commit => self.commit().await,
            Kind::Rollback => {
                self.rollback();
                Ok(done("ROLLBACK"))
            }
            Kind::SetTransaction { read_only } => {
                if let Some(read_only) = read_only {
                    self.set_read_only(*read_only)?;
                }
                Ok(done("SET"))
            }
            Kind::Set { name, value, local } => {
                self.set_value(name, value, *local)?;
                Ok(done("SET"))
            }
            Kind::Reset { name } => {
                self.state().settings.reset(name.as_deref())?;
                Ok(done("RESET"))
            }
            Kind::Discard => {
                self.state().transaction.check_outside("DISCARD ALL")?;
                self.state().settings.reset(None)?;
                Ok(Outcome::Deallocate { name: None })
            }
            Kind::Deallocate { name } => Ok(Outcome::Deallocate { name: name.clone() }),
        }
    }

    /// Opens a transaction, as `BEGIN` does.
    pub fn begin(&self) {
        self.open(false);
    }

    fn open(&self, read_only: bool) {
        let mut state = self.state();
        // As in PostgreSQL, a second BEGIN changes nothing.
        if state.transaction.status() == TransactionStatus::Idle {
            let before = state.settings.saved();
            state.transaction = Transaction::Active { writes: Vec::new(), bytes: 0, read_only, before };
        }
    }

    /// Ends the transaction, as `COMMIT` does: writes what waited, in one commit. A failed transaction is rolled back
    /// instead, and the outcome says so.
    ///
    /// # Errors
    /// The commit's. No transaction is open then.
    pub async fn commit(&self) -> Result<Outcome> {
        let taken = std::mem::replace(&mut self.state().transaction, Transaction::Idle);
        let writes = match taken {
            Transaction::Idle => return Ok(done("COMMIT")),
            Transaction::Failed { before } => {
                self.state().settings.restore(&before);
                return Ok(done("ROLLBACK"));
            }
            Transaction::Active { writes, .. } => writes,
        };
        write(&self.database, writes).await?;
        Ok(done("COMMIT"))
    }

    /// Drops the transaction, as `ROLLBACK` does.
    pub fn rollback(&self) {
        let mut state = self.state();
        match std::mem::replace(&mut state.transaction, Transaction::Idle) {
            Transaction::Idle => {}
            Transaction::Active { before, .. } | Transaction::Failed { before } => state.settings.restore(&before),
        }
    }

    fn set_read_only(&self, wanted: bool) -> Result<()> {
        match &mut self.state().transaction {
            Transaction::Active { writes, read_only, .. } => {
                if *read_only && !wanted && writes.is_empty() {
                    return Err(Error::new(
                        code::ACTIVE_SQL_TRANSACTION,
                        "cannot set transaction read-write mode inside a read-only transaction",
                    ));
                }
                *read_only = wanted;
                Ok(())
            }
            _ if wanted => Err(Error::unsupported("sessions that may only read are not supported")
                .hint("BEGIN READ ONLY makes a transaction that may only read")),
            _ => Ok(()),
        }
    }

    fn set_value(&self, name: &str, value: &SetValue, local: bool) -> Result<()> {
        let mut state = self.state();
        if local {
            if state.transaction.status() == TransactionStatus::Idle {
                // As in PostgreSQL: it would end with the statement, so it has no effect.
                return Ok(());
            }
            return Err(Error::unsupported("SET LOCAL is not supported").hint("use SET; ROLLBACK undoes it"));
        }
        match value {
            SetValue::Default => state.settings.reset(Some(name)),
            SetValue::Values(values) => state.settings.set(name, values),
        }
    }

    /// Rows go into the open transaction, or to disk at once.
    pub(crate) async fn write_or_buffer(&self, pending: Pending) -> Result<()> {
        let bytes_max = self.database.options.transaction_bytes_max;
        match self.shared.buffer(pending, bytes_max)? {
            None => Ok(()),
            Some(pending) => write(&self.database, vec![pending]).await,
        }
    }
}

/// Writes rows: one commit, on disk when this returns.
pub(crate) async fn write(database: &Inner, writes: Vec<Pending>) -> Result<()> {
    if writes.iter().all(|pending| pending.rows.is_empty()) {
        return Ok(());
    }
    database.pressure.room(&database.store).await?;
    let (commit, tables) = commit(writes, database.env.now());
    match database.engine.commit(commit).await {
        Ok(_) => {
            tables.iter().for_each(|table| database.flusher.note_rows(table.id));
            Ok(())
        }
        Err(CommitError::Mismatch { index, .. }) => Err(match tables.get(index) {
            Some(table) => gone(&table.qualified_name()),
            None => being_attached(),
        }),
        Err(error) => Err(error.into()),
    }
}

/// What is said to whoever writes into a table that is still coming back.
fn being_attached() -> Error {
    Error::new(code::OBJECT_NOT_IN_PREREQUISITE_STATE, "a storage is still being attached")
        .detail("Until it is, nobody knows which rows the users of these tables have.")
        .hint("see the job of kind attach in SHOW JOBS; once it has taken in every folder, rows can be written")
}

/// What is said of a table that was dropped while rows were on their way to it.
fn gone(table: &str) -> Error {
    Error::new(code::UNDEFINED_TABLE, format!("relation \"{table}\" does not exist"))
        .detail("It was dropped meanwhile.")
}

fn done(tag: &'static str) -> Outcome {
    Outcome::Affected { tag, rows: None }
}
