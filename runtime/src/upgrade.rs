//! Whether this program can go on with the jobs that another version has left.

use crate::claim;
use crate::error::Error;
use crate::held::Held;
use crate::job::JobId;
use crate::keys::{self, BODIES, INDEX, Part};
use crate::status::Status;
use ebbtide_engine::{KeyRange, Order, Snapshot};
use std::sync::Arc;

/// A job that is not over and that this program could not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unloadable {
    /// Its id.
    pub job_id: JobId,
    /// Its kind.
    pub kind: String,
    /// Where its work stands.
    pub state: String,
    /// The version of its stored body.
    pub body_version: u32,
    /// Why it cannot be loaded.
    pub reason: String,
}

/// The most jobs that [`unloadable`] gives out.
pub const UNLOADABLE_JOBS_MAX: usize = 10_000;

/// Every job that is not over and that this program cannot load, to be asked before an upgrade goes live. Loads each body and
/// changes nothing; gives out at most [`UNLOADABLE_JOBS_MAX`]. Blocking.
///
/// # Errors
///
/// When the engine cannot read.
pub fn unloadable(snapshot: &Arc<dyn Snapshot>) -> Result<Vec<Unloadable>, Error> {
    let mut found = Vec::new();
    for status in Status::ACTIVE {
        let range = KeyRange::prefix(&keys::by_status(status));
        let mut cursor = Arc::clone(snapshot).scan(INDEX, range, Order::Ascending)?;
        while let Some((key, _)) = cursor.next()? {
            let Some((_, id)) = keys::indexed_parts(key) else {
                continue;
            };
            found.extend(look(&**snapshot, id)?);
            if found.len() == UNLOADABLE_JOBS_MAX {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

fn look(snapshot: &dyn Snapshot, id: JobId) -> Result<Option<Unloadable>, Error> {
    let row = match Held::read(snapshot, &id) {
        Ok(Some(held)) => held.row,
        Ok(None) => return Ok(None),
        Err(Error::Corrupt { reason, .. }) => {
            let reason = format!("its row cannot be read: {reason}");
            return Ok(Some(Unloadable {
                job_id: id,
                kind: String::new(),
                state: String::new(),
                body_version: 0,
                reason,
            }));
        }
        Err(error) => return Err(error),
    };
    let body = snapshot.get(BODIES, &keys::part(&id, Part::Body))?;
    Ok(claim::load(body, &row).err().map(|reason| Unloadable {
        job_id: id,
        kind: row.job_type,
        state: row.state,
        body_version: row.body_version,
        reason,
    }))
}
