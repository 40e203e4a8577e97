//! Taking a job by raising its epoch.

use crate::error::Error;
use crate::held::{Effects, Held, Refused};
use crate::job::JobId;
use crate::keys::{self, BODIES, Part};
use crate::live::Live;
use crate::metrics;
use crate::pause;
use crate::progress::ProgressHandle;
use crate::row::Row;
use crate::runner::Shared;
use crate::signal::Signal;
use crate::status::Status;
use crate::workflow::Workflow;
use std::sync::{Arc, Mutex};

/// What came of trying to claim a job.
pub(crate) enum Claimed {
    /// It is ours.
    Taken(Taken),
    /// There is nothing to run: it ended, is paused or parked, or another runner was faster.
    Nothing,
    /// Its time has not come.
    Later { at: i64 },
}

/// A job that was claimed, loaded once; it is stepped in memory from here on and stored at each checkpoint.
pub(crate) struct Taken {
    pub(crate) live: Arc<Live>,
    pub(crate) workflow: Box<dyn Workflow>,
    /// The stored bytes of the workflow.
    pub(crate) body: Vec<u8>,
    pub(crate) attempt: u32,
}

/// Claims a job with one synced commit.
pub(crate) async fn claim(shared: &Shared, id: JobId) -> Result<Claimed, Error> {
    loop {
        let snapshot = shared.engine.snapshot();
        let Some(mut held) = Held::read(&*snapshot, &id)? else {
            return Ok(Claimed::Nothing);
        };
        let now = shared.env.now();
        if let Some(not_now) = not_now(shared, &id, &held.row, now) {
            return Ok(not_now);
        }
        // Asked for in an earlier life, and still to be done.
        let refused = if held.row.cancel_requested || held.row.pause_requested {
            let done = held.commit(shared, &id, Effects::default(), |row| wished(row, now)).await;
            match done {
                Ok(()) => return Ok(Claimed::Nothing),
                Err(refused) => refused,
            }
        } else {
            let body = snapshot.get(BODIES, &keys::part(&id, Part::Body))?;
            let (body, workflow) = match load(body, &held.row) {
                Ok(loaded) => loaded,
                Err(reason) => match park(shared, &id, &mut held, reason).await {
                    Ok(()) => return Ok(Claimed::Nothing),
                    Err(refused) => {
                        refused.or_again()?;
                        continue;
                    }
                },
            };
            let effects = Effects { synced: true, ..Effects::default() };
            let due = held.row.next_run_at;
            match held.commit(shared, &id, effects, |row| taken(row, shared, now)).await {
                Ok(()) => {
                    if let Some(due) = due {
                        metrics::claimed(&held.row.job_type, now.saturating_sub(due));
                    }
                    shared.env.reached("job.claimed");
                    return Ok(Claimed::Taken(Taken {
                        attempt: held.row.attempt,
                        live: live(shared, id, held),
                        workflow,
                        body,
                    }));
                }
                Err(refused) => refused,
            }
        };
        refused.or_again()?;
    }
}

/// Why a job is not to be claimed now.
fn not_now(shared: &Shared, id: &JobId, row: &Row, now: i64) -> Option<Claimed> {
    match row.status {
        Status::Pending | Status::Retrying => row.next_run_at.filter(|at| *at > now).map(|at| Claimed::Later { at }),
        // Claims of an earlier life of this node were made void at the start; another's holds until it is given up.
        Status::Running if shared.watch.gave_up(id, row) => None,
        Status::Running
        | Status::Parked
        | Status::Paused
        | Status::Completed
        | Status::Failed
        | Status::Cancelled
        | Status::Skipped => Some(Claimed::Nothing),
    }
}

fn taken(row: &mut Row, shared: &Shared, now: i64) {
    // A crash or a shutdown is no failed try; coming back from a failure is the next one.
    if row.status == Status::Retrying || row.attempt == 0 {
        row.attempt += 1;
    }
    row.status = Status::Running;
    row.epoch += 1;
    row.node_id = Some(shared.options.node_id.clone());
    row.lease_expires_at = Some(shared.options.lease_end(now));
    row.next_run_at = None;
    row.started_at.get_or_insert(now);
}

/// What was asked for while the job ran: its end, or to be held back.
pub(crate) fn wished(row: &mut Row, now: i64) {
    if row.cancel_requested {
        cancelled(row, now);
    } else if row.pause_requested {
        pause::paused(row);
    }
}

/// The end of a job by request.
pub(crate) fn cancelled(row: &mut Row, now: i64) {
    row.status = Status::Cancelled;
    row.pause_requested = false;
    row.cancelled_at = Some(now);
    row.next_run_at = None;
    row.lease_expires_at = None;
}

fn live(shared: &Shared, id: JobId, held: Held) -> Arc<Live> {
    let began = shared.awake.now();
    let progress = ProgressHandle::begin(&held.row.progress, held.row.memory_used, held.row.cpu_used);
    Arc::new(Live {
        id,
        epoch: held.row.epoch,
        signal: Signal::default(),
        progress,
        began,
        ran_before_micros: held.row.ran_micros,
        last_sign: Mutex::new((0, began)),
        held: tokio::sync::Mutex::new(held),
    })
}

/// The job as it is stored, or why this program cannot go on with it.
pub(crate) fn load(body: Option<Vec<u8>>, row: &Row) -> Result<(Vec<u8>, Box<dyn Workflow>), String> {
    let body = body.ok_or("the job has no stored body")?;
    let workflow = parse(&body)?;
    let known = workflow.view().body_version;
    if row.body_version > known {
        return Err(format!(
            "the stored body is of version {}, this program knows {} up to version {known}: it was written by a later one",
            row.body_version, row.job_type
        ));
    }
    Ok((body, workflow))
}

/// Reads a stored body.
pub(crate) fn parse(body: &[u8]) -> Result<Box<dyn Workflow>, String> {
    serde_json::from_slice(body).map_err(|error| format!("this version cannot load the stored body: {error}"))
}

/// Sets a job aside that cannot be loaded, so that the queue goes on. It keeps its active key: what it stands for is unfinished.
async fn park(shared: &Shared, id: &JobId, held: &mut Held, reason: String) -> Result<(), Refused> {
    tracing::error!(job_id = %id, kind = held.row.job_type, reason, "the job is parked; it is tried again at the next start");
    held.commit(shared, id, Effects { synced: true, ..Effects::default() }, |row| parked(row, &reason)).await
}

/// The row of a job that this program cannot load.
pub(crate) fn parked(row: &mut Row, reason: &str) {
    row.status = Status::Parked;
    row.error = Some(reason.to_owned());
    row.next_run_at = None;
    row.lease_expires_at = None;
}
