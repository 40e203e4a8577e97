//! One client's conversation: who he is, what he set, the transaction he is in, the statements he runs.

mod execute; // a prepared statement and its parameters, into an outcome
mod failing; // a result stream that tells the transaction when it fails
mod identity; // who asks
mod prepare; // a statement and the tables it names, looked up
mod query; // SELECT, planned by DataFusion
mod resolve; // which tables a statement names
mod settings; // SET, SHOW, RESET
mod stars; // SELECT * without hidden columns
mod transaction; // BEGIN … COMMIT

pub use identity::Identity;
pub use prepare::Prepared;
pub use transaction::TransactionStatus;

pub(crate) use execute::write;
pub(crate) use query::{Planned, bind, number as parameter_number};
pub(crate) use transaction::{Pending, Transaction};

use crate::copy::CopySink;
use crate::database::Inner;
use crate::error::{Error, Result, code};
use crate::functions;
use crate::parse::{self, Statement, TableName};
use crate::scan::Moment;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use ebbtide_store::Table;
use settings::Settings;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a statement gave.
pub enum Outcome {
    /// Rows, as they come. Dropping the stream ends the statement.
    Rows {
        /// Their columns.
        schema: SchemaRef,
        /// Batches of them. An error in it is the statement's; [`Error`] is made of it with `From`.
        stream: SendableRecordBatchStream,
    },
    /// Something was done.
    Affected {
        /// What, as PostgreSQL's command tags begin: `INSERT`, `CREATE TABLE`.
        tag: &'static str,
        /// To how many rows, where that is counted.
        rows: Option<u64>,
    },
    /// Rows are expected: they go into the sink.
    CopyIn(CopySink),
    /// The connection is to forget one prepared statement, or all of them.
    Deallocate {
        /// Which one; none for all.
        name: Option<String>,
    },
    /// Nothing was asked.
    Empty,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows { schema, .. } => f.debug_struct("Rows").field("schema", schema).finish_non_exhaustive(),
            Self::Affected { tag, rows } => f.debug_struct("Affected").field("tag", tag).field("rows", rows).finish(),
            Self::CopyIn(_) => f.write_str("CopyIn"),
            Self::Deallocate { name } => f.debug_struct("Deallocate").field("name", name).finish(),
            Self::Empty => f.write_str("Empty"),
        }
    }
}

/// One client's conversation. Its statements run one after the other.
#[derive(Debug)]
pub struct Session {
    pub(crate) database: Arc<Inner>,
    identity: Identity,
    shared: Arc<Shared>,
}

/// What outlives the call of a statement: its rows or its COPY data may still flow.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: Settings,
    transaction: Transaction,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What is behind it is whole after every change, so a panic elsewhere changes nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error inside a transaction: nothing more is done until it is rolled back.
    pub(crate) fn fail(&self) {
        self.lock().transaction.fail();
    }

    /// Adds rows to the open transaction. They come back if none is open.
    pub(crate) fn buffer(&self, pending: Pending, bytes_max: usize) -> Result<Option<Pending>> {
        self.lock().transaction.buffer(pending, bytes_max)
    }
}

impl Session {
    pub(crate) fn new(database: Arc<Inner>, identity: Identity) -> Self {
        let settings = Settings::new(database.options.statement_timeout, &identity);
        let state = State { settings, transaction: Transaction::Idle };
        Self { database, identity, shared: Arc::new(Shared { state: Mutex::new(state) }) }
    }

    /// Who asks.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether a transaction is open, and whether it has failed.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.state().transaction.status()
    }

    /// Reads every statement of a text.
    ///
    /// # Errors
    /// The first statement that cannot be read, with its place; none is run then.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        parse::parse(sql).inspect_err(|_| self.shared.fail())
    }

    /// Runs a text of one statement without parameters; for tests, tools and embedders.
    ///
    /// # Errors
    /// The statement's.
    pub async fn run(&self, sql: &str) -> Result<Outcome> {
        let mut statements = self.parse(sql)?;
        match (statements.pop(), statements.is_empty()) {
            (None, _) => Ok(Outcome::Empty),
            (Some(statement), true) => {
                let prepared = self.prepare(statement, &[]).await?;
                self.execute(&prepared, Vec::new()).await
            }
            (Some(_), false) => Err(Error::syntax("one statement at a time is expected here")),
        }
    }

    /// Sets what a client asked for when it connected, such as `application_name`.
    ///
    /// # Errors
    /// As `SET` of the same.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.state().settings.set(name, &[value.to_owned()])
    }

    /// What a setting is, as `SHOW` gives it.
    ///
    /// # Errors
    /// For a setting that does not exist.
    pub fn setting(&self, name: &str) -> Result<String> {
        self.state().settings.show(name)
    }

    /// Every setting with its value, by name.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        self.state().settings.all().collect()
    }

    /// What outlives the call of a statement.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// The namespace that a bare table name is looked up in.
    fn namespace(&self, moment: &Moment) -> Option<String> {
        let path = self.state().settings.search_path().to_vec();
        path.into_iter().find(|name| moment.catalog.namespace(name).is_some())
    }

    /// What DataFusion plans a statement of this session with.
    fn planning(&self, moment: &Arc<Moment>) -> Result<SessionState> {
        let mut state = self.database.planning.clone();
        let namespace = self.namespace(moment);
        functions::register_session(&mut state, self.identity.name(), namespace.as_deref())?;
        if let Some(namespace) = namespace {
            state.config_mut().options_mut().catalog.default_schema = namespace;
        }
        state.config_mut().set_extension(moment.clone());
        let properties = state.execution_props_mut();
        properties.query_execution_start_time = chrono::DateTime::from_timestamp_micros(self.database.env.now());
        Ok(state)
    }

    /// The namespace and name that a table was written with, the former from `search_path` if left out.
    pub(crate) fn qualified(&self, moment: &Moment, name: &TableName) -> Result<(String, String)> {
        let namespace = match &name.namespace {
            Some(namespace) => namespace.clone(),
            None => self.namespace(moment).ok_or_else(|| resolve::unqualified(&name.table).at(name.position))?,
        };
        Ok((namespace, name.table.clone()))
    }

    /// The table that was named, to be written to.
    pub(crate) fn target(&self, moment: &Moment, name: &TableName) -> Result<Arc<Table>> {
        let (namespace, table) = self.qualified(moment, name)?;
        if resolve::is_system(&namespace) {
            return Err(Error::new(code::INSUFFICIENT_PRIVILEGE, format!("{namespace}.{table} cannot be written to"))
                .at(name.position));
        }
        moment
            .catalog
            .table(&namespace, &table)
            .cloned()
            .ok_or_else(|| resolve::missing(moment, &namespace, &table).at(name.position))
    }

    /// Only a service role may do what this statement does.
    fn require_service(&self, what: &str) -> Result<()> {
        match self.identity {
            Identity::Service(_) => Ok(()),
            Identity::User(_) => {
                Err(Error::new(code::INSUFFICIENT_PRIVILEGE, format!("permission denied: {what} needs a service role"))
                    .hint("connect as admin"))
            }
        }
    }
}
