//! Hot rows at or below the watermarks go.
//!
//! This has no part in correctness: readers start above the watermark. It may be late, partial or repeated, so
//! each page of users is its own small commit and the cursor is merely where to look next.

use super::{Cut, Totals, Work, done::Done, retry, writing::Writing};
use ebbtide_engine::Write;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::{UserId, hot, manifest};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Deleting {
    cut: Cut,
    totals: Totals,
    after: Option<UserId>,
}

/// What a page of deletes leads to.
pub(super) enum AfterDelete {
    Next(Deleting),
    Finished(Done),
}

/// Users per commit: a delete is a few dozen bytes, so a page stays far below a commit group's bound.
const USERS_PER_PAGE: usize = 512;

impl Deleting {
    /// Only a `Writing` with no user left gives a `Deleting`.
    pub(super) fn new(_: Writing, cut: Cut, totals: Totals) -> Self {
        Self { cut, totals, after: None }
    }

    pub(super) async fn delete_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterDelete, StepError> {
        cx.signal().check()?;
        cx.env().reached("flush.deleting.page");
        let snapshot = cx.engine().snapshot();
        let page = hot::users(snapshot.clone(), work.table_id, self.after.as_ref(), USERS_PER_PAGE)
            .map_err(retry("reading the index of users"))?;
        let Some((last, _)) = page.last() else {
            // The removals before this step are committed. Else scans of the rows that come next would read around them.
            hot::give_back(cx.engine()).map_err(retry("counting hot rows"))?;
            let (cut, totals) = (self.cut.clone(), self.totals.clone());
            return Ok(AfterDelete::Finished(Done::new(self, cut, totals, work, cx)?));
        };
        self.after = Some(last.clone());
        for (user, last_seq) in &page {
            let watermark =
                manifest::watermark(&*snapshot, work.table_id, user).map_err(retry("reading a watermark"))?;
            // Rows of users this flush did not move, and of earlier ones, go as well: the watermark alone says.
            if watermark.seq > 0 {
                cx.write(hot::delete_writes(work.table_id, user, watermark.seq));
            }
            if *last_seq <= watermark.seq {
                // Unless a row came in meanwhile: then the entry holds a later seq and stays.
                cx.write(hot::forget_user(work.table_id, user, *last_seq));
            }
        }
        Ok(AfterDelete::Next(self))
    }

    pub(super) fn cut(&self) -> &Cut {
        &self.cut
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }
}

impl From<AfterDelete> for super::State {
    fn from(after: AfterDelete) -> Self {
        match after {
            AfterDelete::Next(state) => Self::Deleting(state),
            AfterDelete::Finished(state) => Self::Done(state),
        }
    }
}

/// The planted bug that the crash suite must catch: rows go before the commit that names their segment.
pub(super) fn planted_delete(work: &Work, user: &UserId, through: u64) -> Write {
    hot::delete_writes(work.table_id, user, through)
}
