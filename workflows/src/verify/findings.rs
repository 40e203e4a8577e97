//! What verification found: kept beside the jobs, and shown in `system.verify_findings`.
//!
//! ```text
//! verify_findings  found at, i64 | job id | number, u32  ->  finding, JSON
//! ```
//! By time, so that the newest come first and the oldest go in one stretch.

use ebbtide_engine::{Cache, Cursor, Error, KeyRange, Order, Snapshot, Space, Write};
use ebbtide_runtime::JobId;
use ebbtide_store::Seq;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What verification found.
pub const VERIFY_FINDINGS: Space = Space { name: "verify_findings", cache: Cache::Shared };

/// A segment that is not what the manifest says: a row of `system.verify_findings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// When it was found, microseconds since the Unix epoch.
    pub found_at: i64,
    /// The job that found it.
    pub job_id: JobId,
    /// The table's namespace.
    pub namespace: String,
    /// The table.
    pub table: String,
    /// The one user whose rows the segment holds; empty for a SHARED table.
    pub user: String,
    /// The storage of its object.
    pub storage: String,
    /// The path of its object.
    pub path: String,
    /// The seq of its first row, as the manifest has it.
    pub from_seq: Seq,
    /// What is wrong.
    pub problem: Problem,
    /// What the manifest says.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// What can be wrong with a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// There is no object of this path.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// It has another size.
    Size,
    /// Its bytes are not those that were written.
    Checksum,
    /// Its footer says something else.
    Footer,
    /// It holds another number of rows.
    RowCount,
    /// Its rows have other seqs.
    SeqRange,
    /// Its rows are not in the order of their seqs.
    Order,
    /// It holds rows of somebody else.
    Owner,
}

impl Problem {
    /// The name as it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Size => "size",
            Self::Checksum => "checksum",
            Self::Footer => "footer",
            Self::RowCount => "row_count",
            Self::SeqRange => "seq_range",
            Self::Order => "order",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Finding {
    /// The write that keeps it. `number` sets it apart from the other findings of its job.
    pub(crate) fn put(&self, number: u32) -> Write {
        let key = [&time(self.found_at)[..], self.job_id.as_bytes(), &number.to_be_bytes()].concat();
        let value = serde_json::to_vec(self).expect("a plain struct of text and numbers has a JSON form");
        Write::put(VERIFY_FINDINGS, key, value)
    }
}

/// Bytes of a time that sort as the time does.
fn time(micros: i64) -> [u8; 8] {
    (micros.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// What verification found, newest first. Blocking.
///
/// # Errors
/// The engine's.
pub fn findings(snapshot: Arc<dyn Snapshot>) -> Result<Findings, Error> {
    Ok(Findings { cursor: snapshot.scan(VERIFY_FINDINGS, KeyRange::all(), Order::Descending)? })
}

/// Reads findings as it goes.
pub struct Findings {
    cursor: Box<dyn Cursor>,
}

impl fmt::Debug for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Findings").finish_non_exhaustive()
    }
}

impl Iterator for Findings {
    type Item = Result<Finding, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.cursor.next() {
                Ok(None) => return None,
                // One of a newer version is passed over; the others are still worth showing.
                Ok(Some((_, value))) => match serde_json::from_slice(value) {
                    Ok(finding) => return Some(Ok(finding)),
                    Err(error) => tracing::warn!(%error, "a finding cannot be read"),
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Findings to remove.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) findings: u64,
    pub(crate) writes: Vec<Write>,
    /// Where to go on; none when nothing is left to remove.
    pub(crate) next: Option<Vec<u8>>,
}

/// The next findings to remove: those found up to and at `through`, oldest first, at most `findings_max`.
pub(crate) fn prune(
    snapshot: Arc<dyn Snapshot>,
    through: i64,
    after: Option<&[u8]>,
    findings_max: usize,
) -> Result<Batch, Error> {
    let mut from = after.unwrap_or_default().to_vec();
    if after.is_some() {
        from.push(0);
    }
    let range = KeyRange::new(from, time(through.saturating_add(1)));
    let mut batch = Batch::default();
    if range.is_empty() {
        return Ok(batch);
    }
    let start = range.from.clone();
    let mut cursor = snapshot.scan(VERIFY_FINDINGS, range, Order::Ascending)?;
    let mut last = None;
    while let Some((key, _)) = cursor.next()? {
        if batch.findings as usize == findings_max {
            batch.next = last.clone();
            break;
        }
        last = Some(key.to_vec());
        batch.findings += 1;
    }
    if let Some(last) = last {
        // One stretch, whatever its length.
        let mut to = last;
        to.push(0);
        batch.writes.push(Write::delete_range(VERIFY_FINDINGS, KeyRange::new(start, to)));
    }
    Ok(batch)
}
