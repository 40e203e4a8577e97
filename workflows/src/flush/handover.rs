//! The order of writes when users move to the cold tier, in one place, with its reason.
//!
//! 1. The segment's bytes are durable under a name that was never used before. (`upload`)
//! 2. **One commit**: the manifest entries, the watermarks, the counters, and the job's checkpoint. It expects the
//!    table to be there, each storage to be the place that its id meant, each user's watermark as it was read before his
//!    rows were scanned, and — added by the runner — the claim. From this commit on readers take these rows from the files; before it, from hot.
//! 3. Hot rows go, later, in `Deleting`.
//!
//! Die before 2: a file that nothing names; the users are done again under new names, and the leftover is removed
//! when their turn comes. Die after 2: rows at or below the watermark that readers already ignore.

use super::{
    Options, Totals, Work, deleting,
    pipeline::{Failed, Part},
    records::Failure,
    retry,
};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::{Segment, UserId, manifest};
use std::collections::BTreeMap;

/// Adds to the step's commit what hands these parts over. Parts of one user come in seq order.
pub(super) fn parts(work: &Work, parts: Vec<Part>, totals: &mut Totals, cx: &mut Step) {
    if parts.is_empty() {
        return;
    }
    let mut users: BTreeMap<UserId, Vec<Part>> = BTreeMap::new();
    let mut storages = BTreeMap::new();
    for part in parts {
        storages.entry(part.segment.storage.clone()).or_insert_with(|| part.registered.clone());
        users.entry(part.segment.user.clone()).or_default().push(part);
    }
    storages.into_values().for_each(|registered| cx.expect(registered));
    for (user, parts) in users {
        let old = parts[0].watermark_before.clone();
        let reached = parts.last().expect("a user is only listed with a part").watermark_after;
        debug_assert!(old.seq < reached, "a watermark never falls");
        let (mut rows, mut bytes_hot) = (0, 0);
        for part in &parts {
            rows += part.segment.rows;
            bytes_hot += part.bytes_hot;
            totals.bytes_hot += part.bytes_hot;
            totals.rows += part.segment.rows;
            totals.files += 1;
            totals.bytes += part.segment.bytes;
            totals.storages.insert(part.segment.storage.to_string());
        }
        if parts.iter().any(|part| part.failed_before) {
            cx.write(Failure::forget(work.table_id, &user));
        }
        let segments: Vec<Segment> = parts.into_iter().map(|part| part.segment).collect();
        let (expects, writes) = manifest::handover(&**cx.env(), &segments, &old, reached, rows, bytes_hot);
        expects.into_iter().for_each(|expect| cx.expect(expect));
        cx.extend(writes);
    }
}

/// Adds a record of each user whose write failed; his rows stay hot. Gives the time when the first of them may be tried
/// again.
pub(super) fn failures(
    work: &Work,
    failed: Vec<Failed>,
    options: &Options,
    totals: &mut Totals,
    cx: &mut Step,
) -> Result<Option<i64>, StepError> {
    let snapshot = cx.engine().snapshot();
    let mut first_retry_at = None;
    for Failed { user, reason } in failed {
        let before = Failure::read(&*snapshot, work.table_id, &user)
            .map_err(retry("reading a user's failures"))?
            .map_or(0, |failure| failure.failures);
        let backoff = options.failed_user_backoff_min.saturating_mul(1 << before.min(20));
        let backoff = backoff.min(options.failed_user_backoff_max);
        let retry_at = cx.env().now().saturating_add(i64::try_from(backoff.as_micros()).unwrap_or(i64::MAX));
        tracing::warn!(job_id = %cx.job_id(), user = %user, reason, "a user's rows stay hot");
        let failure = Failure { job_id: cx.job_id().to_string(), reason, failures: before.saturating_add(1), retry_at };
        cx.write(failure.write(work.table_id, &user));
        totals.users_failed += 1;
        first_retry_at = first_retry_at.into_iter().chain([retry_at]).min();
    }
    Ok(first_retry_at)
}

/// Only when a test plants it: hot rows go before the commit that names their segments.
pub(super) async fn planted_delete_before_commit(work: &Work, parts: &[Part], cx: &Step) {
    let writes =
        parts.iter().map(|part| deleting::planted_delete(work, &part.segment.user, part.watermark_after)).collect();
    let commit = ebbtide_engine::Commit { writes, ..Default::default() };
    if let Err(error) = cx.engine().commit(commit).await {
        tracing::warn!(%error, "planted delete");
    }
    cx.env().reached("flush.planted.deleted");
}
