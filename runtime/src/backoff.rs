//! How long to wait before trying again: exponential, with full jitter.
//!
//! Full jitter (anywhere between nothing and the exponential bound) spreads jobs that failed together better than a small
//! random part on top of a fixed delay does.

use std::time::Duration;

/// The longest wait after try number `attempt` (from 1) failed: `min` doubled each time, up to `max`.
pub(crate) fn bound(attempt: u32, min: Duration, max: Duration) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    min.saturating_mul(1_u32 << doublings).min(max)
}

/// The wait itself, chosen by `random`.
pub(crate) fn delay_micros(attempt: u32, min: Duration, max: Duration, random: u64) -> i64 {
    let bound = u64::try_from(bound(attempt, min, max).as_micros()).unwrap_or(u64::MAX - 1);
    i64::try_from(random % (bound + 1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{bound, delay_micros};
    use std::time::Duration;

    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(60);

    #[test]
    fn the_bound_doubles_up_to_its_limit() {
        let bounds: Vec<u64> = (1..=8).map(|attempt| bound(attempt, MIN, MAX).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(bound(u32::MAX, MIN, MAX), MAX);
    }

    #[test]
    fn the_delay_is_spread_from_nothing_to_the_bound() {
        assert_eq!(delay_micros(3, MIN, MAX, 0), 0);
        assert_eq!(delay_micros(3, MIN, MAX, 4_000_000), 4_000_000);
        assert_eq!(delay_micros(3, MIN, MAX, 4_000_001), 0);
        for random in [7, 1 << 40, u64::MAX] {
            assert!(delay_micros(9, MIN, MAX, random) <= 60_000_000);
        }
    }
}
