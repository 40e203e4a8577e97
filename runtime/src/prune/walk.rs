//! The walk over the history of one status, oldest end first.

use super::{Place, Retention};
use crate::error::Error;
use crate::history::History;
use crate::job::JobId;
use crate::keys::{self, INDEX};
use crate::status::Status;
use ebbtide_engine::{Cursor, KeyRange, Order, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// The order in which the terminal statuses are walked: the usual one first, what may still be run again last.
pub(super) const ORDER: [Status; 4] = [Status::Completed, Status::Cancelled, Status::Skipped, Status::Failed];

/// A job to be removed.
pub(super) struct Old {
    pub(super) id: JobId,
    pub(super) ended_at: i64,
    pub(super) history: History,
}

/// A walk that stands in the history of one status and has found a job there.
pub(super) struct Walk {
    pub(super) status: Status,
    cursor: Box<dyn Cursor>,
    next: Option<Old>,
}

impl Walk {
    /// Goes to the first job behind `after` that is old enough; none when there is none in any status.
    pub(super) fn begin(
        snapshot: &Arc<dyn Snapshot>,
        retention: &Retention,
        now: i64,
        after: Option<&Place>,
    ) -> Result<Option<Self>, Error> {
        let left = ORDER.into_iter().skip_while(|status| after.is_some_and(|place| place.status != *status));
        for status in left {
            let Some(keep) = retention.of(status) else { continue };
            let prefix = keys::history(status);
            let mut range = KeyRange::prefix(&prefix);
            if let Some(place) = after.filter(|place| place.status == status) {
                // The next possible key: no key is a prefix of another.
                range.from = keys::indexed(prefix.clone(), place.ended_at, &place.job_id);
                range.from.push(0);
            }
            if let Some(behind) = deadline(now, keep).checked_add(1) {
                range.to = [prefix.as_slice(), &keys::ordered(behind)].concat();
            }
            if range.from >= range.to {
                continue;
            }
            let mut cursor = Arc::clone(snapshot).scan(INDEX, range, Order::Ascending)?;
            if let Some(first) = read(&mut *cursor)? {
                return Ok(Some(Self { status, cursor, next: Some(first) }));
            }
        }
        Ok(None)
    }

    /// Up to `jobs_max` further jobs; fewer only at the end of this status.
    pub(super) fn take(&mut self, jobs_max: usize) -> Result<Vec<Old>, Error> {
        let mut taken = Vec::with_capacity(jobs_max);
        while taken.len() < jobs_max
            && let Some(old) = self.next.take()
        {
            taken.push(old);
            self.next = read(&mut *self.cursor)?;
        }
        Ok(taken)
    }
}

/// The last time at which a job may have ended that is not kept any more.
pub(super) fn deadline(now: i64, keep: Duration) -> i64 {
    now.saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX))
}

fn read(cursor: &mut dyn Cursor) -> Result<Option<Old>, Error> {
    while let Some((key, value)) = cursor.next()? {
        let Some((ended_at, id)) = keys::indexed_parts(key) else { continue };
        let history = History::decode(value).map_err(|reason| Error::Corrupt { what: "history record", id, reason })?;
        return Ok(Some(Old { id, ended_at, history }));
    }
    Ok(None)
}
