//! Claims of others, and when they count as given up.
//!
//! A claim is not judged by the time that stands in it alone: clocks of two nodes differ, clocks are set, and after this
//! process stood still every claim in it looks run out. It is given up when it has stood *unchanged in front of our eyes* for
//! as long as it was good for when it was first seen, and never for less than a lease, by time that this process lived.

use crate::job::JobId;
use crate::row::Row;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The claims of others that this process has seen. As many as there are such claims.
#[derive(Default)]
pub(crate) struct Watch(Mutex<HashMap<JobId, Seen>>);

struct Seen {
    epoch: u64,
    lease_expires_at: Option<i64>,
    /// When it counts as given up, in time lived.
    until: Duration,
    given_up: bool,
}

/// The wall clock and the time lived at one look, and how long a lease is.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) now: i64,
    pub(crate) lived: Duration,
    pub(crate) lease: Duration,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a claim of another. True once: when it has just been given up.
    pub(crate) fn look(&self, id: JobId, row: &Row, at: Look) -> bool {
        let mut all = self.lock();
        let fresh = || {
            let left = row.lease_expires_at.map_or(0, |end| end.saturating_sub(at.now));
            let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
            Seen {
                epoch: row.epoch,
                lease_expires_at: row.lease_expires_at,
                until: at.lived + left.max(at.lease),
                given_up: false,
            }
        };
        let seen = all.entry(id).or_insert_with(fresh);
        if (seen.epoch, seen.lease_expires_at) != (row.epoch, row.lease_expires_at) {
            *seen = fresh();
        }
        let now_given_up = !seen.given_up && at.lived >= seen.until;
        seen.given_up |= now_given_up;
        now_given_up
    }

    /// Whether this very claim was given up.
    pub(crate) fn gave_up(&self, id: &JobId, row: &Row) -> bool {
        self.lock().get(id).is_some_and(|seen| {
            seen.given_up && (seen.epoch, seen.lease_expires_at) == (row.epoch, row.lease_expires_at)
        })
    }

    /// Forgets the claims that are no more.
    pub(crate) fn retain(&self, is_there: impl Fn(&JobId) -> bool) {
        self.lock().retain(|id, _| is_there(id));
    }
}

#[cfg(test)]
mod tests {
    use super::{Look, Watch};
    use crate::job::JobId;
    use crate::row::Row;
    use std::time::Duration;
    use uuid::Uuid;

    const LEASE: Duration = Duration::from_secs(30);

    fn at(now_seconds: i64, lived_seconds: u64) -> Look {
        Look { now: now_seconds * 1_000_000, lived: Duration::from_secs(lived_seconds), lease: LEASE }
    }

    fn claim(epoch: u64, end_seconds: i64) -> Row {
        Row { epoch, lease_expires_at: Some(end_seconds * 1_000_000), ..Row::blank() }
    }

    #[test]
    fn a_claim_that_stands_unchanged_for_its_lease_is_given_up_once() {
        let (watch, id) = (Watch::default(), JobId::from_uuid(Uuid::from_u128(1)));
        let row = claim(1, 1010);
        assert!(!watch.look(id, &row, at(1000, 0)));
        assert!(!watch.look(id, &row, at(1029, 29)), "its own end has passed, a whole lease has not");
        assert!(watch.look(id, &row, at(1030, 30)));
        assert!(watch.gave_up(&id, &row) && !watch.gave_up(&id, &claim(2, 1010)));
        assert!(!watch.look(id, &row, at(1031, 31)), "once");
        // It beats after all: another claim to watch.
        assert!(!watch.look(id, &claim(1, 1061), at(1031, 31)));
        assert!(!watch.gave_up(&id, &row));
    }

    #[test]
    fn neither_a_set_clock_nor_a_stop_makes_a_claim_old() {
        let (watch, id) = (Watch::default(), JobId::from_uuid(Uuid::from_u128(1)));
        let row = claim(1, 1030);
        assert!(!watch.look(id, &row, at(1000, 0)));
        assert!(!watch.look(id, &row, at(1_000_000, 10)), "the wall clock has run ahead, by a stop or by hand");
        assert!(!watch.look(id, &row, at(-5, 29)), "or back");
        assert!(watch.look(id, &row, at(-5, 30)));
    }

    #[test]
    fn a_longer_lease_than_ours_is_waited_for() {
        let (watch, id) = (Watch::default(), JobId::from_uuid(Uuid::from_u128(1)));
        let row = claim(1, 1600);
        assert!(!watch.look(id, &row, at(1000, 0)));
        assert!(!watch.look(id, &row, at(1599, 599)));
        assert!(watch.look(id, &row, at(1600, 600)));
        watch.retain(|_| false);
        assert!(!watch.gave_up(&id, &row));
    }
}
