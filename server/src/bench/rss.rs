//! What this process holds in memory, and the most that it held since a moment, as Linux counts it.

use std::fs;
use std::io::{self, Error};
use std::time::{Duration, Instant};

/// Resident memory at a moment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resident {
    /// All of it.
    pub(super) now: u64,
    /// What is no file's: heap and stacks.
    pub(super) anonymous: u64,
    /// The most at once since [`begin`].
    pub(super) peak: u64,
}

/// What is resident now.
pub(super) fn resident() -> io::Result<Resident> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(Resident {
        now: field(&status, "VmRSS")?,
        anonymous: field(&status, "RssAnon")?,
        peak: field(&status, "VmHWM")?,
    })
}

/// Forgets the peak so far: it is counted from what is resident now, which is returned.
pub(super) fn begin() -> io::Result<Resident> {
    // See proc_pid_clear_refs(5).
    fs::write("/proc/self/clear_refs", "5")
        .map_err(|error| Error::other(format!("the peak of resident memory cannot be reset here: {error}")))?;
    resident()
}

fn field(status: &str, name: &str) -> io::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Error::other(format!("/proc/self/status has no {name}")))
}

/// A process that uses less of a core than this is quiet.
const QUIET_SHARE: f64 = 0.02;
/// How long it has to be.
const QUIET_FOR: Duration = Duration::from_millis(600);
/// Nobody waits longer.
const QUIET_WITHIN: Duration = Duration::from_secs(120);

/// Waits until the threads of this process have no more to do, so that what runs behind one measurement (compactions above
/// all) is not paid by the next.
pub(super) async fn quiet() {
    let begun = Instant::now();
    while begun.elapsed() < QUIET_WITHIN {
        let Ok(before) = cpu_seconds() else { return };
        tokio::time::sleep(QUIET_FOR).await;
        let Ok(after) = cpu_seconds() else { return };
        if after - before <= QUIET_SHARE * QUIET_FOR.as_secs_f64() + TICK_SECONDS {
            return;
        }
    }
}

/// The resolution of the process's clock in /proc.
const TICK_SECONDS: f64 = 0.01;

/// CPU time of all threads of this process so far.
pub(super) fn cpu_seconds() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which is in brackets and may hold anything: utime and stime are the 12th and 13th.
    let ticks = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
    let ticks: Option<Vec<u64>> = ticks.and_then(|ticks| ticks.map(|tick| tick.parse().ok()).collect());
    let ticks = ticks.ok_or_else(|| Error::other("/proc/self/stat is not as expected"))?;
    Ok(ticks.iter().sum::<u64>() as f64 * TICK_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_from_its_beginning() {
        let big = vec![1u8; 64 << 20];
        assert!(resident().unwrap().now > 64 << 20);
        drop(std::hint::black_box(big));
        let begun = begin().unwrap();
        assert!(begun.peak < begun.now + (16 << 20), "{begun:?}");
        assert!(begun.anonymous <= begun.now);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }
}
