//! Clock, ids and chance, crash points and planted defects: all that is outside a program, in one value that tests can hold.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Clock, ids and chance, crash points and planted defects, in one place that tests can hold.
pub trait Env: Send + Sync + Debug + 'static {
    /// Microseconds since the Unix epoch, UTC. May fall: clocks are set.
    fn now(&self) -> i64;

    /// A new id, version 7: ids made later sort later.
    fn id(&self) -> Uuid;

    /// 64 bits of chance.
    fn random(&self) -> u64;

    /// A named point of the program was reached, such as `engine.commit.before_write`. Crash tests abort here.
    fn reached(&self, point: &'static str) {
        let _ = point;
    }

    /// Whether a known bug is planted, to prove that the crash suite catches it. Never outside tests.
    fn planted(&self, defect: Defect) -> bool {
        let _ = defect;
        false
    }
}

/// A bug that tests plant to prove that the crash suite would catch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defect {
    /// Hot rows are deleted before the commit that attaches their segment.
    DeleteBeforeCommit,
    /// A segment is attached, but the watermark is not raised.
    WatermarkSkipped,
    /// An object counts as durable although nobody called fsync.
    FsyncForgotten,
    /// On opening, seqs go on from the highest hot row in place of the persisted last one.
    SeqFromHotRows,
    /// A checkpoint of an older claim is accepted.
    StaleClaimCommits,
    /// A file name is used again after DROP and CREATE.
    NameReused,
}

/// An [`Env`] as it is passed around.
pub type SharedEnv = Arc<dyn Env>;

/// The system's own clock, ids and chance; no crash points, no defects.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv;

impl Env for SystemEnv {
    fn now(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        }
    }

    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn random(&self) -> u64 {
        rand::random()
    }
}

/// A clock that stands until it is moved, with ids and chance that are the same in every run. For tests.
#[derive(Debug)]
pub struct HeldEnv {
    now: AtomicI64,
    ids: AtomicU64,
    random: AtomicU64,
}

impl HeldEnv {
    /// An environment whose clock stands at `now` (microseconds since the Unix epoch).
    pub fn at(now: i64) -> HeldEnv {
        HeldEnv { now: AtomicI64::new(now), ids: AtomicU64::new(0), random: AtomicU64::new(0) }
    }

    /// Puts the clock to `now`, forward or back.
    pub fn set(&self, now: i64) {
        self.now.store(now, Ordering::SeqCst);
    }

    /// Moves the clock on by `micros`.
    pub fn advance(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Env for HeldEnv {
    fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn id(&self) -> Uuid {
        let millis = u64::try_from(self.now() / 1000).unwrap_or(0);
        let count = u128::from(self.ids.fetch_add(1, Ordering::SeqCst));
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&count.to_be_bytes()[6..]);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    fn random(&self) -> u64 {
        // SplitMix64: well mixed, and the same sequence in every run.
        let mut x = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_later_sort_later() {
        let held = HeldEnv::at(1_700_000_000_000_000);
        let mut ids: Vec<Uuid> = (0..300).map(|_| held.id()).collect();
        held.advance(5_000);
        ids.push(held.id());
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "ids of a held clock sort in the order they were made");
        assert_eq!(ids[0].get_version_num(), 7);
        let env = SystemEnv;
        assert!(env.id() < env.id());
        assert!(env.now() > 1_700_000_000_000_000);
    }
}
