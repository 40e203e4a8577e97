//! ERASE USER, EXPORT USER, MOVE TABLE and MOVE USER: the answer is the id of the job that does it.

use super::{runtime_error, submitted};
use crate::error::{Error, Result, code};
use crate::parse::{StorageName, UserJob};
use crate::scan::Moment;
use crate::session::{Outcome, Session};
use crate::{show, storages};
use ebbtide_runtime::{JobId, NewJob, Submitted};
use ebbtide_store::{Name, StorageId, UserId, users};
use ebbtide_workflows::kinds::Tables;
use ebbtide_workflows::segment_move::{self, SegmentMove};
use ebbtide_workflows::user_erase::UserErase;
use ebbtide_workflows::user_export::UserExport;

pub(super) const COLUMNS: [&str; 2] = ["job_id", "status"];

/// Starts the job, or finds the one that does the same already.
pub(super) async fn run(session: &Session, asked: &UserJob) -> Result<Outcome> {
    let database = &session.database;
    let job = {
        let moment = Moment::take(database)?;
        job(session, &moment, asked)?
    };
    let job = database.runtime.submit(job).await.map_err(runtime_error)?;
    let status = match (asked, &job) {
        // It erases what was there when it began; the next one does the rest.
        (UserJob::Erase { .. }, Submitted::Existing(_)) => "begins after this job",
        (UserJob::MoveTable { to, .. } | UserJob::MoveUser { to, .. }, Submitted::Existing(id)) => {
            refuse_other(session, id, to)?;
            submitted(&job)
        }
        _ => submitted(&job),
    };
    show::rows(&COLUMNS, &[vec![job.id().to_string(), status.to_owned()]])
}

/// What is asked for, with every name in it looked up: what is not there is said now and not by the job.
fn job(session: &Session, moment: &Moment, asked: &UserJob) -> Result<NewJob> {
    let (UserJob::Erase { user, .. } | UserJob::Export { user, .. } | UserJob::MoveUser { user, .. }) = asked else {
        return started(session, moment, asked);
    };
    match users::get(&*moment.snapshot, user)? {
        Some(_) => started(session, moment, asked),
        None => Err(ebbtide_store::Error::UserNotFound { id: user.clone() }.into()),
    }
}

fn started(session: &Session, moment: &Moment, asked: &UserJob) -> Result<NewJob> {
    Ok(match asked {
        UserJob::Erase { user, namespace } => UserErase::job(user.clone(), namespace_of(moment, namespace.as_deref())?),
        UserJob::Export { user, to, namespace } => {
            let to = storage_id(session, moment, to)?;
            UserExport::job(user.clone(), to, namespace_of(moment, namespace.as_deref())?)
        }
        UserJob::MoveTable { table, to } => {
            let table = session.target(moment, table)?;
            moved(Tables::Table(table.qualified_name()), None, storage_id(session, moment, to)?)
        }
        UserJob::MoveUser { user, namespace, to } => {
            let tables = match namespace_of(moment, namespace.as_deref())? {
                Some(namespace) => Tables::Namespace(namespace.to_string()),
                None => Tables::All,
            };
            moved(tables, Some(user.clone()), storage_id(session, moment, to)?)
        }
    })
}

fn moved(tables: Tables, user: Option<UserId>, to: StorageId) -> NewJob {
    let kind = segment_move::KIND;
    let whose = match &tables {
        Tables::Table(table) => table.clone(),
        Tables::Namespace(namespace) => namespace.clone(),
        Tables::All => String::new(),
    };
    // One move of the same at a time, wherever it goes: two would take segments from each other.
    let key = format!("{kind}/{whose}/{}", user.as_ref().map_or("", UserId::as_str));
    let parameters = SegmentMove { tables, user, ..SegmentMove::to(to) };
    NewJob::new(kind, Box::new(parameters.job())).unique(key)
}

/// A move that goes to another storage is not the one that was asked for.
fn refuse_other(session: &Session, running: &JobId, to: &StorageName) -> Result<()> {
    let job = session.database.runtime.job(running).map_err(runtime_error)?;
    let target = job.as_ref().and_then(|job| job.parameters.as_ref()?.get("to")?.as_str());
    match target.filter(|target| *target != to.id.as_str()) {
        Some(target) => Err(Error::new(
            code::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("job {running} is moving these files to storage '{target}' at this moment"),
        )
        .hint(format!("wait for it, or KILL JOB '{running}'; then ask again"))),
        None => Ok(()),
    }
}

fn storage_id(session: &Session, moment: &Moment, name: &StorageName) -> Result<StorageId> {
    match moment.catalog.storage(&name.id) {
        Some(_) => Ok(name.id.clone()),
        None => {
            let missing = ebbtide_store::Error::StorageNotFound { id: name.id.to_string() };
            Err(storages::refused(session, missing, name.position))
        }
    }
}

fn namespace_of(moment: &Moment, name: Option<&str>) -> Result<Option<Name>> {
    let Some(name) = name else { return Ok(None) };
    match moment.catalog.namespace(name) {
        Some(namespace) => Ok(Some(namespace.name.clone())),
        None => Err(ebbtide_store::Error::NamespaceNotFound { name: name.to_owned() }.into()),
    }
}
