//! RUN WORKFLOW and RELOAD WORKFLOWS.

use super::flush::flush_error;
use super::{runtime_error, submitted};
use crate::error::{Error, Result, code, nearest};
use crate::parse::WorkflowName;
use crate::scan::Moment;
use crate::session::{Outcome, Session};
use crate::show;
use crate::system::table_workflow;
use ebbtide_runtime::schedule::RunError;
use ebbtide_runtime::{Submitted, Trigger};

pub(super) const RUN_COLUMNS: [&str; 3] = ["job_id", "workflow", "status"];
pub(super) const RELOAD_COLUMNS: [&str; 2] = ["workflow", "change"];

/// `RUN WORKFLOW name`: a declared one, or the flush of a table by the name that `system.workflows` gives it.
pub(super) async fn run(session: &Session, name: &WorkflowName) -> Result<Outcome> {
    let database = &session.database;
    // As with other names, one without quotes may be written in any case; no two differ in case alone.
    let declared = database.scheduler.declared();
    let meant = declared.iter().find(|declared| declared.name.to_lowercase() == name.name.to_lowercase());
    let meant = meant.map_or_else(|| name.name.clone(), |declared| declared.name.clone());
    let job = match database.scheduler.run(&meant).await {
        Err(RunError::Unknown { .. }) => of_a_table(session, name).await?,
        Err(RunError::Refused { source, .. }) => {
            return Err(Error::new(
                code::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("workflow {} cannot start: {source}", name.name),
            )
            .at(name.position));
        }
        Err(RunError::Runtime(error)) => return Err(runtime_error(error)),
        Err(other) => return Err(Error::internal(other.to_string())),
        Ok(job) => job,
    };
    show::rows(&RUN_COLUMNS, &[vec![job.id().to_string(), meant, submitted(&job).to_owned()]])
}

async fn of_a_table(session: &Session, name: &WorkflowName) -> Result<Submitted> {
    let database = &session.database;
    let table = {
        let moment = Moment::take(database)?;
        moment.catalog.tables(None).find(|table| table_workflow(table) == name.name).cloned()
    };
    let Some(table) = table else { return Err(unknown(session, name)) };
    let (namespace, table) = (table.namespace.as_str(), table.name.as_str());
    database.flusher.flush_table(namespace, table, Trigger::Manual).await.map_err(flush_error)
}

fn unknown(session: &Session, name: &WorkflowName) -> Error {
    let database = &session.database;
    let mut known: Vec<String> = database.scheduler.declared().iter().map(|declared| declared.name.clone()).collect();
    if let Ok(moment) = Moment::take(database) {
        known.extend(moment.catalog.tables(None).map(|table| table_workflow(table)));
    }
    let error = Error::new(code::UNDEFINED_OBJECT, format!("there is no workflow \"{}\"", name.name)).at(name.position);
    match nearest(&name.name, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error.hint("system.workflows lists all"),
    }
}

/// `RELOAD WORKFLOWS`: a row for each workflow that changed.
pub(super) async fn reload(session: &Session) -> Result<Outcome> {
    let changes = session.database.reload_workflows().await?;
    let rows: Vec<_> =
        changes.into_iter().map(|change| vec![change.workflow, change.what.as_str().to_owned()]).collect();
    show::rows(&RELOAD_COLUMNS, &rows)
}
