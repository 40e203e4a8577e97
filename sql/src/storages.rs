//! Storages: made, altered, dropped, checked.

use crate::error::{Error, Result, nearest};
use crate::parse::{StorageCommand, StorageVerb};
use crate::scan::Moment;
use crate::session::{Outcome, Session};
use crate::{jobs, show};
use datafusion::arrow::array::{ArrayRef, Float64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use ebbtide_store::{Error as StoreError, Probe, StorageId};
use ebbtide_workflows::attach;
use std::sync::Arc;

/// Runs a statement about a storage. The store tries a storage out before it registers or changes it.
pub(crate) async fn run(session: &Session, command: &StorageCommand) -> Result<Outcome> {
    let store = &session.database.store;
    let tag = command.verb.tag();
    let done = match &command.verb {
        StorageVerb::Create { new, if_not_exists } => match store.create_storage(new.clone()).await {
            Err(StoreError::StorageExists { .. }) if *if_not_exists => Ok(None),
            done => done.map(|_| None),
        },
        StorageVerb::Alter { id, change } => store.alter_storage(id, change.clone()).await.map(|_| None),
        StorageVerb::Drop { id, if_exists } => match store.drop_storage(id).await {
            Err(StoreError::StorageNotFound { .. }) if *if_exists => Ok(None),
            done => done.map(|()| None),
        },
        StorageVerb::Delete { id: None } => Ok(Some(0)),
        StorageVerb::Delete { id: Some(id) } => match store.drop_storage(id).await {
            Err(StoreError::StorageNotFound { .. }) => Ok(Some(0)),
            done => done.map(|()| Some(1)),
        },
        StorageVerb::Attach { new, claim } => match store.attach_storage(new.clone(), *claim).await {
            Ok(storage) => return take_in(session, &storage.id).await,
            Err(error) => Err(error),
        },
        StorageVerb::Rotate => match store.rotate_secrets().await {
            Ok(sealed_anew) => return show::rows(&ROTATED, &[vec![sealed_anew.to_string()]]),
            Err(error) => Err(error),
        },
        StorageVerb::Check { id } => match store.check_storage(id).await {
            Ok(probe) => return checked(id, &probe),
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(rows) => Ok(Outcome::Affected { tag, rows }),
        Err(error) => Err(refused(session, error, command.position)),
    }
}

/// An error about a storage; of one that is not there, with the one that was probably meant.
pub(crate) fn refused(session: &Session, error: StoreError, position: Option<u32>) -> Error {
    let near = match &error {
        StoreError::StorageNotFound { id } => nearest_storage(session, id),
        _ => None,
    };
    let error = Error::from(error).at(position);
    match near {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error,
    }
}

fn nearest_storage(session: &Session, id: &str) -> Option<String> {
    // Help that cannot be had is left out: the error itself is said anyway.
    let moment = Moment::take(&session.database).ok()?;
    let storages = moment.catalog.storages();
    nearest(id, storages.iter().map(|storage| storage.id.as_str())).map(str::to_owned)
}

/// The columns of ATTACH STORAGE.
pub(crate) const ATTACHED: [&str; 3] = ["job_id", "storage_id", "status"];
/// The column of ROTATE SECRETS.
pub(crate) const ROTATED: [&str; 1] = ["sealed_anew"];

/// Starts the job that takes in what lies in a storage.
async fn take_in(session: &Session, id: &StorageId) -> Result<Outcome> {
    let submitted = session.database.runtime.submit(attach::job(id)).await.map_err(jobs::runtime_error)?;
    let row = vec![submitted.id().to_string(), id.to_string(), jobs::submitted(&submitted).to_owned()];
    show::rows(&ATTACHED, &[row])
}

/// The columns of CHECK STORAGE.
pub(crate) fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("storage_id", DataType::Utf8, false),
        Field::new("step", DataType::Utf8, false),
        Field::new("status", DataType::Utf8, false),
        Field::new("latency_ms", DataType::Float64, false),
        Field::new("error", DataType::Utf8, true),
    ]))
}

/// A row per step of the probe, in their order.
fn checked(id: &StorageId, probe: &Probe) -> Result<Outcome> {
    let steps = probe.steps.iter();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(steps.clone().map(|_| Some(id.as_str())).collect::<StringArray>()),
        Arc::new(steps.clone().map(|step| Some(step.name)).collect::<StringArray>()),
        Arc::new(
            steps.clone().map(|step| Some(if step.error.is_none() { "ok" } else { "failed" })).collect::<StringArray>(),
        ),
        // Whole microseconds: more digits than that are the clock's, not the storage's.
        Arc::new(steps.clone().map(|step| step.latency.as_micros() as f64 / 1000.0).collect::<Float64Array>()),
        Arc::new(steps.map(|step| step.error.as_deref()).collect::<StringArray>()),
    ];
    let schema = self::columns();
    show::outcome(schema.clone(), vec![RecordBatch::try_new(schema, columns)?])
}
