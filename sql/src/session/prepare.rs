//! A statement and the tables it names, looked up.

use super::{Planned, Session};
use crate::error::{Error, Result};
use crate::insert::InsertPlan;
use crate::parse::{self, JobVerb, Kind, Statement};
use crate::scan::Moment;
use crate::show;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::scalar::ScalarValue;

/// A statement that was looked up and can be run, again and again, with parameters.
///
/// It holds no snapshot: each run reads its own. What changed meanwhile is looked up again.
#[derive(Debug)]
pub struct Prepared {
    pub(super) statement: Statement,
    pub(super) plan: Plan,
}

#[derive(Debug)]
pub(super) enum Plan {
    Query(Box<Planned>),
    Insert(Box<InsertPlan>),
    /// Nothing to look up beforehand.
    Other {
        schema: Option<SchemaRef>,
    },
}

impl Prepared {
    /// The types of its parameters, `$1` first.
    pub fn parameters(&self) -> &[DataType] {
        match &self.plan {
            Plan::Query(planned) => &planned.parameters,
            Plan::Insert(insert) => insert.parameters(),
            Plan::Other { .. } => &[],
        }
    }

    /// The columns of its rows; none if it gives none.
    pub fn schema(&self) -> Option<SchemaRef> {
        match &self.plan {
            Plan::Query(planned) => Some(planned.schema.clone()),
            Plan::Insert(_) => None,
            Plan::Other { schema } => schema.clone(),
        }
    }

    /// What the command tag begins with.
    pub fn verb(&self) -> &'static str {
        self.statement.verb()
    }

    /// Whether a run with these parameters neither plans nor reads and is over in well under a millisecond, but for
    /// its wait for the disk: it need not be kept off the threads that talk to clients. Only an INSERT of few values
    /// is.
    pub fn is_brief(&self, parameters: &[ScalarValue]) -> bool {
        match &self.plan {
            Plan::Insert(insert) => insert.is_brief(parameters),
            Plan::Query(_) | Plan::Other { .. } => false,
        }
    }

    /// Whether running it may change something that lasts. Such a run is to be waited for: given up, nobody would know
    /// whether it did.
    pub fn writes(&self) -> bool {
        match &self.statement.kind {
            Kind::Insert(_)
            | Kind::CreateNamespace { .. }
            | Kind::DropNamespace { .. }
            | Kind::CreateTable(_)
            | Kind::DropTable { .. }
            | Kind::AlterTable(_)
            | Kind::Storage(_)
            | Kind::User(_)
            | Kind::FlushTable(_)
            | Kind::FlushAll { .. }
            | Kind::UserJob(_)
            | Kind::RunWorkflow(_)
            | Kind::ReloadWorkflows
            | Kind::Commit => true,
            Kind::Job(command) => command.verb != JobVerb::Explain,
            Kind::Query(_)
            | Kind::Copy(_)
            | Kind::Show(_)
            | Kind::Describe(_)
            | Kind::Begin { .. }
            | Kind::Rollback
            | Kind::SetTransaction { .. }
            | Kind::Set { .. }
            | Kind::Reset { .. }
            | Kind::Discard
            | Kind::Deallocate { .. } => false,
        }
    }
}

impl Session {
    /// Looks a statement up: its tables, the types of its parameters (`hints` has those that the client named), the
    /// columns of its result. Nothing is changed.
    ///
    /// # Errors
    /// For names that do not exist, types that do not fit, and, in a failed transaction, for anything but its end.
    pub async fn prepare(&self, statement: Statement, hints: &[Option<DataType>]) -> Result<Prepared> {
        let looked_up = self.look_up(&statement, hints).await.inspect_err(|_| self.shared.fail());
        Ok(Prepared { plan: looked_up?, statement })
    }

    async fn look_up(&self, statement: &Statement, hints: &[Option<DataType>]) -> Result<Plan> {
        if !matches!(statement.kind, Kind::Commit | Kind::Rollback) {
            self.state().transaction.check()?;
        }
        match &statement.kind {
            Kind::Query(query) => {
                let moment = Moment::take(&self.database)?;
                Ok(Plan::Query(Box::new(self.plan(&moment, query, &statement.text, hints).await?)))
            }
            Kind::Insert(insert) => {
                let moment = Moment::take(&self.database)?;
                let plan = InsertPlan::look_up(self, &moment, insert, &statement.text, hints).await?;
                Ok(Plan::Insert(Box::new(plan)))
            }
            Kind::Show(shown) if let Some(query) = show::query_of(shown) => {
                self.require_service("SHOW JOBS, SHOW WORKFLOWS and SHOW USERS")?;
                let moment = Moment::take(&self.database)?;
                let statements = parse::parse(query)?;
                let [Statement { kind: Kind::Query(query), text }] = statements.as_slice() else {
                    return Err(Error::internal("what SHOW stands for is one query"));
                };
                Ok(Plan::Query(Box::new(self.plan(&moment, query, text, &[]).await?)))
            }
            kind => Ok(Plan::Other { schema: show::schema_of(kind) }),
        }
    }
}
