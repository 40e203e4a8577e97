//! The machine's own figure: one append after another, each made durable before the next.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::figures::{Latencies, millis, whole};

/// Appends of one size, each followed by fdatasync.
#[derive(Clone, Debug, Default)]
pub(super) struct Floor {
    latencies: Latencies,
    took: Duration,
}

impl Floor {
    /// Appends `bytes` bytes and waits for the disk, over and over for as long as said, in a file of its own in `dir`.
    pub(super) fn measure(&mut self, dir: &Path, bytes: usize, at_least: Duration) -> io::Result<()> {
        let path = dir.join("floor");
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        // Not zeros: some disks and file systems do nothing for those.
        let block: Vec<u8> = (0..bytes.max(1)).map(|place| (place * 31 % 251) as u8).collect();
        let begun = Instant::now();
        let mut before = begun;
        while begun.elapsed() < at_least {
            file.write_all(&block)?;
            file.sync_data()?;
            let now = Instant::now();
            self.latencies.push(now - before);
            before = now;
        }
        self.took += begun.elapsed();
        std::fs::remove_file(&path)
    }

    pub(super) fn p50(&mut self) -> Duration {
        self.latencies.p50()
    }

    pub(super) fn p99(&mut self) -> Duration {
        self.latencies.p99()
    }

    /// Takes over what another one measured.
    pub(super) fn add(&mut self, other: Floor) {
        self.latencies.append(other.latencies);
        self.took += other.took;
    }

    /// Synced appends in a second.
    pub(super) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// All of it in one line.
    pub(super) fn line(&mut self, bytes: usize) -> String {
        format!(
            "this machine: an append of {bytes} bytes + fdatasync, one after another: {}/s, p50 {}, p99 {}",
            whole(self.rate()),
            millis(self.p50()),
            millis(self.p99())
        )
    }
}
