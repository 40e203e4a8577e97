//! The time at and below which no job is made any more, so that whole stretches of old jobs can be removed at once.
//!
//! Removing a range of keys is safe only when nobody puts a new job into it meanwhile, and clocks are set back. So pruning
//! first raises the floor, and every commit that makes a job expects the floor that its id and time were chosen above.

use crate::error::Error;
use crate::job::JobId;
use crate::keys::{self, COUNTERS};
use ebbtide_engine::env::SharedEnv;
use ebbtide_engine::{Expect, Snapshot, Write};
use uuid::{Builder, Uuid};

/// Id and time of a job that is about to be made, and what its commit has to expect.
#[derive(Clone)]
pub(crate) struct Newborn {
    pub(crate) id: JobId,
    /// When it is made, for the order of listings.
    pub(crate) at: i64,
    /// When it is due: now, by the clock that the queue looks at.
    pub(crate) due: i64,
    pub(crate) expect: Expect,
}

/// Chooses id and time of a new job above the floor. Both are the environment's own unless its clock was set far back.
pub(crate) fn newborn(snapshot: &dyn Snapshot, env: &SharedEnv) -> Result<Newborn, Error> {
    let stored = snapshot.get(COUNTERS, keys::FLOOR)?;
    let due = env.now();
    let (mut at, mut uuid) = (due, env.id());
    if let Some(floor) = stored.as_deref().and_then(decode) {
        at = at.max(floor.saturating_add(1));
        if JobId::from_uuid(uuid) <= last_id(floor) {
            uuid = moved(uuid, millis(floor).saturating_add(1));
        }
    }
    Ok(Newborn { id: JobId::from_uuid(uuid), at, due, expect: Expect::as_read(COUNTERS, keys::FLOOR, stored) })
}

/// The floor, in microseconds since the Unix epoch; none before the first pruning.
pub(crate) fn read(snapshot: &dyn Snapshot) -> Result<Option<i64>, Error> {
    Ok(snapshot.get(COUNTERS, keys::FLOOR)?.as_deref().and_then(decode))
}

/// Raises the floor to `at`.
pub(crate) fn raise(at: i64) -> Write {
    Write::put(COUNTERS, keys::FLOOR, at.to_be_bytes())
}

/// No job that is made from now on has this id or a smaller one.
pub(crate) fn last_id(floor: i64) -> JobId {
    let mut bytes = [u8::MAX; 16];
    bytes[..6].copy_from_slice(&millis(floor).to_be_bytes()[2..]);
    JobId::from_uuid(Uuid::from_bytes(bytes))
}

fn millis(micros: i64) -> u64 {
    u64::try_from(micros.div_euclid(1000)).unwrap_or(0)
}

fn decode(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

/// The same id, made at another time.
fn moved(uuid: Uuid, millis: u64) -> Uuid {
    let mut rest = [0; 10];
    rest.copy_from_slice(&uuid.as_bytes()[6..]);
    Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::{last_id, moved};
    use crate::job::JobId;
    use uuid::{Builder, Uuid};

    fn id(millis: u64, rest: u8) -> Uuid {
        Builder::from_unix_timestamp_millis(millis, &[rest; 10]).into_uuid()
    }

    #[test]
    fn ids_up_to_the_floor_are_at_or_below_its_last_id_and_moved_ones_above() {
        let floor = 1_700_000_000_123_456;
        let last = last_id(floor);
        assert!(JobId::from_uuid(id(1_700_000_000_123, 255)) <= last);
        assert!(JobId::from_uuid(id(1_700_000_000_124, 0)) > last);
        let old = id(1_600_000_000_000, 7);
        assert!(JobId::from_uuid(moved(old, 1_700_000_000_124)) > last);
        assert_ne!(moved(old, 5), moved(id(1_600_000_000_000, 8), 5), "what made them different is kept");
        assert_eq!(moved(old, 5).get_version_num(), 7);
        assert!(last_id(-1) < JobId::from_uuid(id(1, 0)));
    }
}
