//! Batch by batch, in the commits of the steps: jobs, then findings, then slots, then what jobs that are no more have left.
//!
//! A batch is planned from a snapshot and expects what it has read, so a job that was retried meanwhile stays. A dry run
//! walks the same batches and writes none of them.

use super::{Totals, Work, done::Done, leftovers, snapshotting::Snapshotting};
use crate::kinds::read;
use crate::verify::findings;
use ebbtide_runtime::prune::{self, Place};
use ebbtide_runtime::{Step, StepError, schedule};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Deleting {
    /// Ages count from here, microseconds since the Unix epoch.
    at: i64,
    what: What,
    totals: Totals,
}

/// What is being removed, and where the walk over it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Jobs { after: Option<Place> },
    Findings { after: Option<Vec<u8>> },
    Slots { after: Option<Vec<u8>> },
    Leftovers { from: leftovers::Place },
}

/// What a batch leads to.
pub(super) enum AfterBatch {
    Next(Deleting),
    Finished(Done),
}

/// Findings or slots in a batch.
const RECORDS_MAX: usize = 4096;

impl Deleting {
    pub(super) fn new(_: Snapshotting, at: i64, totals: Totals) -> Self {
        Self { at, what: What::Jobs { after: None }, totals }
    }

    pub(super) async fn delete_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterBatch, StepError> {
        cx.signal().check()?;
        cx.env().reached("job_cleanup.deleting.batch");
        let at = self.at;
        let through = work.through(at);
        self.what = match self.what.clone() {
            What::Jobs { after } => {
                let retention = work.retention();
                let mut batch = read("reading the history of jobs", cx, move |snapshot| {
                    prune::plan(&snapshot, &retention, at, after.as_ref(), prune::JOBS_MAX)
                })
                .await?;
                if let Some(status) = batch.status.filter(|_| batch.jobs > 0) {
                    *self.totals.by_status.entry(status.as_str().to_owned()).or_default() += batch.jobs;
                }
                self.totals.jobs += batch.jobs;
                self.totals.oldest = self.totals.oldest.into_iter().chain(batch.oldest).min();
                if !work.dry_run {
                    batch.put(cx);
                }
                match batch.next {
                    Some(next) => What::Jobs { after: Some(next) },
                    None => What::Findings { after: None },
                }
            }
            What::Findings { after } => {
                let batch = read("reading findings", cx, move |snapshot| {
                    findings::prune(snapshot, through, after.as_deref(), RECORDS_MAX)
                })
                .await?;
                self.totals.findings += batch.findings;
                if !work.dry_run {
                    cx.extend(batch.writes);
                }
                match batch.next {
                    Some(next) => What::Findings { after: Some(next) },
                    None => What::Slots { after: None },
                }
            }
            What::Slots { after } => {
                let batch = read("reading the ledger of slots", cx, move |snapshot| {
                    schedule::prune(&snapshot, through, after.as_deref(), RECORDS_MAX)
                })
                .await?;
                self.totals.slots += batch.slots;
                if !work.dry_run {
                    cx.extend(batch.writes);
                }
                match batch.next {
                    Some(next) => What::Slots { after: Some(next) },
                    None => What::Leftovers { from: leftovers::Place::default() },
                }
            }
            What::Leftovers { from } => {
                let (writes, next) = read("reading what jobs have left", cx, move |snapshot| {
                    leftovers::plan(&snapshot, from, RECORDS_MAX)
                })
                .await?;
                if !work.dry_run {
                    cx.extend(writes);
                }
                match next {
                    Some(from) => What::Leftovers { from },
                    None => {
                        let totals = self.totals.clone();
                        return Ok(AfterBatch::Finished(Done::new(self, totals, cx)));
                    }
                }
            }
        };
        Ok(AfterBatch::Next(self))
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn subject(&self) -> &'static str {
        match self.what {
            What::Jobs { .. } => "jobs",
            What::Findings { .. } => "findings",
            What::Slots { .. } => "slots",
            What::Leftovers { .. } => "leftovers",
        }
    }
}

impl From<AfterBatch> for super::State {
    fn from(after: AfterBatch) -> Self {
        match after {
            AfterBatch::Next(state) => Self::Deleting(state),
            AfterBatch::Finished(state) => Self::Done(state),
        }
    }
}
