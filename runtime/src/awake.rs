//! Time as this process lived it.
//!
//! What passes while the process is stopped (SIGSTOP, a debugger, a suspended machine) does not count: nobody can beat or
//! work then. Nor does it matter when somebody sets the wall clock. Leases of others and timeouts are judged by this clock.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A clock that somebody looks at regularly, and that counts at most `step_max` between two looks.
pub(crate) struct Awake {
    step_max: Duration,
    last: Mutex<Last>,
}

struct Last {
    looked: Instant,
    lived: Duration,
}

impl Awake {
    pub(crate) fn new(step_max: Duration) -> Self {
        Self { step_max, last: Mutex::new(Last { looked: Instant::now(), lived: Duration::ZERO }) }
    }

    /// The time lived since this clock was made.
    pub(crate) fn now(&self) -> Duration {
        self.look().0
    }

    /// The time lived, and for how long the process stood still just before, if it did.
    pub(crate) fn look(&self) -> (Duration, Option<Duration>) {
        self.look_at(Instant::now())
    }

    fn look_at(&self, now: Instant) -> (Duration, Option<Duration>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(last.looked);
        last.looked = last.looked.max(now);
        last.lived += passed.min(self.step_max);
        (last.lived, (passed > self.step_max).then_some(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::Awake;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn a_pause_counts_as_one_step() {
        let second = Duration::from_secs(1);
        let awake = Awake::new(second);
        let begun = Instant::now();
        awake.look_at(begun);
        let (lived, stood) = awake.look_at(begun + second / 2);
        assert!(lived >= second / 2 && lived < second && stood.is_none());
        let (later, stood) = awake.look_at(begun + 3600 * second);
        assert_eq!((later - lived, stood), (second, Some(3600 * second - second / 2)));
        let (same, _) = awake.look_at(begun);
        assert_eq!(same, later, "it never goes back");
    }
}
