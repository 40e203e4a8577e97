//! Users move to the cold tier.
//!
//! A pipeline scans, encodes and uploads several users at a time; it lives as long as the claim. Each step takes
//! what the pipeline has finished by now and hands it over in one commit, so many small users share a commit and
//! a slow one holds up nobody. No cursor is kept: a pipeline that starts anew lists all users again and skips those
//! whose watermarks say that they are done, which costs one read each.

use super::{
    Cut, Resources, Totals, Work, deleting::Deleting, handover, pipeline::Pipeline, records::Flushed,
    snapshotting::Snapshotting, table_of,
};
use ebbtide_engine::Defect;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::Store;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Writing {
    cut: Cut,
    /// The user handed over last, for `system.jobs`.
    latest: Option<String>,
    /// When the first of the users that failed may be tried again, microseconds since the Unix epoch.
    retry_at: Option<i64>,
    totals: Totals,
}

/// What a step of writing leads to.
pub(super) enum AfterWrite {
    Next(Writing),
    Finished(Deleting),
}

impl Writing {
    pub(super) fn new(_: Snapshotting, cut: Cut, totals: Totals) -> Self {
        Self { cut, latest: None, retry_at: None, totals }
    }

    pub(super) async fn write_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterWrite, StepError> {
        cx.signal().check()?;
        let resources = cx.get::<Resources>()?;
        let store = cx.get::<Store>()?;
        let table = {
            let snapshot = cx.engine().snapshot();
            table_of(work, &store, &snapshot)?
        };
        if cx.keep::<Pipeline>().is_none() {
            // It comes to every user again, so they are counted again; rows, files and bytes are those handed over.
            (self.totals.users_done, self.totals.users_failed, self.retry_at) = (0, 0, None);
            let pipeline = Pipeline::start(store, resources.clone(), table, &self.cut, &self.totals, cx)?;
            *cx.keep::<Pipeline>() = Some(pipeline);
        }
        let signal = cx.signal();
        let pipeline = cx.keep::<Pipeline>().as_mut().expect("started just above");
        // This step's state was read from a commit, or is the one that was just committed.
        pipeline.counted.committed(&self.totals);
        let finished = tokio::select! {
            finished = pipeline.finished(resources.options().users_per_commit_max) => finished?,
            stop = signal.stopped() => return Err(stop.into()),
        };
        cx.env().reached("flush.writing.uploaded");
        if cx.env().planted(Defect::DeleteBeforeCommit) {
            handover::planted_delete_before_commit(work, &finished.parts, cx).await;
        }

        let something = !finished.parts.is_empty() || !finished.failed.is_empty();
        self.totals.users_done += finished.users_done;
        if let Some(part) = finished.parts.last() {
            self.latest = Some(part.segment.user.to_string());
        }
        handover::parts(work, finished.parts, &mut self.totals, cx);
        let retry_at = handover::failures(work, finished.failed, resources.options(), &mut self.totals, cx)?;
        self.retry_at = self.retry_at.into_iter().chain(retry_at).min();
        if finished.end || (something && self.retry_at.is_some()) {
            cx.write(self.flushed().write(work.table_id));
        }
        // The last users' records are committed before the job's end is decided, so that a failed job loses none.
        if !finished.end || something {
            return Ok(AfterWrite::Next(self));
        }
        if self.totals.users_failed > 0 && self.totals.users_failed == self.totals.users_done {
            let reason = finished.last_failure.unwrap_or_else(|| "see the users' own records".to_owned());
            return Err(StepError::Fail {
                reason: format!("the writes of all {} users failed, the last one: {reason}", self.totals.users_failed),
            });
        }
        let (cut, totals) = (self.cut.clone(), self.totals.clone());
        Ok(AfterWrite::Finished(Deleting::new(self, cut, totals)))
    }

    /// The table's record. Rows of users that failed are above no watermark, yet must not trigger at once.
    fn flushed(&self) -> Flushed {
        Flushed {
            cut: self.cut.seq,
            taken_at: self.cut.taken_at,
            stuck_rows: self.cut.rows.saturating_sub(self.totals.rows),
            stuck_bytes: self.cut.bytes_hot.saturating_sub(self.totals.bytes_hot),
            retry_at: self.retry_at.unwrap_or(0),
        }
    }

    pub(super) fn cut(&self) -> &Cut {
        &self.cut
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.latest.as_deref()
    }
}

impl From<AfterWrite> for super::State {
    fn from(after: AfterWrite) -> Self {
        match after {
            AfterWrite::Next(state) => Self::Writing(state),
            AfterWrite::Finished(state) => Self::Deleting(state),
        }
    }
}
