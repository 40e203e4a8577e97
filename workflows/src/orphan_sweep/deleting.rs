//! What was quarantined long enough is asked about again, and then goes.
//!
//! First all of the quarantine, page by page: an object that is still what was found is written down to be removed. Then
//! the removal itself, by the one place that does it; whatever older readers hold up is removed later.

use super::ours::{Ours, is_named};
use super::{Totals, Work, done::Done, jobs, listing::Listing};
use crate::kinds::{delete_due, read};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::{self, Listed};
use ebbtide_store::deletions::{self, Deletion, Why};
use ebbtide_store::quarantine::{self, Quarantined};
use ebbtide_store::{StorageId, Store, manifest};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Deleting {
    at: i64,
    what: What,
    totals: Totals,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// The quarantine is walked, behind this object.
    Quarantined { after: Option<(StorageId, String)> },
    /// Objects that are due are removed.
    Objects,
}

/// What a page leads to.
pub(super) enum AfterPage {
    Next(Deleting),
    Finished(Done),
}

/// Quarantined objects asked about by one step.
const OBJECTS_MAX: usize = 256;
/// Objects looked up at the same time.
const LOOKUPS_AT_ONCE: usize = 16;

/// What becomes of a quarantined object.
enum Verdict {
    /// Its time has not come, or it is on its way out.
    Wait,
    /// A job may still need it.
    HeldBack,
    /// It is still what was found.
    Go,
    /// It is gone.
    Release,
    /// It is not what was found: the time starts anew.
    Changed(Listed),
}

impl Deleting {
    pub(super) fn new(_: Listing, at: i64, totals: Totals) -> Self {
        Self { at, what: What::Quarantined { after: None }, totals }
    }

    pub(super) async fn delete_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterPage, StepError> {
        cx.signal().check()?;
        cx.env().reached("orphan_sweep.deleting.page");
        match self.what.clone() {
            What::Quarantined { after } => {
                let page = read("reading the quarantine", cx, move |snapshot| {
                    let after = after.as_ref().map(|(storage, path)| (storage, path.as_str()));
                    quarantine::scan(snapshot, after)?.take(OBJECTS_MAX).collect::<Result<Vec<_>, _>>()
                })
                .await?;
                match page.last() {
                    Some(last) => {
                        self.what = What::Quarantined { after: Some((last.storage.clone(), last.path.clone())) };
                        self.judge(work, page, cx).await?;
                    }
                    None if work.dry_run => return Ok(self.finish(cx)),
                    None => self.what = What::Objects,
                }
            }
            What::Objects => {
                if !delete_due(cx).await?.more {
                    return Ok(self.finish(cx));
                }
            }
        }
        Ok(AfterPage::Next(self))
    }

    fn finish(self, cx: &mut Step) -> AfterPage {
        let totals = self.totals.clone();
        AfterPage::Finished(Done::new(self, totals, cx))
    }

    async fn judge(&mut self, work: &Work, page: Vec<Quarantined>, cx: &mut Step) -> Result<(), StepError> {
        let found_before = self.at.saturating_sub(work.quarantine.micros());
        let store = cx.get::<Store>()?;
        let signal = cx.signal();
        let looked_up = stream::iter(page)
            .map(|found| {
                let store = store.clone();
                async move {
                    let now = match store.objects(&found.storage) {
                        _ if found.quarantined_at > found_before => Ok(None),
                        Ok(objects) => cold::head(&*objects, &found.path).await.map_err(ebbtide_store::Error::from),
                        Err(error) => Err(error),
                    };
                    (found, now)
                }
            })
            .buffered(LOOKUPS_AT_ONCE)
            .collect::<Vec<_>>();
        let looked_up = tokio::select! {
            looked_up = looked_up => looked_up,
            stop = signal.stopped() => return Err(stop.into()),
        };
        // Asked last, after everything else is known.
        let verdicts = read("reading the manifest", cx, move |snapshot| {
            let stamps = jobs::stamps(&snapshot).map_err(Unreadable::Jobs)?;
            let attaching: Vec<StorageId> = store
                .catalog()
                .storages(&snapshot)?
                .iter()
                .filter(|storage| storage.attaching)
                .map(|storage| storage.id.clone())
                .collect();
            let verdict = |(found, now): (Quarantined, Result<Option<Listed>, ebbtide_store::Error>)| {
                let ours = Ours::at(&found.path);
                let verdict = if found.quarantined_at > found_before
                    || deletions::is_pending(&*snapshot, &found.storage, &found.path)?
                {
                    Verdict::Wait
                } else if is_named(&*snapshot, &found.storage, &found.path)? {
                    Verdict::Release
                } else if attaching.contains(&found.storage)
                    || ours.is_none_or(|ours| ours.stamp_secs().is_some_and(|stamp| stamps.contains(&stamp)))
                {
                    Verdict::HeldBack
                } else {
                    match now {
                        Ok(None) => Verdict::Release,
                        Ok(Some(now)) if (now.bytes, now.modified_at) == (found.bytes, found.modified_at) => {
                            Verdict::Go
                        }
                        Ok(Some(now)) => Verdict::Changed(now),
                        // A storage that cannot be asked now is asked by the next run.
                        Err(_) => Verdict::Wait,
                    }
                };
                Ok((found, verdict))
            };
            looked_up.into_iter().map(verdict).collect::<Result<Vec<_>, Unreadable>>()
        })
        .await?;
        for (found, verdict) in verdicts {
            self.carry_out(work, found, verdict, cx);
        }
        Ok(())
    }

    fn carry_out(&mut self, work: &Work, found: Quarantined, verdict: Verdict, cx: &mut Step) {
        match &verdict {
            Verdict::Wait => return,
            Verdict::HeldBack => self.totals.held_back += 1,
            Verdict::Release | Verdict::Changed(_) => self.totals.released += 1,
            Verdict::Go => {
                self.totals.deleted += 1;
                self.totals.deleted_bytes += found.bytes;
            }
        }
        if work.dry_run {
            return;
        }
        match verdict {
            Verdict::Wait | Verdict::HeldBack => {}
            Verdict::Release => cx.write(found.release()),
            Verdict::Changed(now) => {
                let again =
                    Quarantined { bytes: now.bytes, modified_at: now.modified_at, quarantined_at: self.at, ..found };
                let (expect, write) = again.put();
                cx.expect(expect);
                cx.write(write);
            }
            Verdict::Go => {
                // The quarantine is kept until the object is gone, so that nobody can attach it meanwhile.
                let Quarantined { storage, path, bytes, .. } = found;
                cx.expect(manifest::expect_unnamed(&storage, &path));
                let (why, not_before) = (Why::Orphan, self.at);
                cx.extend(
                    Deletion { storage, path, bytes, not_before, why, whose: None, failures: 0, error: None }.put(),
                );
            }
        }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }
}

/// What could not be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Jobs(jobs::Error),
    #[error(transparent)]
    Store(#[from] ebbtide_store::Error),
}

impl From<AfterPage> for super::State {
    fn from(after: AfterPage) -> Self {
        match after {
            AfterPage::Next(state) => Self::Deleting(state),
            AfterPage::Finished(state) => Self::Done(state),
        }
    }
}
