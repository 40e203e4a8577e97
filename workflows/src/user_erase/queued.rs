//! Asked for. The cut is fixed: whatever was written before is to go, and nothing that is written after.

use super::{Run, Totals, Work, fencing::Fencing};
use crate::{kinds::read, user_export};
use ebbtide_runtime::{Filter, JobId, Status, Step, StepError, query};
use ebbtide_store::Store;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Queued {}

impl Queued {
    pub(super) async fn start(self, work: &Work, cx: &mut Step) -> Result<Fencing, StepError> {
        if let Some(export) = earlier_export(work, cx).await? {
            return Err(StepError::retry(format!("job {export} exports what he has; he is erased after that")));
        }
        let cut = cx.engine().last_seq();
        let store = cx.get::<Store>()?;
        let asked = work.clone();
        let (there, dropped) = read("reading the catalog", cx, move |snapshot| {
            let there = match &asked.namespace {
                Some(namespace) => store.catalog().namespace(&snapshot, namespace)?.is_some(),
                None => true,
            };
            Ok::<_, ebbtide_store::Error>((there, asked.dropped(&store, &snapshot)?))
        })
        .await?;
        if let (false, Some(namespace)) = (there, &work.namespace) {
            return Err(StepError::fail(format!("Namespace {namespace} not found")));
        }
        cx.synced();
        let dropped = dropped.iter().map(|table| table.id).collect();
        Ok(Fencing::new(self, Run { at: cx.env().now(), cut, dropped, totals: Totals::default() }))
    }
}

/// An export of his that was asked for before and is not over: erased now, he would be exported in part, or not at all.
async fn earlier_export(work: &Work, cx: &Step) -> Result<Option<JobId>, StepError> {
    let (user, ours) = (work.user.clone(), *cx.job_id());
    read("reading the jobs", cx, move |snapshot| {
        let kind = Some(user_export::KIND.to_owned());
        let mut exports = query::jobs(&snapshot, Filter { kind, ..Filter::statuses(Status::ACTIVE) })?;
        while let Some(export) = exports.next()? {
            let whose = export.parameters.as_ref().and_then(|parameters| parameters.get("user")?.as_str());
            // Ids grow with time.
            if export.job_id < ours && whose == Some(user.as_str()) {
                return Ok(Some(export.job_id));
            }
        }
        Ok::<_, ebbtide_runtime::Error>(None)
    })
    .await
}
